use super::backup::existing;
use super::{Common, progress};
use clap::Args;
use std::path::PathBuf;

/// What does the same for PostgreSQL.
const INSTEAD: &str = "pg_restore restores it, and `parlour copy` fills an empty database from a file";

/// Arguments of `parlour restore`.
#[derive(Args)]
pub struct RestoreArgs {
    /// A file that `parlour backup` made.
    file: PathBuf,
    /// Replace the database if there is one: what is only in it is lost.
    #[arg(long)]
    force: bool,
}

pub(super) fn restore(common: &Common, args: &RestoreArgs) -> anyhow::Result<()> {
    let config = common.load()?;
    crate::secrets::create_data_dir(&config)?;
    let (bar, watch) = progress::steps();
    let database = crate::database_file(&config, INSTEAD)?;
    let restored = parlour_store::restore::restore(&args.file, &database, existing(args.force), &watch);
    bar.finish_and_clear();
    let restored = restored?;
    if common.json {
        println!("{}", serde_json::json!(restored));
    } else {
        println!("{} messages restored to {}", restored.messages, database.display());
    }
    Ok(())
}
