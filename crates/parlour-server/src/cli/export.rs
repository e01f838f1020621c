use super::{Common, backup::existing, progress};
use crate::export_format::write_line;
use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use parlour_store::backup::{Existing, create_beside, put_in_place};
use parlour_store::{Store, StoreError, Watch, export};
use std::io::{BufWriter, Write};
use std::path::Path;

/// Bytes packed at once.
const CHUNK: usize = 64 * 1024;

/// Arguments of `parlour export`.
#[derive(Args)]
pub struct ExportArgs {
    /// The file to make, gzip if its name ends in .gz; "-" for standard output.
    file: String,
    /// Replace the file if it exists.
    #[arg(long)]
    force: bool,
}

pub(super) fn export(common: &Common, args: &ExportArgs) -> anyhow::Result<()> {
    let config = common.load()?;
    let database = crate::database(&config)?;
    anyhow::ensure!(database.may_exist(), "there is no database at {database}");
    let own_file = database.file().map(Path::to_owned);
    let store = Store::open(database)?;
    let (bar, watch) = progress::steps();
    let lines = if args.file == "-" {
        write_to(&store, Path::new("-"), &mut BufWriter::new(std::io::stdout().lock()), &watch)
    } else {
        write_file(&store, own_file.as_deref(), Path::new(&args.file), existing(args.force), &watch)
    };
    bar.finish_and_clear();
    let lines = lines?;
    // Standard output may be the export itself.
    if args.file != "-" && common.json {
        println!("{}", serde_json::json!({ "lines": lines }));
    } else if args.file != "-" {
        println!("{lines} lines exported to {}", args.file);
    }
    Ok(())
}

/// Writes a file that gets its name only when it is whole and on disk.
fn write_file(
    store: &Store,
    own_file: Option<&Path>,
    file: &Path,
    existing: Existing,
    watch: &Watch,
) -> Result<u64, StoreError> {
    let failed = |source| StoreError::File { path: file.to_owned(), source };
    let mut made = create_beside(own_file, file, existing)?;
    let mut to = BufWriter::new(made.as_file_mut());
    let lines = if file.extension().is_some_and(|extension| extension == "gz") {
        let mut packed = GzEncoder::new(&mut to, Compression::default());
        // The packer takes a few bytes at a time for a call of its own each.
        let lines = write_to(store, file, &mut BufWriter::with_capacity(CHUNK, &mut packed), watch)?;
        packed.finish().map_err(failed)?;
        lines
    } else {
        write_to(store, file, &mut to, watch)?
    };
    to.flush().map_err(failed)?;
    drop(to);
    put_in_place(made, file, existing)?;
    Ok(lines)
}

fn write_to(store: &Store, name: &Path, to: &mut impl Write, watch: &Watch) -> Result<u64, StoreError> {
    let failed = |source| StoreError::File { path: name.to_owned(), source };
    crate::export_format::write_header(to).map_err(failed)?;
    let mut lines = 1;
    export::export(store, watch, |item| {
        lines += 1;
        write_line(to, item).map_err(failed)
    })?;
    to.flush().map_err(failed)?;
    Ok(lines)
}
