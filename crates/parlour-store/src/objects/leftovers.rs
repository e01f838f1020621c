//! What a folder of objects is left with when a process is killed while it puts one there: `NAME#NUMBER`, which would have become `NAME`.
//! No listing shows these.

use crate::error::{Result, StoreError};
use parlour_types::Timestamp;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Counts those below `root` that nobody has written to since `before`, and deletes them if told to.
pub(super) fn walk(root: &Path, before: Timestamp, delete: bool) -> Result<u64> {
    let mut count = 0;
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |source| StoreError::File { path: folder.clone(), source };
        let entries = match std::fs::read_dir(&folder) {
            // Gone since it was seen.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries.map_err(failed)?,
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() && is_leftover(&entry.path()) && is_older(&entry, before) {
                count += 1;
                if delete {
                    remove(&entry.path()).map_err(failed)?;
                }
            }
        }
    }
    Ok(count)
}

fn is_leftover(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let of_object = |name: &str| parlour_types::FileUuid::parse(name).is_some() || is_part(name);
    name.split_once('#').is_some_and(|(name, number)| of_object(name) && is_number(number))
}

fn is_part(name: &str) -> bool {
    name.split_once('-').is_some_and(|(index, attempt)| is_number(index) && is_number(attempt))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit())
}

fn is_older(entry: &std::fs::DirEntry, before: Timestamp) -> bool {
    let changed = entry.metadata().and_then(|metadata| metadata.modified()).ok();
    let since = changed.and_then(|changed| changed.duration_since(UNIX_EPOCH).ok());
    since.is_some_and(|since| i64::try_from(since.as_micros()).is_ok_and(|changed| changed < before.as_micros()))
}

fn remove(path: &PathBuf) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
