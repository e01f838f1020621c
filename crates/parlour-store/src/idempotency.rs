//! Idempotency keys: unique per sender, kept for ever, each with the messages that its first use made.

use crate::db::{Read, Tx, params};
use crate::error::{Result, StoreError};
use crate::users;
use parlour_types::model::User;
use parlour_types::{MessageId, Timestamp, UserId};

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

/// The first use of `key` by `sender`, if there was one.
///
/// # Errors
/// A failure of the store.
pub fn find(read: &Read<'_>, sender: UserId, key: &str) -> Result<Option<FirstUse>> {
    const BROKEN: StoreError = StoreError::Inconsistent { table: "idempotency_keys", what: "row" };
    read.row(
        "select fingerprint, sender_version, messages from idempotency_keys where sender_id = ?1 and key = ?2",
        params![sender, key],
        |row| {
            let messages: Vec<(MessageId, UserId, i64)> = serde_json::from_str(&row.text(2)?).map_err(|_| BROKEN)?;
            let message = |(id, receiver_id, receiver_version)| FirstMessage { id, receiver_id, receiver_version };
            Ok(FirstUse {
                fingerprint: row.bytes(0)?.try_into().map_err(|_| BROKEN)?,
                sender_version: row.int(1)?,
                messages: messages.into_iter().map(message).collect(),
            })
        },
    )
}

/// Remembers the first use of `key` by `sender`.
///
/// # Errors
/// A failure of the store; a second use of the key is one.
pub fn remember(tx: &Tx<'_>, sender: UserId, key: &str, first: &FirstUse, now: Timestamp) -> Result<()> {
    let messages = first.messages.iter();
    let messages: Vec<_> = messages.map(|one| (one.id, one.receiver_id, one.receiver_version)).collect();
    let messages = serde_json::to_string(&messages).expect("ids are plain numbers");
    tx.execute_one(
        "remembering an idempotency key",
        "insert into idempotency_keys (sender_id, key, fingerprint, sender_version, messages, created_at)
         values (?1, ?2, ?3, ?4, ?5, ?6)",
        params![sender, key, &first.fingerprint[..], first.sender_version, &*messages, now],
    )
}

/// Keeps how `user` looks now, as `render` writes it, and answers the version under which [`rendering`] finds it again.
///
/// # Errors
/// A failure of the store.
pub fn keep_rendering(tx: &Tx<'_>, user: UserId, render: impl FnOnce(&User) -> String) -> Result<i64> {
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
