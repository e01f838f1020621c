//! Idempotency keys: unique per sender, kept for ever, each with the messages that its first use made.

use crate::db::{Read, Row, Tx, params};
use crate::error::{Result, StoreError};
use crate::users;
use parlour_types::model::User;
use parlour_types::{MessageId, UserId};

/// SHA-256 of what a send asked for.
pub type Fingerprint = [u8; 32];

/// The first use of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FirstUse {
    /// What was asked for.
    pub fingerprint: Fingerprint,
    /// The version of the sender that the answer showed.
    pub sender_version: i64,
    /// The messages made, in the order of the answer.
    pub messages: Vec<FirstMessage>,
}

/// A message of a first use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FirstMessage {
    /// The message.
    pub id: MessageId,
    /// To whom.
    pub receiver_id: UserId,
    /// The version of the receiver that the answer showed.
    pub receiver_version: i64,
}

/// The first use of the key `?2` by the sender `?1`.
pub(crate) const FIRST_USE: &str =
    "select fingerprint, sender_version, messages from idempotency_keys where sender_id = ?1 and key = ?2";

/// Remembers a first use.
pub(crate) const REMEMBER: &str =
    "insert into idempotency_keys (sender_id, key, fingerprint, sender_version, messages, created_at)
     values (?1, ?2, ?3, ?4, ?5, ?6)";

/// A first use out of the three columns of [`FIRST_USE`] from `first` on.
pub(crate) fn decode(row: &Row<'_>, first: usize) -> Result<FirstUse> {
    const BROKEN: StoreError = StoreError::Inconsistent { table: "idempotency_keys", what: "row" };
    let messages: Vec<(MessageId, UserId, i64)> = serde_json::from_str(row.str(first + 2)?).map_err(|_| BROKEN)?;
    let message = |(id, receiver_id, receiver_version)| FirstMessage { id, receiver_id, receiver_version };
    Ok(FirstUse {
        fingerprint: row.bytes(first)?.try_into().map_err(|_| BROKEN)?,
        sender_version: row.int(first + 1)?,
        messages: messages.into_iter().map(message).collect(),
    })
}

/// The messages of a first use as they are stored.
pub(crate) fn encode_messages(first: &FirstUse) -> String {
    let messages: Vec<_> = first.messages.iter().map(|one| (one.id, one.receiver_id, one.receiver_version)).collect();
    serde_json::to_string(&messages).expect("ids are plain numbers")
}

/// Keeps how `user` looks now, as `render` writes it, and answers the version under which [`rendering`] finds it again.
///
/// # Errors
/// A failure of the store.
pub(crate) fn keep_rendering(tx: &Tx<'_>, user: UserId, render: impl FnOnce(&User) -> String) -> Result<i64> {
    const ABSENT: StoreError = StoreError::Inconsistent { table: "users", what: "absence of a user just seen" };
    let version = tx.row("select version from users where id = ?1", params![user], |row| row.int(0))?.ok_or(ABSENT)?;
    let kept = tx.row(
        "select 1 from user_renderings where user_id = ?1 and version = ?2",
        params![user, version],
        |_| Ok(()),
    )?;
    if kept.is_none() {
        let json = render(&users::get(tx, user)?.ok_or(ABSENT)?);
        tx.execute_one(
            "keeping a rendering",
            "insert into user_renderings (user_id, version, json) values (?1, ?2, ?3)",
            params![user, version, &*json],
        )?;
    }
    Ok(version)
}

/// How `user` looked in `version`; `None` once that was forgotten, because the user was deleted.
///
/// # Errors
/// A failure of the store.
pub fn rendering(read: &Read<'_>, user: UserId, version: i64) -> Result<Option<String>> {
    read.row("select json from user_renderings where user_id = ?1 and version = ?2", params![user, version], |row| {
        row.text(0)
    })
}
