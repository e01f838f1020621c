//! One type for points in time.

use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::Offset;
use serde::{Serialize, Serializer};
use std::fmt;

/// A point in time: microseconds since 1970-01-01T00:00:00 UTC.
///
/// Written as ISO 8601 with microseconds and offset, `2026-01-02T10:11:12.123456+00:00` (contract §1.1, dates).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, utoipa::ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-01-02T10:11:12.123456+00:00")]
pub struct Timestamp(i64);

static PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

impl Timestamp {
    /// From microseconds since the epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, as a JWT's NumericDate counts them.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This time moved by `micros` microseconds.
    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Writes what this serializes to, without the quotes.
    pub(crate) fn push_to(self, out: &mut Vec<u8>) {
        out.extend_from_slice(Text::of(self).as_str().as_bytes());
    }

    /// Parses ISO 8601 with an offset or `Z`; digits beyond the microsecond are cut.
    ///
    /// # Errors
    /// What is wrong with the text, in words fit for the person who wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        text.parse::<jiff::Timestamp>()
            .map(|t| Self(t.as_microsecond()))
            .map_err(|_| "must be a date and time with an offset, such as 2026-01-02T10:11:12.123456+00:00".into())
    }
}

/// Room for the longest text of a timestamp, on the stack: two of them stand in every message of a page.
struct Text {
    bytes: [u8; 48],
    length: usize,
}

impl Text {
    fn of(at: Timestamp) -> Self {
        // A stored time always lies inside jiff's range (years −9999 to 9999); the floor keeps a damaged row printable.
        let at = jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::MIN);
        let mut text = Self { bytes: [0; 48], length: 0 };
        // Only a full buffer could fail, and no text of this form is as long.
        let printed = PRINTER.print_timestamp_with_offset(&at, Offset::UTC, &mut text);
        debug_assert!(printed.is_ok());
        text
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl jiff::fmt::Write for Text {
    fn write_str(&mut self, part: &str) -> Result<(), jiff::Error> {
        let end = self.length + part.len();
        let place =
            self.bytes.get_mut(self.length..end).ok_or_else(|| jiff::Error::from_args(format_args!("too long")))?;
        place.copy_from_slice(part.as_bytes());
        self.length = end;
        Ok(())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Text::of(*self).as_str())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(Text::of(*self).as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_microseconds_and_offset() {
        let at = Timestamp::parse("2026-01-02T10:11:12.123456Z").unwrap();
        assert_eq!(at.to_string(), "2026-01-02T10:11:12.123456+00:00");
        assert_eq!(
            Timestamp::parse("2026-01-02T10:11:12+01:00").unwrap().to_string(),
            "2026-01-02T09:11:12.000000+00:00"
        );
        assert!(Timestamp::parse("yesterday").is_err());
    }
}
