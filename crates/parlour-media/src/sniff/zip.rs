//! Archives that are documents: told by the names in their directory, which stands at the end, or by a first entry that says it.

use super::HEAD;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

const ZIP: &str = "application/zip";

/// Bytes of the record that ends an archive, without its comment.
const END: usize = 22;

/// Bytes of a directory's entry in front of its name.
const ENTRY: usize = 46;

/// What an archive says in a first entry called `mimetype`.
const DECLARED: [&str; 6] = [
    "application/vnd.oasis.opendocument.text",
    "application/vnd.oasis.opendocument.spreadsheet",
    "application/vnd.oasis.opendocument.presentation",
    "application/vnd.oasis.opendocument.graphics",
    "application/epub+zip",
    "image/openraster",
];

pub(super) fn begins(head: &[u8]) -> bool {
    matches!(head, [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] | [b'P', b'K', 7, 8, ..])
}

pub(super) fn sniff<R: Read + Seek>(file: &mut R, head: &[u8]) -> io::Result<&'static str> {
    if let Some(kind) = declared(head) {
        return Ok(kind);
    }
    match directory(file) {
        Ok(names) => Ok(names.kind()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(ZIP),
        Err(error) => Err(error),
    }
}

/// The content of a first entry `mimetype`, which must not be compressed.
fn declared(head: &[u8]) -> Option<&'static str> {
    let [b'P', b'K', 3, 4, _, _, _, _, 0, 0, rest @ ..] = head else { return None };
    let length = usize::from(u16::from_le_bytes([*rest.get(12)?, *rest.get(13)?]));
    let content = rest.get(20..)?.strip_prefix(b"mimetype")?.get(..length)?;
    DECLARED.into_iter().find(|kind| kind.as_bytes() == content)
}

/// What the names of an archive's entries give away.
#[derive(Default)]
struct Names {
    types: bool,
    word: bool,
    excel: bool,
    powerpoint: bool,
    macros: bool,
}

impl Names {
    fn see(&mut self, name: &[u8]) {
        self.types |= name == b"[Content_Types].xml";
        self.word |= name.starts_with(b"word/");
        self.excel |= name.starts_with(b"xl/");
        self.powerpoint |= name.starts_with(b"ppt/");
        self.macros |= name.ends_with(b"/vbaProject.bin");
    }

    fn kind(&self) -> &'static str {
        match (self.types, self.word, self.excel, self.powerpoint, self.macros) {
            (true, true, false, false, false) => {
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
            }
            (true, false, true, false, false) => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            (true, false, false, true, false) => {
                "application/vnd.openxmlformats-officedocument.presentationml.presentation"
            }
            (true, true, false, false, true) => "application/vnd.ms-word.document.macroEnabled.12",
            (true, false, true, false, true) => "application/vnd.ms-excel.sheet.macroEnabled.12",
            (true, false, false, true, true) => "application/vnd.ms-powerpoint.presentation.macroEnabled.12",
            _ => ZIP,
        }
    }
}

/// Reads all names of the directory.
fn directory<R: Read + Seek>(file: &mut R) -> io::Result<Names> {
    let (entries, start) = end_record(file)?;
    file.seek(SeekFrom::Start(u64::from(start)))?;
    let mut file = BufReader::new(file);
    let mut names = Names::default();
    for _ in 0..entries {
        let mut entry = [0; ENTRY];
        file.read_exact(&mut entry)?;
        if !entry.starts_with(b"PK\x01\x02") {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = |at: usize| u16::from_le_bytes([entry[at], entry[at + 1]]);
        let mut name = vec![0; usize::from(length(28))];
        file.read_exact(&mut name)?;
        names.see(&name);
        file.seek_relative(i64::from(length(30)) + i64::from(length(32)))?;
    }
    Ok(names)
}

/// How many entries the directory has, and where it begins.
fn end_record<R: Read + Seek>(file: &mut R) -> io::Result<(u16, u32)> {
    let size = file.seek(SeekFrom::End(0))?;
    // Documents have no comment, which could be 64 KiB.
    file.seek(SeekFrom::Start(size.saturating_sub(HEAD)))?;
    let mut tail = Vec::new();
    file.take(HEAD).read_to_end(&mut tail)?;
    let record = tail.windows(END).rev().find(|record| record.starts_with(b"PK\x05\x06"));
    let record = record.ok_or(io::ErrorKind::UnexpectedEof)?;
    let start = u32::from_le_bytes([record[16], record[17], record[18], record[19]]);
    Ok((u16::from_le_bytes([record[10], record[11]]), start))
}
