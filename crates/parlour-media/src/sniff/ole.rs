//! Office documents of before 2007: told by the class of the root of their directory, or by the names next to it.

use std::io::{self, Read, Seek, SeekFrom};

/// Bytes of an entry of the directory.
const ENTRY: usize = 128;

/// Entries that are looked at: those of the smallest sector.
const ENTRIES: usize = 4;

const WORD: &str = "application/msword";
const EXCEL: &str = "application/vnd.ms-excel";
const POWERPOINT: &str = "application/vnd.ms-powerpoint";
const OTHER: &str = "application/x-ole-storage";

pub(super) fn begins(head: &[u8]) -> bool {
    head.starts_with(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1")
}

pub(super) fn sniff<R: Read + Seek>(file: &mut R, head: &[u8]) -> io::Result<&'static str> {
    let (Some([shift, 0]), Some(&[a, b, c, d])) = (head.get(30..32), head.get(48..52)) else { return Ok(OTHER) };
    if !matches!(shift, 9 | 12) {
        return Ok(OTHER);
    }
    file.seek(SeekFrom::Start((u64::from(u32::from_le_bytes([a, b, c, d])) + 1) << shift))?;
    let mut directory = Vec::new();
    file.take((ENTRIES * ENTRY) as u64).read_to_end(&mut directory)?;
    let mut entries = directory.chunks_exact(ENTRY);
    let Some(root) = entries.next() else { return Ok(OTHER) };
    Ok(by_class(&root[80..96]).or_else(|| entries.find_map(by_name)).unwrap_or(OTHER))
}

fn by_class(class: &[u8]) -> Option<&'static str> {
    let ours = b"\0\0\0\0\xC0\0\0\0\0\0\0\x46";
    match class {
        b"\x10\x8D\x81\x64\x9B\x4F\xCF\x11\x86\xEA\x00\xAA\x00\xB9\x29\xE8" => Some(POWERPOINT),
        [0x10 | 0x20, 0x08, 0x02, 0, rest @ ..] if rest == ours => Some(EXCEL),
        [0x00 | 0x06 | 0x07, 0x09, 0x02, 0, rest @ ..] if rest == ours => Some(WORD),
        _ => None,
    }
}

/// By an entry's name, which is UTF-16.
fn by_name(entry: &[u8]) -> Option<&'static str> {
    let letters = entry[..64].chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    let name: String = char::decode_utf16(letters.take_while(|unit| *unit != 0)).filter_map(Result::ok).collect();
    match name.as_str() {
        "WordDocument" => Some(WORD),
        "Workbook" | "Book" => Some(EXCEL),
        "PowerPoint Document" => Some(POWERPOINT),
        _ => None,
    }
}
