//! A line of an import: one that is accepted holds what the JSON says, within the documented limits, and can be written again; a
//! refusal repeats nothing of a text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use parlour_core::files::PastFile;
use parlour_core::import::Record;
use parlour_fuzz::CANARY;
use parlour_server::fuzzing::{Line, import_line};
use parlour_types::id::MAX_ID;
use parlour_types::model::MessageStatus;
use parlour_types::{FileUuid, Timestamp};
use serde_json::{Value, json};

fuzz_target!(|data: &[u8]| {
    let line = match import_line(data) {
        Ok(line) => line,
        Err(problem) => {
            assert!(!problem.message.is_empty() && !problem.message.contains(CANARY), "{}", problem.message);
            return;
        }
    };
    let source: Value = serde_json::from_slice(data).expect("what is accepted is JSON");
    let Some(written) = write_line(&line) else {
        assert_eq!(source, json!({ "type": "parlour", "version": 1 }));
        return;
    };
    for (key, value) in source.as_object().expect("what is accepted is an object") {
        // Nobody has yet to see what is gone.
        if key == "unread" && written["status"] == "deleted" {
            continue;
        }
        let kept = &written[key];
        // A time is written in one form, however it was given; null and absent are one.
        let is_time = kept.as_str().is_some_and(|kept| Timestamp::parse(kept).is_ok());
        assert!(kept == value || is_time || kept.is_null() || is_same_file(kept, value), "{key} was lost");
    }
    match import_line(written.to_string().as_bytes()) {
        Ok(again) => assert_eq!(write_line(&again), Some(written), "the same line"),
        Err(problem) => panic!("{} is refused: {}", problem.field, problem.message),
    }
});

/// A uuid is written in lower case, also that of a thumbnail, which may say less or more with null.
fn is_same_file(kept: &Value, given: &Value) -> bool {
    match (kept, given) {
        (Value::String(kept), Value::String(given)) => {
            FileUuid::parse(given).is_some_and(|uuid| *kept == uuid.to_string())
        }
        (Value::Object(kept), Value::Object(given)) => given.iter().all(|(key, given)| {
            let kept = kept.get(key).unwrap_or(&Value::Null);
            kept == given || is_same_file(kept, given)
        }),
        _ => false,
    }
}

/// The line that says the same; none for the header.
fn write_line(line: &Line) -> Option<Value> {
    match line {
        Line::Header => None,
        Line::Record(record) => Some(write(record)),
        Line::File(file) => Some(write_file(file)),
    }
}

fn write_file(file: &PastFile) -> Value {
    let mut row = json!({
        "type": "file",
        "owner": number(file.owner.get()),
        "uuid": file.uuid,
        "filename": file.filename,
        "mimetype": file.mimetype,
        "size": file.size,
        "duration": file.duration,
        "created_at": time(file.created_at),
        "lost": file.is_lost,
        "thumbnail": file.thumbnail.as_ref().map(|thumbnail| json!({
            "uuid": thumbnail.uuid,
            "mimetype": thumbnail.mimetype,
            "size": thumbnail.size,
        })),
    });
    if let Value::Object(row) = &mut row {
        row.retain(|_, value| !value.is_null());
    }
    row
}

/// The line that says the same. Asserts on the way that ids and times are such.
fn write(record: &Record) -> Value {
    let mut row = match record {
        Record::User { id, change } => {
            let mut row = serde_json::to_value(change).expect("a user is JSON");
            row["type"] = "user".into();
            row["id"] = number(id.get());
            row
        }
        Record::Follow { follower, followed, created_at } => json!({
            "type": "follow",
            "follower": number(follower.get()),
            "followed": number(followed.get()),
            "created_at": created_at.map(time),
        }),
        Record::Hide { user, hidden, created_at } => json!({
            "type": "hide",
            "user": number(user.get()),
            "hidden": number(hidden.get()),
            "created_at": time(*created_at),
        }),
        Record::Settings { user, settings } => {
            let mut row = serde_json::to_value(settings).expect("settings are JSON");
            row["type"] = "settings".into();
            row["user"] = number(user.get());
            row
        }
        Record::Thread { id, participants: [one, other], created_at } => json!({
            "type": "thread",
            "id": id.map(|id| number(id.get())),
            "participants": [number(one.get()), number(other.get())],
            "created_at": time(*created_at),
        }),
        Record::Message { id, ext_id, sender, receiver, created_at, text, file, marks } => {
            let shown = marks.status == MessageStatus::Created;
            assert!(shown || text.is_empty() && file.is_none(), "what was taken back has no text and no file");
            json!({
                "type": "message",
                "id": id.map(|id| number(id.get())),
                "ext_id": ext_id,
                "sender": number(sender.get()),
                "receiver": number(receiver.get()),
                "created_at": time(*created_at),
                // Where a file says enough, empty and absent are one.
                "text": (shown && !(text.is_empty() && file.is_some())).then_some(text),
                "file": file,
                "status": (!shown).then_some(marks.status),
                "unread": marks.unread,
                "cleared_by": marks.cleared_by.iter().map(|user| number(user.get())).collect::<Vec<_>>(),
            })
        }
    };
    // Absent and null are one.
    if let Value::Object(row) = &mut row {
        row.retain(|_, value| !value.is_null());
    }
    row
}

fn number(id: i64) -> Value {
    assert!((1..=MAX_ID).contains(&id), "{id}");
    id.into()
}

fn time(at: Timestamp) -> String {
    let text = at.to_string();
    assert_eq!(Timestamp::parse(&text), Ok(at));
    text
}
