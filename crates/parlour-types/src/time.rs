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

const MICROS_OF_A_DAY: i64 = 86_400_000_000;

/// Bytes of a date with the `T` behind it, in the years 0 to 9999.
const DATE_BYTES: usize = 11;

/// Writes one time after another, as [`Timestamp`] serializes but without the quotes: the messages of a page are mostly of few days, so the
/// date is worked out when it changes.
#[derive(Clone, Copy, Default)]
pub(crate) struct TimeWriter {
    day: Option<i64>,
    date: [u8; DATE_BYTES],
}

impl TimeWriter {
    pub(crate) fn push(&mut self, at: Timestamp, out: &mut Vec<u8>) {
        let day = at.0.div_euclid(MICROS_OF_A_DAY);
        if self.day != Some(day) {
            let text = Text::of(at);
            match text.as_str().as_bytes().first_chunk::<DATE_BYTES>() {
                Some(date) if date[DATE_BYTES - 1] == b'T' => (self.day, self.date) = (Some(day), *date),
                _ => return out.extend_from_slice(text.as_str().as_bytes()),
            }
        }
        let mut rest = at.0.rem_euclid(MICROS_OF_A_DAY);
        let mut text = *b"00:00:00.000000+00:00";
        for place in [14, 13, 12, 11, 10, 9] {
            text[place] += (rest % 10) as u8;
            rest /= 10;
        }
        for (place, of) in [(6, 60), (3, 60), (0, 24)] {
            let part = rest % of;
            rest /= of;
            text[place] += (part / 10) as u8;
            text[place + 1] += (part % 10) as u8;
        }
        out.extend_from_slice(&self.date);
        out.extend_from_slice(&text);
    }
}

/// Room for the longest text of a timestamp, on the stack.
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

    proptest::proptest! {
        #[test]
        fn times_written_one_after_another_are_those_written_one_by_one(
            times in proptest::collection::vec(proptest::prop_oneof![
                -100_000_000_000_000_000_i64..400_000_000_000_000_000,
                1_790_000_000_000_000_i64..1_790_200_000_000_000,
                proptest::num::i64::ANY,
            ], 1..20),
        ) {
            let mut writer = TimeWriter::default();
            for micros in times {
                let at = Timestamp::from_micros(micros);
                let mut written = Vec::new();
                writer.push(at, &mut written);
                proptest::prop_assert_eq!(String::from_utf8(written).unwrap(), at.to_string());
            }
        }
    }
}
