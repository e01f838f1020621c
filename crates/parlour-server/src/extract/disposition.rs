//! `Content-Disposition`, as the parts of an upload carry it (RFC 7578, and what browsers and libraries make of it).
//!
//! Browsers write a name's bytes as UTF-8 with `%22`, `%0D` and `%0A` for a quote and line breaks, and escape nothing else (the HTML
//! standard); libraries write `\"`, or `filename*` (RFC 8187).

use percent_encoding::percent_decode;

/// What a part says about itself.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct Disposition {
    /// The field's name.
    pub name: Option<String>,
    /// The file's name, as it came.
    pub filename: Option<String>,
}

impl Disposition {
    /// Reads the header's value. What cannot be read counts as absent; of two parameters of one name the first counts.
    pub fn parse(value: &[u8]) -> Self {
        let mut read = Self::default();
        let mut extended = None;
        let mut rest = value;
        while let Some(start) = rest.iter().position(|byte| *byte == b';') {
            let parameter = rest[start + 1..].trim_ascii_start();
            let Some(end) = parameter.iter().position(|byte| matches!(byte, b'=' | b';')) else { break };
            rest = &parameter[end..];
            let Some(given) = rest.strip_prefix(b"=") else { continue };
            let (value, behind) = read_value(given.trim_ascii_start());
            rest = behind;
            match parameter[..end].trim_ascii().to_ascii_lowercase().as_slice() {
                b"name" => read.name = read.name.or_else(|| Some(text(value))),
                b"filename" => read.filename = read.filename.or_else(|| Some(text(value))),
                b"filename*" => extended = extended.or_else(|| decode_extended(&value)),
                _ => {}
            }
        }
        read.filename = extended.or(read.filename);
        read
    }
}

/// A parameter's value, unquoted, and what follows it.
fn read_value(given: &[u8]) -> (Vec<u8>, &[u8]) {
    let Some(quoted) = given.strip_prefix(b"\"") else {
        let end = given.iter().position(|byte| *byte == b';').unwrap_or(given.len());
        return (given[..end].trim_ascii_end().to_vec(), &given[end..]);
    };
    let mut is_escaped = false;
    let closing = quoted.iter().position(|byte| {
        let closes = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        closes
    });
    // A name that ends with a backslash, as browsers write it, leaves no quote that closes: then the last one does.
    let closing = closing.or_else(|| quoted.iter().rposition(|byte| *byte == b'"')).unwrap_or(quoted.len());
    (unquote(&quoted[..closing]), quoted.get(closing + 1..).unwrap_or_default())
}

/// Takes back what stands for a quote or a line break. A backslash in front of anything else is one: the names of files have them, and those
/// who escape them double them, which makes no difference to the last component of a path.
fn unquote(quoted: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(quoted.len());
    let mut rest = quoted;
    while let Some((first, behind)) = rest.split_first() {
        let (byte, behind) = match rest {
            [b'\\', b'"', behind @ ..] | [b'%', b'2', b'2', behind @ ..] => (b'"', behind),
            [b'%', b'0', b'D' | b'd', behind @ ..] => (b'\r', behind),
            [b'%', b'0', b'A' | b'a', behind @ ..] => (b'\n', behind),
            _ => (*first, behind),
        };
        value.push(byte);
        rest = behind;
    }
    value
}

/// `UTF-8''na%C3%AFve.txt`.
fn decode_extended(value: &[u8]) -> Option<String> {
    let mut parts = value.splitn(3, |byte| *byte == b'\'');
    let (charset, _language, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes: Vec<u8> = percent_decode(encoded).collect();
    match charset.to_ascii_lowercase().as_slice() {
        b"utf-8" => String::from_utf8(bytes).ok(),
        b"iso-8859-1" => Some(latin(&bytes)),
        _ => None,
    }
}

/// UTF-8, or else ISO 8859-1, which all bytes are.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| latin(error.as_bytes()))
}

fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filename(value: &str) -> Option<String> {
        Disposition::parse(value.as_bytes()).filename
    }

    #[test]
    fn names_come_as_their_senders_meant_them() {
        for (value, expected) in [
            (r#"form-data; name="file"; filename="a.txt""#, "a.txt"),
            (r#"form-data; filename="a.txt"; name="file""#, "a.txt"),
            (r#"FORM-DATA;NAME=file;FILENAME=a.txt"#, "a.txt"),
            (r#"form-data ; name = file ; filename = a b.txt ; x=y"#, "a b.txt"),
            // Browsers.
            (r#"form-data; name="file"; filename="a%22b%0D%0Ac.txt""#, "a\"b\r\nc.txt"),
            (r#"form-data; name="file"; filename="100%25 %2e.txt""#, "100%25 %2e.txt"),
            (r#"form-data; name="file"; filename="a\b.txt""#, r"a\b.txt"),
            (r#"form-data; name="file"; filename="a\""#, r"a\"),
            (r#"form-data; name="file"; filename="文件; name=x.txt""#, "文件; name=x.txt"),
            // Libraries.
            (r#"form-data; name="file"; filename="a\"b.txt""#, r#"a"b.txt"#),
            (r#"form-data; name="file"; filename="a\\b.txt""#, r"a\\b.txt"),
            (r#"form-data; name="file"; filename="a\\""#, r"a\\"),
            (r#"form-data; name="file"; filename*=UTF-8''na%C3%AFve%20%22.txt"#, "naïve \".txt"),
            (r#"form-data; name="file"; filename="naive.txt"; filename*=utf-8'en'na%C3%AFve.txt"#, "naïve.txt"),
            (r#"form-data; name="file"; filename*=iso-8859-1''na%EFve.txt; filename=naive.txt"#, "naïve.txt"),
            (r#"form-data; name="file"; filename*=UTF-8''%ff; filename="b.txt""#, "b.txt"),
            (r#"form-data; name="file"; filename*=koi8-r''%ff; filename="b.txt""#, "b.txt"),
            (r#"form-data; name="file"; filename*=b; filename="b.txt""#, "b.txt"),
            // Mistakes.
            (r#"form-data; name="file"; filename="a.txt"#, "a.txt"),
            (r#"form-data; name="file"; filename="a.txt"; filename="b.txt""#, "a.txt"),
            (r#"form-data; name="file"; filename="""#, ""),
            (r#"form-data; name="file"; filename="#, ""),
        ] {
            let read = Disposition::parse(value.as_bytes());
            assert_eq!(read.filename.as_deref(), Some(expected), "{value}");
            assert_eq!(read.name.as_deref(), Some("file"), "{value}");
        }
        assert_eq!(filename("form-data; name=\"file\""), None);
        assert_eq!(filename("form-data; name=\"filename=x\""), None);
        assert_eq!(filename("form-data; filename; name=file"), None);
        assert_eq!(Disposition::parse(b"form-data; filename=\"na\xefve.txt\"").filename.as_deref(), Some("naïve.txt"));
    }

    proptest::proptest! {
        #[test]
        fn any_name_that_a_browser_writes_is_read_again(name in "[^\u{0}\\\\]*") {
            // What itself looks like an escape cannot be told from one.
            let is_ambiguous = ["%22", "%0d", "%0a"].iter().any(|escape| name.to_ascii_lowercase().contains(escape));
            proptest::prop_assume!(!is_ambiguous);
            let written = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
            let value = format!("form-data; name=\"file\"; filename=\"{written}\"");
            let read = Disposition::parse(value.as_bytes());
            proptest::prop_assert_eq!((read.name.as_deref(), read.filename), (Some("file"), Some(name)));
        }

        #[test]
        fn any_bytes_are_survived(value in proptest::collection::vec(proptest::prop_oneof![
            proptest::num::u8::ANY,
            proptest::sample::select(b";=\"\\ '%*name".to_vec()),
        ], 0..60)) {
            Disposition::parse(&value);
        }
    }
}
