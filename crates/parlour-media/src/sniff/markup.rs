//! What a browser could take for a document: HTML, SVG, other XML, in UTF-8 or UTF-16, behind any amount of white space, comments,
//! declarations and processing instructions.
//!
//! In doubt it is HTML, which takes any tag: who wants to keep scripts out refuses all three kinds.

use std::io::{self, BufReader, Read, Seek};

const HTML: &str = "text/html";
const SVG: &str = "image/svg+xml";
const XML: &str = "text/xml";

/// The longest name of a tag that matters.
const NAME: usize = 64;

/// What stands for any character outside of ASCII.
const OTHER: u8 = 0xFF;

/// The kind of document that the file begins as, if it begins as one.
pub(super) fn sniff<R: Read + Seek>(file: &mut R) -> io::Result<Option<&'static str>> {
    let mut text = Text::open(file)?;
    let (mut instructed, mut commented) = (false, false);
    loop {
        let unclear = if instructed { Some(XML) } else { commented.then_some(HTML) };
        let first = text.after_space()?;
        if first != Some(b'<') {
            return Ok(unclear);
        }
        match text.next()? {
            Some(b'?') => {
                instructed = true;
                if !text.skip_behind(b"?>")? {
                    return Ok(Some(XML));
                }
            }
            Some(b'!') => match declaration(&mut text)? {
                None => commented = true,
                kind => return Ok(kind),
            },
            Some(b'/') => return Ok(Some(HTML)),
            Some(letter) if letter.is_ascii_alphabetic() || matches!(letter, b'_' | b':') => {
                return Ok(tag(letter, &mut text, instructed)?.or(unclear));
            }
            _ => return Ok(unclear),
        }
    }
}

/// What follows `<!`. Nothing for a comment that ends.
fn declaration<R: Read>(text: &mut Text<R>) -> io::Result<Option<&'static str>> {
    let first = text.next()?;
    if first == Some(b'-') {
        let comment = text.next()? == Some(b'-') && text.skip_behind(b"-->")?;
        return Ok((!comment).then_some(HTML));
    }
    let (word, end) = text.name(first)?;
    if word != b"doctype" || !end.is_some_and(|end| end.is_ascii_whitespace()) {
        return Ok(Some(HTML));
    }
    let first = text.after_space()?;
    Ok(match text.name(first)?.0.as_slice() {
        b"svg" => Some(SVG),
        b"html" | b"" => Some(HTML),
        name if name.ends_with(b":svg") => Some(SVG),
        _ => Some(XML),
    })
}

fn tag<R: Read>(first: u8, text: &mut Text<R>, instructed: bool) -> io::Result<Option<&'static str>> {
    let (name, _) = text.name(Some(first))?;
    let local = name.rsplit(|letter| *letter == b':').next().unwrap_or_default();
    Ok(match local {
        b"svg" => Some(SVG),
        b"html" => Some(HTML),
        _ if instructed => Some(XML),
        // An address in angle brackets, as in a mail that was pasted.
        _ if name
            .iter()
            .any(|letter| !letter.is_ascii_alphanumeric() && !matches!(letter, b':' | b'_' | b'-' | b'.')) =>
        {
            None
        }
        _ => Some(HTML),
    })
}

/// How many bytes make a character, and which comes first.
#[derive(Clone, Copy)]
enum Encoding {
    /// Or any other in which ASCII is itself.
    Utf8,
    Utf16Little,
    Utf16Big,
}

/// A file's characters as far as they are ASCII.
struct Text<R> {
    bytes: io::Bytes<BufReader<R>>,
    encoding: Encoding,
}

impl<'a, R: Read + Seek> Text<&'a mut R> {
    fn open(file: &'a mut R) -> io::Result<Self> {
        file.rewind()?;
        let mut start = Vec::new();
        file.by_ref().take(3).read_to_end(&mut start)?;
        let (encoding, mark) = match start.as_slice() {
            [0xEF, 0xBB, 0xBF] => (Encoding::Utf8, 3),
            [0xFF, 0xFE, ..] => (Encoding::Utf16Little, 2),
            [0xFE, 0xFF, ..] => (Encoding::Utf16Big, 2),
            [0, letter, ..] if *letter != 0 => (Encoding::Utf16Big, 0),
            [letter, 0, ..] if *letter != 0 => (Encoding::Utf16Little, 0),
            _ => (Encoding::Utf8, 0),
        };
        file.seek(io::SeekFrom::Start(mark))?;
        Ok(Self { bytes: BufReader::new(file).bytes(), encoding })
    }
}

impl<R: Read> Text<R> {
    fn next(&mut self) -> io::Result<Option<u8>> {
        let Some(first) = self.bytes.next().transpose()? else { return Ok(None) };
        if matches!(self.encoding, Encoding::Utf8) {
            return Ok(Some(if first.is_ascii() { first } else { OTHER }));
        }
        let Some(second) = self.bytes.next().transpose()? else { return Ok(None) };
        let unit = match self.encoding {
            Encoding::Utf16Big => u16::from_be_bytes([first, second]),
            _ => u16::from_le_bytes([first, second]),
        };
        Ok(Some(u8::try_from(unit).ok().filter(u8::is_ascii).unwrap_or(OTHER)))
    }

    /// The first character that is not white space.
    fn after_space(&mut self) -> io::Result<Option<u8>> {
        loop {
            match self.next()? {
                Some(b'\t' | b'\n' | b'\x0B' | b'\x0C' | b'\r' | b' ') => {}
                other => return Ok(other),
            }
        }
    }

    /// A name in lower case, up to white space or a bracket, cut at [`NAME`]; and what ends it, which is read over.
    fn name(&mut self, first: Option<u8>) -> io::Result<(Vec<u8>, Option<u8>)> {
        let mut name = Vec::new();
        let mut next = first;
        while let Some(letter) = next {
            if letter.is_ascii_whitespace()
                || matches!(letter, b'\x0B' | b'/' | b'<' | b'>' | b'[')
                || name.len() == NAME
            {
                break;
            }
            name.push(letter.to_ascii_lowercase());
            next = self.next()?;
        }
        Ok((name, next))
    }

    /// Reads on until behind `end`. False if the file ends before.
    fn skip_behind(&mut self, end: &[u8]) -> io::Result<bool> {
        let mut last = Vec::with_capacity(end.len() + 1);
        while let Some(letter) = self.next()? {
            last.push(letter);
            if last.len() > end.len() {
                last.remove(0);
            }
            if last == end {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
