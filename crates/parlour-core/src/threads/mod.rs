//! Conversations: the list, one of them, and deleting one for oneself.

mod count;
mod delete;
mod list;
mod read;

pub use count::count_unread;
pub use delete::delete_thread;
pub use list::list_snippets;
pub use read::get_thread;

use crate::{Error, Result};
use parlour_store::messages::ThreadName;
use parlour_store::threads::{Membership, membership, membership_with};
use parlour_store::{Read, users};
use parlour_types::{ThreadId, UserId};

/// How a request names a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ThreadRef {
    /// By its own id.
    Thread(ThreadId),
    /// By the other participant of a one-to-one thread.
    User(UserId),
}

impl ThreadRef {
    const fn name(self) -> ThreadName {
        match self {
            Self::Thread(id) => ThreadName::Id(id),
            Self::User(other) => ThreadName::With(other),
        }
    }
}

/// The viewer's membership of the thread named, or `None` when a user is named with whom there is no thread yet. A missing
/// thread, a stranger's thread and a missing user are all [`Error::NotFound`] (contract §2.3).
pub(crate) fn resolve(read: &Read<'_>, viewer: UserId, thread: ThreadRef) -> Result<Option<Membership>> {
    match thread {
        ThreadRef::Thread(id) => Ok(Some(membership(read, id, viewer)?.ok_or(Error::NotFound)?)),
        ThreadRef::User(other) => match membership_with(read, viewer, other)? {
            Some(member) => Ok(Some(member)),
            None => users::account(read, other)?.map(|_| None).ok_or(Error::NotFound),
        },
    }
}
