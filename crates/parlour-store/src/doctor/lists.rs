//! What lists threads: inboxes, pairs and mailboxes, against what the threads themselves say.

use super::{Place, Problem, Report, Unit, count};
use crate::Result;
use crate::db::Read;
use crate::mailboxes::Totals;
use std::collections::{HashMap, HashSet};

/// Inbox rows of no member. Members in `moved` have a wrong `listed_at`, which is a problem already.
pub(super) fn examine_inboxes(read: &Read<'_>, report: &mut Report, moved: &HashSet<(i64, i64)>) -> Result<()> {
    report.checked.inbox_rows = count(read, "select count(*) from inbox")?;
    read.scan(
        "select i.user_id, i.last_message_at, i.thread_id from inbox i where not exists (select 1 from members m
             where m.thread_id = i.thread_id and m.user_id = i.user_id and m.listed_at = i.last_message_at)",
        &[],
        |row| {
            let (user, last_message_at, thread) = (row.int(0)?, row.int(1)?, row.int(2)?);
            if !moved.contains(&(user, thread)) {
                let place = Place::thread(thread).of_user(user);
                let problem = Problem::derived("inbox.extra", place, Some(last_message_at), None);
                report.add(problem, Some(Unit::InboxRow { user, last_message_at, thread }));
            }
            Ok(())
        },
    )
}

/// Pairs that have no thread. Those in `named` have one, and a wrong `thread_id`, which is a problem already.
pub(super) fn examine_pairs(read: &Read<'_>, report: &mut Report, named: &HashSet<(i64, i64)>) -> Result<()> {
    read.scan(
        "select low_user_id, high_user_id, thread_id from direct_threads d where not exists (select 1 from threads t
             where t.id = d.thread_id and (t.creator_id, t.other_id) in ((d.low_user_id, d.high_user_id), (d.high_user_id, d.low_user_id)))",
        &[],
        |row| {
            let (low, high) = (row.int(0)?, row.int(1)?);
            if !named.contains(&(low, high)) {
                let place = Place::thread(row.int(2)?).of_user(low);
                let problem = Problem::derived("direct_threads.extra", place, None, None);
                report.add(problem, Some(Unit::Pair { low, high }));
            }
            Ok(())
        },
    )
}

/// Totals against what the threads add up to, and the ends of the event logs.
pub(super) fn examine_mailboxes(read: &Read<'_>, report: &mut Report, mut totals: HashMap<i64, Totals>) -> Result<()> {
    let mut logs: HashMap<i64, i64> = HashMap::new();
    read.scan("select user_id, max(position), count(*), min(position) from events group by user_id", &[], |row| {
        let (user, last, count, first) = (row.int(0)?, row.int(1)?, row.int(2)?, row.int(3)?);
        report.checked.events += count.unsigned_abs();
        // The oldest go after a while.
        if first < 1 || last - first + 1 != count {
            report.add(Problem::lost("events.position", Place::user(user)), None);
        }
        logs.insert(user, last);
        Ok(())
    })?;
    read.scan(
        "select u.id, m.listed_threads, m.unread_threads, m.unread_messages, m.event_position, m.unseen_notifications
         from users u left join mailboxes m on m.user_id = u.id",
        &[],
        |row| {
            let user = row.int(0)?;
            let totals = totals.remove(&user).unwrap_or_default();
            let (place, unit) = (Place::user(user), Some(Unit::Mailbox(user)));
            if row.int_opt(1)?.is_none() {
                report.add(Problem::derived("mailboxes.missing", place, None, None), unit);
                return Ok(());
            }
            for (column, what, expected) in [
                (1, "mailboxes.listed_threads", totals.listed_threads),
                (2, "mailboxes.unread_threads", totals.unread_threads),
                (3, "mailboxes.unread_messages", totals.unread_messages),
                (4, "mailboxes.event_position", logs.get(&user).copied().unwrap_or(0)),
                (5, "mailboxes.unseen_notifications", totals.unseen_notifications),
            ] {
                let stored = row.int(column)?;
                if stored != expected {
                    report.add(Problem::derived(what, place, Some(stored), Some(expected)), unit);
                }
            }
            Ok(())
        },
    )
}
