//! The event log: what happened to each member, in order, written in the transaction of the change itself.

use crate::db::{Read, params};
use crate::error::{Result, StoreError};
use parlour_types::{EventPosition, Seq, ThreadId, Timestamp, UserId};

/// What kind of thing happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// A message came, of the member's own or of another.
    MessageCreated,
    /// A message was deleted in its first minute.
    MessageDeleted,
    /// A message was taken back later.
    MessageHidden,
    /// The member saw the thread up to a point.
    ThreadSeen,
    /// The member deleted the thread for themselves up to a point.
    ThreadCleared,
}

impl EventKind {
    const ALL: [Self; 5] =
        [Self::MessageCreated, Self::MessageDeleted, Self::MessageHidden, Self::ThreadSeen, Self::ThreadCleared];

    pub(crate) const fn code(self) -> i64 {
        match self {
            Self::MessageCreated => 1,
            Self::MessageDeleted => 2,
            Self::MessageHidden => 3,
            Self::ThreadSeen => 4,
            Self::ThreadCleared => 5,
        }
    }
}

/// One event of a member's log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// In which thread.
    pub thread_id: ThreadId,
    /// The message's sequence number, or up to where the thread was seen or cleared.
    pub seq: Seq,
    /// When.
    pub created_at: Timestamp,
}

/// Up to `limit` events of `user` after position `after`, oldest first, each with its position.
///
/// # Errors
/// A failure of the store.
pub fn after(read: &Read<'_>, user: UserId, after: EventPosition, limit: i64) -> Result<Vec<(EventPosition, Event)>> {
    read.rows(
        "select position, kind, thread_id, seq, created_at from events where user_id = ?1 and position > ?2
         order by position limit ?3",
        params![user, after, limit],
        |row| {
            let code = row.int(1)?;
            let kind = EventKind::ALL
                .into_iter()
                .find(|kind| kind.code() == code)
                .ok_or(StoreError::Inconsistent { table: "events", what: "kind" })?;
            Ok((row.int(0)?, Event { kind, thread_id: row.thread_id(2)?, seq: row.int(3)?, created_at: row.time(4)? }))
        },
    )
}
