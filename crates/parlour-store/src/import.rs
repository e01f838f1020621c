//! Bringing history in: messages with their original times and authors, appended in bulk and settled once a thread.

use crate::db::{Read, Tx, params};
use crate::error::{Result, StoreError};
use crate::events::{Event, EventKind};
use crate::messages::newest;
use crate::positions::position_at;
use crate::threads::{Membership, Newest, Standing, members, membership_with, open_direct, settle};
use parlour_types::model::Thread;
use parlour_types::{MessageId, Seq, ThreadId, Timestamp, UserId};

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
    /// Its text.
    pub text: &'a str,
}

/// Puts a message of the past at the end of its thread. Members and inbox stay behind until [`settle_thread`].
///
/// # Errors
/// A failure of the store.
pub fn append(tx: &Tx<'_>, thread: ThreadId, message: PastMessage<'_>, now: Timestamp) -> Result<MessageId> {
    let id = match message.id {
        Some(id) => id,
        None => MessageId::new(tx.next_id(now)?).ok_or(StoreError::IdsExhausted)?,
    };
    let seq = tx
        .row(
            "update threads set last_seq = last_seq + 1, last_message_at = ?2 where id = ?1 returning last_seq",
            params![thread, message.created_at],
            |row| row.int(0),
        )?
        .ok_or(StoreError::Inconsistent { table: "threads", what: "absence of a thread just opened" })?;
    tx.execute_one(
        "storing a message",
        "insert into messages (thread_id, seq, id, sender_id, created_at, status, text) values (?1, ?2, ?3, ?4, ?5, 0, ?6)",
        params![thread, seq, id, message.sender, message.created_at, message.text],
    )?;
    tx.execute_one(
        "remembering an imported message",
        "insert into imported_messages (ext_id, message_id) values (?1, ?2)",
        params![message.ext_id, id],
    )?;
    Ok(id)
}

/// Brings members and inbox up to the thread's end. History counts as seen, except by a member who already has something unseen in the
/// thread; whoever wrote has seen what stands before.
///
/// # Errors
/// A failure of the store.
pub fn settle_thread(tx: &Tx<'_>, thread: ThreadId, now: Timestamp) -> Result<()> {
    let newest = newest(tx, thread)?;
    for member in members(tx, thread)? {
        let last_seq = member.thread().last_seq;
        let read_seq = if member.unread_count() == 0 { last_seq } else { last_own(tx, &member)? };
        let unread_count = position_at(tx, member.thread(), last_seq)? - position_at(tx, member.thread(), read_seq)?;
        let shown = newest.as_ref().filter(|message| message.seq > member.cleared_seq).map(|message| Newest {
            message_id: message.id,
            created_at: message.created_at,
            status: message.status,
            text: &message.text,
        });
        let to = Standing { read_seq, cleared_seq: member.cleared_seq, unread_count };
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
