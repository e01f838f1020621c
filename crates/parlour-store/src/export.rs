//! Everything that an import can bring back, in a fixed order, from one snapshot.
//!
//! Rows come one at a time and are not kept: memory does not grow with the community. What an import cannot bring back is not here: the
//! event log, idempotency keys, versions.

use crate::db::{Read, Row, params};
use crate::files::{FileFacts, FileState};
use crate::messages::status;
use crate::threads::decode_thread;
use crate::{Progress, Result, Store, StoreError, Watch, users};
use parlour_types::model::{MessageStatus, Settings, Thread, User};
use parlour_types::{FileUuid, MessageId, Timestamp, UserId};

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
    /// A file that a message shows.
    File(Box<File>),
    /// A thread; its messages follow.
    Thread(Thread),
    /// A message of the thread before, in order.
    Message(Line<'a>),
}

/// A file as an import brings it back.
pub struct File {
    /// Whose it is.
    pub owner: UserId,
    /// Which one.
    pub uuid: FileUuid,
    /// What it is.
    pub facts: FileFacts,
    /// When it was uploaded.
    pub created_at: Timestamp,
    /// Its object is not where it should be.
    pub is_lost: bool,
    /// The picture of it that is shown.
    pub picture: Option<Picture>,
}

/// A picture of a file.
pub struct Picture {
    /// Which one.
    pub uuid: FileUuid,
    /// What its bytes are.
    pub mimetype: String,
    /// How many they are.
    pub size: i64,
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
    /// The file that it shows.
    pub file: Option<FileUuid>,
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
        export_files(read, watch, &mut see)?;
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

fn export_files(read: &Read<'_>, watch: &Watch, see: &mut dyn FnMut(Item<'_>) -> Result<()>) -> Result<()> {
    const SHOWN: &str = "f.attached_count > 0 and f.parent_uuid is null and f.state in (1, 3)";
    let count = format!("select count(*) from files f where {SHOWN}");
    let total = read.row(&count, &[], |row| row.int(0))?.unwrap_or(0).unsigned_abs();
    let files = format!(
        "select f.owner_id, f.uuid, f.filename, f.mimetype, f.size, f.duration, f.created_at, f.state, p.uuid, p.mimetype, p.size
         from files f left join files p on p.owner_id = f.owner_id and p.uuid = f.thumbnail_uuid and p.state = 1
         where {SHOWN} order by f.owner_id, f.uuid"
    );
    let mut done = 0;
    read.scan(&files, &[], |row| {
        watch(Progress { step: "exporting files", done, total });
        done += 1;
        see(Item::File(Box::new(decode_file(row)?)))
    })
}

fn decode_file(row: &Row<'_>) -> Result<File> {
    const NAMELESS: StoreError = StoreError::Inconsistent { table: "files", what: "mimetype" };
    let picture = match row.file_uuid_opt(8)? {
        None => None,
        Some(uuid) => Some(Picture { uuid, mimetype: row.text_opt(9)?.ok_or(NAMELESS)?, size: row.int(10)? }),
    };
    Ok(File {
        owner: row.user_id(0)?,
        uuid: row.file_uuid(1)?,
        facts: FileFacts {
            filename: row.text(2)?,
            mimetype: row.text(3)?,
            size: row.int(4)?,
            duration: row.int_opt(5)?,
        },
        created_at: row.time(6)?,
        is_lost: row.int(7)? == FileState::Lost.code(),
        picture,
    })
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
             (select min(i.ext_id) from imported_messages i where i.message_id = m.id), m.file_uuid
         from messages m where thread_id = ?1
         union all
         select seq, message_id, sender_id, created_at, null, '',
             (select min(i.ext_id) from imported_messages i where i.message_id = d.message_id), null
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
                file: row.file_uuid_opt(7)?,
                unread: unread && status != MessageStatus::Deleted,
                cleared_by: &cleared_by,
            }))
        },
    )
}
