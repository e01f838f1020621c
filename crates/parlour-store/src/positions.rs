//! Positions and sequence numbers: two ways to point into a thread, converted by at most one indexed look-up.
//!
//! A *sequence number* is issued once and never changes. A *position* counts the messages that are shown: 1 for the oldest.
//! Messages deleted in their first minute leave holes, the rows of `deleted_messages`. With `b` the number of messages shown
//! before a hole at `s`, the holes up to and including it number `s − b`. Both `s` and `b` grow along the thread, so either can
//! be looked up by the other.

use crate::db::{Read, params};
use crate::error::Result;
use parlour_types::model::Thread;
use parlour_types::{MessageId, Seq, ThreadId};

/// How many messages are shown up to and including sequence number `seq`.
pub(crate) fn position_at(read: &Read<'_>, thread: &Thread, seq: Seq) -> Result<i64> {
    if thread.deleted_count == 0 {
        return Ok(seq);
    }
    if seq >= thread.last_seq {
        return Ok(thread.last_seq - thread.deleted_count);
    }
    let holes = read.row(
        "select seq - visible_before from deleted_messages where thread_id = ?1 and seq <= ?2 order by seq desc limit 1",
        params![thread.id, seq],
        |row| row.int(0),
    )?;
    Ok(seq - holes.unwrap_or(0))
}

/// The sequence number of the message at `position`, which must be shown.
pub(crate) fn seq_at(read: &Read<'_>, thread: &Thread, position: i64) -> Result<Seq> {
    if thread.deleted_count == 0 {
        return Ok(position);
    }
    let holes = read.row(
        "select seq - visible_before from deleted_messages where thread_id = ?1 and visible_before < ?2
         order by visible_before desc, seq desc limit 1",
        params![thread.id, position],
        |row| row.int(0),
    )?;
    Ok(position + holes.unwrap_or(0))
}

/// The lowest sequence number in the thread whose message has an id of at least `id`; one past the end when none has.
///
/// Ids grow along a thread, so a message's own id is one look-up and any other number is found by halving.
pub(crate) fn first_seq_from(read: &Read<'_>, thread: &Thread, id: MessageId) -> Result<Seq> {
    let located = read.row("select thread_id, seq from messages where id = ?1", params![id], |row| {
        Ok((row.thread_id(0)?, row.int(1)?))
    })?;
    match located {
        Some((thread_id, seq)) if thread_id == thread.id => Ok(seq),
        _ => search(read, thread.id, 1, thread.last_seq + 1, id),
    }
}

/// Halves `low..high` until the first message with an id of at least `id` is found.
fn search(read: &Read<'_>, thread: ThreadId, mut low: Seq, mut high: Seq, id: MessageId) -> Result<Seq> {
    while low < high {
        let middle = low + (high - low) / 2;
        let shown = read.row(
            "select seq, id from messages where thread_id = ?1 and seq >= ?2 order by seq limit 1",
            params![thread, middle],
            |row| Ok((row.int(0)?, row.int(1)?)),
        )?;
        match shown {
            Some((seq, found)) if found < id.get() => low = seq + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// Notes that the message at `seq` is no longer shown. `before` is the thread as it was.
pub(crate) fn open_hole(tx: &crate::db::Tx<'_>, before: &Thread, seq: Seq, hole: Hole) -> Result<()> {
    let visible_before = position_at(tx, before, seq)? - 1;
    tx.execute(
        "update deleted_messages set visible_before = visible_before - 1 where thread_id = ?1 and seq > ?2",
        params![before.id, seq],
    )?;
    tx.execute_one(
        "remembering a deletion",
        "insert into deleted_messages (thread_id, seq, visible_before, message_id, sender_id, created_at)
         values (?1, ?2, ?3, ?4, ?5, ?6)",
        params![before.id, seq, visible_before, hole.message_id, hole.sender_id, hole.created_at],
    )
}

/// What stays known of a deleted message.
pub(crate) struct Hole {
    pub(crate) message_id: MessageId,
    pub(crate) sender_id: parlour_types::UserId,
    pub(crate) created_at: parlour_types::Timestamp,
}
