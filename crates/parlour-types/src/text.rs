//! What a well-formed message text is, and how text leaves the house.
//!
//! Text is stored as it was typed and escaped on the way out, because the official UI inserts `message` and `headline` as HTML
//! (contract §0.3 no. 13, §3.4, §8 no. 31).

use serde::{Serialize, Serializer};
use std::borrow::Cow;

/// Characters of a message's excerpt, the `headline` (contract §3.3).
pub const HEADLINE_CHARS: usize = 150;

/// Why a text cannot be a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TextProblem {
    /// Nothing but white space.
    Blank,
    /// More characters than the community allows.
    TooLong {
        /// The community's limit, in characters.
        limit: usize,
    },
    /// U+0000, which neither databases nor terminals carry faithfully.
    Nul,
}

/// Whether `text` can be a message: not blank, no U+0000, at most `limit` characters (Unicode scalar values). A message is kept byte for
/// byte as typed.
///
/// # Errors
/// The first rule that `text` breaks.
pub fn check_message_text(text: &str, limit: usize) -> Result<(), TextProblem> {
    if text.trim().is_empty() {
        return Err(TextProblem::Blank);
    }
    if text.contains('\0') {
        return Err(TextProblem::Nul);
    }
    if text.len() > limit && text.chars().count() > limit {
        return Err(TextProblem::TooLong { limit });
    }
    Ok(())
}

/// Where the excerpt of a text is cut, as a byte offset: behind [`HEADLINE_CHARS`] − 1 characters, to leave room for `…`. `None` for a text
/// that is its own excerpt.
#[must_use]
pub fn headline_end(text: &str) -> Option<usize> {
    if text.len() <= HEADLINE_CHARS {
        return None;
    }
    if text.as_bytes()[..HEADLINE_CHARS].is_ascii() {
        return Some(HEADLINE_CHARS - 1);
    }
    let mut characters = text.char_indices().skip(HEADLINE_CHARS - 1);
    let (end, _) = characters.next()?;
    characters.next().map(|_| end)
}

/// The first [`HEADLINE_CHARS`] characters of a text, with `…` in place of a cut end.
#[must_use]
pub fn excerpt(text: &str) -> Cow<'_, str> {
    headline_end(text).map_or(Cow::Borrowed(text), |end| Cow::Owned(format!("{}…", &text[..end])))
}

/// Escapes `&`, `<`, `>`, `"` and `'`, so that inserting the result as HTML shows the text as typed and nothing else.
#[must_use]
pub fn escape_html(text: &str) -> Cow<'_, str> {
    let Some(first) = text.bytes().position(needs_escape) else {
        return Cow::Borrowed(text);
    };
    let mut escaped = String::with_capacity(text.len() + 16);
    escaped.push_str(&text[..first]);
    for character in text[first..].chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

/// Writes [`escape_html`] of `text` as the inside of a JSON string, in one pass.
pub(crate) fn push_escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 16);
    let mut from = 0;
    for (number, chunk) in bytes.chunks(CHUNK).enumerate() {
        // Most text needs nothing: a whole chunk is looked at together.
        if chunk.first_chunk().is_some_and(is_plain) {
            continue;
        }
        for (at, byte) in chunk.iter().enumerate().map(|(at, byte)| (number * CHUNK + at, *byte)) {
            if PLAIN[usize::from(byte)] {
                continue;
            }
            out.extend_from_slice(&bytes[from..at]);
            from = at + 1;
            push_special(out, byte);
        }
    }
    out.extend_from_slice(&bytes[from..]);
}

/// Writes a byte that does not stand for itself.
fn push_special(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'&' => out.extend_from_slice(b"&amp;"),
        b'<' => out.extend_from_slice(b"&lt;"),
        b'>' => out.extend_from_slice(b"&gt;"),
        b'"' => out.extend_from_slice(b"&quot;"),
        b'\'' => out.extend_from_slice(b"&#39;"),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        0x08 => out.extend_from_slice(b"\\b"),
        0x0c => out.extend_from_slice(b"\\f"),
        control => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            let digits = [HEX[usize::from(control >> 4)], HEX[usize::from(control & 15)]];
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&digits);
        }
    }
}

/// Bytes that are looked at together.
const CHUNK: usize = 16;

/// Whether all bytes stand for themselves; without a branch, so that the processor compares them side by side.
fn is_plain(chunk: &[u8; CHUNK]) -> bool {
    let special = |byte: u8| (byte < 0x20) | (byte == b'\\') | needs_escape(byte);
    !chunk.iter().fold(false, |found, byte| found | special(*byte))
}

/// Bytes that stand for themselves in a JSON string of escaped HTML.
static PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let mut byte = 0;
    while byte < 256 {
        plain[byte] = byte >= 0x20 && byte != b'\\' as usize && !needs_escape(byte as u8);
        byte += 1;
    }
    plain
};

const fn needs_escape(byte: u8) -> bool {
    (byte == b'&') | (byte == b'<') | (byte == b'>') | (byte == b'"') | (byte == b'\'')
}

/// A text that becomes [`escape_html`] of itself when it is serialized.
#[derive(Clone, Copy)]
pub struct Html<'a>(pub &'a str);

impl Serialize for Html<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&escape_html(self.0))
    }
}

/// A text whose escaped [`excerpt`] is what gets serialized.
#[derive(Clone, Copy)]
pub struct HtmlExcerpt<'a>(pub &'a str);

impl Serialize for HtmlExcerpt<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&escape_html(&excerpt(self.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_long_and_nul_are_refused() {
        assert_eq!(check_message_text(" \n\t", 10), Err(TextProblem::Blank));
        assert_eq!(check_message_text("a\0b", 10), Err(TextProblem::Nul));
        assert_eq!(check_message_text("héllo", 4), Err(TextProblem::TooLong { limit: 4 }));
        assert_eq!(check_message_text("héllo", 5), Ok(()));
        assert_eq!(check_message_text("  two  ", 7), Ok(()));
    }

    #[test]
    fn markup_becomes_text() {
        assert_eq!(escape_html("plain"), "plain");
        assert_eq!(
            escape_html(r#"<img src="x" onerror='a&b'>"#),
            "&lt;img src=&quot;x&quot; onerror=&#39;a&amp;b&#39;&gt;"
        );
    }

    #[test]
    fn an_excerpt_counts_characters_not_bytes() {
        let exact = "é".repeat(HEADLINE_CHARS);
        assert_eq!(excerpt(&exact), exact);
        let long = "é".repeat(HEADLINE_CHARS + 1);
        assert_eq!(excerpt(&long).chars().count(), HEADLINE_CHARS);
        assert!(excerpt(&long).ends_with('…'));
    }
}
