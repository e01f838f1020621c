//! Reading a member's log.

use super::{Event, EventKind};
use crate::batch::{Batch, Column, ask_all};
use crate::db::{Read, Row};
use crate::error::{Result, StoreError};
use crate::mailboxes::{Totals, decode_totals, totals_columns};
use parlour_types::{EventPosition, UserId};

/// A piece of a member's log, and what belongs to it in the same snapshot.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The event at the position that was asked for, if the log has it.
    pub at: Option<Event>,
    /// What follows it, oldest first, each with its position.
    pub events: Vec<(EventPosition, Event)>,
    /// The end of the log: the newest event's position, 0 before the first one.
    pub end: EventPosition,
    /// The totals of the member's inbox.
    pub totals: Totals,
}

/// Events of `?1` from the position `?2` on.
const FROM: &str = "select position, kind, thread_id, seq, created_at from events where user_id = ?1 and position >= ?2
     order by position limit ?3";

const MAILBOX: &str = concat!("select b.event_position, ", totals_columns!(), " from mailboxes b where b.user_id = ?1");

fn decode(row: &Row<'_>, first: usize) -> Result<(EventPosition, Event)> {
    let kind = EventKind::of(row.int(first + 1)?);
    let kind = kind.ok_or(StoreError::Inconsistent { table: "events", what: "kind" })?;
    let event = Event {
        kind,
        thread_id: row.thread_id(first + 2)?,
        seq: row.int(first + 3)?,
        created_at: row.time(first + 4)?,
    };
    Ok((row.int(first)?, event))
}

/// What stands in `user`'s log at `position`, and up to `limit` events after it.
///
/// # Errors
/// A failure of the store.
pub fn read_from(read: &Read<'_>, user: UserId, position: EventPosition, limit: i64) -> Result<Piece> {
    let int = |value: i64| Column::Ints(vec![value]);
    let questions = [
        Batch::new(MAILBOX, vec![int(user.get())]),
        Batch::new(FROM, vec![int(user.get()), int(position), int(limit.saturating_add(1))]),
    ];
    let mut piece = Piece { at: None, events: Vec::new(), end: 0, totals: Totals::default() };
    ask_all(read, &questions, |question, _, row, first| {
        if question == 0 {
            piece.end = row.int(first)?;
            piece.totals = decode_totals(row, first + 1)?;
            return Ok(());
        }
        let (at, event) = decode(row, first)?;
        if at == position {
            piece.at = Some(event);
        } else {
            piece.events.push((at, event));
        }
        Ok(())
    })?;
    // Before the first event stands nothing, so one more came than was asked for.
    piece.events.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(piece)
}

/// Where the logs of these members end; members without a log are left out.
///
/// # Errors
/// A failure of the store.
pub fn positions(read: &Read<'_>, users: &[UserId]) -> Result<Vec<(UserId, EventPosition)>> {
    let question = Batch::new(
        "select user_id, event_position from mailboxes where user_id = ?1",
        vec![Column::Ints(users.iter().map(|user| user.get()).collect())],
    );
    let mut found = Vec::with_capacity(users.len());
    ask_all(read, &[question], |_, _, row, first| {
        found.push((row.user_id(first)?, row.int(first + 1)?));
        Ok(())
    })?;
    Ok(found)
}
