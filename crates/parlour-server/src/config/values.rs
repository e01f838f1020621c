//! Values with a text form of their own.

use parlour_core::limits::Rate;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::num::NonZeroU32;

/// A span of time, written as `30s` or `1h 30m`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Duration(std::time::Duration);

impl Duration {
    /// From whole seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }

    /// The span.
    #[must_use]
    pub const fn get(self) -> std::time::Duration {
        self.0
    }

    /// The span in microseconds.
    #[must_use]
    pub fn as_micros(self) -> i64 {
        i64::try_from(self.0.as_micros()).unwrap_or(i64::MAX)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text)
            .map(Self)
            .map_err(|_| serde::de::Error::custom("must be a duration such as 30s or 5m"))
    }
}

/// So many times in such a span, written as `300/1m`; `off` for no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frequency(Option<Rate>);

impl Frequency {
    /// So many times in so many seconds; never for no times.
    #[must_use]
    pub const fn new(count: u32, seconds: u64) -> Self {
        match NonZeroU32::new(count) {
            Some(count) => Self(Some(Rate { count, per: std::time::Duration::from_secs(seconds) })),
            None => Self(None),
        }
    }

    /// The limit, if there is one.
    #[must_use]
    pub const fn get(self) -> Option<Rate> {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        if text == "off" {
            return Some(Self(None));
        }
        let (count, per) = text.split_once('/')?;
        let per = humantime::parse_duration(per.trim()).ok()?;
        let count = count.trim().parse().ok().filter(|_| (1..=86_400).contains(&per.as_secs()))?;
        Some(Self(Some(Rate { count, per })))
    }
}

impl Serialize for Frequency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(rate) => {
                serializer.collect_str(&format_args!("{}/{}", rate.count, humantime::format_duration(rate.per)))
            }
            None => serializer.serialize_str("off"),
        }
    }
}

impl<'de> Deserialize<'de> for Frequency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom("must be a number and a span from 1s to 1day, such as 300/1m, or off")
        })
    }
}

/// A number of bytes, written as `20MiB`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByteSize(bytesize::ByteSize);

impl ByteSize {
    /// From KiB.
    #[must_use]
    pub const fn kib(kib: u64) -> Self {
        Self(bytesize::ByteSize::kib(kib))
    }

    /// From MiB.
    #[must_use]
    pub const fn mib(mib: u64) -> Self {
        Self(bytesize::ByteSize::mib(mib))
    }

    /// The number.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0.as_u64()
    }

    /// The number, for memory.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0.as_u64()).unwrap_or(usize::MAX)
    }
}

/// A text that no log, no debug output and no printed configuration shows.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether none is given.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "" } else { "***" })
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.0.is_empty() { "" } else { "***" })
    }
}
