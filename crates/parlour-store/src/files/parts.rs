//! Parts of files that are uploading. A part may be sent again: each try is an object of its own, and the newest that was stored counts.

use super::{FileState, account, find};
use crate::db::{Read, Row, Tx, params};
use crate::error::Result;

use parlour_types::{FileUuid, Timestamp, UserId};

/// One try to send a part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// Which part, from 0 on.
    pub index: i64,
    /// The how manieth try, from 1 on.
    pub attempt: i64,
    /// Where it begins in the whole, if its sender said so.
    pub byte_offset: Option<i64>,
    /// Bytes.
    pub size: i64,
    /// Whether its object is stored.
    pub stored: bool,
}

/// Every try of every part, in order.
///
/// # Errors
/// A failure of the store.
pub fn list(read: &Read<'_>, owner: UserId, uuid: FileUuid) -> Result<Vec<Part>> {
    read.rows(
        "select part_index, attempt, byte_offset, size, stored from file_parts where owner_id = ?1 and uuid = ?2
         order by part_index, attempt",
        params![owner, &uuid],
        decode,
    )
}

fn decode(row: &Row<'_>) -> Result<Part> {
    Ok(Part {
        index: row.int(0)?,
        attempt: row.int(1)?,
        byte_offset: row.int_opt(2)?,
        size: row.int(3)?,
        stored: row.flag(4)?,
    })
}

/// Every try of one part, in order.
///
/// # Errors
/// A failure of the store.
pub fn tries(read: &Read<'_>, owner: UserId, uuid: FileUuid, index: i64) -> Result<Vec<Part>> {
    read.rows(
        "select part_index, attempt, byte_offset, size, stored from file_parts
         where owner_id = ?1 and uuid = ?2 and part_index = ?3 order by attempt",
        params![owner, &uuid, index],
        decode,
    )
}

/// Bytes of all parts but one, each as it was stored last.
///
/// # Errors
/// A failure of the store.
pub fn size_of_others(read: &Read<'_>, owner: UserId, uuid: FileUuid, index: i64) -> Result<i64> {
    let size = read.row(
        "select cast(coalesce(sum(p.size), 0) as bigint) from file_parts p
         where p.owner_id = ?1 and p.uuid = ?2 and p.part_index <> ?3 and p.stored = 1 and not exists (
             select 1 from file_parts later where later.owner_id = p.owner_id and later.uuid = p.uuid
                 and later.part_index = p.part_index and later.attempt > p.attempt and later.stored = 1)",
        params![owner, &uuid, index],
        |row| row.int(0),
    )?;
    Ok(size.unwrap_or(0))
}

/// Begins to store a part, and answers which try it is; `None` when the file is no longer uploading. The upload lives until `expires_at`.
///
/// # Errors
/// A failure of the store.
pub fn begin(
    tx: &Tx<'_>,
    owner: UserId,
    uuid: FileUuid,
    (index, byte_offset, size): (i64, Option<i64>, i64),
    expires_at: Timestamp,
) -> Result<Option<i64>> {
    if find(tx, owner, uuid)?.is_none_or(|file| file.state != FileState::Uploading) {
        return Ok(None);
    }
    let newest = tx.row(
        "select coalesce(max(attempt), 0) from file_parts where owner_id = ?1 and uuid = ?2 and part_index = ?3",
        params![owner, &uuid, index],
        |row| row.int(0),
    )?;
    let attempt = newest.unwrap_or(0) + 1;
    tx.execute_one(
        "beginning a part",
        "insert into file_parts (owner_id, uuid, part_index, attempt, byte_offset, size, stored)
         values (?1, ?2, ?3, ?4, ?5, ?6, 0)",
        params![owner, &uuid, index, attempt, byte_offset, size],
    )?;
    tx.execute_one(
        "keeping an upload",
        "update files set expires_at = ?3 where owner_id = ?1 and uuid = ?2",
        params![owner, &uuid, expires_at],
    )?;
    account(tx, owner, 0, size)?;
    Ok(Some(attempt))
}

/// A part's object is stored. False when the part is no longer wanted.
///
/// # Errors
/// A failure of the store.
pub fn stored(tx: &Tx<'_>, owner: UserId, uuid: FileUuid, (index, attempt): (i64, i64)) -> Result<bool> {
    let changed = tx.execute(
        "update file_parts set stored = 1 where owner_id = ?1 and uuid = ?2 and part_index = ?3 and attempt = ?4",
        params![owner, &uuid, index, attempt],
    )?;
    Ok(changed == 1)
}

/// Up to `limit` files that are whole and still have parts, with their owners: whoever finished them was killed before the parts were gone.
///
/// # Errors
/// A failure of the store.
pub fn of_whole_files(read: &Read<'_>, limit: i64) -> Result<Vec<(UserId, FileUuid)>> {
    read.rows(
        "select distinct p.owner_id, p.uuid from file_parts p
         join files f on f.owner_id = p.owner_id and f.uuid = p.uuid
         where f.state in (1, 3) limit ?1",
        params![limit],
        |row| Ok((row.user_id(0)?, row.file_uuid(1)?)),
    )
}

/// Forgets tries whose objects are gone.
///
/// # Errors
/// A failure of the store.
pub fn forget(tx: &Tx<'_>, owner: UserId, uuid: FileUuid, parts: &[Part]) -> Result<()> {
    let mut bytes = 0;
    for part in parts {
        let forgotten = tx.execute(
            "delete from file_parts where owner_id = ?1 and uuid = ?2 and part_index = ?3 and attempt = ?4",
            params![owner, &uuid, part.index, part.attempt],
        )?;
        bytes += if forgotten == 1 { part.size } else { 0 };
    }
    if bytes == 0 { Ok(()) } else { account(tx, owner, 0, -bytes) }
}
