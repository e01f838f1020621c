//! The place in a member's event log that a client remembers between two visits.

use crate::{EventPosition, UserId};
use std::fmt;
use std::str::FromStr;

/// A place in a member's event log: just behind the event at `position`. As text it is `<user>-<position>-<check>`, the check as eight
/// hexadecimal digits. It is opaque to clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventCursor {
    /// Whose log.
    pub user_id: UserId,
    /// The last event that was read; 0 before the first one.
    pub position: EventPosition,
    /// Derived from what stands at that position, so that a log which another one was restored over is noticed. 0 before the first event.
    pub check: u32,
}

impl fmt::Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{:08x}", self.user_id, self.position, self.check)
    }
}

/// A text that is no cursor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotACursor;

impl FromStr for EventCursor {
    type Err = NotACursor;
    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let mut parts = text.split('-');
        let mut part = || parts.next().ok_or(NotACursor);
        let (user, position, check) = (part()?, part()?, part()?);
        let cursor = Self {
            user_id: user.parse().ok().and_then(UserId::new).ok_or(NotACursor)?,
            position: position.parse().ok().filter(|position| *position >= 0).ok_or(NotACursor)?,
            check: u32::from_str_radix(check, 16).map_err(|_| NotACursor)?,
        };
        // As it is printed, so that one place has one cursor.
        if cursor.to_string() == text { Ok(cursor) } else { Err(NotACursor) }
    }
}

impl serde::Serialize for EventCursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_what_it_writes_and_nothing_else() {
        let cursor = EventCursor { user_id: UserId::new(7).unwrap(), position: 12, check: 0xab };
        assert_eq!(cursor.to_string(), "7-12-000000ab");
        assert_eq!("7-12-000000ab".parse(), Ok(cursor));
        for other in [
            "",
            "7",
            "7-12",
            "7-12-ab",
            "7-12-000000AB",
            "07-12-000000ab",
            "7-+12-000000ab",
            "7-12-000000ab-",
            "0-1-00000000",
            "7--1-00000000",
        ] {
            assert_eq!(other.parse::<EventCursor>(), Err(NotACursor), "{other}");
        }
    }
}
