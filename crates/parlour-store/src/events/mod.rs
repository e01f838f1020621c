//! The event log: what happened to each member, in order, written in the transaction of the change itself.

mod log;
mod subjects;

pub use log::{Piece, positions, read_from};
pub use subjects::{Gone, Subjects};

use parlour_types::{Seq, ThreadId, Timestamp};

/// What kind of thing happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// A message of another came.
    MessageCreated,
    /// A message was deleted in its first minute.
    MessageDeleted,
    /// A message was taken back later.
    MessageHidden,
    /// The member saw the thread up to a point.
    ThreadSeen,
    /// The member deleted the thread for themselves up to a point.
    ThreadCleared,
    /// The member sent a message.
    OwnMessageCreated,
    /// The member read notifications, without opening their threads; thread and sequence number are those of one of them.
    NotificationsRead,
    /// The other one has seen the thread up to a point.
    SeenByOther,
}

impl EventKind {
    const ALL: [Self; 8] = [
        Self::MessageCreated,
        Self::MessageDeleted,
        Self::MessageHidden,
        Self::ThreadSeen,
        Self::ThreadCleared,
        Self::OwnMessageCreated,
        Self::NotificationsRead,
        Self::SeenByOther,
    ];

    pub(crate) const fn code(self) -> i64 {
        match self {
            Self::MessageCreated => 1,
            Self::MessageDeleted => 2,
            Self::MessageHidden => 3,
            Self::ThreadSeen => 4,
            Self::ThreadCleared => 5,
            Self::OwnMessageCreated => 6,
            Self::NotificationsRead => 7,
            Self::SeenByOther => 8,
        }
    }

    fn of(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// One event of a member's log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// In which thread.
    pub thread_id: ThreadId,
    /// The message's sequence number, or up to where the thread was seen, cleared, or its notifications read.
    pub seq: Seq,
    /// When.
    pub created_at: Timestamp,
}
