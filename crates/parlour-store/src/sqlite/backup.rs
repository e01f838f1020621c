//! A copy of the whole database in one file, made while others read and write.
//!
//! The copy is one snapshot, begun when [`backup`] is called, so it holds everything that was acknowledged before. It gets its name only
//! when it is whole, checked and on disk, and the files that it knows are beside it.

pub use super::files::{Files, MissingFiles, count_files, folder_of};

use super::connect_reader;
use super::files::bring_beside;
use crate::db::Read;
use crate::db::Source;
use crate::doctor::integrity;
use crate::objects::Objects;
use crate::{Progress, Result, StoreError, Watch, migrate};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use tempfile::NamedTempFile;

/// Pages copied between two looks at the progress.
const PAGES: i32 = 2_048;

/// What to do when there is a file of the name already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Existing {
    /// Leave it and fail.
    Refuse,
    /// Put the new one in its place.
    Replace,
}

/// What is in a copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Contents {
    /// Bytes of the file.
    pub size: u64,
    /// Pages of the database.
    pub pages: i64,
    /// Messages shown.
    pub messages: i64,
}

/// A copy that is whole and checked and has no name yet.
pub struct Draft {
    copy: NamedTempFile,
    contents: Contents,
}

/// Copies the database at `database` into a file, for the owner's eyes alone, that is to become `file`.
///
/// # Errors
/// [`StoreError::Exists`] for an existing `file`, [`StoreError::Unfit`] when what was copied is not whole.
pub fn draft(database: &Path, file: &Path, existing: Existing, watch: &Watch) -> Result<Draft> {
    let copy = create_beside(Some(database), file, existing)?;
    // Opened before anything else: what is acknowledged from now on may be missing, nothing earlier.
    let source = connect_reader(database)?;
    source.execute_batch("begin")?;
    migrate::check(&source)?;
    copy_pages(&source, copy.path(), watch)?;
    drop(source);
    let contents = verify(copy.path(), watch).map_err(|error| named(error, file))?;
    Ok(Draft { copy, contents })
}

impl Draft {
    /// Brings the objects of the files in the copy into `folder`, where it has not got them from an earlier backup, and calls those lost that
    /// were removed meanwhile.
    ///
    /// # Errors
    /// A failure of the object store or of the folder.
    pub async fn bring_files(&self, objects: &Objects, folder: &Path, watch: &Watch) -> Result<Files> {
        bring_beside(self.copy.path(), objects, folder, watch).await
    }

    /// Gives the copy its name.
    ///
    /// # Errors
    /// [`StoreError::Exists`] for an existing `file`; it is then as it was.
    pub fn put_in_place(self, file: &Path, existing: Existing) -> Result<Contents> {
        put_in_place(self.copy, file, existing)?;
        Ok(self.contents)
    }
}

/// A temporary file, for the owner's eyes alone, that is to become `file`.
///
/// # Errors
/// [`StoreError::Exists`] for an existing `file` that must stay, [`StoreError::Unfit`] for the `database` itself.
pub fn create_beside(database: Option<&Path>, file: &Path, existing: Existing) -> Result<NamedTempFile> {
    if existing == Existing::Refuse && file.exists() {
        return Err(StoreError::Exists { path: file.to_owned() });
    }
    if database.is_some_and(|database| same(database, file)) {
        return Err(StoreError::Unfit { path: file.to_owned(), reason: "it is the database itself".into() });
    }
    NamedTempFile::new_in(folder(file)).map_err(|source| StoreError::File { path: file.to_owned(), source })
}

fn copy_pages(source: &Connection, to: &Path, watch: &Watch) -> Result<()> {
    let mut target = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // It is synced as a whole before it gets its name.
    target.pragma_update(None, "synchronous", "off")?;
    let copying = Backup::new(source, &mut target)?;
    loop {
        // The snapshot is held by `source`, so commits of others do not make the copy begin again.
        let step = copying.step(PAGES)?;
        let pages = copying.progress();
        let (total, left) = (u64::try_from(pages.pagecount), u64::try_from(pages.remaining));
        let (total, left) = (total.unwrap_or(0), left.unwrap_or(0));
        watch(Progress { step: "copying pages", done: total.saturating_sub(left), total });
        match step {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            _ => return Err(StoreError::Busy),
        }
    }
}

/// Opens a copy and looks whether it is a whole database of Parlour's that this release can use. Afterwards it needs no other file.
pub(crate) fn verify(copy: &Path, watch: &Watch) -> Result<Contents> {
    let unfit = |reason: &str| StoreError::Unfit { path: copy.to_owned(), reason: reason.into() };
    watch(Progress { step: "checking the copy", done: 0, total: 0 });
    let connection = Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let inspect = || -> Result<Contents> {
        connection.pragma_update(None, "journal_mode", "delete")?;
        if migrate::version(&connection)? == 0 {
            return Err(unfit("it is not a database of Parlour's"));
        }
        migrate::check(&connection)?;
        if !integrity(&Read::new(Source::Sqlite(&connection)))?.is_empty() {
            return Err(unfit("it is damaged"));
        }
        let number = |sql: &str| connection.query_row(sql, [], |row| row.get(0));
        let size = std::fs::metadata(copy).map_err(|source| StoreError::File { path: copy.to_owned(), source })?.len();
        Ok(Contents { size, pages: number("pragma page_count")?, messages: number("select count(*) from messages")? })
    };
    inspect().map_err(|error| match error {
        error if error.is_damage() => unfit("it is damaged, or no database"),
        error => error,
    })
}

/// Brings a temporary file to disk and gives it its name, so that there is never half a file of that name.
///
/// # Errors
/// [`StoreError::Exists`], or what the system says.
pub fn put_in_place(copy: NamedTempFile, file: &Path, existing: Existing) -> Result<()> {
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::AlreadyExists => StoreError::Exists { path: file.to_owned() },
        _ => StoreError::File { path: file.to_owned(), source },
    };
    copy.as_file().sync_all().map_err(failed)?;
    match existing {
        Existing::Refuse => copy.persist_noclobber(file).map_err(|error| failed(error.error))?,
        Existing::Replace => copy.persist(file).map_err(|error| failed(error.error))?,
    };
    std::fs::File::open(folder(file)).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// The folder that a file is in.
pub(crate) fn folder(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// An error that names the file asked for instead of the temporary one.
pub(crate) fn named(error: StoreError, file: &Path) -> StoreError {
    match error {
        StoreError::Unfit { reason, .. } => StoreError::Unfit { path: file.to_owned(), reason },
        error => error,
    }
}

/// Whether two names are one file.
pub(crate) fn same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}
