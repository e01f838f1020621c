//! Objects on their way out of their place and back: into the folder of a backup or of an export, and from there. Whatever is put down is on
//! disk when a function answers, but for the names in folders: [`sync_folders`].

use crate::error::{Result, StoreError};
use crate::objects::{ObjectName, Objects};
use futures_util::TryStreamExt as _;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use tempfile::NamedTempFile;

/// Whether one file may have two names, in the place and in the folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Links {
    /// Where both are on one file system: nobody writes to either.
    Welcome,
    /// Somebody may.
    Never,
}

/// What became of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Brought {
    /// It was there already.
    Before,
    /// It is there now.
    Now,
    /// There is no such one, or not of this size.
    Missing,
}

/// Whether `file` is there with this size.
#[must_use]
pub fn is_there(file: &Path, size: u64) -> bool {
    std::fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.len() == size)
}

/// Brings an object to the file `to`, whose folder is made if it is missing.
///
/// # Errors
/// A failure of the place or of the file.
pub async fn bring_out(from: &Objects, name: ObjectName, size: u64, to: &Path, links: Links) -> Result<Brought> {
    if is_there(to, size) {
        return Ok(Brought::Before);
    }
    let folder = to.parent().unwrap_or(to);
    create_folder(folder)?;
    if let Some(file) = from.file(name).filter(|_| links == Links::Welcome) {
        if !is_there(&file, size) {
            return Ok(Brought::Missing);
        }
        if link(&file, to) {
            return Ok(Brought::Now);
        }
    }
    let failed = |source| StoreError::File { path: to.to_owned(), source };
    let mut bytes = match from.get(name, 0..size).await {
        Err(StoreError::NoObject) => return Ok(Brought::Missing),
        found => found?,
    };
    let mut copy = NamedTempFile::new_in(folder).map_err(failed)?;
    let mut copied = 0;
    loop {
        let piece = match bytes.try_next().await {
            Ok(Some(piece)) => piece,
            Ok(None) => break,
            Err(StoreError::NoObject) => return Ok(Brought::Missing),
            Err(error) => return Err(error),
        };
        copied += piece.len() as u64;
        copy.write_all(&piece).map_err(failed)?;
    }
    if copied != size || from.size(name).await?.is_some_and(|now| now != size) {
        return Ok(Brought::Missing);
    }
    copy.as_file().sync_all().map_err(failed)?;
    copy.persist(to).map_err(|error| failed(error.error))?;
    Ok(Brought::Now)
}

/// Brings the file `from` back to its place.
///
/// # Errors
/// A failure of the place or of the file.
pub async fn bring_back(to: &Objects, name: ObjectName, size: u64, from: &Path, links: Links) -> Result<Brought> {
    if to.size(name).await? == Some(size) {
        return Ok(Brought::Before);
    }
    if !is_there(from, size) {
        return Ok(Brought::Missing);
    }
    if let Some(file) = to.file(name).filter(|_| links == Links::Welcome) {
        create_folder(file.parent().unwrap_or(&file))?;
        if link(from, &file) {
            return Ok(Brought::Now);
        }
    }
    let file = File::open(from).map_err(|source| StoreError::File { path: from.to_owned(), source })?;
    to.put(name, file, size).await?;
    Ok(Brought::Now)
}

/// Brings the names in a folder and in those directly in it to disk.
///
/// # Errors
/// What the system says.
pub fn sync_folders(root: &Path) -> Result<()> {
    let failed = |source| StoreError::File { path: root.to_owned(), source };
    let sync = |folder: &Path| File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed);
    for entry in std::fs::read_dir(root).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            sync(&path)?;
        }
    }
    sync(root)?;
    root.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync)
}

/// Gives a file a second name, if the file systems allow it.
fn link(from: &Path, to: &Path) -> bool {
    // Only Parlour's own objects are linked: a symbolic link would become one here.
    let is_plain = std::fs::symlink_metadata(from).is_ok_and(|metadata| metadata.is_file());
    is_plain && std::fs::hard_link(from, to).is_ok()
}

fn create_folder(path: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(source) if source.kind() != ErrorKind::AlreadyExists => {
            Err(StoreError::File { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}
