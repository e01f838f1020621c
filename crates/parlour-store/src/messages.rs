//! Messages: pages of a thread, one by id, sending, and the two ways to take one back.

use crate::db::{Read, Row, Source, Tx, params};
use crate::dialect;
use crate::error::{Result, StoreError};
use crate::events::{Event, EventKind};
use crate::files::{attachment, attachment_columns, decode_attachment, detach};
use crate::positions::{Hole, first_seq_from, open_hole, position_at, seq_at};
use crate::threads::{MEMBERSHIP, Membership, Newest, Standing, members, membership, membership_with, settle};
use crate::users::{Known, People};
use parlour_types::model::{Message, MessageRef, MessageStatus, Thread};
use parlour_types::{MessageId, ThreadId, Timestamp, UserId, Window};

pub(crate) const fn status_code(status: MessageStatus) -> i64 {
    match status {
        MessageStatus::Created | MessageStatus::Deleted => 0,
        MessageStatus::Hidden => 1,
    }
}

pub(crate) fn status(code: i64) -> Result<MessageStatus> {
    match code {
        0 => Ok(MessageStatus::Created),
        1 => Ok(MessageStatus::Hidden),
        _ => Err(StoreError::Inconsistent { table: "messages", what: "status" }),
    }
}

/// A message with its file, to go on with where it stands.
macro_rules! message_columns {
    () => {
        concat!(
            "select x.thread_id, x.seq, x.id, x.sender_id, x.created_at, x.status, x.text, ",
            attachment_columns!(),
            " from messages x left join files f on f.owner_id = x.sender_id and f.uuid = x.file_uuid "
        )
    };
}

/// The message `?2` of the thread `?1`.
pub(crate) const MESSAGE: &str = concat!(message_columns!(), "where x.thread_id = ?1 and x.seq = ?2");

fn decode(row: &Row<'_>) -> Result<Message> {
    decode_from(row, 0)
}

/// A message out of the columns from `first` on.
pub(crate) fn decode_from(row: &Row<'_>, first: usize) -> Result<Message> {
    Ok(Message {
        thread_id: row.thread_id(first)?,
        seq: row.int(first + 1)?,
        id: row.message_id(first + 2)?,
        sender_id: row.user_id(first + 3)?,
        created_at: row.time(first + 4)?,
        status: status(row.int(first + 5)?)?,
        text: row.text(first + 6)?,
        file: decode_attachment(row, first + 7)?,
    })
}

/// Which messages of a thread are asked for: those with `from <= id < before`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IdRange {
    /// Only ids below this one.
    pub before: Option<MessageId>,
    /// Only ids from this one on.
    pub from: Option<MessageId>,
}

/// How a thread is named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ThreadName {
    /// By its id.
    Id(ThreadId),
    /// By the other one of a one-to-one thread.
    With(UserId),
}

/// A page of a thread, beside its messages.
#[derive(Debug)]
pub struct ThreadPage {
    /// The viewer's membership; `None` when there is no such thread, and for a stranger alike.
    pub member: Option<Membership>,
    /// How many messages the range has.
    pub count: i64,
    /// The viewer and the people of the thread, or whoever it was named by, who are not known yet.
    pub people: People,
}

/// Shows `see` a page of what `viewer` sees of a thread, oldest message first, from one snapshot.
///
/// # Errors
/// A failure of the store.
pub fn thread_page(
    read: &Read<'_>,
    viewer: UserId,
    name: ThreadName,
    (range, window): (IdRange, Window),
    known: &Known,
    mut see: impl FnMut(&Membership, MessageRef<'_>),
) -> Result<ThreadPage> {
    if let Source::Postgres(_) | Source::Question(_) = read.source() {
        return thread_page_at_once(read, viewer, name, (range, window), known, see);
    }
    let member = match name {
        ThreadName::Id(id) => membership(read, id, viewer)?,
        ThreadName::With(other) => membership_with(read, viewer, other)?,
    };
    let count = match &member {
        Some(member) => page(read, member, range, window, |message| see(member, message))?,
        None => 0,
    };
    Ok(ThreadPage { member, count, people: People::none_of(read)? })
}

/// Where the texts stand in a page with all that belongs to it.
const TEXT: usize = MEMBERSHIP + 3;

/// Beyond what any thread has.
const FAR: i64 = 1 << 53;

fn thread_page_at_once(
    read: &Read<'_>,
    viewer: UserId,
    name: ThreadName,
    (range, window): (IdRange, Window),
    known: &Known,
    mut see: impl FnMut(&Membership, MessageRef<'_>),
) -> Result<ThreadPage> {
    let (pages, named) = match name {
        ThreadName::Id(id) => (dialect::THREAD_PAGES, id.get()),
        ThreadName::With(other) => (dialect::THREAD_PAGES_WITH, other.get()),
    };
    let (sql, [first, second]) = match (range.before, range.from) {
        (None, None) => (pages.whole, [None, None]),
        (Some(before), None) => (pages.before, [Some(before), None]),
        (None, Some(from)) => (pages.from, [Some(from), None]),
        (Some(before), Some(from)) => (pages.between, [Some(before), Some(from)]),
    };
    let (limit, offset) = (window.limit.min(FAR), window.offset.min(FAR));
    let all = params![known.version, &*known.ids, viewer, named, limit, offset, first, second];
    let ends = usize::from(first.is_some()) + usize::from(second.is_some());
    let mut page = ThreadPage { member: None, count: 0, people: People::default() };
    read.page(sql, &all[..6 + ends], |row| {
        match row.int(0)? {
            0 => {
                page.people.version = row.int(MEMBERSHIP + 2)?;
                if row.int_opt(1)?.is_some() {
                    page.member = Some(crate::threads::decode_from(row, 1)?);
                    page.count = row.int(MEMBERSHIP + 1)?;
                }
            }
            1 => {
                const EARLY: StoreError =
                    StoreError::Inconsistent { table: "threads", what: "absence of a page's thread" };
                let member = page.member.as_ref().ok_or(EARLY)?;
                let file = decode_attachment(row, TEXT + 1)?;
                see(member, message_row(row, 1, TEXT, &member.thread)?.with(file.as_ref()));
            }
            _ => page.people.users.push(crate::users::decode_packed(row.str(TEXT)?)?),
        }
        Ok(())
    })?;
    Ok(page)
}

/// A message of `thread` out of the five columns from `first` on and the one at `text`.
fn message_row<'r>(row: &'r Row<'_>, first: usize, text: usize, thread: &Thread) -> Result<MessageRef<'r>> {
    let sender_id = row.user_id(first + 2)?;
    // One damaged bit of a key brings a message of strangers here.
    if sender_id != thread.creator_id && sender_id != thread.other_id {
        return Err(StoreError::Inconsistent { table: "messages", what: "sender" });
    }
    Ok(MessageRef {
        id: row.message_id(first)?,
        seq: row.int(first + 1)?,
        sender_id,
        created_at: row.time(first + 3)?,
        status: status(row.int(first + 4)?)?,
        text: row.str(text)?,
        file: None,
    })
}

/// Shows `see` a page of what the member sees of the thread (contract §2.3), and answers how many messages the range has: the window
/// counts from the newest message of the range, the rows come oldest first. Counting and finding the page are arithmetic on positions; the
/// page is one range of neighbours.
fn page(
    read: &Read<'_>,
    member: &Membership,
    range: IdRange,
    window: Window,
    mut see: impl FnMut(MessageRef<'_>),
) -> Result<i64> {
    let thread = &member.thread;
    let end = match range.before {
        Some(id) => first_seq_from(read, thread, id)? - 1,
        None => thread.last_seq,
    };
    let start = match range.from {
        Some(id) => (first_seq_from(read, thread, id)? - 1).max(member.cleared_seq),
        None => member.cleared_seq,
    };
    let oldest = position_at(read, thread, start)?;
    let newest = position_at(read, thread, end)?.max(oldest);
    let count = newest - oldest;
    let last = newest.saturating_sub(window.offset);
    let rows = (last - oldest).min(window.limit);
    if rows <= 0 {
        return Ok(count);
    }
    read.each(
        "select id, seq, sender_id, created_at, status, text, file_uuid from messages
         where thread_id = ?1 and seq >= ?2 order by seq limit ?3",
        params![thread.id, seq_at(read, thread, last - rows + 1)?, rows],
        |row| {
            let message = message_row(row, 0, 5, thread)?;
            let file =
                row.file_uuid_opt(6)?.map(|uuid| attachment(read, message.sender_id, uuid)).transpose()?.flatten();
            see(message.with(file.as_ref()));
            Ok(())
        },
    )?;
    Ok(count)
}

/// A message and the proof that `user` takes part in its thread.
#[derive(Clone, Debug)]
pub struct Found {
    /// The message; one deleted in its first minute has no text any more.
    pub message: Message,
    /// The asking user's membership.
    pub member: Membership,
}

/// The message `id` as a participant; `None` for a missing message and for a stranger alike. Also finds messages that were
/// deleted in their first minute, and those that the user has cleared away.
///
/// # Errors
/// A failure of the store.
pub fn find(read: &Read<'_>, id: MessageId, user: UserId) -> Result<Option<Found>> {
    let shown = read.row(
        concat!(message_columns!(), "where (x.thread_id, x.seq) = (select thread_id, seq from messages where id = ?1)"),
        params![id],
        decode,
    )?;
    let message = match shown {
        Some(message) => message,
        None => match deleted(read, id)? {
            Some(message) => message,
            None => return Ok(None),
        },
    };
    Ok(membership(read, message.thread_id, user)?.map(|member| Found { message, member }))
}

fn deleted(read: &Read<'_>, id: MessageId) -> Result<Option<Message>> {
    read.row(
        "select thread_id, seq, message_id, sender_id, created_at from deleted_messages where message_id = ?1",
        params![id],
        |row| {
            Ok(Message {
                thread_id: row.thread_id(0)?,
                seq: row.int(1)?,
                id: row.message_id(2)?,
                sender_id: row.user_id(3)?,
                created_at: row.time(4)?,
                status: MessageStatus::Deleted,
                text: String::new(),
                file: None,
            })
        },
    )
}

/// Removes a message from its thread for everybody. The cost grows with the holes after it, all of them younger than the message.
///
/// # Errors
/// A failure of the store.
pub fn delete(tx: &Tx<'_>, message: &Message, now: Timestamp) -> Result<()> {
    let before = members(tx, message.thread_id)?;
    let Some(thread) = before.first().map(|member| member.thread) else {
        return Err(StoreError::Inconsistent { table: "members", what: "thread without members" });
    };
    let hole = Hole { message_id: message.id, sender_id: message.sender_id, created_at: message.created_at };
    open_hole(tx, &thread, message.seq, hole)?;
    tx.execute_one(
        "deleting a message",
        "delete from messages where thread_id = ?1 and seq = ?2",
        params![message.thread_id, message.seq],
    )?;
    let newest = newest(tx, message.thread_id)?;
    tx.execute_one(
        "counting a deletion",
        "update threads set deleted_count = deleted_count + 1, last_message_at = ?2 where id = ?1",
        params![thread.id, newest.as_ref().map_or(thread.created_at, |newest| newest.created_at)],
    )?;
    let event =
        Event { kind: EventKind::MessageDeleted, thread_id: message.thread_id, seq: message.seq, created_at: now };
    for member in before {
        let counts = |up_to| i64::from(message.sender_id != member.user_id && message.seq > up_to);
        let to = Standing {
            unread_count: member.unread_count - counts(member.read_seq),
            unseen_count: member.unseen_count - counts(member.notified_seq),
            ..Standing::of(&member)
        };
        relist(tx, &member, to, newest.as_ref(), event)?;
    }
    give_up_file(tx, message, now)
}

/// Takes the text and the file of a message away; its row stays.
///
/// # Errors
/// A failure of the store.
pub fn hide(tx: &Tx<'_>, message: &Message, now: Timestamp) -> Result<()> {
    tx.execute_one(
        "hiding a message",
        "update messages set status = 1, text = '', file_uuid = null where thread_id = ?1 and seq = ?2",
        params![message.thread_id, message.seq],
    )?;
    let newest = newest(tx, message.thread_id)?;
    let event =
        Event { kind: EventKind::MessageHidden, thread_id: message.thread_id, seq: message.seq, created_at: now };
    for member in members(tx, message.thread_id)? {
        relist(tx, &member, Standing::of(&member), newest.as_ref(), event)?;
    }
    give_up_file(tx, message, now)
}

/// The message does not show its file any more. Comes last, when the mailboxes of both are locked.
fn give_up_file(tx: &Tx<'_>, message: &Message, now: Timestamp) -> Result<()> {
    message.file.as_ref().map_or(Ok(()), |file| detach(tx, message.sender_id, file.uuid, now))
}

/// Settles a member whose newest message may have changed; the inbox keeps the thread only while a message is shown.
fn relist(tx: &Tx<'_>, member: &Membership, to: Standing, newest: Option<&Message>, event: Event) -> Result<()> {
    let newest = newest.filter(|newest| newest.seq > member.cleared_seq).map(|newest| Newest {
        message_id: newest.id,
        created_at: newest.created_at,
        status: newest.status,
        text: &newest.text,
        file_name: newest.file.as_ref().map(|file| &*file.filename),
    });
    settle(tx, member, to, newest.as_ref(), event)
}

/// The newest message that the thread shows.
pub(crate) fn newest(read: &Read<'_>, thread: ThreadId) -> Result<Option<Message>> {
    read.row(concat!(message_columns!(), "where x.thread_id = ?1 order by x.seq desc limit 1"), params![thread], decode)
}
