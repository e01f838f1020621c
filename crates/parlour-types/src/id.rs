//! Ids are types, never bare integers.
//!
//! Every id travels as a JSON number and is compared with `===` by the official UI (contract §0.3 no. 1), so the largest one
//! is 2^53 − 1, the last integer that JavaScript holds exactly.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// The largest id: 2^53 − 1.
pub const MAX_ID: i64 = (1 << 53) - 1;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(try_from = "i64", into = "i64")]
        #[schema(value_type = i64, minimum = 1, maximum = 9007199254740991_i64)]
        pub struct $name(i64);

        impl $name {
            /// The id, or `None` unless 1 ≤ `value` ≤ [`MAX_ID`].
            #[must_use]
            pub const fn new(value: i64) -> Option<Self> {
                if value >= 1 && value <= MAX_ID { Some(Self(value)) } else { None }
            }

            /// The number behind the id.
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl TryFrom<i64> for $name {
            type Error = IdOutOfRange;
            fn try_from(value: i64) -> Result<Self, Self::Error> {
                Self::new(value).ok_or(IdOutOfRange)
            }
        }

        impl From<$name> for i64 {
            fn from(id: $name) -> i64 {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

id!(/// A member of the community; the number is the community's own.
    UserId);
id!(/// A conversation. Threads and messages draw from one generator, so the two never share a number.
    ThreadId);
id!(/// A message; ids increase with time inside a thread.
    MessageId);

/// An uploaded file or a thumbnail, as its uploader names it: a random UUID (RFC 9562, version 4). Files of different uploaders are told apart by
/// their uploaders first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileUuid(Uuid);

impl FileUuid {
    /// One that nobody has.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The sixteen bytes of a UUID.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The same bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Reads the hyphenated form, in either case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() == 36 { Uuid::try_parse(text).ok().map(Self) } else { None }
    }
}

impl fmt::Display for FileUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for FileUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileUuid({self})")
    }
}

impl Serialize for FileUuid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FileUuid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("must be a UUID"))
    }
}

/// A number outside 1..=2^53 − 1 was offered as an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdOutOfRange;

impl fmt::Display for IdOutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be an integer from 1 to {MAX_ID}")
    }
}

impl std::error::Error for IdOutOfRange {}

/// A message's place in its thread: 1 for the first, +1 for each next one, issued inside the write transaction and never
/// changed or reused. This, not the clock, is the order of a thread.
pub type Seq = i64;

/// A place in one member's event log: 1 for the first event, +1 for each next one.
pub type EventPosition = i64;
