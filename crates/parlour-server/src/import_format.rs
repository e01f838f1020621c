//! The import's format, version 1: one JSON object a line (documented in `docs/IMPORT.md`).

use crate::json_row::{parse_row, parse_strict, parse_user};
use parlour_core::FieldProblem;
use parlour_core::files::{PastFile, PastPicture};
use parlour_core::import::{Marks, Record};
use parlour_types::model::{MessageStatus, Settings};
use parlour_types::{ErrorCode, FileUuid, MessageId, ThreadId, Timestamp, UserId};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The version that this release reads.
pub(crate) const VERSION: i64 = 1;

/// One line of an import.
pub enum Line {
    /// The first one, which says that this is an import and of which version.
    Header,
    /// A file to import, whose content is elsewhere.
    File(Box<PastFile>),
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
    #[serde(default, deserialize_with = "time_if_given")]
    created_at: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HideLine {
    user: UserId,
    hidden: UserId,
    #[serde(deserialize_with = "time")]
    created_at: Timestamp,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingsLine {
    user: UserId,
    #[serde(deserialize_with = "setting::<-1, _>")]
    qa_frequency: i64,
    #[serde(deserialize_with = "setting::<0, _>")]
    email_notification_not_qa: i64,
    #[serde(deserialize_with = "setting::<0, _>")]
    mobile_notifications_scmty: i64,
    #[serde(deserialize_with = "setting::<0, _>")]
    show_toast_notifications: i64,
    #[serde(deserialize_with = "setting::<0, _>")]
    toast_notifications_emit_sound: i64,
    // Exports of earlier releases have none of these.
    #[serde(default = "switched_on", deserialize_with = "setting::<0, _>")]
    share_read_receipts: i64,
    #[serde(default = "switched_on", deserialize_with = "setting::<0, _>")]
    share_typing: i64,
    #[serde(default = "switched_on", deserialize_with = "setting::<0, _>")]
    share_presence: i64,
}

const fn switched_on() -> i64 {
    1
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
struct FileLine {
    owner: UserId,
    uuid: FileUuid,
    filename: String,
    #[serde(default)]
    mimetype: Option<String>,
    #[serde(default)]
    size: Option<i64>,
    #[serde(default)]
    duration: Option<i64>,
    #[serde(deserialize_with = "time")]
    created_at: Timestamp,
    #[serde(default)]
    lost: bool,
    #[serde(default)]
    thumbnail: Option<ThumbnailPart>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ThumbnailPart {
    uuid: FileUuid,
    #[serde(default)]
    mimetype: Option<String>,
    #[serde(default)]
    size: Option<i64>,
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
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    file: Option<FileUuid>,
    #[serde(default)]
    status: Option<Taken>,
    #[serde(default)]
    unread: bool,
    #[serde(default)]
    cleared_by: Vec<UserId>,
}

/// How a message was taken back.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Taken {
    Hidden,
    Deleted,
}

/// From `LEAST` to 1.
fn setting<'de, const LEAST: i64, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let value = i64::deserialize(deserializer)?;
    let message = || format!("must be an integer from {LEAST} to 1");
    if (LEAST..=1).contains(&value) { Ok(value) } else { Err(serde::de::Error::custom(message())) }
}

fn time_if_given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| Timestamp::parse(&text).map_err(serde::de::Error::custom)).transpose()
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
            let FollowLine { follower, followed, created_at } = parse_row(row)?;
            Ok(Line::Record(Record::Follow { follower, followed, created_at }))
        }
        Some("hide") => {
            let HideLine { user, hidden, created_at } = parse_row(row)?;
            Ok(Line::Record(Record::Hide { user, hidden, created_at }))
        }
        Some("settings") => Ok(Line::Record(settings(parse_row(row)?))),
        Some("thread") => {
            let ThreadLine { id, participants, created_at } = parse_row(row)?;
            Ok(Line::Record(Record::Thread { id, participants, created_at }))
        }
        Some("file") => Ok(Line::File(Box::new(file(parse_row(row)?)))),
        Some("message") => Ok(Line::Record(message(parse_row(row)?)?)),
        _ => {
            let message = "Must be parlour, user, follow, hide, settings, file, thread or message.";
            Err(FieldProblem::new("type", ErrorCode::Invalid, message))
        }
    }
}

fn settings(line: SettingsLine) -> Record {
    let settings = Settings {
        qa_frequency: line.qa_frequency,
        email_notification_not_qa: line.email_notification_not_qa,
        mobile_notifications_scmty: line.mobile_notifications_scmty,
        show_toast_notifications: line.show_toast_notifications,
        toast_notifications_emit_sound: line.toast_notifications_emit_sound,
        share_read_receipts: line.share_read_receipts,
        share_typing: line.share_typing,
        share_presence: line.share_presence,
    };
    Record::Settings { user: line.user, settings }
}

fn file(line: FileLine) -> PastFile {
    let FileLine { owner, uuid, filename, mimetype, size, duration, created_at, lost, thumbnail } = line;
    let thumbnail = thumbnail.map(|ThumbnailPart { uuid, mimetype, size }| PastPicture { uuid, mimetype, size });
    PastFile { owner, uuid, filename, mimetype, size, duration, created_at, is_lost: lost, thumbnail }
}

fn message(line: MessageLine) -> Result<Record, FieldProblem> {
    let MessageLine { id, ext_id, sender, receiver, created_at, text, file, status, unread, cleared_by } = line;
    if status.is_some() && file.is_some() {
        return Err(FieldProblem::new("file", ErrorCode::Invalid, "A message that was taken back has no file."));
    }
    let (status, text) = match (status, text) {
        (None, Some(text)) => (MessageStatus::Created, text),
        (None, None) if file.is_some() => (MessageStatus::Created, String::new()),
        (None, None) => return Err(FieldProblem::new("text", ErrorCode::Required, "This field is required.")),
        (Some(_), Some(_)) => {
            return Err(FieldProblem::new("text", ErrorCode::Invalid, "A message that was taken back has no text."));
        }
        (Some(Taken::Hidden), None) => (MessageStatus::Hidden, String::new()),
        (Some(Taken::Deleted), None) => (MessageStatus::Deleted, String::new()),
    };
    let marks = Marks { status, unread: unread && status != MessageStatus::Deleted, cleared_by };
    Ok(Record::Message { id, ext_id, sender, receiver, created_at, text, file, marks })
}
