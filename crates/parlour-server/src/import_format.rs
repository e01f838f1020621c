//! The import's format, version 1: one JSON object a line (documented in `docs/IMPORT.md`).

use crate::json_row::{parse_row, parse_strict, parse_user};
use parlour_core::FieldProblem;
use parlour_core::import::Record;
use parlour_types::{ErrorCode, MessageId, ThreadId, Timestamp, UserId};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The version that this release reads.
pub(crate) const VERSION: i64 = 1;

/// One line of an import.
pub enum Line {
    /// The first one, which says that this is an import and of which version.
    Header,
    /// Something to import.
    Record(Record),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderLine {
    version: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FollowLine {
    follower: UserId,
    followed: UserId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ThreadLine {
    #[serde(default)]
    id: Option<ThreadId>,
    participants: [UserId; 2],
    #[serde(deserialize_with = "time")]
    created_at: Timestamp,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageLine {
    #[serde(default)]
    id: Option<MessageId>,
    ext_id: String,
    sender: UserId,
    receiver: UserId,
    #[serde(deserialize_with = "time")]
    created_at: Timestamp,
    text: String,
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    Timestamp::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// Reads one line.
pub(crate) fn parse_line(line: &[u8]) -> Result<Line, FieldProblem> {
    let value = parse_strict(line).map_err(|message| FieldProblem::new("", ErrorCode::ParseError, message))?;
    let Value::Object(mut object) = value else {
        return Err(FieldProblem::new("", ErrorCode::ParseError, "An object is required."));
    };
    let kind = object.remove("type");
    let row = Value::Object(object);
    match kind.as_ref().and_then(Value::as_str) {
        Some("parlour") => match parse_row::<HeaderLine>(row)?.version {
            VERSION => Ok(Line::Header),
            _ => {
                Err(FieldProblem::new("version", ErrorCode::Invalid, format!("This release reads version {VERSION}.")))
            }
        },
        Some("user") => {
            let (id, change) = parse_user(row)?;
            let id = id.ok_or_else(|| FieldProblem::new("id", ErrorCode::Required, "This field is required."))?;
            Ok(Line::Record(Record::User { id, change: Box::new(change) }))
        }
        Some("follow") => {
            let FollowLine { follower, followed } = parse_row(row)?;
            Ok(Line::Record(Record::Follow { follower, followed }))
        }
        Some("thread") => {
            let ThreadLine { id, participants, created_at } = parse_row(row)?;
            Ok(Line::Record(Record::Thread { id, participants, created_at }))
        }
        Some("message") => {
            let MessageLine { id, ext_id, sender, receiver, created_at, text } = parse_row(row)?;
            Ok(Line::Record(Record::Message { id, ext_id, sender, receiver, created_at, text }))
        }
        _ => Err(FieldProblem::new("type", ErrorCode::Invalid, "Must be parlour, user, follow, thread or message.")),
    }
}
