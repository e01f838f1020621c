//! What a well-formed message text and a well-formed file name are, and how text leaves the house.
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

/// Bytes of a file's name at the most, as most file systems have it.
pub const MAX_FILENAME_BYTES: usize = 255;

/// Bytes of an ending, with its dot, that survives when a name is cut.
const MAX_ENDING_BYTES: usize = 32;

/// A file's name as it is kept: what stands behind the last slash of either kind, without characters that steer a terminal or the direction
/// of writing, without spaces and dots around it, cut in front of its ending. `None` when nothing is left.
#[must_use]
pub fn clean_filename(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().filter(|character| !steers(*character)).collect();
    let around = |character: char| character == '.' || character.is_whitespace();
    let mut clean = clean.trim_matches(around).to_owned();
    if clean.len() > MAX_FILENAME_BYTES {
        let dot = clean.rfind('.').filter(|dot| clean.len() - dot <= MAX_ENDING_BYTES);
        let ending = clean.split_off(dot.unwrap_or(clean.len()));
        let room = MAX_FILENAME_BYTES - ending.len();
        clean.truncate((0..=room).rev().find(|end| clean.is_char_boundary(*end)).unwrap_or_default());
        clean.push_str(&ending);
        clean.truncate(clean.trim_end_matches(around).len());
    }
    (!clean.is_empty()).then_some(clean)
}

/// Whether a character is no part of a name but an order to whoever shows it: a change of direction, a line break, something unseen. The
/// joiners stay, without which some scripts cannot be written.
fn steers(character: char) -> bool {
    let turns = matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}');
    let breaks = matches!(character, '\u{2028}' | '\u{2029}');
    let hides = matches!(character, '\u{200b}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}');
    turns || breaks || hides || character.is_control()
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

    /// What a hostile name becomes; `None` for nothing.
    const HOSTILE: [(&str, Option<&str>); 104] = [
        // Paths.
        ("../../etc/passwd", Some("passwd")),
        ("..\\..\\windows\\win.ini", Some("win.ini")),
        ("/etc/shadow", Some("shadow")),
        ("C:\\Users\\ann\\cv.pdf", Some("cv.pdf")),
        ("C:/mixed\\slashes/a.txt", Some("a.txt")),
        ("\\\\server\\share\\a.doc", Some("a.doc")),
        ("file:///etc/passwd", Some("passwd")),
        ("http://example.org/x?y=/z", Some("z")),
        ("a/", None),
        ("a\\", None),
        ("/", None),
        ("\\", None),
        ("//", None),
        ("./", None),
        ("../", None),
        ("..", None),
        (".", None),
        ("...", None),
        ("....//....//a", Some("a")),
        ("%2e%2e%2fa.txt", Some("%2e%2e%2fa.txt")),
        ("..%2f..%2fa", Some("%2f..%2fa")),
        ("..%c0%afa", Some("%c0%afa")),
        ("a/../b.txt", Some("b.txt")),
        ("~/.ssh/id_rsa", Some("id_rsa")),
        ("a.txt/.", None),
        ("a.txt/..", None),
        ("dir/.hidden", Some("hidden")),
        // Nothing, dots and spaces.
        ("", None),
        (" ", None),
        ("\t\r\n", None),
        ("\u{a0}\u{3000}", None),
        (". . .", None),
        (" .a. ", Some("a")),
        ("a.txt.", Some("a.txt")),
        ("a.txt ", Some("a.txt")),
        ("a.txt. . .", Some("a.txt")),
        (".htaccess", Some("htaccess")),
        (".env", Some("env")),
        ("  spaced  name.txt  ", Some("spaced  name.txt")),
        // Controls.
        ("a\0.txt", Some("a.txt")),
        ("a.php\0.jpg", Some("a.php.jpg")),
        ("\0", None),
        ("a\nb.txt", Some("ab.txt")),
        ("a\r\nSet-Cookie: b=c", Some("aSet-Cookie: b=c")),
        ("a\tb", Some("ab")),
        ("a\u{7f}b", Some("ab")),
        ("a\u{85}b", Some("ab")),
        ("a\u{9b}31mb", Some("a31mb")),
        ("\u{1b}[2J.txt", Some("[2J.txt")),
        ("\u{1b}]0;title\u{7}a.txt", Some("]0;titlea.txt")),
        ("a\u{8}\u{8}\u{8}b", Some("ab")),
        // Orders to whoever writes it on a screen.
        ("invoice\u{202e}fdp.exe", Some("invoicefdp.exe")),
        ("\u{202d}a\u{202c}.txt", Some("a.txt")),
        ("\u{2066}a\u{2069}.txt", Some("a.txt")),
        ("a\u{200e}\u{200f}\u{61c}.txt", Some("a.txt")),
        ("a\u{2028}b\u{2029}c", Some("abc")),
        ("\u{feff}a.txt", Some("a.txt")),
        ("a\u{200b}.txt", Some("a.txt")),
        ("a\u{2060}\u{206f}.txt", Some("a.txt")),
        ("a\u{fff9}b\u{fffa}c\u{fffb}", Some("abc")),
        ("\u{202e}", None),
        ("\u{202e}..", None),
        (".\u{202e}.", None),
        ("..\u{200b}/a", Some("a")),
        // Markup, shells, databases, headers: a name is text, and text is escaped where it goes.
        ("<img src=x onerror=alert(1)>.png", Some("<img src=x onerror=alert(1)>.png")),
        ("\"><script>alert(1)</script>", Some("script>")),
        ("a\"; filename=\"b.exe", Some("a\"; filename=\"b.exe")),
        ("a';drop table file;--.txt", Some("a';drop table file;--.txt")),
        ("$(reboot).txt", Some("$(reboot).txt")),
        ("`reboot`.txt", Some("`reboot`.txt")),
        ("a|b>c<d*e?.txt", Some("a|b>c<d*e?.txt")),
        ("-rf", Some("-rf")),
        ("--help", Some("--help")),
        ("=cmd()|a!A1", Some("=cmd()|a!A1")),
        ("a;b", Some("a;b")),
        ("%s%n%x", Some("%s%n%x")),
        ("{{7*7}}", Some("{{7*7}}")),
        ("null", Some("null")),
        ("undefined", Some("undefined")),
        // Names that some systems keep for themselves.
        ("CON", Some("CON")),
        ("nul.txt", Some("nul.txt")),
        ("COM1", Some("COM1")),
        ("LPT1.txt", Some("LPT1.txt")),
        ("a.txt:stream", Some("a.txt:stream")),
        ("a.txt::$DATA", Some("a.txt::$DATA")),
        ("desktop.ini", Some("desktop.ini")),
        (".DS_Store", Some("DS_Store")),
        // Any script.
        ("résumé.pdf", Some("résumé.pdf")),
        ("re\u{301}sume\u{301}.pdf", Some("re\u{301}sume\u{301}.pdf")),
        ("файл.txt", Some("файл.txt")),
        ("文件.txt", Some("文件.txt")),
        ("파일.txt", Some("파일.txt")),
        ("ファイル\u{30fb}一.txt", Some("ファイル\u{30fb}一.txt")),
        ("ملف.txt", Some("ملف.txt")),
        ("קובץ.txt", Some("קובץ.txt")),
        ("ไฟล์.txt", Some("ไฟล์.txt")),
        ("फ़ाइल.txt", Some("फ़ाइल.txt")),
        ("می\u{200c}خواهم.txt", Some("می\u{200c}خواهم.txt")),
        ("👩\u{200d}👧.png", Some("👩\u{200d}👧.png")),
        ("🏴󠁧󠁢󠁥󠁮󠁧󠁿.png", Some("🏴󠁧󠁢󠁥󠁮󠁧󠁿.png")),
        ("𝒶.txt", Some("𝒶.txt")),
        ("\u{e000}.txt", Some("\u{e000}.txt")),
        ("\u{fffd}.txt", Some("\u{fffd}.txt")),
        ("Ⅷ／八.txt", Some("Ⅷ／八.txt")),
    ];

    #[test]
    fn hostile_names_become_harmless() {
        for (name, expected) in HOSTILE {
            assert_eq!(clean_filename(name).as_deref(), expected, "{name:?}");
        }
    }

    #[test]
    fn a_long_name_is_cut_in_front_of_its_ending() {
        let cut = |name: &str| clean_filename(name).unwrap();
        assert_eq!(cut(&format!("{}.tar", "a".repeat(300))), format!("{}.tar", "a".repeat(251)));
        assert_eq!(cut(&format!("{}.jpeg", "文".repeat(100))), format!("{}.jpeg", "文".repeat(83)));
        assert_eq!(cut(&"a".repeat(300)), "a".repeat(255));
        assert_eq!(cut(&format!("{}.{}", "a".repeat(10), "b".repeat(300))), format!("aaaaaaaaaa.{}", "b".repeat(244)));
        assert_eq!(cut(&format!("{}. {}", "a".repeat(253), "b".repeat(90))), "a".repeat(253));
        assert_eq!(cut(&"é".repeat(200)), "é".repeat(127));
    }

    proptest::proptest! {
        #[test]
        fn a_clean_name_is_short_and_clean(name in "\\PC{0,90}|(.|[./\\\\ \u{202e}\u{0}]){0,90}") {
            let Some(clean) = clean_filename(&name) else { return Ok(()) };
            proptest::prop_assert!((1..=MAX_FILENAME_BYTES).contains(&clean.len()));
            proptest::prop_assert!(!clean.contains(['/', '\\']) && !clean.contains(char::is_control));
            proptest::prop_assert_eq!(clean_filename(&clean), Some(clean));
        }
    }
}
