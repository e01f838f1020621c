//! What events are about, as it is now.

use super::{Event, EventKind};
use crate::batch::{Batch, Column, ask_all};
use crate::db::Read;
use crate::error::Result;
use crate::files::attachment_columns;
use crate::messages::{decode_from as decode_message, message_columns};
use crate::threads::{Membership, decode_from as decode_membership, membership_columns};
use parlour_types::model::{InboxEntry, InboxRef, Message};
use parlour_types::{MessageId, Seq, ThreadId, UserId};
use std::collections::{BTreeMap, BTreeSet};

/// The member `?2` of the thread `?1` and their inbox row, if there is one.
const MEMBER: &str = concat!(
    "select ",
    membership_columns!(),
    ", i.unread_count, i.message_id, i.message_status, i.text, i.file_name, i.last_message_at
     from threads t join members m on m.thread_id = t.id left join inbox i on i.user_id = m.user_id
         and i.last_message_at = m.listed_at and i.thread_id = m.thread_id
     where t.id = ?1 and m.user_id = ?2"
);

const MESSAGE: &str = concat!(message_columns!(), "where x.thread_id = ?1 and x.seq = ?2");

const GONE: &str = "select d.thread_id, d.seq, d.message_id, d.sender_id from deleted_messages d where d.thread_id = ?1 and d.seq = ?2";

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
    threads: BTreeMap<ThreadId, (Membership, Option<InboxEntry>)>,
    messages: BTreeMap<(ThreadId, Seq), Message>,
    gone: BTreeMap<(ThreadId, Seq), Gone>,
}

impl Subjects {
    /// Looks up what `events` of `user`'s log are about; in one round trip where the database is remote.
    ///
    /// # Errors
    /// A failure of the store.
    pub fn of<'e>(read: &Read<'_>, user: UserId, events: impl Iterator<Item = &'e Event>) -> Result<Self> {
        let (mut threads, mut messages, mut gone) = <(BTreeSet<_>, BTreeSet<_>, BTreeSet<_>)>::default();
        for event in events {
            threads.insert(event.thread_id);
            match event.kind {
                EventKind::MessageCreated | EventKind::MessageHidden => {
                    drop(messages.insert((event.thread_id, event.seq)))
                }
                EventKind::MessageDeleted => drop(gone.insert((event.thread_id, event.seq))),
                EventKind::ThreadSeen | EventKind::ThreadCleared => {}
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
        let questions =
            [Batch::new(MEMBER, of_user), Batch::new(MESSAGE, places(&messages)), Batch::new(GONE, places(&gone))];
        let mut found = Self::default();
        ask_all(read, &questions, |question, _, row, first| {
            match question {
                0 => {
                    let member = decode_membership(row, first)?;
                    let entry = match row.int_opt(first + 17)? {
                        None => None,
                        Some(_) => Some(InboxEntry::from(InboxRef {
                            thread_id: member.thread.id,
                            creator_id: member.thread.creator_id,
                            other_id: member.thread.other_id,
                            created_at: member.thread.created_at,
                            last_message_at: row.time(first + 17)?,
                            unread_count: row.int(first + 12)?,
                            message_id: row.message_id(first + 13)?,
                            message_status: crate::messages::status(row.int(first + 14)?)?,
                            text: row.str(first + 15)?,
                            file_name: row.str_opt(first + 16)?,
                        })),
                    };
                    found.threads.insert(member.thread.id, (member, entry));
                }
                1 => {
                    let message = decode_message(row, first)?;
                    found.messages.insert((message.thread_id, message.seq), message);
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
        self.threads.get(&thread).map(|(member, _)| member)
    }

    /// The user's inbox row of it.
    #[must_use]
    pub fn entry(&self, thread: ThreadId) -> Option<&InboxEntry> {
        self.threads.get(&thread).and_then(|(_, entry)| entry.as_ref())
    }

    /// The message that an event is of, unless it is gone or the user has cleared it away.
    #[must_use]
    pub fn message(&self, event: &Event) -> Option<&Message> {
        let is_shown = self.member(event.thread_id).is_some_and(|member| event.seq > member.cleared_seq);
        self.messages.get(&(event.thread_id, event.seq)).filter(|_| is_shown)
    }

    /// The message that an event says was deleted in its first minute.
    #[must_use]
    pub fn gone(&self, event: &Event) -> Option<Gone> {
        self.gone.get(&(event.thread_id, event.seq)).copied()
    }
}
