//! A line of an import: one that is accepted holds what the JSON says, within the documented limits, and can be written again; a
//! refusal repeats nothing of a text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use parlour_core::import::Record;
use parlour_fuzz::CANARY;
use parlour_server::fuzzing::{Line, import_line};
use parlour_types::Timestamp;
use parlour_types::id::MAX_ID;
use parlour_types::model::MessageStatus;
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
    let Line::Record(record) = line else {
        assert_eq!(source, json!({ "type": "parlour", "version": 1 }));
        return;
    };
    let written = write(&record);
    for (key, value) in source.as_object().expect("what is accepted is an object") {
        // Nobody has yet to see what is gone.
        if key == "unread" && written["status"] == "deleted" {
            continue;
        }
        let kept = &written[key];
        // A time is written in one form, however it was given; null and absent are one.
        let is_time = kept.as_str().is_some_and(|kept| Timestamp::parse(kept).is_ok());
        assert!(kept == value || is_time || kept.is_null(), "{key} was lost");
    }
    match import_line(written.to_string().as_bytes()) {
        Ok(Line::Record(again)) => assert_eq!(write(&again), written),
        Ok(Line::Header) => panic!("a record became a header"),
        Err(problem) => panic!("{} is refused: {}", problem.field, problem.message),
    }
});

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
        Record::Message { id, ext_id, sender, receiver, created_at, text, marks } => {
            let shown = marks.status == MessageStatus::Created;
            assert!(shown || text.is_empty(), "what was taken back has no text");
            json!({
                "type": "message",
                "id": id.map(|id| number(id.get())),
                "ext_id": ext_id,
                "sender": number(sender.get()),
                "receiver": number(receiver.get()),
                "created_at": time(*created_at),
                "text": shown.then_some(text),
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
