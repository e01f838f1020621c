//! A backup back in the place of the database.
//!
//! At every moment there is the old database or the new one, each whole: the backup is copied and checked beside the database, the old log
//! is folded into the old file and taken away, and one rename does the rest. Nobody else may have the database open meanwhile.

use super::beside;
use super::files::{Files, MissingFiles, bring_to_place};
use crate::backup::{Contents, Existing, folder, named, put_in_place, same, verify};
use crate::objects::Objects;
use crate::{Progress, Result, StoreError, Watch};
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{FlockOperation, fcntl_lock};
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;
use std::time::Duration;
use tempfile::NamedTempFile;

/// Bytes copied between two looks at the progress.
const CHUNK: usize = 1 << 20;

/// How long a command that is just ending may keep the database.
const PATIENCE: Duration = Duration::from_secs(1);

/// A backup that is about to take the place of the database, which nobody else can open meanwhile.
pub struct Restoration {
    copy: NamedTempFile,
    contents: Contents,
    _alone: Alone,
}

/// Copies the backup `file` beside the database at `database`, checks it and keeps everybody away from the database.
///
/// # Errors
/// [`StoreError::Exists`] for an existing database unless it may be replaced, [`StoreError::InUse`] while somebody has it open,
/// [`StoreError::Unfit`] for a backup that is not whole. The database is then as it was.
pub fn begin(file: &Path, database: &Path, existing: Existing, watch: &Watch) -> Result<Restoration> {
    let unfit = |reason: &str| StoreError::Unfit { path: file.to_owned(), reason: reason.into() };
    if existing == Existing::Refuse && database.exists() {
        return Err(StoreError::Exists { path: database.to_owned() });
    }
    if same(file, database) {
        return Err(unfit("it is the database itself"));
    }
    if std::fs::metadata(beside(file, "-wal")).is_ok_and(|log| log.len() > 0) {
        return Err(unfit("it has a log beside it (-wal), so it is a database in use and not a backup"));
    }
    let copy = copy(file, database, watch)?;
    let contents = verify(copy.path(), watch).map_err(|error| named(error, file))?;
    Ok(Restoration { copy, contents, _alone: take_alone(database)? })
}

impl Restoration {
    /// Brings the objects of the files in the backup from `folder` to their place, where they are not there already.
    ///
    /// # Errors
    /// [`StoreError::Unfit`] for missing ones, unless they may be lost; a failure of the object store or of the folder.
    pub async fn bring_files(
        &self,
        objects: &Objects,
        folder: &Path,
        missing: MissingFiles,
        watch: &Watch,
    ) -> Result<Files> {
        bring_to_place(self.copy.path(), objects, folder, missing, watch).await
    }

    /// Puts the backup in the place of the database.
    ///
    /// # Errors
    /// What the system says; the database is then as it was.
    pub fn finish(self, database: &Path, existing: Existing) -> Result<Contents> {
        put_in_place(self.copy, database, existing)?;
        Ok(self.contents)
    }
}

fn copy(file: &Path, database: &Path, watch: &Watch) -> Result<NamedTempFile> {
    let unreadable = |source| StoreError::File { path: file.to_owned(), source };
    let unwritable = |source| StoreError::File { path: database.to_owned(), source };
    let mut from = File::open(file).map_err(unreadable)?;
    let total = from.metadata().map_err(unreadable)?.len();
    let mut to = NamedTempFile::new_in(folder(database)).map_err(unwritable)?;
    let (mut chunk, mut done) = (vec![0; CHUNK], 0);
    loop {
        let read = from.read(&mut chunk).map_err(unreadable)?;
        if read == 0 {
            return Ok(to);
        }
        to.write_all(&chunk[..read]).map_err(unwritable)?;
        done += read as u64;
        watch(Progress { step: "copying the backup", done, total });
    }
}

/// The old database, locked against everybody.
enum Alone {
    /// Nothing was there.
    Nothing,
    Whole {
        _connection: Connection,
    },
    Damaged {
        _file: File,
    },
}

/// Locks the old database until it is replaced, and leaves no log beside it that could be taken for the new one's.
fn take_alone(database: &Path) -> Result<Alone> {
    if !database.exists() {
        take_away_logs(database)?;
        return Ok(Alone::Nothing);
    }
    match fold_log(database) {
        Ok(connection) => Ok(Alone::Whole { _connection: connection }),
        Err(StoreError::Busy) => Err(StoreError::InUse { path: database.to_owned() }),
        // Of a database that cannot be read there is nothing to fold; who has it open shows in its locks.
        Err(error) if error.is_damage() => {
            let failed = |source| StoreError::File { path: database.to_owned(), source };
            let file = File::options().read(true).write(true).open(database).map_err(failed)?;
            if fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
                return Err(StoreError::InUse { path: database.to_owned() });
            }
            take_away_logs(database)?;
            Ok(Alone::Damaged { _file: file })
        }
        Err(error) => Err(error),
    }
}

/// Brings the log into the file and ends it, which SQLite does only for whoever has the database alone.
fn fold_log(database: &Path) -> Result<Connection> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "locking_mode", "exclusive")?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "delete", |row| row.get(0))?;
    if mode != "delete" {
        return Err(StoreError::Busy);
    }
    connection.execute_batch("begin exclusive")?;
    Ok(connection)
}

fn take_away_logs(database: &Path) -> Result<()> {
    for name in ["-wal", "-shm", "-journal"] {
        let path = beside(database, name);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => return Err(StoreError::File { path, source }),
            _ => {}
        }
    }
    Ok(())
}
