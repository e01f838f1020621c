use super::{FileRules, refuse};
use crate::access::active;
use crate::{Caller, Core, Result};
use md5::{Digest as _, Md5};
use parlour_store::files::{Usage, usage};
use parlour_store::{Read, users};
use parlour_types::{ErrorCode, Timestamp};
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

/// What bytes that come belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Adds {
    /// A file that is there, or none.
    Nothing,
    /// A file more, which comes whole.
    File,
    /// A file more, which comes in parts.
    FileInParts,
}

/// An upload that no part came to for so long does not count as open: most were given up. In microseconds.
const IDLE: i64 = 3_600_000_000;

/// Looks whether the caller may store `bytes` more. Asked once before any work is done and once more in the transaction that begins to store.
pub(super) fn admit_upload(
    read: &Read<'_>,
    caller: Caller,
    (rules, now): (&FileRules, Timestamp),
    (adds, bytes): (Adds, u64),
) -> Result<()> {
    active(users::account(read, caller.user_id)?)?;
    let expires_after = now.plus_micros((rules.upload_lifetime_micros - IDLE).max(0));
    let Usage { files, bytes: stored, uploading } = usage(read, caller.user_id, expires_after)?;
    let over = |have: i64, more: u64, most: u64| have.unsigned_abs().saturating_add(more) > most;
    if over(stored, bytes, rules.quota_bytes) {
        let message = format!("Your files may take {} bytes in all.", rules.quota_bytes);
        return refuse("file", ErrorCode::QuotaExceeded, message);
    }
    if adds != Adds::Nothing && over(files, 1, rules.quota_files) {
        let message = format!("You may have {} files in all.", rules.quota_files);
        return refuse("file", ErrorCode::QuotaExceeded, message);
    }
    if adds == Adds::FileInParts && over(uploading, 1, rules.max_open_uploads) {
        let message = format!("You may be uploading {} files at a time.", rules.max_open_uploads);
        return refuse("file", ErrorCode::QuotaExceeded, message);
    }
    Ok(())
}

/// The same before any work is done.
pub(super) async fn admit_early(core: &Core, caller: Caller, adds: Adds, bytes: u64) -> Result<()> {
    let (rules, now) = (std::sync::Arc::clone(&core.rules), core.clock.now());
    core.store.read(move |read| admit_upload(read, caller, (&rules.files, now), (adds, bytes))).await
}
