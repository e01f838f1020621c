//! Files by what is stored of them: for those who look after the objects.

use super::{StoredFile, decode, file_columns};
use crate::db::{Read, Source, params};
use crate::error::Result;
use crate::objects::ObjectName;
use parlour_types::{FileUuid, UserId};

/// Up to `limit` files and pictures behind `after` that are ready or lost, in the order of their keys.
///
/// # Errors
/// A failure of the store.
pub fn page(read: &Read<'_>, after: Option<(UserId, FileUuid)>, limit: i64) -> Result<Vec<StoredFile>> {
    const SQL: &str = concat!(
        "select ",
        file_columns!(),
        " from files f where f.state in (1, 3) and (f.owner_id, f.uuid) > (?1, ?2) order by f.owner_id, f.uuid limit ?3"
    );
    let (owner, uuid) = after.as_ref().map_or((0, &[][..]), |(owner, uuid)| (owner.get(), &uuid.as_bytes()[..]));
    read.rows(SQL, params![owner, uuid, limit], decode)
}

/// How many files and pictures are ready.
///
/// # Errors
/// A failure of the store.
pub fn count_ready(read: &Read<'_>) -> Result<u64> {
    let count = read.row("select count(*) from files where state = 1", &[], |row| row.int(0))?;
    Ok(count.unwrap_or(0).unsigned_abs())
}

/// Whose file this is.
///
/// # Errors
/// A failure of the store.
pub fn owner_of(read: &Read<'_>, uuid: FileUuid) -> Result<Option<UserId>> {
    read.row("select owner_id from files where uuid = ?1", params![&uuid], |row| row.user_id(0))
}

/// Whether some row knows of an object.
///
/// # Errors
/// A failure of the store.
pub fn knows(read: &Read<'_>, object: ObjectName) -> Result<bool> {
    let owner = owner_of(read, object.uuid())?;
    let (Some(owner), ObjectName::Part { uuid, index, attempt }) = (owner, object) else { return Ok(owner.is_some()) };
    let part = read.row(
        "select 1 from file_parts where owner_id = ?1 and uuid = ?2 and part_index = ?3 and attempt = ?4",
        params![owner, &uuid, index, attempt],
        |_| Ok(()),
    )?;
    Ok(part.is_some())
}

/// Says that a file's object is gone. Messages go on to show it; one that no message shows goes, and a picture is no more its file's own.
pub(crate) fn lose(source: Source<'_>, file: &StoredFile) -> Result<()> {
    let (owner, uuid) = (file.owner_id, &file.uuid);
    source.execute(
        "update files set thumbnail_uuid = null where owner_id = ?1 and thumbnail_uuid = ?2",
        params![owner, uuid],
    )?;
    let expires_at = if file.attached_count > 0 { None } else { Some(file.created_at) };
    source.execute(
        "update files set state = 3, expires_at = ?3 where owner_id = ?1 and uuid = ?2",
        params![owner, uuid, expires_at],
    )?;
    Ok(())
}
