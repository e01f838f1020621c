//! The bytes of files: a folder of this machine, or a bucket that several machines share.
//!
//! An object never changes: what is stored under a name is stored once, or again with the same bytes. It is on disk when [`Objects::put`]
//! answers. Nothing is held in memory but the piece that is on its way. Errors say what happened and name no object.

mod leftovers;
mod name;

pub use name::ObjectName;

use crate::error::{Result, StoreError};
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{
    ClientOptions, GetOptions, GetResultPayload, ObjectStore, ObjectStoreExt as _, PutPayload, RetryConfig,
};
use parlour_types::Timestamp;
use std::fmt;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Pieces in which bytes go to a folder and come from it.
const LOCAL_PIECE: usize = 256 << 10;

/// Objects that are being stored at a time; each holds a piece in memory.
const STORING: usize = 8;

/// Pieces in which bytes go to a bucket: the least that S3 takes.
const REMOTE_PIECE: usize = 5 << 20;

/// Whoever stores a file writes to it all the time: what nobody has written to for so long is nobody's, whichever server it was. In
/// microseconds.
const LEFTOVER_AGE: i64 = 3_600_000_000;

/// How long a bucket is tried again before a request fails.
const RETRY: Duration = Duration::from_secs(10);

/// Where objects are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// A folder, which is made when it is missing.
    Folder(PathBuf),
    /// A bucket of an S3-compatible service.
    Bucket(Bucket),
}

/// A bucket of an S3-compatible service, and how to get in.
#[derive(Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// What all names in it begin with; may be empty.
    pub prefix: String,
    /// The service's address; empty for Amazon's own.
    pub endpoint: String,
    /// The region.
    pub region: String,
    /// The access key's id.
    pub access_key_id: String,
    /// The access key.
    pub secret_access_key: String,
}

impl fmt::Debug for Bucket {
    /// Without the access key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({}/{} at {})", self.name, self.prefix, self.endpoint)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Bucket(bucket) => write!(f, "s3://{}/{}", bucket.name, bucket.prefix),
        }
    }
}

/// An object that is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its name; `None` for something that is not Parlour's.
    pub name: Option<ObjectName>,
    /// Bytes.
    pub size: u64,
}

/// The bytes of files. Cloning shares it.
#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    place: Arc<Place>,
    spool: Arc<Path>,
    storing: Arc<Semaphore>,
}

impl Objects {
    /// Opens a place, with `spool` as the folder of this machine where uploads wait until they are whole. Both are made when they are missing. A
    /// bucket is not looked at yet: see [`Objects::check`].
    ///
    /// # Errors
    /// [`StoreError::File`] for a folder that cannot be used, [`StoreError::Address`] for a bucket that cannot be named so.
    pub fn open(place: Place, spool: PathBuf) -> Result<Self> {
        create_folder(&spool)?;
        let (store, prefix): (Arc<dyn ObjectStore>, _) = match &place {
            Place::Folder(path) => {
                create_folder(path)?;
                let failed = |error: object_store::Error| StoreError::File {
                    path: path.clone(),
                    source: std::io::Error::other(error.to_string()),
                };
                let store = LocalFileSystem::new_with_prefix(path).map_err(failed)?.with_fsync(true);
                (Arc::new(store), Key::default())
            }
            Place::Bucket(bucket) => {
                let refused = |reason| StoreError::Address { address: place.to_string(), reason };
                let prefix = Key::parse(&bucket.prefix).map_err(|_| refused("its prefix is no path"))?;
                let store = open_bucket(bucket).ok_or_else(|| refused("it cannot be addressed so"))?;
                (store, prefix)
            }
        };
        Ok(Self {
            store,
            prefix,
            place: Arc::new(place),
            spool: spool.into(),
            storing: Arc::new(Semaphore::new(STORING)),
        })
    }

    /// Where the objects are.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// A file of this machine without a name, in which bytes can wait. It is gone when it is closed, whatever happens.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`] or [`StoreError::File`].
    pub fn spool(&self) -> Result<File> {
        tempfile::tempfile_in(&self.spool).map_err(|source| self.spool_failed(source))
    }

    /// What a failure of a spooled file is to the caller.
    #[must_use]
    pub fn spool_failed(&self, source: std::io::Error) -> StoreError {
        match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::DiskFull,
            _ => StoreError::File { path: self.spool.to_path_buf(), source },
        }
    }

    /// The folder in which uploads wait.
    #[must_use]
    pub fn spool_folder(&self) -> &Path {
        &self.spool
    }

    /// Looks whether the place can be used, and answers its own words when not.
    ///
    /// # Errors
    /// What the place says.
    pub async fn check(&self) -> Result<(), String> {
        let mut listed = self.store.list(Some(&self.prefix));
        listed.next().await.transpose().map(drop).map_err(|error| error.to_string())
    }

    /// Stores `size` bytes of `file` from its start on.
    ///
    /// # Errors
    /// A failure of the place; nothing is stored then.
    pub async fn put(&self, name: ObjectName, mut file: File, size: u64) -> Result<()> {
        let _turn = self.storing.acquire().await.map_err(|_| StoreError::WriterStopped)?;
        let key = self.key(name);
        let piece = match *self.place {
            Place::Folder(_) => LOCAL_PIECE,
            Place::Bucket(_) => REMOTE_PIECE,
        };
        let failed = |source| self.spool_failed(source);
        file.rewind().map_err(failed)?;
        if size <= piece as u64 {
            let (bytes, _) = read_piece(file, piece).await.map_err(failed)?;
            self.store.put(&key, PutPayload::from(bytes)).await.map_err(translate)?;
            return Ok(());
        }
        let mut upload = self.store.put_multipart(&key).await.map_err(translate)?;
        let mut left = size;
        let stored = async {
            while left > 0 {
                let (bytes, back) = read_piece(file, piece).await.map_err(failed)?;
                file = back;
                if bytes.is_empty() {
                    return Err(failed(std::io::ErrorKind::UnexpectedEof.into()));
                }
                left = left.saturating_sub(bytes.len() as u64);
                upload.put_part(PutPayload::from(bytes)).await.map_err(translate)?;
            }
            upload.complete().await.map_err(translate)
        }
        .await;
        if stored.is_err() {
            // What failed says more than what follows from it; a bucket's own rules remove what stays of an upload.
            drop(upload.abort().await);
        }
        stored.map(drop)
    }

    /// The bytes of an object, or a part of them. The error of an absent one comes at once, those of the way with the bytes.
    ///
    /// # Errors
    /// [`StoreError::NoObject`] or a failure of the place.
    pub async fn get(&self, name: ObjectName, range: Range<u64>) -> Result<BoxStream<'static, Result<Bytes>>> {
        let mut options = GetOptions::default();
        // Neither a folder nor a bucket knows an empty range.
        if !range.is_empty() {
            options.range = Some(range.into());
        }
        let found = self.store.get_opts(&self.key(name), options).await.map_err(translate)?;
        // Read here: the store's own way takes pieces of 8 KiB.
        if let GetResultPayload::File(mut file, _) = found.payload {
            let range = found.range;
            file.seek(SeekFrom::Start(range.start)).map_err(|error| failed_read(&error))?;
            return Ok(pieces(file, range.end - range.start));
        }
        Ok(found.into_stream().map(|piece| piece.map_err(translate)).boxed())
    }

    /// Bytes of an object; `None` when there is no such one.
    ///
    /// # Errors
    /// A failure of the place.
    pub async fn size(&self, name: ObjectName) -> Result<Option<u64>> {
        match self.store.head(&self.key(name)).await.map_err(translate) {
            Ok(found) => Ok(Some(found.size)),
            Err(StoreError::NoObject) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes an object; one that is not there is removed already.
    ///
    /// # Errors
    /// A failure of the place.
    pub async fn delete(&self, name: ObjectName) -> Result<()> {
        match self.store.delete(&self.key(name)).await.map_err(translate) {
            Err(StoreError::NoObject) => Ok(()),
            done => done,
        }
    }

    /// Counts what a killed process left of objects that it was putting into a folder, and deletes it if told to. What is young
    /// may still become an object.
    ///
    /// # Errors
    /// A failure of the place.
    pub async fn leftovers(&self, now: Timestamp, delete: bool) -> Result<u64> {
        let Place::Folder(folder) = &*self.place else { return Ok(0) };
        let (folder, before) = (folder.clone(), now.plus_micros(-LEFTOVER_AGE));
        let walked = tokio::task::spawn_blocking(move || leftovers::walk(&folder, before, delete));
        walked.await.unwrap_or(Err(StoreError::ReadPanicked))
    }

    /// The folder that the place is, if it is one.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match &*self.place {
            Place::Folder(folder) => Some(folder),
            Place::Bucket(_) => None,
        }
    }

    /// The file that an object is, where it is one of this machine.
    #[must_use]
    pub fn file(&self, name: ObjectName) -> Option<PathBuf> {
        self.folder().map(|folder| folder.join(name.to_string()))
    }

    /// Everything that is stored, in no order.
    #[must_use]
    pub fn list(&self) -> BoxStream<'static, Result<Listed>> {
        let prefix = self.prefix.clone();
        let listed = self.store.list(Some(&self.prefix));
        listed
            .map(move |found| {
                let found = found.map_err(translate)?;
                let parts = found.location.prefix_match(&prefix);
                let parts: Vec<String> = parts.into_iter().flatten().map(|part| part.as_ref().to_owned()).collect();
                let key = parts.join("/");
                Ok(Listed { name: ObjectName::parse(&key), size: found.size })
            })
            .boxed()
    }

    fn key(&self, name: ObjectName) -> Key {
        name.to_string().split('/').fold(self.prefix.clone(), |key, part| key.join(part))
    }
}

fn open_bucket(bucket: &Bucket) -> Option<Arc<dyn ObjectStore>> {
    // The bucket's client takes whatever the process has chosen; the database's makes its own choice.
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&bucket.name)
        .with_region(&bucket.region)
        .with_access_key_id(&bucket.access_key_id)
        .with_secret_access_key(&bucket.secret_access_key)
        .with_retry(RetryConfig { retry_timeout: RETRY, max_retries: 3, ..RetryConfig::default() })
        .with_client_options(ClientOptions::new().with_timeout(Duration::from_secs(60)).with_connect_timeout(RETRY))
        .with_allow_http(true);
    if !bucket.endpoint.is_empty() {
        builder = builder.with_config(AmazonS3ConfigKey::Endpoint, &bucket.endpoint);
    }
    let store: Arc<dyn ObjectStore> = Arc::new(builder.build().ok()?);
    Some(store)
}

fn create_folder(path: &Path) -> Result<()> {
    let failed = |source| StoreError::File { path: path.to_owned(), source };
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    // For the owner's eyes alone.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(failed)
}

/// The next bytes of a file, at most `size`, read where waiting for a disk holds nobody up.
async fn read_piece(mut file: File, size: usize) -> std::io::Result<(Bytes, File)> {
    // Made here: an allocator keeps for each thread what that thread once had, and there may be hundreds.
    let mut bytes = Vec::with_capacity(size);
    let read = tokio::task::spawn_blocking(move || {
        (&mut file).take(size as u64).read_to_end(&mut bytes)?;
        Ok((bytes.into(), file))
    });
    read.await.map_err(std::io::Error::other)?
}

/// The next `left` bytes of a file.
fn pieces(file: File, left: u64) -> BoxStream<'static, Result<Bytes>> {
    futures_util::stream::try_unfold((file, left), async |(file, left)| {
        if left == 0 {
            return Ok(None);
        }
        let size = usize::try_from(left).unwrap_or(usize::MAX).min(LOCAL_PIECE);
        let (bytes, file) = read_piece(file, size).await.map_err(|error| failed_read(&error))?;
        match bytes.len() {
            0 => Err(failed_read(&std::io::ErrorKind::UnexpectedEof.into())),
            read => Ok(Some((bytes, (file, left - read as u64)))),
        }
    })
    .boxed()
}

fn failed_read(error: &std::io::Error) -> StoreError {
    StoreError::Objects { reason: error.kind().to_string() }
}

/// Says what happened without the words of the place, which name objects.
fn translate(error: object_store::Error) -> StoreError {
    use object_store::Error;
    let reason = match &error {
        Error::NotFound { .. } => return StoreError::NoObject,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => "it refuses the credentials".to_owned(),
        _ => {
            let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
            let mut reason = "it cannot be reached, or refuses".to_owned();
            while let Some(one) = cause {
                if let Some(io) = one.downcast_ref::<std::io::Error>() {
                    match io.kind() {
                        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                            return StoreError::DiskFull;
                        }
                        kind => reason = kind.to_string(),
                    }
                }
                cause = one.source();
            }
            reason
        }
    };
    StoreError::Objects { reason }
}
