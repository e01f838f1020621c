//! The statements of the hot paths as PostgreSQL is asked them, so that a measurement can ask the same without the rest of this crate.

use crate::batch::{Batch, Column, Guard};
use crate::dialect;
use crate::sends::{changes, work};

/// What a session begins with that asks them.
pub use crate::postgres::PLANS;

/// A page of a thread. Parameters: the directory's version and whom of it is known, the viewer, the thread, limit, offset.
#[must_use]
pub fn thread_page() -> String {
    dialect::postgres(dialect::THREAD_PAGES.whole).into_owned()
}

/// A page of an inbox. Parameters: the directory's version and whom of it is known, the viewer, the time and thread below which, limit,
/// offset.
#[must_use]
pub fn inbox_page() -> String {
    dialect::postgres(dialect::INBOX_PAGE).into_owned()
}

/// A group of sends in threads that exist. What is asked over rows takes one array a column, and answers the number of the row first.
#[derive(Clone, Debug)]
pub struct Sends {
    /// The locks of the mailboxes, who is not known, the persons, how they stand to each other, and the members of their threads.
    pub questions: [String; 5],
    /// The threads, their members, the inbox rows, the messages, the mailboxes, the events.
    pub changes: [String; 6],
    /// Whether what there is one of to a send is asked over rows too: relations, threads, messages.
    pub over_rows: bool,
}

/// The statements of a group of `sends`.
#[must_use]
pub fn sends(sends: usize) -> Sends {
    let sides = sends.max(1) * 2;
    let text = |sql: &'static str, guard: Guard, columns: Vec<Column<'static>>| {
        let batch = Batch::new(sql, columns);
        dialect::postgres(&dialect::in_form(sql, batch.form(guard), &batch.columns)).into_owned()
    };
    let ints = |rows: usize, columns: usize| vec![Column::Ints(vec![0; rows]); columns];
    let with_text = |rows: usize, columns: usize| {
        let mut all = ints(rows, columns);
        all.push(Column::Texts(vec![""; rows]));
        all
    };
    Sends {
        questions: [
            text(dialect::LOCK_MAILBOXES, Guard::None, vec![Column::List(Vec::new())]),
            text(dialect::PEOPLE, Guard::None, ints(1, 3)),
            text(work::PERSON, Guard::None, ints(sides, 1)),
            text(work::RELATION, Guard::None, ints(sends, 2)),
            text(work::CONVERSATION, Guard::None, ints(sends, 2)),
        ],
        changes: [
            text(changes::MOVE_THREAD, Guard::EveryRow, ints(sends, 3)),
            text(changes::MOVE_MEMBER, Guard::EveryRow, ints(sides, 7)),
            text(changes::MOVE_UP, Guard::EveryRow, with_text(sides, 6)),
            text(changes::STORE, Guard::None, with_text(sends, 5)),
            text(changes::MOVE_MAILBOX, Guard::EveryRow, ints(sides, 6)),
            text(changes::APPEND_EVENT, Guard::None, ints(sides, 6)),
        ],
        over_rows: sends != 1,
    }
}
