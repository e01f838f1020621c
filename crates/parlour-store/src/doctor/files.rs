//! Rows of files against the messages that show them, the pictures that they name, and what their owners have stored.
//!
//! A file is what its row says; its object is looked at in [`objects`](super::objects). How many messages show it, when it goes and which
//! picture is its own follow from other rows.

use super::{Place, Problem, Report, Unit, mend};
use crate::db::{Read, Row, Tx, params};
use crate::files::{FileState, lock};
use crate::{Progress, Result, StoreError, Watch};
use parlour_types::{FileUuid, UserId};

/// What a file is called that messages show and no row describes, if no inbox remembers its name.
const NAMELESS: &str = "file";

/// The picture that is a file's own: the one that it names or, if that is none of its pictures, the newest that does not expire.
macro_rules! own_picture {
    ($file:literal) => {
        concat!(
            "case when ",
            $file,
            ".thumbnail_uuid is null or ",
            $file,
            ".state not in (1, 3) then ",
            $file,
            ".thumbnail_uuid
             else coalesce(
                 (select p.uuid from files p where p.owner_id = ",
            $file,
            ".owner_id and p.uuid = ",
            $file,
            ".thumbnail_uuid
                      and p.parent_uuid = ",
            $file,
            ".uuid and p.state = 1),
                 (select p.uuid from files p where p.owner_id = ",
            $file,
            ".owner_id and p.parent_uuid = ",
            $file,
            ".uuid
                      and p.state = 1 and p.expires_at is null order by p.created_at desc, p.uuid limit 1)) end"
        )
    };
}

const FILES: &str = concat!(
    "select f.owner_id, f.uuid, f.created_at, f.state, f.attached_count, f.expires_at, f.thumbnail_uuid,
         (select count(*) from messages m where m.sender_id = f.owner_id and m.file_uuid = f.uuid and m.status = 0),
         ",
    own_picture!("f"),
    ",
         (select ",
    own_picture!("w"),
    " from files w where w.owner_id = f.owner_id and w.uuid = f.parent_uuid)
     from files f"
);

/// What follows from other rows.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Standing {
    state: i64,
    attached_count: i64,
    expires_at: Option<i64>,
    thumbnail: Option<FileUuid>,
}

/// A row as stored and as derived.
struct Examined {
    owner: i64,
    uuid: FileUuid,
    stored: Standing,
    derived: Standing,
}

fn decode(row: &Row<'_>) -> Result<Examined> {
    let (created_at, uuid, shown) = (row.int(2)?, row.file_uuid(1)?, row.int(7)?);
    let stored = Standing {
        state: row.int(3)?,
        attached_count: row.int(4)?,
        expires_at: row.int_opt(5)?,
        thumbnail: row.file_uuid_opt(6)?,
    };
    let is_own_picture = row.file_uuid_opt(9)? == Some(uuid);
    let [uploading, ready, going] = [FileState::Uploading, FileState::Ready, FileState::Going].map(FileState::code);
    let state = if shown > 0 && [uploading, going].contains(&stored.state) { ready } else { stored.state };
    let stays = shown > 0 || (is_own_picture && stored.state == ready);
    let derived = Standing {
        state,
        attached_count: shown,
        // What nothing shows and nothing lets go is due.
        expires_at: if stays { None } else { stored.expires_at.or(Some(created_at)) },
        thumbnail: row.file_uuid_opt(8)?,
    };
    Ok(Examined { owner: row.int(0)?, uuid, stored, derived })
}

/// Every row of a file, whatever names one, and what they add up to.
pub(super) fn examine(read: &Read<'_>, report: &mut Report, watch: &Watch) -> Result<()> {
    watch(Progress { step: "checking files", done: 0, total: 0 });
    read.scan(FILES, &[], |row| {
        let Examined { owner, uuid, stored, derived } = decode(row)?;
        report.checked.files += 1;
        let (place, unit) = (Place::user(owner).file(uuid), Some(Unit::File { owner, uuid }));
        for (what, stored, expected) in [
            ("files.state", Some(stored.state), Some(derived.state)),
            ("files.attached_count", Some(stored.attached_count), Some(derived.attached_count)),
            ("files.expires_at", stored.expires_at, derived.expires_at),
        ] {
            if stored != expected {
                report.add(Problem::derived(what, place, stored, expected), unit);
            }
        }
        if stored.thumbnail != derived.thumbnail {
            report.add(Problem::derived("files.thumbnail_uuid", place, None, None), unit);
        }
        Ok(())
    })?;
    examine_messages(read, report)?;
    examine_parts(read, report)?;
    examine_usage(read, report)
}

/// Messages that show a file that no row describes.
fn examine_messages(read: &Read<'_>, report: &mut Report) -> Result<()> {
    read.scan(
        "select m.sender_id, m.thread_id, m.id, m.file_uuid, (select count(*) from users u where u.id = m.sender_id) from messages m
         where m.file_uuid is not null and m.status = 0
             and not exists (select 1 from files f where f.owner_id = m.sender_id and f.uuid = m.file_uuid)",
        &[],
        |row| {
            let (owner, uuid) = (row.int(0)?, row.file_uuid(3)?);
            let place = Place::thread(row.int(1)?).of_user(owner).message(row.int(2)?).file(uuid);
            if row.flag(4)? {
                let problem = Problem::derived("messages.file_uuid", place, None, None);
                report.add(problem, Some(Unit::LostFile { owner, uuid }));
            } else {
                report.add(Problem::lost("messages.file_uuid", place), None);
            }
            Ok(())
        },
    )
}

fn examine_parts(read: &Read<'_>, report: &mut Report) -> Result<()> {
    read.scan(
        "select distinct p.owner_id, p.uuid from file_parts p where not exists
             (select 1 from files f where f.owner_id = p.owner_id and f.uuid = p.uuid and f.state in (0, 2))",
        &[],
        |row| {
            let (owner, uuid) = (row.int(0)?, row.file_uuid(1)?);
            let problem = Problem::derived("file_parts.uuid", Place::user(owner).file(uuid), None, None);
            report.add(problem, Some(Unit::Parts { owner, uuid }));
            Ok(())
        },
    )
}

const USAGE: &str = "select u.id, coalesce(a.files, 0), coalesce(a.bytes, 0),
         (select count(*) from files f where f.owner_id = u.id and f.parent_uuid is null),
         (select cast(coalesce(sum(f.size), 0) as bigint) from files f where f.owner_id = u.id)
             + (select cast(coalesce(sum(p.size), 0) as bigint) from file_parts p where p.owner_id = u.id)
     from users u left join file_usage a on a.user_id = u.id";

fn examine_usage(read: &Read<'_>, report: &mut Report) -> Result<()> {
    read.scan(USAGE, &[], |row| {
        let user = row.int(0)?;
        for (column, what) in [(1, "file_usage.files"), (2, "file_usage.bytes")] {
            let (stored, counted) = (row.int(column)?, row.int(column + 2)?);
            if stored != counted {
                let problem = Problem::derived(what, Place::user(user), Some(stored), Some(counted));
                report.add(problem, Some(Unit::Usage(user)));
            }
        }
        Ok(())
    })
}

/// Brings a row in line with what it follows from.
pub(super) fn mend(tx: &Tx<'_>, owner: i64, uuid: FileUuid) -> Result<()> {
    lock_owner(tx, owner)?;
    let sql = format!("{FILES} where f.owner_id = ?1 and f.uuid = ?2");
    let Some(examined) = tx.row(&sql, params![owner, &uuid], decode)? else { return Ok(()) };
    let to = examined.derived;
    if to == examined.stored {
        return Ok(());
    }
    tx.execute_one(
        "repairing a file",
        "update files set state = ?3, attached_count = ?4, expires_at = ?5, thumbnail_uuid = ?6
         where owner_id = ?1 and uuid = ?2",
        params![owner, &uuid, to.state, to.attached_count, to.expires_at, to.thumbnail.as_ref()],
    )?;
    tx.touch_everything();
    Ok(())
}

/// Gives a file that messages show a row that calls it lost: they still show that there was one. Should its object be there, it is found
/// again.
pub(super) fn describe_lost(tx: &Tx<'_>, owner: i64, uuid: FileUuid) -> Result<()> {
    lock_owner(tx, owner)?;
    let shown = tx.row(
        "select count(*), min(created_at) from messages where sender_id = ?1 and file_uuid = ?2 and status = 0
             and not exists (select 1 from files where owner_id = ?1 and uuid = ?2)",
        params![owner, &uuid],
        |row| Ok((row.int(0)?, row.int_opt(1)?)),
    )?;
    let Some((shown, Some(created_at))) = shown else { return Ok(()) };
    let name = tx.row(
        "select i.file_name from messages m join inbox i on i.user_id = m.sender_id and i.last_message_at = m.created_at
             and i.thread_id = m.thread_id and i.message_id = m.id
         where m.sender_id = ?1 and m.file_uuid = ?2 and i.file_name is not null limit 1",
        params![owner, &uuid],
        |row| row.text(0),
    )?;
    tx.execute_one(
        "describing a lost file",
        "insert into files (owner_id, uuid, state, filename, mimetype, size, attached_count, created_at)
         values (?1, ?2, 3, ?3, 'application/octet-stream', 0, ?4, ?5)",
        params![owner, &uuid, name.as_deref().unwrap_or(NAMELESS), shown, created_at],
    )?;
    mend_usage(tx, owner)?;
    let threads = tx.rows(
        "select distinct thread_id from messages where sender_id = ?1 and file_uuid = ?2",
        params![owner, &uuid],
        |row| row.int(0),
    )?;
    // Their inbox rows can be told the name now.
    threads.into_iter().try_for_each(|thread| mend::mend(tx, Unit::Thread(thread)))?;
    tx.touch_everything();
    Ok(())
}

/// Adds up again what a member has stored.
pub(super) fn mend_usage(tx: &Tx<'_>, user: i64) -> Result<()> {
    lock_owner(tx, user)?;
    let sql = format!("{USAGE} where u.id = ?1");
    let Some((files, bytes)) = tx.row(&sql, params![user], |row| Ok((row.int(3)?, row.int(4)?)))? else {
        return Ok(());
    };
    tx.execute_one(
        "repairing what a member has stored",
        "insert into file_usage (user_id, files, bytes) values (?1, ?2, ?3)
         on conflict (user_id) do update set files = ?2, bytes = ?3",
        params![user, files, bytes],
    )
}

fn lock_owner(tx: &Tx<'_>, owner: i64) -> Result<()> {
    const NOBODY: StoreError = StoreError::Inconsistent { table: "files", what: "owner" };
    lock(tx, UserId::new(owner).ok_or(NOBODY)?)
}
