//! Compares everything that is stored with everything that it follows from, and derives again what is wrong.
//!
//! Sources of truth are `messages`, `deleted_messages`, `users`, `follows`, `threads.creator_id` and `other_id`, and where members have read
//! and cleared up to. Everything else is derived: counters, positions, inbox rows, totals. [`examine`] reads each part from one snapshot;
//! [`repair`] looks again inside its write transactions, each of them short, so that both work beside a running server.
//!
//! A problem names rows by their ids and never holds a text.

mod file;
mod files;
mod lists;
mod mend;
mod objects;
mod people;
mod threads;

pub(crate) use file::integrity;
pub use objects::{examine_objects, repair_objects};

use crate::db::Read;
use crate::{Progress, Result, Store, StoreError, Watch};
use parlour_types::{FileUuid, ThreadId, id::MAX_ID};
use serde::Serialize;
use std::collections::BTreeSet;

/// Problems that a report lists; further ones are counted.
const LISTED: usize = 1_000;

/// Repairs of one transaction.
const REPAIRS: usize = 32;

/// Which row a problem is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Place {
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<i64>,
    /// The thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<i64>,
    /// The message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<i64>,
    /// The sequence number in the thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// The file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<FileUuid>,
}

impl Place {
    const NOWHERE: Self = Self { user: None, thread: None, message: None, seq: None, file: None };

    const fn user(user: i64) -> Self {
        Self { user: Some(user), ..Self::NOWHERE }
    }

    const fn thread(thread: i64) -> Self {
        Self { thread: Some(thread), ..Self::NOWHERE }
    }

    const fn of_user(mut self, user: i64) -> Self {
        self.user = Some(user);
        self
    }

    const fn at(mut self, seq: i64) -> Self {
        self.seq = Some(seq);
        self
    }

    const fn message(mut self, message: i64) -> Self {
        self.message = Some(message);
        self
    }

    const fn file(mut self, file: FileUuid) -> Self {
        self.file = Some(file);
        self
    }
}

/// Something that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Problem {
    /// What kind of problem, as table and column or a word.
    pub what: &'static str,
    /// Where.
    #[serde(rename = "where")]
    pub place: Place,
    /// What is stored, if it is a number.
    pub stored: Option<i64>,
    /// What should be stored, if it is a number.
    pub expected: Option<i64>,
    /// SQLite's own words, for what it finds itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Whether it can be derived again. What cannot needs a backup.
    pub repairable: bool,
}

impl Problem {
    fn derived(what: &'static str, place: Place, stored: Option<i64>, expected: Option<i64>) -> Self {
        Self { what, place, stored, expected, detail: None, repairable: true }
    }

    fn lost(what: &'static str, place: Place) -> Self {
        Self { what, place, stored: None, expected: None, detail: None, repairable: false }
    }

    fn damage(what: &'static str, detail: String) -> Self {
        Self { what, place: Place::NOWHERE, stored: None, expected: None, detail: Some(detail), repairable: false }
    }
}

/// What can be derived again in one go, in the order in which that is done.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Unit {
    Directory,
    /// A row of `direct_threads` that names no thread of its pair.
    Pair {
        low: i64,
        high: i64,
    },
    /// A file that messages show and no row describes.
    LostFile {
        owner: i64,
        uuid: FileUuid,
    },
    /// A thread with its members and their inbox rows.
    Thread(i64),
    /// An inbox row of no member.
    InboxRow {
        user: i64,
        last_message_at: i64,
        thread: i64,
    },
    Mailbox(i64),
    User(i64),
    File {
        owner: i64,
        uuid: FileUuid,
    },
    /// Parts of a file that is not uploading. They go with their objects.
    Parts {
        owner: i64,
        uuid: FileUuid,
    },
    /// What a member has stored.
    Usage(i64),
}

/// How many rows were looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Checked {
    /// Users.
    pub users: u64,
    /// Follows.
    pub follows: u64,
    /// Threads.
    pub threads: u64,
    /// Memberships.
    pub members: u64,
    /// Messages that are shown.
    pub messages: u64,
    /// Messages deleted in their first minute.
    pub deleted_messages: u64,
    /// Inbox rows.
    pub inbox_rows: u64,
    /// Events.
    pub events: u64,
    /// Idempotency keys.
    pub idempotency_keys: u64,
    /// Files, and pictures of them.
    pub files: u64,
    /// What is in the object store, if that was looked at.
    pub objects: Option<u64>,
    /// Things in the object store that are not Parlour's. They are left alone.
    pub foreign_objects: u64,
}

/// What an examination found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// How much was looked at.
    pub checked: Checked,
    /// The first 1,000 problems.
    pub problems: Vec<Problem>,
    /// How many problems there are in all.
    pub total: u64,
    /// Whether the file itself is damaged, so that nothing should be written to it.
    pub damaged: bool,
    /// Whether the object store seems to be another community's, so that nothing in it should be touched.
    pub wrong_place: bool,
    units: BTreeSet<Unit>,
}

impl Report {
    /// Whether everything is as it should be.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.total == 0
    }

    /// A database that could not even be opened, because its file is damaged.
    #[must_use]
    pub fn unreadable(error: &StoreError) -> Self {
        let mut report = Self::default();
        report.damage("integrity", error.to_string());
        report
    }

    fn add(&mut self, problem: Problem, unit: Option<Unit>) {
        self.total += 1;
        self.units.extend(unit.filter(|_| problem.repairable));
        if self.problems.len() < LISTED {
            self.problems.push(problem);
        }
    }

    fn damage(&mut self, what: &'static str, detail: String) {
        self.damaged = true;
        self.add(Problem::damage(what, detail), None);
    }
}

/// Looks at everything, and tells `watch` how far it is.
///
/// # Errors
/// What keeps the database from being read; a damaged file is no error but a problem of the report.
pub async fn examine(store: &Store, watch: Watch) -> Result<Report> {
    type Part = fn(&Read<'_>, &mut Report, &Watch) -> Result<()>;
    const PARTS: [Part; 5] =
        [file::examine, threads::examine, people::examine, files::examine, file::examine_references];
    let mut report = Report::default();
    for part in PARTS {
        let (before, watch) = (std::mem::take(&mut report), watch.clone());
        let done = store.read_long(move |read| {
            let mut so_far = before.clone();
            match part(read, &mut so_far, &watch) {
                Err(error) if error.is_damage() => so_far.damage("integrity", error.to_string()),
                done => done?,
            }
            Ok::<_, StoreError>(so_far)
        });
        report = match done.await {
            // Not even a snapshot can be had.
            Err(error) if error.is_damage() => return Ok(Report::unreadable(&error)),
            done => done?,
        };
    }
    Ok(report)
}

/// Looks at one thread, its members and their inbox rows.
///
/// # Errors
/// A failure of the store.
pub fn examine_thread(read: &Read<'_>, thread: ThreadId) -> Result<Vec<Problem>> {
    Ok(threads::find(read, thread.get())?.map(|examined| examined.problems).unwrap_or_default())
}

/// Derives again whatever `report` says can be, a few repairs a transaction. A damaged file is left as it is.
///
/// # Errors
/// A failure of the store; earlier transactions stay.
pub async fn repair(store: &Store, report: &Report, watch: Watch) -> Result<()> {
    if report.damaged {
        return Ok(());
    }
    let units: Vec<Unit> = report.units.iter().copied().collect();
    for (index, group) in units.chunks(REPAIRS).enumerate() {
        let (done, total) = ((index * REPAIRS) as u64, units.len() as u64);
        watch(Progress { step: "repairing", done, total });
        let group = group.to_vec();
        store.write(move |tx| group.iter().try_for_each(|unit| mend::mend(tx, *unit))).await?;
    }
    Ok(())
}

const fn is_id(id: i64) -> bool {
    id >= 1 && id <= MAX_ID
}

fn count(read: &Read<'_>, sql: &'static str) -> Result<u64> {
    Ok(read.row(sql, &[], |row| row.int(0))?.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
}
