//! What kind of file this is, by its bytes.
//!
//! A kind is claimed at the file's first byte or not at all: what hides its signature further inside is not that. What a browser could
//! take for a document of its own (HTML, SVG, XML) is named so however it is spelled, and text is text only if all of it is.

mod isobmff;
mod markup;
mod ole;
mod signature;
mod text;
mod zip;

use std::io::{self, Read, Seek};

/// What is said of a file that says nothing.
const UNKNOWN: &str = "application/octet-stream";

/// Bytes of a file that are kept in memory.
const HEAD: u64 = 8 * 1024;

/// The type that the bytes say, never the name: a MIME type such as `image/jpeg`; `application/octet-stream` when they say nothing.
///
/// Reads the whole file only if it may be text. Voice notes and videos are told apart by their tracks: `audio/mp4`, `video/mp4`,
/// `audio/webm`, `video/webm`, `audio/ogg`, `video/ogg`. JSON, CSV and source code are `text/plain`.
///
/// # Errors
/// The file cannot be read.
pub fn sniff<R: Read + Seek>(file: &mut R) -> io::Result<&'static str> {
    file.rewind()?;
    let mut head = Vec::new();
    file.by_ref().take(HEAD).read_to_end(&mut head)?;
    if let Some(kind) = signature::of(&head) {
        return Ok(kind);
    }
    if zip::begins(&head) {
        return zip::sniff(file, &head);
    }
    if ole::begins(&head) {
        return ole::sniff(file, &head);
    }
    if isobmff::begins(&head) {
        return isobmff::sniff(file, &head);
    }
    if let Some(kind) = markup::sniff(file)? {
        return Ok(kind);
    }
    if text::is_text(file)? {
        return Ok("text/plain");
    }
    Ok(signature::rare(&head))
}
