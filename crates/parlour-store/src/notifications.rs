//! Notifications: the received messages in a member's log, newest first, and reading them without opening their threads.

use crate::batch::{Batch, Change, Column, Guard, ask_all, change_all};
use crate::db::{Read, Source, Tx, params};
use crate::dialect;
use crate::error::{Result, StoreError};
use crate::events::EventKind;
use crate::messages::{MESSAGE, decode_from};
use crate::threads::{LISTED, inbox_row};
use parlour_types::model::{InboxEntry, Message};
use parlour_types::{EventPosition, MessageId, Seq, ThreadId, Timestamp, UserId};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Events looked at for one page at the most: messages that were taken back, and those of threads that were deleted, are passed over.
const LOOKED_AT: usize = 1_000;

/// Where a list of notifications goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotificationCursor {
    /// Below this position of the log.
    pub below: EventPosition,
    /// Rows still to be passed over there.
    pub skip: i64,
}

impl NotificationCursor {
    /// The newest.
    pub const TOP: Self = Self { below: EventPosition::MAX, skip: 0 };
}

/// Which part of a list of notifications is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotificationWindow {
    /// Where it begins.
    pub from: NotificationCursor,
    /// Rows at the most.
    pub limit: usize,
    /// Messages in all of them at the most. A row that is cut off goes on as the first one of the next page.
    pub max_messages: usize,
}

/// A received message.
#[derive(Clone, Debug)]
pub struct Notification {
    /// The message.
    pub message: Message,
    /// When it came.
    pub active_at: Timestamp,
    /// Whether it has not been read yet.
    pub is_new: bool,
}

/// Messages of one thread that came one after another, the newest first; never without one.
#[derive(Clone, Debug)]
pub struct NotificationRow {
    /// The messages.
    pub notifications: Vec<Notification>,
    /// The thread, as the member's inbox shows it.
    pub conversation: InboxEntry,
}

/// A page of notifications.
#[derive(Clone, Debug, Default)]
pub struct NotificationPage {
    /// The rows, the newest first.
    pub rows: Vec<NotificationRow>,
    /// Where the list goes on, if it does.
    pub next: Option<NotificationCursor>,
}

/// A message to be shown, as the log knows it.
struct Place {
    thread: ThreadId,
    seq: Seq,
    active_at: Timestamp,
    is_new: bool,
}

/// What `user` was notified of in `window`, from one snapshot. The cost is bounded at any depth; a page may be short, or even empty, where much
/// was taken back.
///
/// # Errors
/// A failure of the store.
pub fn page(read: &Read<'_>, user: UserId, window: NotificationWindow) -> Result<NotificationPage> {
    let (places, next) = places(read, user, window)?;
    let ints = |of: &dyn Fn(&Place) -> i64| Column::Ints(places.iter().flatten().map(of).collect());
    let threads: Vec<ThreadId> = places.iter().filter_map(|row| Some(row.first()?.thread)).collect();
    let questions = [
        Batch::new(MESSAGE, vec![ints(&|place| place.thread.get()), ints(&|place| place.seq)]),
        Batch::new(
            LISTED,
            vec![
                Column::Ints(threads.iter().map(|thread| thread.get()).collect()),
                Column::Ints(vec![user.get(); threads.len()]),
            ],
        ),
    ];
    let (mut messages, mut conversations) = (BTreeMap::new(), BTreeMap::new());
    ask_all(read, &questions, |at, index, row, first| {
        if at == 0 {
            messages.insert(index, decode_from(row, first)?);
            return Ok(());
        }
        inbox_row(row, first, user, &mut |row| drop(conversations.insert(index, InboxEntry::from(row))))
    })?;
    let mut rows = Vec::with_capacity(places.len());
    let mut number = 0;
    for (index, row) in places.into_iter().enumerate() {
        const UNLISTED: StoreError = StoreError::Inconsistent { table: "inbox", what: "absence of a shown thread" };
        const GONE: StoreError = StoreError::Inconsistent { table: "messages", what: "absence of a message just seen" };
        let conversation = conversations.remove(&index).ok_or(UNLISTED)?;
        let mut notifications = Vec::with_capacity(row.len());
        for place in row {
            let message: Message = messages.remove(&number).ok_or(GONE)?;
            number += 1;
            // One damaged bit of a key brings a message of strangers here.
            if message.sender_id == user || !conversation.has(message.sender_id) {
                return Err(StoreError::Inconsistent { table: "messages", what: "sender" });
            }
            notifications.push(Notification { message, active_at: place.active_at, is_new: place.is_new });
        }
        rows.push(NotificationRow { notifications, conversation });
    }
    Ok(NotificationPage { rows, next })
}

/// The places of what a page shows, by row, and where the list goes on.
fn places(
    read: &Read<'_>,
    user: UserId,
    window: NotificationWindow,
) -> Result<(Vec<Vec<Place>>, Option<NotificationCursor>)> {
    let NotificationWindow { from, limit, max_messages } = window;
    let (mut rows, mut shown, mut looked_at, mut skip): (Vec<Vec<Place>>, _, _, _) = (Vec::new(), 0, 0, from.skip);
    // Below which position the next row begins, of which thread the row is that is being passed over, and whether there is more.
    let (mut below, mut passed, mut more) = (from.below, None, false);
    read.until(
        // The positions first: SQLite would pass over the rest of the log row by row before it takes an index that lacks a column.
        "select e.position, e.thread_id, e.seq, e.created_at, m.notified_seq,
             case when e.seq > m.cleared_seq and x.sender_id <> e.user_id then 1 else 0 end
         from (select p.user_id, p.position from events p where p.user_id = ?1 and p.kind = 1 and p.position < ?2
               order by p.position desc limit ?3) r
             join events e on e.user_id = r.user_id and e.position = r.position
             join members m on m.thread_id = e.thread_id and m.user_id = e.user_id
             left join messages x on x.thread_id = e.thread_id and x.seq = e.seq
         order by r.position desc",
        params![user, from.below, LOOKED_AT as i64 + 1],
        |row| {
            let (position, thread, seq) = (row.int(0)?, row.thread_id(1)?, row.int(2)?);
            let is_shown = row.flag(5)?;
            let goes_on = rows.last().and_then(|row| row.first()).is_some_and(|newest| newest.thread == thread);
            let is_full = shown == max_messages || (rows.len() == limit && !goes_on);
            more = looked_at == LOOKED_AT || (is_shown && is_full);
            if more {
                return Ok(ControlFlow::Break(()));
            }
            (below, looked_at) = (position, looked_at + 1);
            if !is_shown {
                return Ok(ControlFlow::Continue(()));
            }
            if skip > 0 && passed != Some(thread) {
                // The row before is behind us.
                skip -= i64::from(passed.is_some());
                passed = if skip > 0 { Some(thread) } else { None };
            }
            if skip > 0 {
                return Ok(ControlFlow::Continue(()));
            }
            let place = Place { thread, seq, active_at: row.time(3)?, is_new: seq > row.int(4)? };
            match rows.last_mut().filter(|_| goes_on) {
                Some(row) => row.push(place),
                None => rows.push(vec![place]),
            }
            shown += 1;
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok((rows, more.then_some(NotificationCursor { below, skip })))
}

/// Where these messages stand, as far as they are notifications of `user`: shown, and of somebody else. Of each thread the newest.
///
/// # Errors
/// A failure of the store.
pub fn find(read: &Read<'_>, user: UserId, messages: &[MessageId]) -> Result<Vec<(ThreadId, Seq)>> {
    let question = Batch::new(
        "select x.thread_id, x.seq from messages x join members m on m.thread_id = x.thread_id and m.user_id = ?2
         where x.id = ?1 and x.sender_id <> ?2",
        vec![
            Column::Ints(messages.iter().map(|id| id.get()).collect()),
            Column::Ints(vec![user.get(); messages.len()]),
        ],
    );
    let mut found: BTreeMap<ThreadId, Seq> = BTreeMap::new();
    ask_all(read, &[question], |_, _, row, first| {
        let newest = found.entry(row.thread_id(first)?).or_default();
        *newest = (*newest).max(row.int(first + 1)?);
        Ok(())
    })?;
    Ok(found.into_iter().collect())
}

/// What stands in a member's mailbox of notifications and of the log.
const MAILBOX: &str = "select unseen_notifications, event_position from mailboxes where user_id = ?1";

/// The member `?2` of the thread `?1`, and the holes up to `?3`.
const MEMBER: &str = "select m.notified_seq, m.unseen_count, t.last_seq, t.last_seq - t.deleted_count,
         coalesce((select d.seq - d.visible_before from deleted_messages d where d.thread_id = t.id and d.seq <= ?3
             order by d.seq desc limit 1), 0)
     from threads t join members m on m.thread_id = t.id where t.id = ?1 and m.user_id = ?2";

/// A member's mailbox.
#[derive(Clone, Copy, Default)]
struct Mailbox {
    unseen: i64,
    event_position: EventPosition,
}

/// Where a member's notifications of a thread stand after a change.
struct Moved {
    thread: ThreadId,
    notified_seq: Seq,
    unseen_count: i64,
    /// How many were read.
    read: i64,
}

/// Marks the notifications of these threads as read, each up to a sequence number, and answers whether that changed anything. On PostgreSQL it
/// commits, so it belongs into [`Store::write_at_once`](crate::Store::write_at_once).
///
/// # Errors
/// A failure of the store.
pub fn mark_read(tx: &Tx<'_>, user: UserId, up_to: &[(ThreadId, Seq)], now: Timestamp) -> Result<bool> {
    let (mailbox, moved) = ask_moves(tx, user, up_to)?;
    if moved.is_empty() {
        return Ok(false);
    }
    change_all(tx, &changes(tx, user, mailbox, &moved, now))?;
    Ok(true)
}

/// Locks the mailbox of `user`, and says what reading changes.
fn ask_moves(tx: &Tx<'_>, user: UserId, up_to: &[(ThreadId, Seq)]) -> Result<(Mailbox, Vec<Moved>)> {
    let mut questions = vec![
        Batch::new(MAILBOX, vec![Column::Ints(vec![user.get()])]),
        Batch::new(
            MEMBER,
            vec![
                Column::Ints(up_to.iter().map(|(thread, _)| thread.get()).collect()),
                Column::Ints(vec![user.get(); up_to.len()]),
                Column::Ints(up_to.iter().map(|(_, seq)| *seq).collect()),
            ],
        ),
    ];
    if let Source::Postgres(_) = tx.source() {
        questions.insert(0, Batch::new(dialect::LOCK_MAILBOXES, vec![Column::List(vec![user.get()])]));
    }
    let member = questions.len() - 1;
    let (mut mailbox, mut moved) = (Mailbox::default(), Vec::new());
    ask_all(tx, &questions, |at, index, row, first| {
        if at + 1 == member {
            mailbox = Mailbox { unseen: row.int(first)?, event_position: row.int(first + 1)? };
        } else if at == member {
            let (thread, seq) = up_to[index];
            let (notified_seq, before, last_seq) = (row.int(first)?, row.int(first + 1)?, row.int(first + 2)?);
            let shown = row.int(first + 3)?;
            // A member's own messages move notified_seq past themselves, so whatever is shown after it is of others.
            let unseen_count = if seq >= last_seq { 0 } else { shown - (seq - row.int(first + 4)?) };
            let seq = seq.min(last_seq);
            if seq > notified_seq {
                let notified_seq = seq;
                moved.push(Moved { thread, notified_seq, unseen_count, read: before - unseen_count });
            }
        }
        Ok(())
    })?;
    Ok((mailbox, moved))
}

fn changes<'a>(tx: &Tx<'_>, user: UserId, mailbox: Mailbox, moved: &[Moved], now: Timestamp) -> Vec<Change<'a>> {
    let ints = |of: &dyn Fn(&Moved) -> i64| Column::Ints(moved.iter().map(of).collect());
    let one = |values: &[i64]| values.iter().map(|value| Column::Ints(vec![*value])).collect();
    let mut changes = vec![Change {
        what: "marking notifications read",
        guard: Guard::EveryRow,
        batch: Batch::new(
            "update members set notified_seq = ?3, unseen_count = ?4 where thread_id = ?1 and user_id = ?2",
            vec![
                ints(&|one| one.thread.get()),
                ints(&|_| user.get()),
                ints(&|one| one.notified_seq),
                ints(&|one| one.unseen_count),
            ],
        ),
    }];
    // What was taken back, or the member's own, moves a mark and is nothing to tell.
    let read: i64 = moved.iter().map(|one| one.read).sum();
    let Some(one_of_them) = moved.iter().find(|one| one.read > 0) else { return changes };
    moved.iter().for_each(|one| tx.touch_thread(user, one.thread));
    let position = mailbox.event_position + 1;
    changes.push(Change {
        what: "moving a mailbox",
        guard: Guard::EveryRow,
        batch: Batch::new(
            "update mailboxes set unseen_notifications = ?2, event_position = ?3 where user_id = ?1",
            one(&[user.get(), mailbox.unseen - read, position]),
        ),
    });
    changes.push(Change {
        what: "appending an event",
        guard: Guard::None,
        batch: Batch::new(
            "insert into events (user_id, position, kind, thread_id, seq, created_at) values (?1, ?2, ?6, ?3, ?4, ?5)",
            one(&[
                user.get(),
                position,
                one_of_them.thread.get(),
                one_of_them.notified_seq,
                now.as_micros(),
                EventKind::NotificationsRead.code(),
            ]),
        ),
    });
    changes
}

/// The next `limit` members above `after`: those of them whose log has something for [`trim_events`] to remove, and the last one that was looked at.
///
/// # Errors
/// A failure of the store.
pub fn with_old_events(
    read: &Read<'_>,
    after: i64,
    older_than: Timestamp,
    limit: i64,
) -> Result<(Vec<UserId>, Option<i64>)> {
    let (mut found, mut last) = (Vec::new(), None);
    read.each(
        "select b.user_id, (select e.created_at from events e where e.user_id = b.user_id order by e.position limit 1 offset 1)
         from (select user_id from mailboxes where user_id > ?1 order by user_id limit ?2) b order by b.user_id",
        params![after, limit],
        |row| {
            last = Some(row.int(0)?);
            if row.int_opt(1)?.is_some_and(|second| second < older_than.as_micros()) {
                found.push(row.user_id(0)?);
            }
            Ok(())
        },
    )?;
    Ok((found, last))
}

/// Removes the oldest events of `user`, up to `limit` of them, as far as the event after each is from before `older_than`; what they notified of
/// counts as read. So the newest of the old ones stays, for a client that knows everything up to there and was away for a moment only. Answers
/// how many went. On PostgreSQL it commits, so it belongs into [`Store::write_at_once`](crate::Store::write_at_once).
///
/// # Errors
/// A failure of the store.
pub fn trim_events(tx: &Tx<'_>, user: UserId, older_than: Timestamp, limit: i64, now: Timestamp) -> Result<u64> {
    if let Source::Postgres(_) = tx.source() {
        tx.rows(dialect::LOCK_MAILBOXES, params![&[user.get()][..]], |row| row.int(0))?;
    }
    let mut oldest = tx.rows(
        "select position, kind, thread_id, seq, created_at from events where user_id = ?1 order by position limit ?2",
        params![user, limit.saturating_add(1)],
        |row| Ok((row.int(0)?, row.int(1)?, row.thread_id(2)?, row.int(3)?, row.time(4)?)),
    )?;
    let old = oldest.iter().position(|(.., at)| *at >= older_than).unwrap_or(oldest.len());
    oldest.truncate(old.saturating_sub(1));
    let Some((last, ..)) = oldest.last() else { return Ok(0) };
    let mut up_to: BTreeMap<ThreadId, Seq> = BTreeMap::new();
    for (_, _, thread, seq, _) in oldest.iter().filter(|(_, kind, ..)| *kind == EventKind::MessageCreated.code()) {
        let newest = up_to.entry(*thread).or_default();
        *newest = (*newest).max(*seq);
    }
    let up_to: Vec<(ThreadId, Seq)> = up_to.into_iter().collect();
    let (mailbox, moved) = ask_moves(tx, user, &up_to)?;
    let mut all = if moved.is_empty() { Vec::new() } else { changes(tx, user, mailbox, &moved, now) };
    let columns = [user.get(), *last].map(|value| Column::Ints(vec![value])).into();
    all.push(Change {
        what: "trimming a log",
        guard: Guard::None,
        batch: Batch::new("delete from events where user_id = ?1 and position <= ?2", columns),
    });
    change_all(tx, &all)?;
    Ok(oldest.len() as u64)
}
