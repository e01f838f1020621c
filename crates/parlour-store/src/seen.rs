//! Marking a thread as seen: what happens whenever somebody opens a thread with something new in it, so it is read at once and written at once
//! like a send.

use crate::batch::{Batch, Change, Column, Guard, ask_all, change_all};
use crate::db::{Row, Source, Tx};
use crate::dialect;
use crate::error::Result;
use crate::events::EventKind;
use crate::mailboxes::{Totals, decode_totals, totals_columns};
use crate::signals::shared;
use crate::threads::{MEMBERSHIP, Membership, decode_from, membership_columns};
use parlour_types::{Seq, ThreadId, Timestamp, UserId};

/// The member `?2` of the thread `?1`, the holes up to where they will have read (`?3` or further), their mailbox, and the
/// other one's, and whether that one is told.
const MEMBER: &str = concat!(
    "select ",
    membership_columns!(),
    ", coalesce((select d.seq - d.visible_before from deleted_messages d where d.thread_id = t.id
             and d.seq <= case when ?3 > m.read_seq then ?3 else m.read_seq end order by d.seq desc limit 1), 0), ",
    totals_columns!(),
    ", b.event_position, o.user_id, o.event_position, case when ",
    shared!("share_read_receipts", "m.user_id", "o.user_id"),
    " then 1 else 0 end
     from threads t join members m on m.thread_id = t.id join mailboxes b on b.user_id = m.user_id
     join mailboxes o on o.user_id = case when t.creator_id = m.user_id then t.other_id else t.creator_id end
     where t.id = ?1 and m.user_id = ?2"
);

/// A member and what marking needs to know.
struct Found {
    member: Membership,
    holes: i64,
    totals: Totals,
    event_position: i64,
    /// The other one and the end of their log, if they are told.
    told: Option<(UserId, i64)>,
}

fn decode(row: &Row<'_>, first: usize) -> Result<Found> {
    Ok(Found {
        member: decode_from(row, first)?,
        holes: row.int(first + MEMBERSHIP)?,
        totals: decode_totals(row, first + MEMBERSHIP + 1)?,
        event_position: row.int(first + MEMBERSHIP + 5)?,
        told: if row.flag(first + MEMBERSHIP + 8)? {
            Some((row.user_id(first + MEMBERSHIP + 6)?, row.int(first + MEMBERSHIP + 7)?))
        } else {
            None
        },
    })
}

/// Marks everything up to `up_to` as seen by the member, tells the other one if both share that, and answers whether that changed anything. On PostgreSQL it commits, so it belongs
/// into [`Store::write_at_once`](crate::Store::write_at_once).
///
/// # Errors
/// A failure of the store.
pub fn mark_seen(tx: &Tx<'_>, thread: ThreadId, user: UserId, up_to: Seq, now: Timestamp) -> Result<bool> {
    let int = |value: i64| Column::Ints(vec![value]);
    let mut questions = vec![Batch::new(MEMBER, vec![int(thread.get()), int(user.get()), int(up_to)])];
    if let Source::Postgres(_) = tx.source() {
        questions.insert(0, Batch::new(dialect::LOCK_MAILBOXES_OF_THREAD, vec![int(thread.get())]));
    }
    let (member, mut found) = (questions.len() - 1, None);
    ask_all(tx, &questions, |at, _, row, first| {
        if at == member {
            found = Some(decode(row, first)?);
        }
        Ok(())
    })?;
    let Some(Found { member, holes, totals, event_position, told }) = found else { return Ok(false) };
    let read_seq = up_to.max(member.read_seq).min(member.thread.last_seq);
    if read_seq == member.read_seq {
        return Ok(false);
    }
    // A member's own messages move read_seq past themselves, so whatever is shown after it is of others.
    let shown = member.thread.last_seq - member.thread.deleted_count;
    let unread_count = if read_seq == member.thread.last_seq { 0 } else { shown - (read_seq - holes) };
    // Opening a thread reads its notifications.
    let (notified_seq, unseen_count) = if member.notified_seq > read_seq {
        (member.notified_seq, member.unseen_count)
    } else {
        (read_seq, unread_count)
    };
    tx.touch_thread(user, thread);
    if let Some((other, _)) = told {
        tx.tell(other, thread);
    }
    let (thread, user) = (thread.get(), user.get());
    let one = |what, guard, sql, values: Vec<i64>| Change {
        what,
        guard,
        batch: Batch::new(sql, values.into_iter().map(int).collect()),
    };
    let mut changes = vec![one(
        "marking a thread seen",
        Guard::EveryRow,
        "update members set read_seq = ?3, unread_count = ?4, notified_seq = ?5, unseen_count = ?6
         where thread_id = ?1 and user_id = ?2",
        vec![thread, user, read_seq, unread_count, notified_seq, unseen_count],
    )];
    changes.extend(member.listed_at.map(|listed_at| {
        one(
            "marking a thread seen in the inbox",
            Guard::EveryRow,
            "update inbox set unread_count = ?4 where user_id = ?1 and last_message_at = ?2 and thread_id = ?3",
            vec![user, listed_at.as_micros(), thread, unread_count],
        )
    }));
    changes.push(one(
        "moving a mailbox",
        Guard::EveryRow,
        "update mailboxes set unread_threads = ?2, unread_messages = ?3, event_position = ?4, unseen_notifications = ?5
         where user_id = ?1",
        vec![
            user,
            totals.unread_threads + i64::from(unread_count > 0) - i64::from(member.unread_count > 0),
            totals.unread_messages + unread_count - member.unread_count,
            event_position + 1,
            totals.unseen_notifications + unseen_count - member.unseen_count,
        ],
    ));
    let event = |user, position, kind: EventKind| {
        one(
            "appending an event",
            Guard::None,
            "insert into events (user_id, position, kind, thread_id, seq, created_at) values (?1, ?2, ?6, ?3, ?4, ?5)",
            vec![user, position, thread, read_seq, now.as_micros(), kind.code()],
        )
    };
    changes.push(event(user, event_position + 1, EventKind::ThreadSeen));
    if let Some((other, position)) = told {
        changes.push(one(
            "moving the other one's log",
            Guard::EveryRow,
            "update mailboxes set event_position = ?2 where user_id = ?1",
            vec![other.get(), position + 1],
        ));
        changes.push(event(other.get(), position + 1, EventKind::SeenByOther));
    }
    change_all(tx, &changes)?;
    Ok(true)
}
