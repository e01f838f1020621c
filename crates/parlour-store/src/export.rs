//! Everything that an import can bring back, in a fixed order, from one snapshot.
//!
//! Rows come one at a time and are not kept: memory does not grow with the community. What an import cannot bring back is not here: the
//! event log, idempotency keys, versions.

use crate::db::{Read, params};
use crate::messages::status;
use crate::threads::decode_thread;
use crate::{Progress, Result, Store, Watch, users};
use parlour_types::model::{MessageStatus, Settings, Thread, User};
use parlour_types::{MessageId, Timestamp, UserId};

/// Users read at once.
const USERS: i64 = 1_000;

/// One thing to export.
pub enum Item<'a> {
    /// A user.
    User(Box<User>),
    /// A follow: who, whom, since when.
    Follow(UserId, UserId, Timestamp),
    /// Somebody hides somebody: who, whom, since when.
    Hide(UserId, UserId, Timestamp),
    /// Settings that a member has changed.
    Settings(UserId, Settings),
    /// A thread; its messages follow.
    Thread(Thread),
    /// A message of the thread before, in order.
    Message(Line<'a>),
}

/// A message as an import brings it back.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    /// Its id.
    pub id: MessageId,
    /// The key under which it was imported, if it was.
    pub ext_id: Option<&'a str>,
    /// Who wrote it.
    pub sender: UserId,
    /// The other one.
    pub receiver: UserId,
    /// When.
    pub created_at: Timestamp,
    /// Where it is in its life.
    pub status: MessageStatus,
    /// Its text, if it still has one.
    pub text: &'a str,
    /// Whether the receiver has not seen it.
    pub unread: bool,
    /// Who has deleted the thread for themselves up to here.
    pub cleared_by: &'a [UserId],
}

/// Shows `see` everything in the database, on the calling thread.
///
/// # Errors
/// What `see` answers, or a failure of the store.
pub fn export(store: &Store, watch: &Watch, mut see: impl FnMut(Item<'_>) -> Result<()>) -> Result<()> {
    store.read_here(|read| {
        export_people(read, watch, &mut see)?;
        export_threads(read, watch, &mut see)
    })
}

fn export_people(read: &Read<'_>, watch: &Watch, see: &mut dyn FnMut(Item<'_>) -> Result<()>) -> Result<()> {
    watch(Progress { step: "exporting users", done: 0, total: 0 });
    let mut after = 0;
    loop {
        let users = users::list(read, after, USERS)?;
        let Some(last) = users.last() else { break };
        after = last.id.get();
        users.into_iter().try_for_each(|user| see(Item::User(Box::new(user))))?;
    }
    read.scan(
        "select follower_id, followed_id, created_at from follows order by follower_id, followed_id",
        &[],
        |row| see(Item::Follow(row.user_id(0)?, row.user_id(1)?, row.time(2)?)),
    )?;
    read.scan("select user_id, hidden_id, created_at from hides order by user_id, hidden_id", &[], |row| {
        see(Item::Hide(row.user_id(0)?, row.user_id(1)?, row.time(2)?))
    })?;
    let changed = read.rows("select user_id from user_settings order by user_id", &[], |row| row.user_id(0))?;
    changed.into_iter().try_for_each(|user| see(Item::Settings(user, users::settings(read, user)?)))
}

fn export_threads(read: &Read<'_>, watch: &Watch, see: &mut dyn FnMut(Item<'_>) -> Result<()>) -> Result<()> {
    let number = |sql| read.row(sql, &[], |row| row.int(0)).map(|number| number.unwrap_or(0).unsigned_abs());
    let total = number("select cast(coalesce(sum(last_seq), 0) as bigint) from threads")?;
    let mut done = 0;
    read.scan(
        "select id, creator_id, other_id, created_at, last_seq, deleted_count, last_message_at from threads order by id",
        &[],
        |row| {
            let thread = decode_thread(row)?;
            see(Item::Thread(thread))?;
            export_messages(read, &thread, see)?;
            done += thread.last_seq.unsigned_abs();
            watch(Progress { step: "exporting messages", done, total });
            Ok(())
        },
    )
}

fn export_messages(read: &Read<'_>, thread: &Thread, see: &mut dyn FnMut(Item<'_>) -> Result<()>) -> Result<()> {
    let members = read.rows(
        "select user_id, read_seq, cleared_seq from members where thread_id = ?1 order by user_id",
        params![thread.id],
        |row| Ok((row.user_id(0)?, row.int(1)?, row.int(2)?)),
    )?;
    read.scan(
        "select seq, id, sender_id, created_at, status, text,
             (select min(i.ext_id) from imported_messages i where i.message_id = m.id) from messages m where thread_id = ?1
         union all
         select seq, message_id, sender_id, created_at, null, '',
             (select min(i.ext_id) from imported_messages i where i.message_id = d.message_id)
         from deleted_messages d where thread_id = ?1
         order by 1",
        params![thread.id],
        |row| {
            let (seq, sender) = (row.int(0)?, row.user_id(2)?);
            let receiver = thread.partner_of(sender);
            let status = row.int_opt(4)?.map_or(Ok(MessageStatus::Deleted), status)?;
            let unread = members.iter().any(|(user, read_seq, _)| *user == receiver && seq > *read_seq);
            let cleared_by: Vec<UserId> =
                members.iter().filter(|(.., cleared_seq)| *cleared_seq == seq).map(|(user, ..)| *user).collect();
            see(Item::Message(Line {
                id: row.message_id(1)?,
                ext_id: row.str_opt(6)?,
                sender,
                receiver,
                created_at: row.time(3)?,
                status,
                text: row.str(5)?,
                unread: unread && status != MessageStatus::Deleted,
                cleared_by: &cleared_by,
            }))
        },
    )
}
