//! Files of the past, as an import brings them in.

use super::{FileState, StoredFile, find, lock};
use crate::db::{Read, Tx, params};
use crate::error::Result;
use parlour_types::{FileUuid, UserId};

/// The file of `owner` that a message of the past may show: one that is ready, or known to be lost.
///
/// # Errors
/// A failure of the store.
pub fn showable(read: &Read<'_>, owner: UserId, uuid: FileUuid) -> Result<Option<StoredFile>> {
    let file = find(read, owner, uuid)?;
    Ok(file.filter(|file| file.parent.is_none() && matches!(file.state, FileState::Ready | FileState::Lost)))
}

/// Counts a message of the past that shows a file.
pub(crate) fn attach(tx: &Tx<'_>, owner: UserId, uuid: FileUuid) -> Result<()> {
    lock(tx, owner)?;
    tx.execute_one(
        "counting a file's messages",
        "update files set attached_count = attached_count + 1, expires_at = null
         where owner_id = ?1 and uuid = ?2 and state in (1, 3)",
        params![owner, &uuid],
    )
}

/// Says of a file that was just made ready that its object is lost.
///
/// # Errors
/// A failure of the store.
pub fn lose(tx: &Tx<'_>, owner: UserId, uuid: FileUuid) -> Result<()> {
    tx.execute_one(
        "losing a file",
        "update files set state = 3 where owner_id = ?1 and uuid = ?2 and state = 1",
        params![owner, &uuid],
    )
}
