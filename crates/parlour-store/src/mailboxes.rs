//! A member's totals and the end of the member's event log, moved in one step with the change that moves them.

use crate::db::{Read, Row, Tx, params};
use crate::error::{Result, StoreError};
use crate::events::Event;
use parlour_types::UserId;

/// The totals of a member's inbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Threads in the inbox.
    pub listed_threads: i64,
    /// Threads with something unseen.
    pub unread_threads: i64,
    /// Messages of others not seen.
    pub unread_messages: i64,
    /// Notifications not read: at most as many, as opening a thread reads its notifications, and not the other way round.
    pub unseen_notifications: i64,
}

/// The totals of the mailbox `b`.
macro_rules! totals_columns {
    () => {
        "b.listed_threads, b.unread_threads, b.unread_messages, b.unseen_notifications"
    };
}
pub(crate) use totals_columns;

/// Totals out of the four columns from `first` on.
pub(crate) fn decode_totals(row: &Row<'_>, first: usize) -> Result<Totals> {
    Ok(Totals {
        listed_threads: row.int(first)?,
        unread_threads: row.int(first + 1)?,
        unread_messages: row.int(first + 2)?,
        unseen_notifications: row.int(first + 3)?,
    })
}

/// How a change moves a member's totals.
#[derive(Clone, Copy, Default)]
pub(crate) struct Delta {
    pub(crate) listed_threads: i64,
    pub(crate) unread_threads: i64,
    pub(crate) unread_messages: i64,
    pub(crate) unseen_notifications: i64,
}

impl Delta {
    /// The move of one thread's row from `before` to `after` unread messages.
    pub(crate) fn unread(before: i64, after: i64) -> Self {
        Self {
            unread_threads: i64::from(after > 0) - i64::from(before > 0),
            unread_messages: after - before,
            ..Self::default()
        }
    }

    /// The same, with the thread's unread notifications moving from `before` to `after`.
    pub(crate) const fn unseen(mut self, before: i64, after: i64) -> Self {
        self.unseen_notifications = after - before;
        self
    }

    /// The same, with the thread entering (`1`) or leaving (`-1`) the inbox.
    pub(crate) const fn listing(mut self, threads: i64) -> Self {
        self.listed_threads = threads;
        self
    }
}

/// Moves the totals of `user` and appends `event` to the member's log. Whatever a member sees of a thread changes by way of this.
pub(crate) fn record(tx: &Tx<'_>, user: UserId, delta: Delta, event: Event) -> Result<()> {
    tx.touch_thread(user, event.thread_id);
    let position = tx
        .row(
            "update mailboxes set listed_threads = listed_threads + ?2, unread_threads = unread_threads + ?3,
                 unread_messages = unread_messages + ?4, unseen_notifications = unseen_notifications + ?5,
                 event_position = event_position + 1
             where user_id = ?1 returning event_position",
            params![
                user,
                delta.listed_threads,
                delta.unread_threads,
                delta.unread_messages,
                delta.unseen_notifications
            ],
            |row| row.int(0),
        )?
        .ok_or(StoreError::Inconsistent { table: "mailboxes", what: "absence of a member's row" })?;
    tx.execute_one(
        "appending an event",
        "insert into events (user_id, position, kind, thread_id, seq, created_at) values (?1, ?2, ?3, ?4, ?5, ?6)",
        params![user, position, event.kind.code(), event.thread_id, event.seq, event.created_at],
    )
}

/// The totals of `user`, all zero for a member without a mailbox.
pub(crate) fn totals(read: &Read<'_>, user: UserId) -> Result<Totals> {
    let totals = read.row(
        concat!("select ", totals_columns!(), " from mailboxes b where b.user_id = ?1"),
        params![user],
        |row| decode_totals(row, 0),
    )?;
    Ok(totals.unwrap_or_default())
}
