//! The files of a copy of the database: brought beside it by a backup, and back to their place by a restore. What is missing is lost in the
//! copy, so that copy and files agree.

use super::connect_reader;
use crate::db::{Read, Source, params};
use crate::files::stored::{count_ready, lose, page};
use crate::files::{FileState, StoredFile};
use crate::objects::{ObjectName, Objects};
use crate::transfer::{Brought, Links, bring_back, bring_out, is_there, sync_folders};
use crate::{Progress, Result, StoreError, Watch, dialect};
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};

/// Rows in memory at a time.
const PAGE: i64 = 500;

/// What became of the files of a copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Files {
    /// Files, and pictures of them, that are where they should be.
    pub files: u64,
    /// Their bytes.
    #[serde(rename = "file_bytes")]
    pub bytes: u64,
    /// Those that were not there before.
    #[serde(rename = "files_copied")]
    pub copied: u64,
    /// Those that could not be had.
    #[serde(rename = "files_lost")]
    pub lost: u64,
}

impl Files {
    fn count(&mut self, size: u64, brought: Brought) {
        match brought {
            Brought::Missing => self.lost += 1,
            Brought::Before | Brought::Now => {
                self.files += 1;
                self.bytes += size;
                self.copied += u64::from(brought == Brought::Now);
            }
        }
    }
}

/// What to do about files that a backup does not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MissingFiles {
    /// Restore nothing.
    Refuse,
    /// Restore the rest; messages show them as lost.
    Lose,
}

/// The folder in which the files of a backup are.
#[must_use]
pub fn folder_of(backup: &Path) -> PathBuf {
    super::beside(backup, ".files")
}

/// Brings the objects of all files of `copy` into `folder`, under the same names as in their place.
pub(super) async fn bring_beside(copy: &Path, objects: &Objects, folder: &Path, watch: &Watch) -> Result<Files> {
    let rows = Rows::of(copy, "copying files", watch)?;
    let mut all = Files::default();
    let mut after = None;
    while let Some(piece) = rows.next(&mut after, &all)? {
        for file in piece {
            let (name, size) = object_of(&file);
            let brought = bring_out(objects, name, size, &folder.join(name.to_string()), Links::Welcome).await?;
            if brought == Brought::Missing {
                rows.lose(&file)?;
            }
            all.count(size, brought);
        }
    }
    if all.copied > 0 {
        sync_folders(folder)?;
    }
    Ok(all)
}

/// Brings the objects of all files of `copy` back from `folder` to their place.
pub(super) async fn bring_to_place(
    copy: &Path,
    objects: &Objects,
    folder: &Path,
    missing: MissingFiles,
    watch: &Watch,
) -> Result<Files> {
    let rows = Rows::of(copy, "restoring files", watch)?;
    if missing == MissingFiles::Refuse {
        rows.refuse_missing(objects, folder).await?;
    }
    let mut all = Files::default();
    let mut after = None;
    while let Some(piece) = rows.next(&mut after, &all)? {
        for file in piece {
            let (name, size) = object_of(&file);
            let brought = bring_back(objects, name, size, &folder.join(name.to_string()), Links::Welcome).await?;
            if brought == Brought::Missing {
                rows.lose(&file)?;
            }
            all.count(size, brought);
        }
    }
    if let (true, Some(file)) = (all.copied > 0, objects.folder()) {
        sync_folders(file)?;
    }
    Ok(all)
}

fn object_of(file: &StoredFile) -> (ObjectName, u64) {
    (ObjectName::File(file.uuid), file.facts.size.unsigned_abs())
}

/// The rows of a copy that nobody else has open.
struct Rows<'a> {
    connection: Connection,
    /// An older release's has none.
    has_files: bool,
    step: &'static str,
    watch: &'a Watch,
    total: u64,
}

type Key = (parlour_types::UserId, parlour_types::FileUuid);

impl<'a> Rows<'a> {
    fn of(copy: &Path, step: &'static str, watch: &'a Watch) -> Result<Self> {
        let connection = Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // It is synced as a whole before it gets its name.
        connection.pragma_update(None, "synchronous", "off")?;
        let read = Read::new(Source::Sqlite(&connection));
        let table = dialect::table_exists(read.source());
        let has_files = read.row(table, params!["files"], |row| row.flag(0))?.unwrap_or(false);
        let total = if has_files { count_ready(&read)? } else { 0 };
        Ok(Self { connection, has_files, step, watch, total })
    }

    /// The next files that are ready, unless there are none left.
    fn next(&self, after: &mut Option<Key>, so_far: &Files) -> Result<Option<Vec<StoredFile>>> {
        if !self.has_files {
            return Ok(None);
        }
        (self.watch)(Progress { step: self.step, done: so_far.files + so_far.lost, total: self.total });
        let mut rows = page(&Read::new(Source::Sqlite(&self.connection)), *after, PAGE)?;
        let Some(last) = rows.last() else { return Ok(None) };
        *after = Some((last.owner_id, last.uuid));
        rows.retain(|file| file.state == FileState::Ready);
        Ok(Some(rows))
    }

    fn lose(&self, file: &StoredFile) -> Result<()> {
        lose(Source::Sqlite(&self.connection), file)
    }

    async fn refuse_missing(&self, objects: &Objects, folder: &Path) -> Result<()> {
        let (mut missing, mut after) = (0_u64, None);
        while let Some(piece) = self.next(&mut after, &Files::default())? {
            for file in piece {
                let (name, size) = object_of(&file);
                let found = is_there(&folder.join(name.to_string()), size) || objects.size(name).await? == Some(size);
                missing += u64::from(!found);
            }
        }
        if missing == 0 {
            return Ok(());
        }
        let reason = format!("{missing} files of its messages are not there; --without-files restores it all the same");
        Err(StoreError::Unfit { path: folder.to_owned(), reason })
    }
}

/// How many files, and pictures of them, a database has ready.
///
/// # Errors
/// A failure of the database.
pub fn count_files(database: &Path) -> Result<u64> {
    let connection = connect_reader(database)?;
    let read = Read::new(Source::Sqlite(&connection));
    let has_files = read.row(dialect::table_exists(read.source()), params!["files"], |row| row.flag(0))?;
    if has_files == Some(true) { count_ready(&read) } else { Ok(0) }
}
