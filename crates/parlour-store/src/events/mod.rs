//! The event log: what happened to each member, in order, written in the transaction of the change itself.

mod log;
mod subjects;

pub use log::{Piece, positions, read_from};
pub use subjects::{Gone, Subjects};

use parlour_types::{Seq, ThreadId, Timestamp};

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
    /// The message's sequence number, or up to where the thread was seen or cleared.
    pub seq: Seq,
    /// When.
    pub created_at: Timestamp,
}
