use super::contents::Contents;
use super::{Common, backup::existing, progress};
use crate::export_format::write_line;
use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use parlour_store::backup::{Existing, create_beside, put_in_place};
use parlour_store::export::Item;
use parlour_store::objects::Objects;
use parlour_store::{Store, StoreError, Watch, export};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

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
    /// Write the contents of files to this folder, each under its uuid; what is there already is passed over.
    #[arg(long, value_name = "FOLDER")]
    files: Option<PathBuf>,
}

/// What is exported, and what was.
struct Export<'a> {
    store: &'a Store,
    contents: Option<Contents>,
    watch: &'a Watch,
    lines: u64,
    /// Files that have a content.
    files: u64,
    /// Files whose content is lost.
    lost: u64,
}

pub(super) fn export(common: &Common, args: &ExportArgs) -> anyhow::Result<()> {
    let config = common.load()?;
    let database = crate::database(&config)?;
    anyhow::ensure!(database.may_exist(), "there is no database at {database}");
    let own_file = database.file().map(Path::to_owned);
    let store = Store::open(database)?;
    let contents = args.files.as_deref().map(|folder| {
        let objects = Objects::open(config.file_place(), config.storage.data_dir.join(crate::SPOOL_FOLDER))?;
        Contents::create(objects, folder)
    });
    let (bar, watch) = progress::steps();
    let contents = contents.transpose()?;
    let mut export = Export { store: &store, contents, watch: &watch, lines: 0, files: 0, lost: 0 };
    let written = if args.file == "-" {
        export.write_to(Path::new("-"), &mut BufWriter::new(std::io::stdout().lock()))
    } else {
        export.write_file(own_file.as_deref(), Path::new(&args.file), existing(args.force))
    };
    bar.finish_and_clear();
    written?;
    export.say(common, args);
    Ok(())
}

impl Export<'_> {
    fn say(&self, common: &Common, args: &ExportArgs) {
        let Self { lines, files, lost, .. } = self;
        // Standard output may be the export itself.
        if args.file != "-" && common.json {
            println!("{}", serde_json::json!({ "lines": lines }));
        } else if args.file != "-" {
            println!("{lines} lines exported to {}", args.file);
        }
        if *files > 0 && self.contents.is_none() {
            eprintln!("the contents of {files} files were left out; --files FOLDER writes them too");
        }
        if *lost > 0 {
            eprintln!("the contents of {lost} files are lost; their lines say so");
        }
    }

    /// Writes a file that gets its name only when it is whole and on disk.
    fn write_file(&mut self, own_file: Option<&Path>, file: &Path, existing: Existing) -> Result<(), StoreError> {
        let failed = |source| StoreError::File { path: file.to_owned(), source };
        let mut made = create_beside(own_file, file, existing)?;
        let mut to = BufWriter::new(made.as_file_mut());
        if file.extension().is_some_and(|extension| extension == "gz") {
            let mut packed = GzEncoder::new(&mut to, Compression::default());
            // The packer takes a few bytes at a time for a call of its own each.
            self.write_to(file, &mut BufWriter::with_capacity(CHUNK, &mut packed))?;
            packed.finish().map_err(failed)?;
        } else {
            self.write_to(file, &mut to)?;
        }
        to.flush().map_err(failed)?;
        drop(to);
        put_in_place(made, file, existing)
    }

    fn write_to(&mut self, name: &Path, to: &mut impl Write) -> Result<(), StoreError> {
        let failed = |source| StoreError::File { path: name.to_owned(), source };
        crate::export_format::write_header(to).map_err(failed)?;
        self.lines = 1;
        export::export(self.store, self.watch, |mut item| {
            self.lines += 1;
            if let Item::File(file) = &mut item {
                if let Some(contents) = &self.contents {
                    contents.write(file)?;
                }
                *(if file.is_lost { &mut self.lost } else { &mut self.files }) += 1;
            }
            write_line(to, item).map_err(failed)
        })?;
        to.flush().map_err(failed)
    }
}
