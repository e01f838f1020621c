//! Whether a file is plain text, all of it.

use std::io::{self, Read, Seek};
use std::str;

/// Bytes that are read at a time.
const PIECE: usize = 16 * 1024;

/// UTF-8 without control characters, but for those that end and indent lines. An empty file is no text.
pub(super) fn is_text<R: Read + Seek>(file: &mut R) -> io::Result<bool> {
    file.rewind()?;
    let mut piece = vec![0; PIECE];
    let (mut kept, mut any) = (0, false);
    loop {
        let read = match file.read(&mut piece[kept..]) {
            Ok(0) => return Ok(any && kept == 0),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        any = true;
        let filled = kept + read;
        let (text, rest) = match str::from_utf8(&piece[..filled]) {
            Ok(text) => (text, filled),
            // A character that the piece cuts is judged with the next one.
            Err(error) if error.error_len().is_none() => {
                let valid = error.valid_up_to();
                (str::from_utf8(&piece[..valid]).unwrap_or_default(), valid)
            }
            Err(_) => return Ok(false),
        };
        if text.chars().any(|character| character.is_control() && !matches!(character, '\t' | '\n' | '\r' | '\x0C')) {
            return Ok(false);
        }
        piece.copy_within(rest..filled, 0);
        kept = filled - rest;
    }
}
