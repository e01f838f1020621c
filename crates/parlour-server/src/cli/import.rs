use super::{Common, block_on};
use crate::import_format::{Line, VERSION, parse_line};
use anyhow::Context as _;
use clap::Args;
use flate2::bufread::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};
use parlour_core::files::{PastFile, import_file};
use parlour_core::import::{BatchError, OnRefusal, Outcome, Record, import_batch};
use parlour_core::{Core, FieldProblem};
use parlour_types::{ErrorCode, FileUuid};
use serde::Serialize;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Lines of one transaction.
const BATCH: usize = 1_000;

/// A longer line is refused.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// Refused lines printed one by one.
const PRINTED: u64 = 20;

/// Exit code of an import that refused lines.
const REFUSED: u8 = 3;

/// Arguments of `parlour import`.
#[derive(Args)]
pub struct ImportArgs {
    /// Newline-delimited JSON, plain or gzip; "-" for standard input.
    file: String,
    /// Stop at the first line that is refused; the batch it stands in is not kept.
    #[arg(long)]
    strict: bool,
    /// Folder of the contents of files, each under its uuid, as an export writes it.
    #[arg(long, value_name = "FOLDER")]
    files: Option<PathBuf>,
}

/// What became of the lines.
#[derive(Default, Serialize)]
struct Summary {
    imported: u64,
    known: u64,
    refused: u64,
}

pub(super) fn import(common: &Common, args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let core = common.open()?;
    let (reader, progress) = open(&args.file)?;
    let mut import = Import { core, args, summary: Summary::default(), progress };
    let result = block_on(import.run(reader));
    import.progress.finish_and_clear();
    let Summary { imported, known, refused } = &import.summary;
    if common.json {
        println!("{}", serde_json::json!(import.summary));
    } else {
        println!("{imported} imported, {known} known already, {refused} refused");
    }
    result?;
    Ok(if *refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

/// The lines of a file or of standard input, unpacked if need be. The progress bar counts the bytes of the file.
fn open(file: &str) -> anyhow::Result<(Box<dyn BufRead>, ProgressBar)> {
    let (raw, progress): (Box<dyn Read>, ProgressBar) = if file == "-" {
        (Box::new(std::io::stdin()), ProgressBar::new_spinner())
    } else {
        let opened = File::open(file).with_context(|| format!("cannot open {file}"))?;
        let progress = ProgressBar::new(opened.metadata()?.len());
        progress.set_style(ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}  {msg}  {eta} left")?);
        (Box::new(opened), progress)
    };
    let mut reader = BufReader::new(progress.wrap_read(raw));
    let packed = reader.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok((if packed { Box::new(BufReader::new(MultiGzDecoder::new(reader))) } else { Box::new(reader) }, progress))
}

struct Import<'a> {
    core: Core,
    args: &'a ImportArgs,
    summary: Summary,
    progress: ProgressBar,
}

impl Import<'_> {
    async fn run(&mut self, mut reader: Box<dyn BufRead>) -> anyhow::Result<()> {
        let mut batch: Vec<(u64, Record)> = Vec::with_capacity(BATCH);
        let mut number = 0;
        let mut header_seen = false;
        let mut line = Vec::new();
        while read_line(&mut reader, &mut line)? {
            number += 1;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let parsed = if line.len() as u64 > MAX_LINE_BYTES {
                Err(FieldProblem::new("", ErrorCode::MaxLength, "The line is longer than 1 MiB."))
            } else {
                parse_line(&line)
            };
            match parsed {
                Ok(Line::Header) => header_seen = true,
                Ok(Line::Record(_) | Line::File(_)) if !header_seen => {
                    anyhow::bail!("line {number}: must be {{\"type\":\"parlour\",\"version\":{VERSION}}}")
                }
                Err(problem) if !header_seen => anyhow::bail!("line {number}: {}: {}", problem.field, problem.message),
                Ok(Line::Record(record)) => batch.push((number, record)),
                Ok(Line::File(file)) => {
                    // Its owner may be among those who wait.
                    self.flush(&mut batch).await?;
                    self.file(number, *file).await?;
                }
                Err(problem) => self.refuse(number, &problem)?,
            }
            if batch.len() == BATCH {
                self.flush(&mut batch).await?;
            }
        }
        self.flush(&mut batch).await
    }

    async fn flush(&mut self, batch: &mut Vec<(u64, Record)>) -> anyhow::Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let (numbers, records): (Vec<u64>, Vec<Record>) = batch.drain(..).unzip();
        let on_refusal = if self.args.strict { OnRefusal::Stop } else { OnRefusal::GoOn };
        let outcomes = match import_batch(&self.core, records, on_refusal).await {
            Err(BatchError::Refused { index, problem }) => return self.refuse(numbers[index], &problem),
            Err(BatchError::Failed(error)) => return Err(error.into()),
            Ok(outcomes) => outcomes,
        };
        for (number, outcome) in numbers.into_iter().zip(outcomes) {
            self.count(number, outcome)?;
        }
        self.progress.set_message(format!("{} imported", self.summary.imported));
        Ok(())
    }

    async fn file(&mut self, number: u64, file: PastFile) -> anyhow::Result<()> {
        let folder = self.args.files.as_deref();
        let outcome = import_file(&self.core, file, |uuid| open_content(folder, uuid)).await?;
        self.count(number, outcome)
    }

    fn count(&mut self, number: u64, outcome: Outcome) -> anyhow::Result<()> {
        match outcome {
            Outcome::Imported => self.summary.imported += 1,
            Outcome::Known => self.summary.known += 1,
            Outcome::Refused(problem) => self.refuse(number, &problem)?,
        }
        Ok(())
    }

    fn refuse(&mut self, number: u64, problem: &FieldProblem) -> anyhow::Result<()> {
        self.summary.refused += 1;
        let field = if problem.field.is_empty() { String::new() } else { format!("{}: ", problem.field) };
        anyhow::ensure!(!self.args.strict, "line {number}: {field}{}", problem.message);
        if self.summary.refused <= PRINTED {
            self.progress.suspend(|| eprintln!("line {number}: {field}{}", problem.message));
        } else if self.summary.refused == PRINTED + 1 {
            self.progress.suspend(|| eprintln!("further refused lines are counted only"));
        }
        Ok(())
    }
}

/// Opens the content of a file, or of a picture of one.
fn open_content(folder: Option<&Path>, uuid: FileUuid) -> Result<File, FieldProblem> {
    let refused = |message: String| FieldProblem::new("uuid", ErrorCode::DoesNotExist, message);
    let Some(folder) = folder else {
        return Err(refused("Its content is needed: --files names the folder that has it.".into()));
    };
    let path = folder.join(uuid.to_string());
    match std::fs::metadata(&path) {
        Ok(found) if !found.is_file() => Err(std::io::ErrorKind::InvalidInput.into()),
        Ok(_) => File::open(&path),
        Err(error) => Err(error),
    }
    .map_err(|error| refused(format!("Its content cannot be read from the folder of --files: {}.", error.kind())))
}

/// Reads one line without its end. Of a line that is too long, the rest is skipped unread, so that memory stays bounded.
fn read_line(reader: &mut Box<dyn BufRead>, line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    let read = reader.take(MAX_LINE_BYTES + 1).read_until(b'\n', line)?;
    if line.len() as u64 > MAX_LINE_BYTES && line.last() != Some(&b'\n') {
        reader.skip_until(b'\n')?;
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(read > 0)
}
