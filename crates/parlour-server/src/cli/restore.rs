use super::backup::{describe_files, existing, with_files};
use super::{Common, block_on, progress};
use crate::config::Config;
use clap::Args;
use parlour_store::backup::{Contents, Files, MissingFiles, folder_of};
use parlour_store::{Watch, restore};
use serde_json::json;
use std::path::{Path, PathBuf};

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
    /// Restore it even if files of its messages are missing, which messages then show as lost.
    #[arg(long)]
    without_files: bool,
}

pub(super) fn restore(common: &Common, args: &RestoreArgs) -> anyhow::Result<()> {
    let config = common.load()?;
    crate::secrets::create_data_dir(&config)?;
    let (bar, watch) = progress::steps();
    let database = crate::database_file(&config, INSTEAD)?;
    let restored = put_back(&config, &database, args, &watch);
    bar.finish_and_clear();
    let (restored, files) = restored?;
    if common.json {
        println!("{}", with_files(json!(restored), Some(files)));
    } else {
        println!("{} messages restored to {}", restored.messages, database.display());
        describe_files(Some(files), &config.file_place());
    }
    Ok(())
}

/// The files first: a message is there after the file that it shows.
fn put_back(config: &Config, database: &Path, args: &RestoreArgs, watch: &Watch) -> anyhow::Result<(Contents, Files)> {
    let restoration = restore::begin(&args.file, database, existing(args.force), watch)?;
    let objects = crate::open_objects(config)?;
    let missing = if args.without_files { MissingFiles::Lose } else { MissingFiles::Refuse };
    let folder = folder_of(&args.file);
    let files = block_on(async { Ok(restoration.bring_files(&objects, &folder, missing, watch).await?) })?;
    Ok((restoration.finish(database, existing(args.force))?, files))
}
