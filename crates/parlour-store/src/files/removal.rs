//! Files that go: what is due, and the two steps by which it goes. First nobody may open it any more, and what is stored of it is named; when that
//! was deleted, its rows go. Either step may be done again, after a crash or by two servers at once.

use super::parts::{self, Part};
use super::{FileState, account, find, lock};
use crate::db::{Read, Tx, params};
use crate::error::Result;
use parlour_types::{FileUuid, Timestamp, UserId};

/// Something stored that must be deleted before its row goes.
#[derive(Clone, Debug, Default)]
pub struct Remains {
    /// Objects: a file's own, and those of the pictures of it.
    pub objects: Vec<FileUuid>,
    /// Parts of them.
    pub parts: Vec<(FileUuid, Part)>,
}

/// Up to `limit` files that are due, with their owners.
///
/// # Errors
/// A failure of the store.
pub fn due(read: &Read<'_>, now: Timestamp, limit: i64) -> Result<Vec<(UserId, FileUuid)>> {
    read.rows(
        "select owner_id, uuid from files where expires_at is not null and expires_at <= ?1 order by expires_at limit ?2",
        params![now, limit],
        |row| Ok((row.user_id(0)?, row.file_uuid(1)?)),
    )
}

/// Lets nobody open a file that is due, and names what is stored of it; `None` when it is not due any more.
///
/// # Errors
/// A failure of the store.
pub fn condemn(tx: &Tx<'_>, owner: UserId, uuid: FileUuid, now: Timestamp) -> Result<Option<Remains>> {
    lock(tx, owner)?;
    let Some(file) = find(tx, owner, uuid)? else { return Ok(None) };
    if file.expires_at.is_none_or(|due| due > now) {
        return Ok(None);
    }
    if file.attached_count > 0 && file.state != FileState::Going {
        // A message shows it, so it is not due, whatever its row says.
        tx.execute("update files set expires_at = null where owner_id = ?1 and uuid = ?2", params![owner, &uuid])?;
        return Ok(None);
    }
    let mut remains = Remains::default();
    let pictures = tx.rows(
        "select uuid from files where owner_id = ?1 and (uuid = ?2 or parent_uuid = ?2) order by uuid",
        params![owner, &uuid],
        |row| row.file_uuid(0),
    )?;
    for uuid in pictures {
        tx.execute(
            "update files set state = 2, expires_at = ?3 where owner_id = ?1 and uuid = ?2",
            params![owner, &uuid, now],
        )?;
        let parts = parts::list(tx, owner, uuid)?;
        remains.parts.extend(parts.into_iter().map(|part| (uuid, part)));
        remains.objects.push(uuid);
    }
    Ok(Some(remains))
}

/// Forgets what was deleted, and answers how many files went.
///
/// # Errors
/// A failure of the store.
pub fn forget(tx: &Tx<'_>, owner: UserId, remains: &Remains) -> Result<u64> {
    let mut gone = 0;
    for (uuid, part) in &remains.parts {
        parts::forget(tx, owner, *uuid, &[*part])?;
    }
    for uuid in &remains.objects {
        let row = tx.row(
            "delete from files where owner_id = ?1 and uuid = ?2 and state = 2 returning size, parent_uuid",
            params![owner, uuid],
            |row| Ok((row.int(0)?, row.file_uuid_opt(1)?)),
        )?;
        if let Some((size, parent)) = row {
            account(tx, owner, if parent.is_none() { -1 } else { 0 }, -size)?;
            gone += 1;
        }
    }
    Ok(gone)
}
