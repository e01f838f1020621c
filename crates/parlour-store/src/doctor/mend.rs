//! Derives again what an examination found wrong. Each repair looks for itself: what was wrong may have moved since.

use super::threads::{Examined, Member, find, pair};
use super::{Unit, files, people};
use crate::Result;
use crate::db::{Tx, params};
use crate::users::{next_directory_version, search_text};
use parlour_types::{ThreadId, UserId};

pub(super) fn mend(tx: &Tx<'_>, unit: Unit) -> Result<()> {
    match unit {
        Unit::Directory => directory(tx),
        Unit::Pair { low, high } => {
            tx.execute("delete from direct_threads where low_user_id = ?1 and high_user_id = ?2", params![low, high])?;
            Ok(())
        }
        Unit::Thread(id) => match find(tx, id)? {
            Some(examined) if !examined.problems.is_empty() && !examined.has_losses() => thread(tx, &examined),
            _ => Ok(()),
        },
        Unit::InboxRow { user, last_message_at, thread } => {
            tx.execute(
                "delete from inbox where user_id = ?1 and last_message_at = ?2 and thread_id = ?3
                     and not exists (select 1 from members where thread_id = ?3 and user_id = ?1 and listed_at = ?2)",
                params![user, last_message_at, thread],
            )?;
            touch(tx, user, thread);
            mailbox(tx, user)
        }
        Unit::Mailbox(user) => mailbox(tx, user),
        Unit::User(user) => self::user(tx, user),
        Unit::LostFile { owner, uuid } => files::describe_lost(tx, owner, uuid),
        Unit::File { owner, uuid } => files::mend(tx, owner, uuid),
        // With their objects.
        Unit::Parts { .. } => Ok(()),
        Unit::Usage(owner) => files::mend_usage(tx, owner),
    }
}

/// No version may be given twice.
fn directory(tx: &Tx<'_>) -> Result<()> {
    let (stored, least) = people::directory_versions(tx)?;
    if stored.is_none_or(|stored| stored < least) {
        tx.execute(
            "insert into counters (name, value) values ('directory_version', ?1)
             on conflict (name) do update set value = ?1",
            params![least],
        )?;
        tx.touch_directory();
    }
    Ok(())
}

fn thread(tx: &Tx<'_>, examined: &Examined) -> Result<()> {
    let thread = &examined.thread;
    tx.execute_one(
        "repairing a thread",
        "update threads set last_seq = ?2, deleted_count = ?3, last_message_at = ?4 where id = ?1",
        params![thread.id, thread.last_seq, thread.deleted_count, thread.last_message_at],
    )?;
    for (seq, visible_before) in &examined.wrong_holes {
        tx.execute_one(
            "repairing a hole",
            "update deleted_messages set visible_before = ?3 where thread_id = ?1 and seq = ?2",
            params![thread.id, *seq, *visible_before],
        )?;
    }
    tx.execute(
        "update messages set text = '', file_uuid = null
         where thread_id = ?1 and status = 1 and (text <> '' or file_uuid is not null)",
        params![thread.id],
    )?;
    let (low, high) = pair(thread);
    tx.execute(
        "insert into direct_threads (low_user_id, high_user_id, thread_id) values (?1, ?2, ?3)
         on conflict (low_user_id, high_user_id) do update set thread_id = ?3",
        params![low, high, thread.id],
    )?;
    for member in &examined.members {
        self::member(tx, examined, member)?;
    }
    Ok(())
}

fn member(tx: &Tx<'_>, examined: &Examined, member: &Member) -> Result<()> {
    let (thread, to) = (&examined.thread, member.derived);
    tx.execute_one(
        "repairing a member",
        "update members set read_seq = ?3, cleared_seq = ?4, unread_count = ?5, listed_at = ?6, notified_seq = ?7,
             unseen_count = ?8
         where thread_id = ?1 and user_id = ?2",
        params![
            thread.id,
            member.user_id,
            to.read_seq,
            to.cleared_seq,
            to.unread_count,
            to.listed_at,
            to.notified_seq,
            to.unseen_count
        ],
    )?;
    tx.execute("delete from inbox where user_id = ?1 and thread_id = ?2", params![member.user_id, thread.id])?;
    if let (Some(newest), Some(_)) = (examined.newest, to.listed_at) {
        tx.execute_one(
            "repairing an inbox row",
            "insert into inbox (user_id, last_message_at, thread_id, creator_id, other_id, created_at, unread_count,
                 message_id, message_status, text, file_name)
             select cast(?1 as bigint), m.created_at, t.id, t.creator_id, t.other_id, t.created_at, cast(?4 as bigint), m.id, m.status, m.text,
                 f.filename
             from threads t join messages m on m.thread_id = t.id
                 left join files f on f.owner_id = m.sender_id and f.uuid = m.file_uuid where t.id = ?2 and m.seq = ?3",
            params![member.user_id, thread.id, newest.seq, to.unread_count],
        )?;
    }
    touch(tx, member.user_id, thread.id);
    // A server may have moved the totals by what was wrong since they were examined.
    mailbox(tx, member.user_id)
}

/// Whatever is unread is in the inbox, so the inbox adds up to the totals.
fn mailbox(tx: &Tx<'_>, user: i64) -> Result<()> {
    tx.execute("insert into mailboxes (user_id) values (?1) on conflict do nothing", params![user])?;
    tx.execute_one(
        "repairing a mailbox",
        "update mailboxes set (listed_threads, unread_threads, unread_messages) =
             (select count(*), count(case when unread_count > 0 then 1 end), cast(coalesce(sum(unread_count), 0) as bigint) from inbox
              where user_id = ?1),
             unseen_notifications = (select cast(coalesce(sum(m.unseen_count), 0) as bigint) from inbox i
                 join members m on m.thread_id = i.thread_id and m.user_id = i.user_id where i.user_id = ?1),
             event_position = (select coalesce(max(position), 0) from events where user_id = ?1)
         where user_id = ?1",
        params![user],
    )?;
    // The totals stand on the inbox page, which is given up with any thread in it.
    let listed = tx.row("select thread_id from inbox where user_id = ?1 limit 1", params![user], |row| row.int(0))?;
    listed.into_iter().for_each(|thread| touch(tx, user, thread));
    Ok(())
}

fn user(tx: &Tx<'_>, id: i64) -> Result<()> {
    let names = tx.row("select username, real_name from users where id = ?1", params![id], |row| {
        Ok((row.text(0)?, row.text(1)?))
    })?;
    let Some((username, real_name)) = names else { return Ok(()) };
    let version = next_directory_version(tx)?;
    tx.execute_one(
        "repairing a user",
        "update users set search_text = ?2, version = ?3,
             followers_counter = (select count(*) from follows where followed_id = ?1),
             followings_counter = (select count(*) from follows where follower_id = ?1) where id = ?1",
        params![id, &*search_text(&username, &real_name), version],
    )
}

fn touch(tx: &Tx<'_>, user: i64, thread: i64) {
    if let (Some(user), Some(thread)) = (UserId::new(user), ThreadId::new(thread)) {
        tx.touch_thread(user, thread);
    }
}
