//! Threads, who is in them, and each member's inbox.

use crate::db::{Read, Row, Source, Tx, params};
use crate::dialect;
use crate::error::{Result, StoreError};
use crate::events::{Event, EventKind};
use crate::mailboxes::{Delta, record};
use crate::users::{Known, People};
use parlour_types::model::{InboxRef, MessageStatus, Thread};
use parlour_types::{Seq, ThreadId, Timestamp, UserId};

/// The proof that a user takes part in a thread, read together with the thread itself. Only a look-up makes one.
#[derive(Clone, Copy, Debug)]
pub struct Membership {
    pub(crate) thread: Thread,
    pub(crate) user_id: UserId,
    pub(crate) read_seq: Seq,
    pub(crate) cleared_seq: Seq,
    pub(crate) unread_count: i64,
    pub(crate) listed_at: Option<Timestamp>,
    pub(crate) notified_seq: Seq,
    pub(crate) unseen_count: i64,
}

impl Membership {
    /// The thread.
    #[must_use]
    pub const fn thread(&self) -> &Thread {
        &self.thread
    }

    /// The member.
    #[must_use]
    pub const fn user_id(&self) -> UserId {
        self.user_id
    }

    /// Shown messages of others that the member has not seen.
    #[must_use]
    pub const fn unread_count(&self) -> i64 {
        self.unread_count
    }

    /// Up to where the member has deleted the thread for themselves.
    #[must_use]
    pub const fn cleared_seq(&self) -> Seq {
        self.cleared_seq
    }
}

macro_rules! membership_columns {
    () => {
        "t.id, t.creator_id, t.other_id, t.created_at, t.last_seq, t.deleted_count, t.last_message_at, \
         m.user_id, m.read_seq, m.cleared_seq, m.unread_count, m.listed_at, m.notified_seq, m.unseen_count"
    };
}

pub(crate) use membership_columns;

/// A thread out of the first seven columns, which are those of `threads` in their order.
pub(crate) fn decode_thread(row: &Row<'_>) -> Result<Thread> {
    decode_thread_from(row, 0)
}

fn decode_thread_from(row: &Row<'_>, first: usize) -> Result<Thread> {
    Ok(Thread {
        id: row.thread_id(first)?,
        creator_id: row.user_id(first + 1)?,
        other_id: row.user_id(first + 2)?,
        created_at: row.time(first + 3)?,
        last_seq: row.int(first + 4)?,
        deleted_count: row.int(first + 5)?,
        last_message_at: row.time(first + 6)?,
    })
}

fn decode(row: &Row<'_>) -> Result<Membership> {
    decode_from(row, 0)
}

/// How many columns a membership has.
pub(crate) const MEMBERSHIP: usize = 14;

/// A membership out of the [`MEMBERSHIP`] columns from `first` on.
pub(crate) fn decode_from(row: &Row<'_>, first: usize) -> Result<Membership> {
    Ok(Membership {
        thread: decode_thread_from(row, first)?,
        user_id: row.user_id(first + 7)?,
        read_seq: row.int(first + 8)?,
        cleared_seq: row.int(first + 9)?,
        unread_count: row.int(first + 10)?,
        listed_at: row.int_opt(first + 11)?.map(Timestamp::from_micros),
        notified_seq: row.int(first + 12)?,
        unseen_count: row.int(first + 13)?,
    })
}

/// `user`'s membership of `thread`; `None` for a missing thread and for a stranger alike.
///
/// # Errors
/// A failure of the store.
pub fn membership(read: &Read<'_>, thread: ThreadId, user: UserId) -> Result<Option<Membership>> {
    read.row(
        concat!(
            "select ",
            membership_columns!(),
            " from threads t join members m on m.thread_id = t.id
             where t.id = ?1 and m.user_id = ?2"
        ),
        params![thread, user],
        decode,
    )
}

/// `user`'s membership of the one-to-one thread with `other`, if the two have one.
///
/// # Errors
/// A failure of the store.
pub fn membership_with(read: &Read<'_>, user: UserId, other: UserId) -> Result<Option<Membership>> {
    read.row(
        concat!(
            "select ",
            membership_columns!(),
            " from direct_threads d join threads t on t.id = d.thread_id
             join members m on m.thread_id = t.id where d.low_user_id = ?1 and d.high_user_id = ?2 and m.user_id = ?3"
        ),
        params![user.min(other), user.max(other), user],
        decode,
    )
}

/// Every member of the thread that `member` takes part in.
pub(crate) fn members(read: &Read<'_>, thread: ThreadId) -> Result<Vec<Membership>> {
    read.rows(
        concat!(
            "select ",
            membership_columns!(),
            " from threads t join members m on m.thread_id = t.id where t.id = ?1
             order by m.user_id"
        ),
        params![thread],
        decode,
    )
}

/// Both members of the one-to-one thread of `?1` and `?2`, the lower id first, with further columns.
macro_rules! members_of_pair_sql {
    ($further:literal) => {
        concat!(
            "select ",
            $crate::threads::membership_columns!(),
            $further,
            " from direct_threads d join threads t on t.id = d.thread_id
             join members m on m.thread_id = t.id where d.low_user_id = ?1 and d.high_user_id = ?2"
        )
    };
}
pub(crate) use members_of_pair_sql;

/// Opens the one-to-one thread that `creator` begins with `other`, who must have none yet. It is in nobody's inbox until the
/// first message.
pub(crate) fn open_direct(tx: &Tx<'_>, creator: UserId, other: UserId, id: ThreadId, now: Timestamp) -> Result<()> {
    tx.execute_one(
        "opening a thread",
        "insert into threads (id, creator_id, other_id, created_at, last_seq, deleted_count, last_message_at)
         values (?1, ?2, ?3, ?4, 0, 0, ?4)",
        params![id, creator, other, now],
    )?;
    tx.execute_one(
        "naming a thread's pair",
        "insert into direct_threads (low_user_id, high_user_id, thread_id) values (?1, ?2, ?3)",
        params![creator.min(other), creator.max(other), id],
    )?;
    for user in [creator, other] {
        tx.execute_one(
            "adding a member",
            "insert into members (thread_id, user_id, read_seq, cleared_seq, unread_count) values (?1, ?2, 0, 0, 0)",
            params![id, user],
        )?;
    }
    Ok(())
}

/// Where the inbox of a member goes on: just below the row with this activity and thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InboxCursor {
    /// `last_message_at` of the last row seen.
    pub last_message_at: Timestamp,
    /// Its thread.
    pub thread_id: ThreadId,
}

/// Rows of an inbox: whose, below which time and thread, how many, after how many.
macro_rules! inbox_rows {
    ($user:literal, $time:literal, $thread:literal, $limit:literal, $skip:literal) => {
        concat!(
            "select thread_id, creator_id, other_id, created_at, last_message_at, unread_count, message_id, message_status, text,
                 file_name from inbox where user_id = ",
            $user,
            " and (last_message_at, thread_id) < (",
            $time,
            ", ",
            $thread,
            ") order by last_message_at desc, thread_id desc limit ",
            $limit,
            " offset ",
            $skip
        )
    };
}
pub(crate) use inbox_rows;

/// Where in an inbox a page begins and how long it is.
#[derive(Clone, Copy, Debug)]
pub struct InboxWindow {
    /// Just below which row; `None` for the top.
    pub below: Option<InboxCursor>,
    /// Rows to pass over.
    pub skip: i64,
    /// Rows at the most.
    pub limit: i64,
}

/// A page of an inbox, beside its rows.
#[derive(Debug)]
pub struct InboxPage {
    /// How many conversations there are in all.
    pub count: i64,
    /// The people in it who are not known yet.
    pub people: People,
}

/// Shows `see` `user`'s conversations in `window`, the latest activity first, from one snapshot.
///
/// # Errors
/// A failure of the store.
pub fn inbox(
    read: &Read<'_>,
    user: UserId,
    window: InboxWindow,
    known: &Known,
    mut see: impl FnMut(InboxRef<'_>),
) -> Result<InboxPage> {
    let below = window
        .below
        .map_or((i64::MAX, i64::MAX), |cursor| (cursor.last_message_at.as_micros(), cursor.thread_id.get()));
    match read.source() {
        Source::Sqlite(_) => {
            read.each(
                inbox_rows!("?1", "?2", "?3", "?4", "?5"),
                params![user, below.0, below.1, window.limit, window.skip],
                |row| inbox_row(row, 0, user, &mut see),
            )?;
            let count = crate::mailboxes::totals(read, user)?.listed_threads;
            Ok(InboxPage { count, people: People::none_of(read)? })
        }
        Source::Postgres(_) | Source::Question(_) => {
            let mut page = InboxPage { count: 0, people: People::default() };
            let known = params![known.version, &*known.ids, user, below.0, below.1, window.limit, window.skip];
            read.page(dialect::INBOX_PAGE, known, |row| {
                match row.int(0)? {
                    0 => {
                        page.count = row.int_opt(1)?.unwrap_or(0);
                        page.people.version = row.int(2)?;
                    }
                    1 => inbox_row(row, 1, user, &mut see)?,
                    _ => page.people.users.push(crate::users::decode_packed(row.str(9)?)?),
                }
                Ok(())
            })?;
            Ok(page)
        }
    }
}

/// The inbox row of the member `?2` in the thread `?1`.
pub(crate) const LISTED: &str =
    "select i.thread_id, i.creator_id, i.other_id, i.created_at, i.last_message_at, i.unread_count, i.message_id,
         i.message_status, i.text, i.file_name
     from members m join inbox i on i.user_id = m.user_id and i.last_message_at = m.listed_at and i.thread_id = m.thread_id
     where m.thread_id = ?1 and m.user_id = ?2";

/// A row of an inbox out of the columns from `first` on.
pub(crate) fn inbox_row(row: &Row<'_>, first: usize, user: UserId, see: &mut impl FnMut(InboxRef<'_>)) -> Result<()> {
    let (creator_id, other_id) = (row.user_id(first + 1)?, row.user_id(first + 2)?);
    // One damaged bit of a key makes this row a stranger's.
    if user != creator_id && user != other_id {
        return Err(StoreError::Inconsistent { table: "inbox", what: "member" });
    }
    see(InboxRef {
        thread_id: row.thread_id(first)?,
        creator_id,
        other_id,
        created_at: row.time(first + 3)?,
        last_message_at: row.time(first + 4)?,
        unread_count: row.int(first + 5)?,
        message_id: row.message_id(first + 6)?,
        message_status: crate::messages::status(row.int(first + 7)?)?,
        text: row.str(first + 8)?,
        file_name: row.str_opt(first + 9)?,
    });
    Ok(())
}

/// The newest shown message of a thread, as the inbox shows it.
pub(crate) struct Newest<'a> {
    pub(crate) message_id: parlour_types::MessageId,
    pub(crate) created_at: Timestamp,
    pub(crate) status: MessageStatus,
    pub(crate) text: &'a str,
    pub(crate) file_name: Option<&'a str>,
}

/// Where a member stands after a change.
#[derive(Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) read_seq: Seq,
    pub(crate) cleared_seq: Seq,
    pub(crate) unread_count: i64,
    /// Never below `read_seq`.
    pub(crate) notified_seq: Seq,
    pub(crate) unseen_count: i64,
}

impl Standing {
    /// Where the member stands now.
    pub(crate) const fn of(member: &Membership) -> Self {
        Self {
            read_seq: member.read_seq,
            cleared_seq: member.cleared_seq,
            unread_count: member.unread_count,
            notified_seq: member.notified_seq,
            unseen_count: member.unseen_count,
        }
    }
}

/// Moves a member to a new standing: the member's row, the inbox row (`newest` of `None` takes it out), the totals and the
/// event, all at once.
pub(crate) fn settle(
    tx: &Tx<'_>,
    member: &Membership,
    to: Standing,
    newest: Option<&Newest<'_>>,
    event: Event,
) -> Result<()> {
    let thread = &member.thread;
    if let Some(listed_at) = member.listed_at {
        tx.execute_one(
            "leaving the inbox",
            "delete from inbox where user_id = ?1 and last_message_at = ?2 and thread_id = ?3",
            params![member.user_id, listed_at, thread.id],
        )?;
    }
    if let Some(newest) = newest {
        tx.execute_one(
            "entering the inbox",
            "insert into inbox (user_id, last_message_at, thread_id, creator_id, other_id, created_at, unread_count,
                 message_id, message_status, text, file_name) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            params![
                member.user_id,
                newest.created_at,
                thread.id,
                thread.creator_id,
                thread.other_id,
                thread.created_at,
                to.unread_count,
                newest.message_id,
                crate::messages::status_code(newest.status),
                newest.text,
                newest.file_name,
            ],
        )?;
    }
    tx.execute_one(
        "moving a member",
        "update members set read_seq = ?3, cleared_seq = ?4, unread_count = ?5, listed_at = ?6, notified_seq = ?7,
             unseen_count = ?8
         where thread_id = ?1 and user_id = ?2",
        params![
            thread.id,
            member.user_id,
            to.read_seq,
            to.cleared_seq,
            to.unread_count,
            newest.map(|newest| newest.created_at),
            to.notified_seq,
            to.unseen_count,
        ],
    )?;
    let listing = i64::from(newest.is_some()) - i64::from(member.listed_at.is_some());
    let delta = Delta::unread(member.unread_count, to.unread_count)
        .unseen(member.unseen_count, to.unseen_count)
        .listing(listing);
    record(tx, member.user_id, delta, event)
}

/// Waits until nobody else changes what the members of the thread see of it or of any other, and keeps everybody out until the transaction ends.
/// What is read after that is what there is. An embedded database has one writer at a time anyway.
///
/// # Errors
/// A failure of the store.
pub fn lock(tx: &Tx<'_>, thread: ThreadId) -> Result<()> {
    match tx.source() {
        Source::Sqlite(_) => Ok(()),
        Source::Postgres(_) | Source::Question(_) => {
            tx.each(dialect::LOCK_MAILBOXES_OF_THREAD, params![thread], |_| Ok(()))
        }
    }
}

/// Deletes the thread for the member alone: what is in it now is never shown to them again.
///
/// # Errors
/// A failure of the store.
pub fn clear(tx: &Tx<'_>, member: &Membership, now: Timestamp) -> Result<()> {
    let last_seq = member.thread.last_seq;
    if member.cleared_seq == last_seq {
        return Ok(());
    }
    let event = Event { kind: EventKind::ThreadCleared, thread_id: member.thread.id, seq: last_seq, created_at: now };
    let to = Standing {
        read_seq: last_seq,
        cleared_seq: last_seq,
        unread_count: 0,
        notified_seq: last_seq,
        unseen_count: 0,
    };
    settle(tx, member, to, None, event)
}
