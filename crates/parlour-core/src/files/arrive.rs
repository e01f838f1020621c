use super::{FileRules, refuse};
use crate::access::active;
use crate::{Caller, Core, Result};
use md5::{Digest as _, Md5};
use parlour_store::files::{Usage, usage};
use parlour_store::{Read, users};
use parlour_types::ErrorCode;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use subtle::ConstantTimeEq as _;

/// Bytes that came, on a file of this machine that nobody else knows.
pub struct Incoming {
    /// The bytes.
    pub file: File,
    /// How many they are.
    pub size: u64,
    /// The name that their sender gave them, cleaned.
    pub filename: Option<String>,
}

/// What a sender says of a file, which must be true.
#[derive(Clone, Copy, Default)]
pub struct Claims {
    /// The MD5 checksum of its bytes (contract §2.8).
    pub md5: Option<[u8; 16]>,
    /// How many bytes it has.
    pub total_size: Option<u64>,
    /// Seconds that it lasts; nobody can tell.
    pub duration: Option<i64>,
}

impl Incoming {
    /// Looks whether the bytes are what their sender says, and not too many.
    pub(super) async fn keep_promises(self, core: &Core, claims: Claims) -> Result<Self> {
        if self.size == 0 {
            return refuse("file", ErrorCode::Required, "The file is empty.");
        }
        check_size(&core.rules.files, self.size)?;
        if claims.total_size.is_some_and(|size| size != self.size) {
            return refuse("totalfilesize", ErrorCode::Invalid, "The file has another size.");
        }
        let Some(expected) = claims.md5 else { return Ok(self) };
        let Self { file, size, filename } = self;
        let summed = on_a_thread(core, move || {
            let mut file = file;
            let sum = md5_of(&mut file)?;
            Ok((file, sum))
        });
        let (file, sum) = summed.await?;
        if bool::from(sum.ct_eq(&expected)) {
            Ok(Self { file, size, filename })
        } else {
            refuse("md5", ErrorCode::Md5Mismatch, "The file has another checksum.")
        }
    }
}

/// Refuses a file that is larger than the community allows.
pub(super) fn check_size(rules: &FileRules, size: u64) -> Result<()> {
    if size <= rules.max_size {
        return Ok(());
    }
    refuse("file", ErrorCode::FileTooLarge, format!("At most {} bytes.", rules.max_size))
}

fn md5_of(file: &mut File) -> std::io::Result<[u8; 16]> {
    file.seek(SeekFrom::Start(0))?;
    let (mut sum, mut piece) = (Md5::new(), vec![0; 64 << 10]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(sum.finalize().into()),
            read => sum.update(&piece[..read]),
        }
    }
}

/// Does what waits for a disk or takes long where it holds nobody up.
pub(super) async fn on_a_thread<T: Send + 'static>(
    core: &Core,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other).flatten();
    done.map_err(|error| core.files.objects.spool_failed(error).into())
}

/// Looks whether the caller may store `bytes` more, in a file more if `new_file`. Asked once before any work is done and once more in the
/// transaction that begins to store.
pub(super) fn admit_upload(
    read: &Read<'_>,
    caller: Caller,
    rules: &FileRules,
    (new_file, bytes): (bool, u64),
) -> Result<()> {
    active(users::account(read, caller.user_id)?)?;
    let Usage { files, bytes: stored, uploading } = usage(read, caller.user_id)?;
    let over = |have: i64, more: u64, most: u64| have.unsigned_abs().saturating_add(more) > most;
    if over(stored, bytes, rules.quota_bytes) {
        let message = format!("Your files may take {} bytes in all.", rules.quota_bytes);
        return refuse("file", ErrorCode::QuotaExceeded, message);
    }
    if new_file && over(files, 1, rules.quota_files) {
        let message = format!("You may have {} files in all.", rules.quota_files);
        return refuse("file", ErrorCode::QuotaExceeded, message);
    }
    if new_file && over(uploading, 1, rules.max_open_uploads) {
        let message = format!("You may be uploading {} files at a time.", rules.max_open_uploads);
        return refuse("file", ErrorCode::QuotaExceeded, message);
    }
    Ok(())
}

/// The same before any work is done.
pub(super) async fn admit_early(core: &Core, caller: Caller, new_file: bool, bytes: u64) -> Result<()> {
    let rules = std::sync::Arc::clone(&core.rules);
    core.store.read(move |read| admit_upload(read, caller, &rules.files, (new_file, bytes))).await
}
