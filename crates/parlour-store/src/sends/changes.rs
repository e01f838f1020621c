//! What a group of sends changed, written at once.

use super::work::{Conversation, Person, Work};
use crate::batch::{Batch, Change, Column, Guard, change_all};
use crate::db::Tx;
use crate::error::Result;
use crate::events::EventKind;
use crate::files;
use crate::idempotency::{self, FirstUse};
use crate::threads::Membership;
use parlour_types::model::Message;
use parlour_types::{EventPosition, FileUuid, Seq, ThreadId, Timestamp, UserId};
use std::collections::BTreeMap;

/// Puts a thread behind its newest message.
pub(crate) const MOVE_THREAD: &str = "update threads set last_seq = ?2, last_message_at = ?3 where id = ?1";

/// What a member has read, and where the inbox row stands.
pub(crate) const MOVE_MEMBER: &str =
    "update members set read_seq = ?3, unread_count = ?4, listed_at = ?5, notified_seq = ?6, unseen_count = ?7
     where thread_id = ?1 and user_id = ?2";

/// Brings an inbox row to the top.
pub(crate) const MOVE_UP: &str =
    "update inbox set last_message_at = ?4, unread_count = ?5, message_id = ?6, message_status = 0, text = ?7, file_name = null
     where user_id = ?1 and last_message_at = ?2 and thread_id = ?3";

/// Stores a message.
pub(crate) const STORE: &str = "insert into messages (thread_id, seq, id, sender_id, created_at, status, text)
     values (?1, ?2, ?3, ?4, ?5, 0, ?6)";

/// The totals of a mailbox, and the end of its event log.
pub(crate) const MOVE_MAILBOX: &str =
    "update mailboxes set listed_threads = ?2, unread_threads = ?3, unread_messages = ?4, event_position = ?5,
         unseen_notifications = ?6
     where user_id = ?1";

/// Appends to an event log.
pub(crate) const APPEND_EVENT: &str =
    "insert into events (user_id, position, kind, thread_id, seq, created_at) values (?1, ?2, ?6, ?3, ?4, ?5)";

/// What a group writes, beside the rows that change.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) messages: Vec<Message>,
    pub(super) events: Vec<SentEvent>,
    /// Whose, the key, its messages as JSON, the use, when.
    pub(super) keys: Vec<(UserId, String, String, FirstUse, Timestamp)>,
    /// How many messages more show which file of whom.
    pub(super) attached: BTreeMap<(UserId, FileUuid), i64>,
    pub(super) renderings: BTreeMap<(UserId, i64), String>,
}

/// What a message is in the log of one of its two people.
pub(super) struct SentEvent {
    pub(super) user_id: UserId,
    pub(super) position: EventPosition,
    pub(super) kind: EventKind,
    pub(super) thread_id: ThreadId,
    pub(super) seq: Seq,
    pub(super) created_at: Timestamp,
}

/// Columns of rows: `columns!(rows, ints |row| …, texts |row| …)`.
macro_rules! columns {
    ($rows:expr, $($kind:ident |$row:pat_param| $value:expr),+ $(,)?) => {
        vec![$(Column::$kind($rows.iter().map(|$row| $value).collect())),+]
    };
}

impl Changes {
    pub(super) fn write(&self, tx: &Tx<'_>, work: &Work) -> Result<()> {
        let (new, old): (Vec<_>, Vec<_>) = work
            .conversations
            .values()
            .filter(|conversation| conversation.newest.is_some())
            .partition(|one| one.is_new);
        let mut changes = Vec::with_capacity(12);
        let mut change =
            |what, guard, sql, columns| changes.push(Change { what, batch: Batch::new(sql, columns), guard });
        change(
            "opening a thread",
            Guard::None,
            "insert into threads (id, creator_id, other_id, created_at, last_seq, deleted_count, last_message_at)
             values (?1, ?2, ?3, ?4, ?5, 0, ?6)",
            columns!(
                new,
                Ints | one | one.thread.id.get(),
                Ints | one | one.thread.creator_id.get(),
                Ints | one | one.thread.other_id.get(),
                Ints | one | one.thread.created_at.as_micros(),
                Ints | one | one.thread.last_seq,
                Ints | one | one.thread.last_message_at.as_micros()
            ),
        );
        change(
            "naming a thread's pair",
            Guard::None,
            "insert into direct_threads (low_user_id, high_user_id, thread_id) values (?1, ?2, ?3)",
            columns!(
                new,
                Ints | one | one.members[0].user_id.get(),
                Ints | one | one.members[1].user_id.get(),
                Ints | one | one.thread.id.get()
            ),
        );
        change(
            "moving a thread",
            Guard::EveryRow,
            MOVE_THREAD,
            columns!(
                old,
                Ints | one | one.thread.id.get(),
                Ints | one | one.thread.last_seq,
                Ints | one | one.thread.last_message_at.as_micros()
            ),
        );
        self.write_members(&mut change, &new, &old);
        self.write_rows(&mut change, work);
        self.write_files(&mut change, &[new, old].concat());
        change_all(tx, &changes)
    }
}

/// Takes a change over rows.
type Put<'p, 'a> = &'p mut dyn FnMut(&'static str, Guard, &'static str, Vec<Column<'a>>);

/// A member of a conversation that changes.
struct Moved<'w> {
    member: &'w Membership,
    /// Where the inbox row stood.
    listed_at: Option<Timestamp>,
    newest: &'w Message,
}

impl Changes {
    fn moved<'w>(&'w self, conversations: &[&'w Conversation]) -> Vec<Moved<'w>> {
        let of = |one: &&'w Conversation| {
            let (newest, one) = (one.newest.and_then(|at| self.messages.get(at)), *one);
            let sides = one.members.iter().zip(one.listed_at);
            sides.filter_map(move |(member, listed_at)| Some(Moved { member, listed_at, newest: newest? }))
        };
        conversations.iter().flat_map(of).collect()
    }

    fn write_members<'w>(&'w self, put: Put<'_, 'w>, new: &[&'w Conversation], old: &[&'w Conversation]) {
        let (new, old) = (self.moved(new), self.moved(old));
        put(
            "adding a member",
            Guard::None,
            "insert into members (thread_id, user_id, read_seq, cleared_seq, unread_count, listed_at, notified_seq,
                 unseen_count) values (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7)",
            columns!(
                new,
                Ints | one | one.member.thread.id.get(),
                Ints | one | one.member.user_id.get(),
                Ints | one | one.member.read_seq,
                Ints | one | one.member.unread_count,
                OptionalInts | one | one.member.listed_at.map(Timestamp::as_micros),
                Ints | one | one.member.notified_seq,
                Ints | one | one.member.unseen_count,
            ),
        );
        put(
            "moving a member",
            Guard::EveryRow,
            MOVE_MEMBER,
            columns!(
                old,
                Ints | one | one.member.thread.id.get(),
                Ints | one | one.member.user_id.get(),
                Ints | one | one.member.read_seq,
                Ints | one | one.member.unread_count,
                OptionalInts | one | one.member.listed_at.map(Timestamp::as_micros),
                Ints | one | one.member.notified_seq,
                Ints | one | one.member.unseen_count,
            ),
        );
        let (listed, unlisted): (Vec<_>, Vec<_>) =
            new.into_iter().chain(old).partition(|moved| moved.listed_at.is_some());
        put(
            "moving up in the inbox",
            Guard::EveryRow,
            MOVE_UP,
            columns!(
                listed,
                Ints | one | one.member.user_id.get(),
                OptionalInts | one | one.listed_at.map(Timestamp::as_micros),
                Ints | one | one.member.thread.id.get(),
                Ints | one | one.newest.created_at.as_micros(),
                Ints | one | one.member.unread_count,
                Ints | one | one.newest.id.get(),
                Texts | one | &*one.newest.text,
            ),
        );
        put(
            "entering the inbox",
            Guard::None,
            "insert into inbox (user_id, last_message_at, thread_id, creator_id, other_id, created_at, unread_count,
                 message_id, message_status, text) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9)",
            columns!(
                unlisted,
                Ints | one | one.member.user_id.get(),
                Ints | one | one.newest.created_at.as_micros(),
                Ints | one | one.member.thread.id.get(),
                Ints | one | one.member.thread.creator_id.get(),
                Ints | one | one.member.thread.other_id.get(),
                Ints | one | one.member.thread.created_at.as_micros(),
                Ints | one | one.member.unread_count,
                Ints | one | one.newest.id.get(),
                Texts | one | &*one.newest.text,
            ),
        );
    }

    /// What a send with a file writes beyond one without.
    fn write_files<'w>(&'w self, put: Put<'_, 'w>, conversations: &[&'w Conversation]) {
        if self.attached.is_empty() {
            return;
        }
        let uuid = |message: &'w Message| message.file.as_ref().map(|file| &file.uuid.as_bytes()[..]);
        let filed: Vec<_> = self.messages.iter().filter_map(|message| Some((message, uuid(message)?))).collect();
        put(
            "attaching a file",
            Guard::EveryRow,
            "update messages set file_uuid = ?3 where thread_id = ?1 and seq = ?2",
            columns!(filed, Ints | one | one.0.thread_id.get(), Ints | one | one.0.seq, Bytes | one | one.1,),
        );
        let moved = self.moved(conversations);
        let named: Vec<_> = moved.iter().filter_map(|one| Some((one, &*one.newest.file.as_ref()?.filename))).collect();
        put(
            "naming a file in the inbox",
            Guard::EveryRow,
            "update inbox set file_name = ?4 where user_id = ?1 and last_message_at = ?2 and thread_id = ?3",
            columns!(
                named,
                Ints | one | one.0.member.user_id.get(),
                Ints | one | one.0.newest.created_at.as_micros(),
                Ints | one | one.0.member.thread.id.get(),
                Texts | one | one.1,
            ),
        );
        let attached: Vec<_> = self.attached.iter().collect();
        put(
            "counting a file's messages",
            Guard::EveryRow,
            files::ATTACH,
            columns!(attached, Ints | one | one.0.0.get(), Bytes | one | &one.0.1.as_bytes()[..], Ints | one | *one.1,),
        );
    }

    fn write_rows<'w>(&'w self, put: Put<'_, 'w>, work: &'w Work) {
        put(
            "storing a message",
            Guard::None,
            STORE,
            columns!(
                self.messages,
                Ints | message | message.thread_id.get(),
                Ints | message | message.seq,
                Ints | message | message.id.get(),
                Ints | message | message.sender_id.get(),
                Ints | message | message.created_at.as_micros(),
                Texts | message | &*message.text,
            ),
        );
        let changed: Vec<&Person> = work.persons.values().filter(|person| person.changed).collect();
        put(
            "moving a mailbox",
            Guard::EveryRow,
            MOVE_MAILBOX,
            columns!(
                changed,
                Ints | person | person.account.id.get(),
                Ints | person | person.totals.listed_threads,
                Ints | person | person.totals.unread_threads,
                Ints | person | person.totals.unread_messages,
                Ints | person | person.event_position,
                Ints | person | person.totals.unseen_notifications,
            ),
        );
        put(
            "appending an event",
            Guard::None,
            APPEND_EVENT,
            columns!(
                self.events,
                Ints | event | event.user_id.get(),
                Ints | event | event.position,
                Ints | event | event.thread_id.get(),
                Ints | event | event.seq,
                Ints | event | event.created_at.as_micros(),
                Ints | event | event.kind.code(),
            ),
        );
        put(
            "remembering an idempotency key",
            Guard::None,
            idempotency::REMEMBER,
            columns!(
                self.keys,
                Ints | key | key.0.get(),
                Texts | key | &*key.1,
                Bytes | key | &key.3.fingerprint[..],
                Ints | key | key.3.sender_version,
                Texts | key | &*key.2,
                Ints | key | key.4.as_micros(),
            ),
        );
        let renderings: Vec<_> = self.renderings.iter().collect();
        put(
            "keeping a rendering",
            Guard::None,
            "insert into user_renderings (user_id, version, json) values (?1, ?2, ?3)
             on conflict (user_id, version) do nothing",
            columns!(
                renderings,
                Ints | rendering | rendering.0.0.get(),
                Ints | rendering | rendering.0.1,
                Texts | rendering | &**rendering.1,
            ),
        );
    }
}
