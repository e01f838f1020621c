//! What a request for a file asks for beside the file: only if it changed, only a part of it (RFC 9110, sections 13 and 14).

use http::{HeaderMap, HeaderName, Method, header};
use std::ops::Range;
use std::time::{Duration, SystemTime};

/// What a request is to be answered with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// All of the file.
    Whole,
    /// These bytes of it.
    Part(Range<u64>),
    /// The client has it already.
    NotModified,
    /// The client wants another one.
    PreconditionFailed,
    /// The client wants what lies behind its end.
    RangeNotSatisfiable,
}

/// What a client may have of a file: by these its copy is told.
pub(super) struct Validators<'a> {
    /// Strong, quoted.
    pub etag: &'a str,
    /// To the second.
    pub last_modified: SystemTime,
    /// Bytes.
    pub size: u64,
}

impl Validators<'_> {
    /// Conditions in the order of RFC 9110, 13.2.2. What is malformed is as good as absent.
    pub fn outcome(&self, method: &Method, headers: &HeaderMap) -> Outcome {
        let is_wanted = if headers.contains_key(header::IF_MATCH) {
            self.matches(headers, header::IF_MATCH, Compare::Strong)
        } else {
            date(headers, header::IF_UNMODIFIED_SINCE).is_none_or(|date| self.last_modified <= date)
        };
        if !is_wanted {
            return Outcome::PreconditionFailed;
        }
        let is_known = if headers.contains_key(header::IF_NONE_MATCH) {
            self.matches(headers, header::IF_NONE_MATCH, Compare::Weak)
        } else {
            date(headers, header::IF_MODIFIED_SINCE).is_some_and(|date| self.last_modified <= date)
        };
        if is_known {
            return Outcome::NotModified;
        }
        let range = only(headers, header::RANGE).filter(|_| method == Method::GET && self.may_resume(headers));
        range.map_or(Outcome::Whole, |range| self.part(range))
    }

    /// Whether a list of entity tags names this file. None of the file's own tags has a comma, so a list may be cut at any.
    fn matches(&self, headers: &HeaderMap, name: HeaderName, compare: Compare) -> bool {
        let lists = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        lists.flat_map(|list| list.split(',')).map(|tag| tag.trim_matches([' ', '\t'])).any(|tag| {
            let tag = if compare == Compare::Weak { tag.strip_prefix("W/").unwrap_or(tag) } else { tag };
            tag == "*" || tag == self.etag
        })
    }

    /// Whether a range counts: `If-Range` names the copy that the client has a part of, and a date counts only if it is the very same.
    fn may_resume(&self, headers: &HeaderMap) -> bool {
        if !headers.contains_key(header::IF_RANGE) {
            return true;
        }
        match only(headers, header::IF_RANGE) {
            Some(tag) if tag == self.etag => true,
            Some(_) => date(headers, header::IF_RANGE).is_some_and(|date| date == self.last_modified),
            None => false,
        }
    }

    /// One range of bytes. Several, or another unit, may be ignored, and are.
    fn part(&self, range: &str) -> Outcome {
        let Some(spec) = range.split_once('=').filter(|(unit, _)| unit.eq_ignore_ascii_case("bytes")) else {
            return Outcome::Whole;
        };
        let Some((first, last)) = spec.1.trim_matches([' ', '\t']).split_once('-') else { return Outcome::Whole };
        let (start, end) = match (position(first), position(last)) {
            (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1).min(self.size)),
            (Some(first), None) if last.is_empty() => (first, self.size),
            (None, Some(suffix)) if first.is_empty() && suffix > 0 => (self.size.saturating_sub(suffix), self.size),
            (None, Some(_)) if first.is_empty() => return Outcome::RangeNotSatisfiable,
            _ => return Outcome::Whole,
        };
        if start < self.size { Outcome::Part(start..end) } else { Outcome::RangeNotSatisfiable }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Compare {
    Strong,
    Weak,
}

/// A position, however many digits it has.
fn position(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// The value of a header that is there once.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).into_iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then(|| value.trim_matches([' ', '\t']))
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(only(headers, name)?).ok()
}

/// A time as HTTP writes it, to the second.
pub(super) fn to_the_second(micros: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(micros / 1_000_000).unwrap_or_default().min(LAST_SECOND))
}

/// The last second of the year 9999, behind which HTTP has no dates.
const LAST_SECOND: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::Outcome::{NotModified, Part, PreconditionFailed, RangeNotSatisfiable, Whole};
    use super::*;
    use http::HeaderValue;

    const ETAG: &str = "\"0-f\"";
    const BEFORE: &str = "Fri, 15 Jan 2027 07:59:59 GMT";
    const THEN: &str = "Fri, 15 Jan 2027 08:00:00 GMT";
    const AFTER: &str = "Fri, 15 Jan 2027 08:00:01 GMT";

    fn asked_with(method: &Method, size: u64, headers: &[(&'static str, &str)]) -> Outcome {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap()));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value);
        }
        let validators = Validators { etag: ETAG, last_modified: to_the_second(1_800_000_000_987_654), size };
        validators.outcome(method, &map)
    }

    fn asked(headers: &[(&'static str, &str)]) -> Outcome {
        asked_with(&Method::GET, 100, headers)
    }

    #[test]
    fn one_range_of_bytes_is_given_and_anything_else_ignored() {
        for (range, expected) in [
            ("bytes=0-0", Part(0..1)),
            ("bytes=0-99", Part(0..100)),
            ("bytes=0-", Part(0..100)),
            ("bytes=99-", Part(99..100)),
            ("bytes=10-19", Part(10..20)),
            ("bytes=10-1000", Part(10..100)),
            ("Bytes= 10-19 ", Part(10..20)),
            ("bytes=10-99999999999999999999999", Part(10..100)),
            ("bytes=-1", Part(99..100)),
            ("bytes=-100", Part(0..100)),
            ("bytes=-101", Part(0..100)),
            ("bytes=-99999999999999999999999", Part(0..100)),
            ("bytes=-0", RangeNotSatisfiable),
            ("bytes=100-", RangeNotSatisfiable),
            ("bytes=100-200", RangeNotSatisfiable),
            ("bytes=18446744073709551615-18446744073709551615", RangeNotSatisfiable),
            ("bytes=99999999999999999999999-", RangeNotSatisfiable),
            ("bytes=0-0,5-6", Whole),
            ("bytes=0-0,", Whole),
            ("bytes=9-8", Whole),
            ("bytes=", Whole),
            ("bytes=-", Whole),
            ("bytes=--1", Whole),
            ("bytes=1", Whole),
            ("bytes=a-b", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=0x1-2", Whole),
            ("bytes 0-1", Whole),
            ("bytes", Whole),
            ("", Whole),
            ("lines=0-1", Whole),
            ("bytes=1-ö", Whole),
        ] {
            assert_eq!(asked(&[("range", range)]), expected, "{range}");
        }
        assert_eq!(asked(&[("range", "bytes=0-1"), ("range", "bytes=0-1")]), Whole);
        assert_eq!(asked_with(&Method::HEAD, 100, &[("range", "bytes=0-1")]), Whole);
        for range in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(asked_with(&Method::GET, 0, &[("range", range)]), RangeNotSatisfiable, "{range}");
        }
    }

    #[test]
    fn a_range_counts_only_for_the_copy_that_the_client_has() {
        for (if_range, expected) in [
            (ETAG, Part(0..2)),
            (THEN, Part(0..2)),
            ("W/\"0-f\"", Whole),
            ("\"0-t\"", Whole),
            ("*", Whole),
            (BEFORE, Whole),
            (AFTER, Whole),
            ("yesterday", Whole),
            ("", Whole),
        ] {
            assert_eq!(asked(&[("range", "bytes=0-1"), ("if-range", if_range)]), expected, "{if_range}");
            assert_eq!(asked(&[("if-range", if_range)]), Whole);
        }
        assert_eq!(asked(&[("range", "bytes=0-1"), ("if-range", ETAG), ("if-range", ETAG)]), Whole);
        assert_eq!(asked(&[("range", "bytes=200-"), ("if-range", "\"0-t\"")]), Whole);
    }

    #[test]
    fn a_client_that_has_it_is_told_so() {
        for (tags, is_known) in [
            (ETAG, true),
            ("W/\"0-f\"", true),
            ("*", true),
            ("\"a\", W/\"b\" ,\"0-f\"", true),
            ("\"0-t\"", false),
            ("0-f", false),
            ("w/\"0-f\"", false),
            ("", false),
        ] {
            let expected = if is_known { NotModified } else { Whole };
            assert_eq!(asked(&[("if-none-match", tags)]), expected, "{tags}");
            assert_eq!(asked_with(&Method::HEAD, 0, &[("if-none-match", tags)]), expected, "{tags}");
            // A tag outranks a date.
            assert_eq!(asked(&[("if-none-match", tags), ("if-modified-since", THEN)]), expected, "{tags}");
        }
        assert_eq!(asked(&[("if-none-match", "\"a\""), ("if-none-match", ETAG)]), NotModified);
        let since = |date| asked(&[("if-modified-since", date)]);
        assert_eq!((since(BEFORE), since(THEN), since(AFTER)), (Whole, NotModified, NotModified));
        assert_eq!(since("Friday, 15-Jan-27 08:00:00 GMT"), NotModified);
        assert_eq!(since("yesterday"), Whole);
        assert_eq!(asked(&[("if-none-match", ETAG), ("range", "bytes=0-1")]), NotModified);
    }

    #[test]
    fn a_client_that_wants_another_one_gets_none() {
        for (tags, is_wanted) in
            [(ETAG, true), ("*", true), ("\"a\", \"0-f\"", true), ("W/\"0-f\"", false), ("", false)]
        {
            let expected = if is_wanted { Whole } else { PreconditionFailed };
            assert_eq!(asked(&[("if-match", tags)]), expected, "{tags}");
            // A tag outranks a date.
            assert_eq!(asked(&[("if-match", tags), ("if-unmodified-since", BEFORE)]), expected, "{tags}");
        }
        let since = |date| asked(&[("if-unmodified-since", date)]);
        assert_eq!((since(BEFORE), since(THEN), since(AFTER)), (PreconditionFailed, Whole, Whole));
        assert_eq!(since("yesterday"), Whole);
        // What must be so outranks what need not be sent.
        assert_eq!(asked(&[("if-match", "\"a\""), ("if-none-match", ETAG)]), PreconditionFailed);
        assert_eq!(asked(&[("if-match", ETAG), ("if-none-match", ETAG)]), NotModified);
        assert_eq!(asked(&[("if-match", ETAG), ("range", "bytes=0-1")]), Part(0..2));
    }
}
