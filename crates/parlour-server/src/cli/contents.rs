//! The contents of files beside an export: one file each in a folder, by its uuid.

use futures_util::TryStreamExt as _;
use parlour_store::StoreError;
use parlour_store::export::File;
use parlour_store::objects::{ObjectName, Objects};
use parlour_types::FileUuid;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;
use tokio::runtime::Runtime;

/// A folder that contents are written to.
pub(super) struct Contents {
    objects: Objects,
    folder: PathBuf,
    runtime: Runtime,
}

impl Contents {
    pub(super) fn create(objects: Objects, folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).map_err(|source| StoreError::File { path: folder.to_owned(), source })?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { objects, folder: folder.to_owned(), runtime })
    }

    /// Writes the content of a file and of the picture of it. What is not there to be written is said in `file`: it may have gone since the
    /// snapshot was taken.
    pub(super) fn write(&self, file: &mut File) -> Result<(), StoreError> {
        file.is_lost = file.is_lost || !self.copy(file.uuid, file.facts.size)?;
        if let Some(picture) = &file.picture
            && !self.copy(picture.uuid, picture.size)?
        {
            file.picture = None;
        }
        Ok(())
    }

    /// Copies an object, unless that was done. False when there is none of this size.
    fn copy(&self, uuid: FileUuid, size: i64) -> Result<bool, StoreError> {
        let (path, size) = (self.folder.join(uuid.to_string()), size.unsigned_abs());
        if std::fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() == size) {
            return Ok(true);
        }
        let name = ObjectName::File(uuid);
        let Some(copied) = self.runtime.block_on(async {
            if self.objects.size(name).await? != Some(size) {
                return Ok(None);
            }
            match self.fetch(name, size).await {
                Err(StoreError::NoObject) => Ok(None),
                fetched => fetched.map(Some),
            }
        })?
        else {
            return Ok(false);
        };
        copied.persist(&path).map_err(|error| self.failed(error.error))?;
        Ok(true)
    }

    async fn fetch(&self, name: ObjectName, size: u64) -> Result<NamedTempFile, StoreError> {
        let mut to = NamedTempFile::new_in(&self.folder).map_err(|error| self.failed(error))?;
        let mut bytes = self.objects.get(name, 0..size).await?;
        while let Some(piece) = bytes.try_next().await? {
            to.write_all(&piece).map_err(|error| self.failed(error))?;
        }
        to.as_file().sync_all().map_err(|error| self.failed(error))?;
        Ok(to)
    }

    fn failed(&self, source: std::io::Error) -> StoreError {
        StoreError::File { path: self.folder.clone(), source }
    }
}
