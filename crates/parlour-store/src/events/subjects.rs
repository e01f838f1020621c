//! What events are about, as it is now.

use super::{Event, EventKind};
use crate::batch::{Batch, Column, ask_all};
use crate::db::Read;
use crate::error::Result;
use crate::messages::{MESSAGE, decode_from as decode_message};
use crate::threads::{LISTED, Membership, decode_from as decode_membership, inbox_row, membership_columns};
use parlour_types::model::{InboxEntry, Message};
use parlour_types::{MessageId, Seq, ThreadId, UserId};
use std::collections::{BTreeMap, BTreeSet};

/// The member `?2` of the thread `?1`.
const MEMBER: &str = concat!(
    "select ",
    membership_columns!(),
    " from threads t join members m on m.thread_id = t.id where t.id = ?1 and m.user_id = ?2"
);

const GONE: &str = "select d.thread_id, d.seq, d.message_id, d.sender_id from deleted_messages d where d.thread_id = ?1 and d.seq = ?2";

/// The newest message of the thread `?1` up to `?2`.
const SEEN: &str =
    "select x.id, x.seq from messages x where x.thread_id = ?1 and x.seq <= ?2 order by x.seq desc limit 1";

/// A message that was deleted in its first minute.
#[derive(Clone, Copy, Debug)]
pub struct Gone {
    /// Its id.
    pub id: MessageId,
    /// Who had written it.
    pub sender_id: UserId,
}

/// The threads and messages of a piece of a log, each once, from the snapshot that the piece is of.
#[derive(Default)]
pub struct Subjects {
    members: BTreeMap<ThreadId, Membership>,
    entries: BTreeMap<ThreadId, InboxEntry>,
    messages: BTreeMap<(ThreadId, Seq), Message>,
    gone: BTreeMap<(ThreadId, Seq), Gone>,
    /// The newest message up to where the other one has seen a thread.
    seen: BTreeMap<(ThreadId, Seq), (MessageId, Seq)>,
}

impl Subjects {
    /// Looks up what `events` of `user`'s log are about; in one round trip where the database is remote.
    ///
    /// # Errors
    /// A failure of the store.
    pub fn of<'e>(read: &Read<'_>, user: UserId, events: impl Iterator<Item = &'e Event>) -> Result<Self> {
        let (mut threads, mut messages) = <(BTreeSet<_>, BTreeSet<_>)>::default();
        let (mut gone, mut seen) = <(BTreeSet<_>, BTreeSet<_>)>::default();
        for event in events {
            threads.insert(event.thread_id);
            match event.kind {
                EventKind::MessageCreated | EventKind::OwnMessageCreated | EventKind::MessageHidden => {
                    messages.insert((event.thread_id, event.seq));
                }
                EventKind::MessageDeleted => {
                    gone.insert((event.thread_id, event.seq));
                }
                EventKind::SeenByOther => {
                    seen.insert((event.thread_id, event.seq));
                }
                EventKind::ThreadSeen | EventKind::ThreadCleared | EventKind::NotificationsRead => {}
            }
        }
        let places = |places: &BTreeSet<(ThreadId, Seq)>| {
            vec![
                Column::Ints(places.iter().map(|(thread, _)| thread.get()).collect()),
                Column::Ints(places.iter().map(|(_, seq)| *seq).collect()),
            ]
        };
        let of_user = vec![
            Column::Ints(threads.iter().map(|thread| thread.get()).collect()),
            Column::Ints(vec![user.get(); threads.len()]),
        ];
        let questions = [
            Batch::new(MEMBER, of_user.clone()),
            Batch::new(LISTED, of_user),
            Batch::new(MESSAGE, places(&messages)),
            Batch::new(GONE, places(&gone)),
            Batch::new(SEEN, places(&seen)),
        ];
        let seen: Vec<_> = seen.into_iter().collect();
        let mut found = Self::default();
        ask_all(read, &questions, |question, index, row, first| {
            match question {
                0 => {
                    let member = decode_membership(row, first)?;
                    found.members.insert(member.thread.id, member);
                }
                1 => inbox_row(row, first, user, &mut |row| {
                    found.entries.insert(row.thread_id, InboxEntry::from(row));
                })?,
                2 => {
                    let message = decode_message(row, first)?;
                    found.messages.insert((message.thread_id, message.seq), message);
                }
                4 => {
                    found.seen.insert(seen[index], (row.message_id(first)?, row.int(first + 1)?));
                }
                _ => {
                    let gone = Gone { id: row.message_id(first + 2)?, sender_id: row.user_id(first + 3)? };
                    found.gone.insert((row.thread_id(first)?, row.int(first + 1)?), gone);
                }
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The user's membership of a thread that an event is of.
    #[must_use]
    pub fn member(&self, thread: ThreadId) -> Option<&Membership> {
        self.members.get(&thread)
    }

    /// The user's inbox row of it.
    #[must_use]
    pub fn entry(&self, thread: ThreadId) -> Option<&InboxEntry> {
        self.entries.get(&thread)
    }

    /// The message that an event is of, unless it is gone or the user has cleared it away.
    #[must_use]
    pub fn message(&self, event: &Event) -> Option<&Message> {
        let is_shown = self.member(event.thread_id).is_some_and(|member| event.seq > member.cleared_seq);
        self.messages.get(&(event.thread_id, event.seq)).filter(|_| is_shown)
    }

    /// Up to which message the other one has seen the thread, if the user sees any of those.
    #[must_use]
    pub fn seen(&self, event: &Event) -> Option<MessageId> {
        let cleared_seq = self.member(event.thread_id)?.cleared_seq;
        let (id, seq) = self.seen.get(&(event.thread_id, event.seq))?;
        (*seq > cleared_seq).then_some(*id)
    }

    /// The message that an event says was deleted in its first minute.
    #[must_use]
    pub fn gone(&self, event: &Event) -> Option<Gone> {
        self.gone.get(&(event.thread_id, event.seq)).copied()
    }
}
