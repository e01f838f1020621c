//! Threads, who is in them and their inbox rows, all derived from the messages themselves in one pass.

use super::{Place, Problem, Report, Unit, count, is_id, lists};
use crate::db::{Read, Row, params};
use crate::mailboxes::Totals;
use crate::{Progress, Result, Watch};
use std::collections::{HashMap, HashSet};

/// A row of `threads`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Thread {
    pub(super) id: i64,
    pub(super) creator_id: i64,
    pub(super) other_id: i64,
    created_at: i64,
    pub(super) last_seq: i64,
    pub(super) deleted_count: i64,
    pub(super) last_message_at: i64,
}

/// What a row of `members` holds of a user.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) read_seq: i64,
    pub(super) cleared_seq: i64,
    pub(super) unread_count: i64,
    pub(super) listed_at: Option<i64>,
    pub(super) notified_seq: i64,
    pub(super) unseen_count: i64,
}

/// A member as stored and as derived.
#[derive(Clone, Copy)]
pub(super) struct Member {
    pub(super) user_id: i64,
    stored: Standing,
    pub(super) derived: Standing,
}

/// The newest message that is shown.
#[derive(Clone, Copy)]
pub(super) struct Newest {
    pub(super) seq: i64,
    id: i64,
    created_at: i64,
    status: i64,
}

/// What a thread's messages say.
pub(super) struct Examined {
    /// The thread as derived.
    pub(super) thread: Thread,
    pub(super) members: Vec<Member>,
    pub(super) newest: Option<Newest>,
    /// Sequence number and derived position of the holes whose position is wrong.
    pub(super) wrong_holes: Vec<(i64, i64)>,
    pub(super) problems: Vec<Problem>,
    shown: i64,
}

impl Examined {
    /// Whether something is missing that nothing can derive.
    pub(super) fn has_losses(&self) -> bool {
        self.problems.iter().any(|problem| !problem.repairable)
    }
}

/// A pair that names another thread than its own, or none.
const WRONG_PAIR: &str = "direct_threads.thread_id";

const THREADS: &str =
    "select id, creator_id, other_id, created_at, last_seq, deleted_count, last_message_at from threads";

fn decode(row: &Row<'_>) -> Result<Thread> {
    Ok(Thread {
        id: row.int(0)?,
        creator_id: row.int(1)?,
        other_id: row.int(2)?,
        created_at: row.int(3)?,
        last_seq: row.int(4)?,
        deleted_count: row.int(5)?,
        last_message_at: row.int(6)?,
    })
}

/// Every thread, then what lists them: inboxes, pairs and mailboxes.
pub(super) fn examine(read: &Read<'_>, report: &mut Report, watch: &Watch) -> Result<()> {
    let total = count(read, "select cast(coalesce(sum(last_seq), 0) as bigint) from threads")?;
    let mut done = 0;
    let mut totals: HashMap<i64, Totals> = HashMap::new();
    let (mut moved, mut named) = (HashSet::new(), HashSet::new());
    read.scan(THREADS, &[], |row| {
        let examined = examine_thread(read, decode(row)?)?;
        report.checked.threads += 1;
        report.checked.members += examined.members.len() as u64;
        report.checked.messages += examined.shown.unsigned_abs();
        report.checked.deleted_messages += examined.thread.deleted_count.unsigned_abs();
        done += examined.thread.last_seq.unsigned_abs();
        watch(Progress { step: "checking threads", done, total });
        for member in &examined.members {
            let totals = totals.entry(member.user_id).or_default();
            totals.listed_threads += i64::from(member.derived.listed_at.is_some());
            totals.unread_threads += i64::from(member.derived.unread_count > 0);
            totals.unread_messages += member.derived.unread_count;
            totals.unseen_notifications += member.derived.unseen_count;
            if member.stored.listed_at != member.derived.listed_at {
                moved.insert((member.user_id, examined.thread.id));
            }
        }
        if examined.problems.iter().any(|problem| problem.what == WRONG_PAIR) {
            named.insert(pair(&examined.thread));
        }
        let unit = Unit::Thread(examined.thread.id);
        examined.problems.into_iter().for_each(|problem| report.add(problem, Some(unit)));
        Ok(())
    })?;
    lists::examine_inboxes(read, report, &moved)?;
    lists::examine_pairs(read, report, &named)?;
    lists::examine_mailboxes(read, report, totals)
}

/// One thread, if there is such a one.
pub(super) fn find(read: &Read<'_>, id: i64) -> Result<Option<Examined>> {
    let thread = read.row(&format!("{THREADS} where id = ?1"), params![id], decode)?;
    thread.map(|thread| examine_thread(read, thread)).transpose()
}

fn examine_thread(read: &Read<'_>, stored: Thread) -> Result<Examined> {
    let members = read.rows(
        "select user_id, read_seq, cleared_seq, unread_count, listed_at, notified_seq, unseen_count
         from members where thread_id = ?1",
        params![stored.id],
        |row| {
            let stored = Standing {
                read_seq: row.int(1)?,
                cleared_seq: row.int(2)?,
                unread_count: row.int(3)?,
                listed_at: row.int_opt(4)?,
                notified_seq: row.int(5)?,
                unseen_count: row.int(6)?,
            };
            // A member who deleted the thread has seen it, and who has seen it has read its notifications.
            let read_seq = stored.read_seq.max(stored.cleared_seq);
            let notified_seq = stored.notified_seq.max(read_seq);
            let derived = Standing { read_seq, unread_count: 0, notified_seq, unseen_count: 0, ..stored };
            Ok(Member { user_id: row.int(0)?, stored, derived })
        },
    )?;
    let thread = Thread { last_seq: 0, deleted_count: 0, last_message_at: stored.created_at, ..stored };
    let mut examined =
        Examined { thread, members, newest: None, wrong_holes: Vec::new(), problems: Vec::new(), shown: 0 };
    examined.read_lines(read)?;
    examined.settle_members();
    examined.compare_thread(read, stored)?;
    for at in 0..examined.members.len() {
        examined.compare_member(read, at)?;
    }
    if examined.has_losses() {
        // Nothing is derived from a thread that is not whole.
        examined.problems.iter_mut().for_each(|problem| problem.repairable = false);
    }
    Ok(examined)
}

/// One sequence number: a message or a hole.
struct Line {
    seq: i64,
    id: i64,
    sender_id: i64,
    created_at: i64,
    /// `None` for a hole.
    status: Option<i64>,
    visible_before: i64,
    keeps_text: bool,
    keeps_file: bool,
}

impl Examined {
    fn read_lines(&mut self, read: &Read<'_>) -> Result<()> {
        let mut last_id = 0;
        read.scan(
            "select seq, id, sender_id, created_at, status, 0, case when status = 1 and text <> '' then 1 else 0 end,
                 case when status = 1 and file_uuid is not null then 1 else 0 end
             from messages where thread_id = ?1
             union all
             select seq, message_id, sender_id, created_at, null, visible_before, 0, 0
             from deleted_messages where thread_id = ?1 order by 1",
            params![self.thread.id],
            |row| {
                let line = Line {
                    seq: row.int(0)?,
                    id: row.int(1)?,
                    sender_id: row.int(2)?,
                    created_at: row.int(3)?,
                    status: row.int_opt(4)?,
                    visible_before: row.int(5)?,
                    keeps_text: row.flag(6)?,
                    keeps_file: row.flag(7)?,
                };
                self.take(&line, last_id);
                last_id = line.id;
                Ok(())
            },
        )
    }

    fn take(&mut self, line: &Line, last_id: i64) {
        let place = Place::thread(self.thread.id).at(line.seq).message(line.id);
        let mut lost = |what| self.problems.push(Problem::lost(what, place));
        if line.seq != self.thread.last_seq + 1 {
            lost("messages.seq");
        }
        if line.id <= last_id {
            lost("messages.id");
        }
        if !is_id(line.id) {
            lost("id.range");
        }
        if line.status.is_some_and(|status| !matches!(status, 0 | 1)) {
            lost("messages.status");
        }
        if !self.members.iter().any(|member| member.user_id == line.sender_id) {
            lost("messages.sender_id");
        }
        if line.keeps_text {
            self.problems.push(Problem::derived("messages.text", place, None, None));
        }
        if line.keeps_file {
            self.problems.push(Problem::derived("messages.file_uuid", place, None, None));
        }
        self.thread.last_seq = line.seq;
        let Some(status) = line.status else {
            self.take_hole(line, place);
            return;
        };
        self.shown += 1;
        self.newest = Some(Newest { seq: line.seq, id: line.id, created_at: line.created_at, status });
        for member in self.members.iter_mut().filter(|member| line.seq > member.derived.read_seq) {
            // Whoever writes has seen what stands before.
            if line.sender_id == member.user_id {
                member.derived.read_seq = line.seq;
                member.derived.unread_count = 0;
            } else {
                member.derived.unread_count += 1;
            }
        }
        for member in self.members.iter_mut().filter(|member| line.seq > member.derived.notified_seq) {
            if line.sender_id == member.user_id {
                member.derived.notified_seq = line.seq;
                member.derived.unseen_count = 0;
            } else {
                member.derived.unseen_count += 1;
            }
        }
    }

    fn take_hole(&mut self, line: &Line, place: Place) {
        self.thread.deleted_count += 1;
        if line.visible_before != self.shown {
            let (stored, expected) = (Some(line.visible_before), Some(self.shown));
            self.problems.push(Problem::derived("deleted_messages.visible_before", place, stored, expected));
            self.wrong_holes.push((line.seq, self.shown));
        }
    }

    /// What could not be said before the end of the thread was known.
    fn settle_members(&mut self) {
        self.thread.last_message_at = self.newest.map_or(self.thread.last_message_at, |newest| newest.created_at);
        // A damaged row may say anything.
        let last_seq = self.thread.last_seq.max(0);
        for member in &mut self.members {
            let derived = &mut member.derived;
            derived.read_seq = derived.read_seq.clamp(0, last_seq);
            derived.cleared_seq = derived.cleared_seq.clamp(0, last_seq);
            derived.notified_seq = derived.notified_seq.clamp(0, last_seq);
            let shown = self.newest.filter(|newest| newest.seq > derived.cleared_seq);
            derived.listed_at = shown.map(|newest| newest.created_at);
        }
    }

    fn derived(&mut self, what: &'static str, place: Place, stored: Option<i64>, expected: Option<i64>) {
        if stored != expected {
            self.problems.push(Problem::derived(what, place, stored, expected));
        }
    }

    fn compare_thread(&mut self, read: &Read<'_>, stored: Thread) -> Result<()> {
        let (thread, place) = (self.thread, Place::thread(stored.id));
        if !is_id(thread.id) {
            self.problems.push(Problem::lost("id.range", place));
        }
        for (what, stored, expected) in [
            ("threads.last_seq", stored.last_seq, thread.last_seq),
            ("threads.deleted_count", stored.deleted_count, thread.deleted_count),
            ("threads.last_message_at", stored.last_message_at, thread.last_message_at),
        ] {
            self.derived(what, place, Some(stored), Some(expected));
        }
        let mut users: Vec<i64> = self.members.iter().map(|member| member.user_id).collect();
        users.sort_unstable();
        let (low, high) = pair(&thread);
        if users != [low, high] {
            self.problems.push(Problem::lost("members.user_id", place));
        }
        let named = read.row(
            "select thread_id from direct_threads where low_user_id = ?1 and high_user_id = ?2",
            params![low, high],
            |row| row.int(0),
        )?;
        match named {
            Some(other) if other != thread.id && exists(read, other, low, high)? => {
                self.problems.push(Problem::lost("direct_threads.repeated", place));
            }
            named => self.derived(WRONG_PAIR, place, named, Some(thread.id)),
        }
        Ok(())
    }

    fn compare_member(&mut self, read: &Read<'_>, at: usize) -> Result<()> {
        let Member { user_id, stored, derived } = self.members[at];
        let place = Place::thread(self.thread.id).of_user(user_id);
        for (what, stored, expected) in [
            ("members.read_seq", Some(stored.read_seq), Some(derived.read_seq)),
            ("members.cleared_seq", Some(stored.cleared_seq), Some(derived.cleared_seq)),
            ("members.unread_count", Some(stored.unread_count), Some(derived.unread_count)),
            ("members.listed_at", stored.listed_at, derived.listed_at),
            ("members.notified_seq", Some(stored.notified_seq), Some(derived.notified_seq)),
            ("members.unseen_count", Some(stored.unseen_count), Some(derived.unseen_count)),
        ] {
            self.derived(what, place, stored, expected);
        }
        let (Some(newest), Some(listed_at)) = (self.newest, derived.listed_at) else { return Ok(()) };
        // What the file of a message is called that no row describes, nobody can say.
        let row = read.row(
            "select i.creator_id, i.other_id, i.created_at, i.unread_count, i.message_id, i.message_status, i.text = m.text,
                 case when m.file_uuid is not null and f.uuid is null then 1
                     when i.file_name is not distinct from f.filename then 1 else 0 end
             from inbox i join messages m on m.thread_id = i.thread_id and m.seq = ?4
                 left join files f on f.owner_id = m.sender_id and f.uuid = m.file_uuid
             where i.user_id = ?1 and i.last_message_at = ?2 and i.thread_id = ?3",
            params![user_id, listed_at, self.thread.id, newest.seq],
            |row| (0..8).map(|column| row.int_opt(column)).collect::<Result<Vec<_>>>(),
        )?;
        let thread = self.thread;
        let Some(row) = row else {
            self.problems.push(Problem::derived("inbox.missing", place, None, None));
            return Ok(());
        };
        for (column, (what, expected)) in [
            ("inbox.creator_id", thread.creator_id),
            ("inbox.other_id", thread.other_id),
            ("inbox.created_at", thread.created_at),
            ("inbox.unread_count", derived.unread_count),
            ("inbox.message_id", newest.id),
            ("inbox.message_status", newest.status),
        ]
        .into_iter()
        .enumerate()
        {
            self.derived(what, place, row[column], Some(expected));
        }
        for (column, what) in [(6, "inbox.text"), (7, "inbox.file_name")] {
            if row[column] != Some(1) {
                self.problems.push(Problem::derived(what, place, None, None));
            }
        }
        Ok(())
    }
}

/// The two of a thread, the lower id first.
pub(super) fn pair(thread: &Thread) -> (i64, i64) {
    (thread.creator_id.min(thread.other_id), thread.creator_id.max(thread.other_id))
}

/// Whether there is a thread `id` of these two.
fn exists(read: &Read<'_>, id: i64, low: i64, high: i64) -> Result<bool> {
    let thread = read.row(&format!("{THREADS} where id = ?1"), params![id], decode)?;
    Ok(thread.is_some_and(|thread| pair(&thread) == (low, high)))
}
