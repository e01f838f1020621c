use super::{Common, block_on, progress};
use crate::config::Config;
use clap::Args;
use parlour_store::Watch;
use parlour_store::backup::{self, Contents, Existing, Files, folder_of};
use serde_json::{Value, json};
use std::fmt::Display;
use std::path::{Path, PathBuf};
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
    /// Copy the database alone, without the files of messages.
    #[arg(long)]
    without_files: bool,
}

pub(super) fn backup(common: &Common, args: &BackupArgs) -> anyhow::Result<()> {
    let config = common.load()?;
    let database = crate::database_file(&config, INSTEAD)?;
    anyhow::ensure!(database.exists(), "there is no database at {}", database.display());
    let (bar, watch) = progress::steps();
    let started = Instant::now();
    let made = make(&config, &database, args, &watch);
    bar.finish_and_clear();
    let (Contents { size, pages, messages }, files) = made?;
    let seconds = started.elapsed().as_secs_f64();
    if common.json {
        let made = json!({ "size": size, "pages": pages, "messages": messages, "seconds": seconds });
        println!("{}", with_files(made, files));
    } else {
        let size = bytesize::ByteSize::b(size);
        println!("{messages} messages, {size}, in {seconds:.1} s: {}", args.file.display());
        describe_files(files, &folder_of(&args.file).display());
    }
    Ok(())
}

/// The database first: a file is there before the message that shows it.
fn make(
    config: &Config,
    database: &Path,
    args: &BackupArgs,
    watch: &Watch,
) -> anyhow::Result<(Contents, Option<Files>)> {
    let draft = backup::draft(database, &args.file, existing(args.force), watch)?;
    let files = if args.without_files {
        None
    } else {
        let objects = crate::open_objects(config)?;
        let brought = block_on(async { Ok(draft.bring_files(&objects, &folder_of(&args.file), watch).await?) });
        Some(brought?)
    };
    Ok((draft.put_in_place(&args.file, existing(args.force))?, files))
}

/// What is printed of a database, with what became of its files.
pub(super) fn with_files(mut printed: Value, files: Option<Files>) -> Value {
    if let (Value::Object(printed), Value::Object(files)) = (&mut printed, json!(files)) {
        printed.extend(files);
    }
    printed
}

pub(super) fn describe_files(files: Option<Files>, place: &dyn Display) {
    let Some(Files { files, bytes, copied, lost }) = files else { return };
    if files + lost > 0 {
        let size = bytesize::ByteSize::b(bytes);
        println!("{files} files of messages, {size}, {copied} of them new: {place}");
    }
    if lost > 0 {
        println!("{lost} more are gone, and lost to their messages");
    }
}

pub(super) fn existing(force: bool) -> Existing {
    if force { Existing::Replace } else { Existing::Refuse }
}
