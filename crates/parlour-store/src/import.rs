//! Bringing history in: messages with their original times and authors, appended in bulk and settled once a thread.

use crate::db::{Read, Source, Tx, params};
use crate::error::{Result, StoreError};
use crate::events::{Event, EventKind};
use crate::files::past;
use crate::messages::{newest, status_code};
use crate::positions::position_at;
use crate::threads::{Membership, Newest, Standing, members, membership_with, open_direct, settle};
use parlour_types::model::{MessageStatus, Thread};
use parlour_types::{FileUuid, MessageId, Seq, ThreadId, Timestamp, UserId};

const ABSENT: StoreError = StoreError::Inconsistent { table: "threads", what: "absence of a thread just opened" };

/// The message that an earlier import made of `ext_id`, if any.
///
/// # Errors
/// A failure of the store.
pub fn message_of(read: &Read<'_>, ext_id: &str) -> Result<Option<MessageId>> {
    read.row("select message_id from imported_messages where ext_id = ?1", params![ext_id], |row| row.message_id(0))
}

/// The one-to-one thread of two users, opened with `creator` as its first writer when they have none. An `id` is used for a
/// new thread; `None` lets the generator issue one.
///
/// # Errors
/// A failure of the store.
pub fn direct_thread(
    tx: &Tx<'_>,
    creator: UserId,
    other: UserId,
    id: Option<ThreadId>,
    created_at: Timestamp,
    now: Timestamp,
) -> Result<ThreadId> {
    if let Some(member) = membership_with(tx, creator, other)? {
        return Ok(member.thread().id);
    }
    let id = match id {
        Some(id) => id,
        None => ThreadId::new(tx.next_id(now)?).ok_or(StoreError::IdsExhausted)?,
    };
    open_direct(tx, creator, other, id, created_at)?;
    Ok(id)
}

/// The thread of two users, if they have one.
///
/// # Errors
/// A failure of the store.
pub fn existing_thread(read: &Read<'_>, one: UserId, other: UserId) -> Result<Option<Thread>> {
    Ok(membership_with(read, one, other)?.map(|member| *member.thread()))
}

/// Whether a thread or a message, shown or deleted, already has this number.
///
/// # Errors
/// A failure of the store.
pub fn id_is_taken(read: &Read<'_>, id: i64) -> Result<bool> {
    let found = read.row(
        "select exists (select 1 from messages where id = ?1) or exists (select 1 from threads where id = ?1)
             or exists (select 1 from deleted_messages where message_id = ?1)",
        params![id],
        |row| row.flag(0),
    )?;
    Ok(found == Some(true))
}

/// Whether the message `id`, shown or deleted, is of this thread.
///
/// # Errors
/// A failure of the store.
pub fn is_of(read: &Read<'_>, id: MessageId, thread: ThreadId) -> Result<bool> {
    let found = read.row(
        "select exists (select 1 from messages where id = ?1 and thread_id = ?2)
             or exists (select 1 from deleted_messages where message_id = ?1 and thread_id = ?2)",
        params![id, thread],
        |row| row.flag(0),
    )?;
    Ok(found == Some(true))
}

/// The highest id that a message of the thread ever had.
///
/// # Errors
/// A failure of the store.
pub fn highest_id(read: &Read<'_>, thread: ThreadId) -> Result<Option<MessageId>> {
    let deleted = read.row(
        "select message_id from deleted_messages where thread_id = ?1 order by seq desc limit 1",
        params![thread],
        |row| row.message_id(0),
    )?;
    Ok(newest(read, thread)?.map(|message| message.id).max(deleted))
}

/// A message of the past.
#[derive(Clone, Copy)]
pub struct PastMessage<'a> {
    /// Its number, above those of the thread so far; `None` lets the generator issue one.
    pub id: Option<MessageId>,
    /// The key by which a second import knows it.
    pub ext_id: &'a str,
    /// Who wrote it.
    pub sender: UserId,
    /// When.
    pub created_at: Timestamp,
    /// Where it is in its life.
    pub status: MessageStatus,
    /// Its text, if it still has one.
    pub text: &'a str,
    /// The sender's file that it shows.
    pub file: Option<FileUuid>,
    /// Who has deleted the thread for themselves up to here.
    pub cleared_by: &'a [UserId],
}

/// Puts a message of the past at the end of its thread, and answers its place. Members and inbox stay behind until [`settle_thread`].
///
/// # Errors
/// A failure of the store.
pub fn append(tx: &Tx<'_>, thread: ThreadId, message: PastMessage<'_>, now: Timestamp) -> Result<Seq> {
    let id = match message.id {
        Some(id) => {
            tx.observe_id(id.get());
            id
        }
        None => {
            go_on_above(tx, thread)?;
            MessageId::new(tx.next_id(now)?).ok_or(StoreError::IdsExhausted)?
        }
    };
    let seq = if message.status == MessageStatus::Deleted {
        append_hole(tx, thread, id, message)?
    } else {
        append_shown(tx, thread, id, message)?
    };
    for user in message.cleared_by {
        tx.execute(
            "update members set cleared_seq = ?3 where thread_id = ?1 and user_id = ?2",
            params![thread, *user, seq],
        )?;
    }
    tx.execute_one(
        "remembering an imported message",
        "insert into imported_messages (ext_id, message_id) values (?1, ?2)",
        params![message.ext_id, id],
    )?;
    Ok(seq)
}

/// Lets the generator go on above the ids of a thread. Where processes share a database, another one may have issued them, by a clock that is
/// ahead; the writer of an embedded one has looked already.
fn go_on_above(tx: &Tx<'_>, thread: ThreadId) -> Result<()> {
    if let Source::Postgres(_) = tx.source()
        && let Some(highest) = highest_id(tx, thread)?
    {
        tx.observe_id(highest.get());
    }
    Ok(())
}

fn append_shown(tx: &Tx<'_>, thread: ThreadId, id: MessageId, message: PastMessage<'_>) -> Result<Seq> {
    let seq = tx
        .row(
            "update threads set last_seq = last_seq + 1, last_message_at = ?2 where id = ?1 returning last_seq",
            params![thread, message.created_at],
            |row| row.int(0),
        )?
        .ok_or(ABSENT)?;
    let status = status_code(message.status);
    tx.execute_one(
        "storing a message",
        "insert into messages (thread_id, seq, id, sender_id, created_at, status, text, file_uuid)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![thread, seq, id, message.sender, message.created_at, status, message.text, message.file.as_ref(),],
    )?;
    if let Some(file) = message.file {
        past::attach(tx, message.sender, file)?;
    }
    Ok(seq)
}

fn append_hole(tx: &Tx<'_>, thread: ThreadId, id: MessageId, message: PastMessage<'_>) -> Result<Seq> {
    let (seq, visible_before) = tx
        .row(
            "update threads set last_seq = last_seq + 1, deleted_count = deleted_count + 1 where id = ?1
             returning last_seq, last_seq - deleted_count",
            params![thread],
            |row| Ok((row.int(0)?, row.int(1)?)),
        )?
        .ok_or(ABSENT)?;
    tx.execute_one(
        "storing a deletion",
        "insert into deleted_messages (thread_id, seq, visible_before, message_id, sender_id, created_at)
         values (?1, ?2, ?3, ?4, ?5, ?6)",
        params![thread, seq, visible_before, id, message.sender, message.created_at],
    )?;
    Ok(seq)
}

/// The first message that a member has not seen, of those just appended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FirstUnread {
    /// The member.
    pub user: UserId,
    /// Its place.
    pub seq: Seq,
}

/// Brings members and inbox up to the thread's end. History counts as seen, except from `unread` on, and by a member who already has
/// something unseen in the thread; whoever wrote or deleted the thread for themselves has seen what stands before. What is unseen counts as a
/// notification, which opening the thread reads; no list shows it, as nothing happened now.
///
/// # Errors
/// A failure of the store.
pub fn settle_thread(tx: &Tx<'_>, thread: ThreadId, unread: &[FirstUnread], now: Timestamp) -> Result<()> {
    let newest = newest(tx, thread)?;
    for member in members(tx, thread)? {
        let last_seq = member.thread().last_seq;
        let least = last_own(tx, &member)?.max(member.cleared_seq);
        let first_unread = unread.iter().find(|first| first.user == member.user_id());
        let read_seq = match first_unread {
            _ if member.unread_count() > 0 => least,
            Some(first) => least.max(first.seq - 1),
            None => last_seq,
        };
        let end = position_at(tx, member.thread(), last_seq)?;
        let count_after = |seq| Ok::<_, StoreError>(end - position_at(tx, member.thread(), seq)?);
        let unread_count = count_after(read_seq)?;
        let shown = newest.as_ref().filter(|message| message.seq > member.cleared_seq).map(|message| Newest {
            message_id: message.id,
            created_at: message.created_at,
            status: message.status,
            text: &message.text,
            file_name: message.file.as_ref().map(|file| &*file.filename),
        });
        let notified_seq = member.notified_seq.max(read_seq);
        let unseen_count = count_after(notified_seq)?;
        let to = Standing { read_seq, cleared_seq: member.cleared_seq, unread_count, notified_seq, unseen_count };
        let event = Event { kind: EventKind::ThreadSeen, thread_id: thread, seq: read_seq, created_at: now };
        settle(tx, &member, to, shown.as_ref(), event)?;
    }
    Ok(())
}

/// Where the member's newest own message after `read_seq` stands, or `read_seq` itself.
fn last_own(read: &Read<'_>, member: &Membership) -> Result<Seq> {
    let own = read.row(
        "select seq from messages where thread_id = ?1 and seq > ?2 and sender_id = ?3 order by seq desc limit 1",
        params![member.thread().id, member.read_seq, member.user_id()],
        |row| row.int(0),
    )?;
    Ok(own.unwrap_or(member.read_seq))
}
