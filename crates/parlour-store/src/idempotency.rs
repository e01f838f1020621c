//! Idempotency keys: unique per sender, kept for ever, each with the messages that its first use made.

use crate::db::{Read, Tx, params};
use crate::error::{Result, StoreError};
use parlour_types::{MessageId, Timestamp, UserId};

/// SHA-256 of what a send asked for.
pub type Fingerprint = [u8; 32];

/// The first use of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FirstUse {
    /// What was asked for.
    pub fingerprint: Fingerprint,
    /// The messages made, in the order of the answer.
    pub message_ids: Vec<MessageId>,
}

/// The first use of `key` by `sender`, if there was one.
///
/// # Errors
/// A failure of the store.
pub fn find(read: &Read<'_>, sender: UserId, key: &str) -> Result<Option<FirstUse>> {
    const BROKEN: StoreError = StoreError::Inconsistent { table: "idempotency_keys", what: "row" };
    read.row(
        "select fingerprint, message_ids from idempotency_keys where sender_id = ?1 and key = ?2",
        params![sender, key],
        |row| {
            Ok(FirstUse {
                fingerprint: row.bytes(0)?.try_into().map_err(|_| BROKEN)?,
                message_ids: serde_json::from_str(&row.text(1)?).map_err(|_| BROKEN)?,
            })
        },
    )
}

/// Remembers the first use of `key` by `sender`.
///
/// # Errors
/// A failure of the store; a second use of the key is one.
pub fn remember(tx: &Tx<'_>, sender: UserId, key: &str, first: &FirstUse, now: Timestamp) -> Result<()> {
    let ids: Vec<i64> = first.message_ids.iter().map(|id| id.get()).collect();
    tx.execute_one(
        "remembering an idempotency key",
        "insert into idempotency_keys (sender_id, key, fingerprint, message_ids, created_at) values (?1, ?2, ?3, ?4, ?5)",
        params![sender, key, &first.fingerprint[..], &*format!("{ids:?}"), now],
    )
}
