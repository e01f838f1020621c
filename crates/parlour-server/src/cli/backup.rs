use super::{Common, progress};
use clap::Args;
use parlour_store::backup::{self, Contents, Existing};
use std::path::PathBuf;
use std::time::Instant;

/// What does the same for PostgreSQL.
const INSTEAD: &str = "pg_dump makes its backups, and `parlour copy` a file that can be backed up";

/// Arguments of `parlour backup`.
#[derive(Args)]
pub struct BackupArgs {
    /// The file to make.
    file: PathBuf,
    /// Replace the file if it exists.
    #[arg(long)]
    force: bool,
}

pub(super) fn backup(common: &Common, args: &BackupArgs) -> anyhow::Result<()> {
    let database = crate::database_file(&common.load()?, INSTEAD)?;
    anyhow::ensure!(database.exists(), "there is no database at {}", database.display());
    let (bar, watch) = progress::steps();
    let started = Instant::now();
    let made = backup::backup(&database, &args.file, existing(args.force), &watch);
    bar.finish_and_clear();
    let Contents { size, pages, messages } = made?;
    let seconds = started.elapsed().as_secs_f64();
    if common.json {
        let made = serde_json::json!({ "size": size, "pages": pages, "messages": messages, "seconds": seconds });
        println!("{made}");
    } else {
        let size = bytesize::ByteSize::b(size);
        println!("{messages} messages, {size}, in {seconds:.1} s: {}", args.file.display());
    }
    Ok(())
}

pub(super) fn existing(force: bool) -> Existing {
    if force { Existing::Replace } else { Existing::Refuse }
}
