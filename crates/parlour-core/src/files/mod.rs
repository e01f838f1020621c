//! Files: uploading them whole or in parts, opening them, and letting them go.
//!
//! What came is looked at before anything is stored, by its bytes and never by its name. A caller names only their own files; a file is
//! opened by way of a message that the viewer is shown, or by its uploader.

mod arrive;
mod open;
mod parts;
mod past;
mod prepare;
mod removal;
mod upload;

pub use arrive::{Claims, Incoming};
pub use open::{OpenFile, open, read};
pub use parts::{Finish, Part, finish, upload_part};
pub use past::{PastFile, PastPicture, import_file};
pub use removal::{remove_due, remove_leftovers};
pub use upload::{upload, upload_thumbnail};

use crate::{Error, FieldProblem, Result};
use parlour_store::objects::Objects;
use parlour_types::{ErrorCode, FileUuid};
use std::borrow::Cow;
use tokio::sync::{Mutex, MutexGuard, Semaphore};

/// Uploads that can be finished at once. Two of one file wait for each other.
const FINISHING: usize = 64;

/// Parts of a file at the most.
pub const MAX_PARTS: i64 = 10_000;

/// How much, how many, how long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileRules {
    /// Bytes of a file at the most.
    pub max_size: u64,
    /// Bytes of all files of one member at the most, pictures and parts included.
    pub quota_bytes: u64,
    /// Files of one member at the most.
    pub quota_files: u64,
    /// Files that one member may be uploading at a time.
    pub max_open_uploads: u64,
    /// The MIME types that are taken.
    pub types: Vec<String>,
    /// An upload that no part came to for so long is given up.
    pub upload_lifetime_micros: i64,
    /// A file that no message ever showed goes after so long.
    pub unused_lifetime_micros: i64,
    /// Pixels of an image at the most.
    pub max_pixels: u64,
    /// Frames of an animation at the most.
    pub max_frames: u32,
    /// Pixels of the longer side of a picture of a file.
    pub thumbnail_side: u32,
    /// Images that are worked on at once.
    pub image_workers: usize,
    /// Whether images keep what cameras write into them: place, time, device.
    pub keep_metadata: bool,
}

impl Default for FileRules {
    fn default() -> Self {
        const DAY: i64 = 24 * 3600 * 1_000_000;
        Self {
            max_size: 12 << 20,
            quota_bytes: 1 << 30,
            quota_files: 10_000,
            max_open_uploads: 20,
            types: TYPES.iter().map(|&name| name.to_owned()).collect(),
            upload_lifetime_micros: DAY,
            unused_lifetime_micros: DAY,
            max_pixels: 50_000_000,
            max_frames: 1_000,
            thumbnail_side: 640,
            image_workers: 1,
            keep_metadata: false,
        }
    }
}

/// The MIME types that are taken unless told otherwise: what people send each other, and nothing that a browser would run.
const TYPES: &[&str] = &[
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "video/mp4",
    "video/quicktime",
    "video/3gpp",
    "video/webm",
    "video/ogg",
    "audio/mpeg",
    "audio/mp4",
    "audio/aac",
    "audio/ogg",
    "audio/webm",
    "audio/wav",
    "audio/flac",
    "application/pdf",
    "text/plain",
    "application/zip",
    "application/rtf",
    "application/msword",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.oasis.opendocument.text",
    "application/vnd.oasis.opendocument.spreadsheet",
    "application/vnd.oasis.opendocument.presentation",
];

/// Where the bytes of files are, and who is at work on them.
pub struct Files {
    pub(crate) objects: Objects,
    images: Semaphore,
    finishing: [Mutex<()>; FINISHING],
}

impl Files {
    pub(crate) fn new(objects: Objects, rules: &FileRules) -> Self {
        let finishing = std::array::from_fn(|_| Mutex::default());
        Self { objects, images: Semaphore::new(rules.image_workers.max(1)), finishing }
    }

    async fn alone_with(&self, uuid: FileUuid) -> MutexGuard<'_, ()> {
        self.finishing[usize::from(uuid.as_bytes()[0]) % FINISHING].lock().await
    }
}

/// A refusal that names a field.
fn refuse<T>(field: &'static str, code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Result<T> {
    Err(Error::Invalid(vec![FieldProblem::new(field, code, message)]))
}

fn unknown<T>(field: &'static str) -> Result<T> {
    refuse(field, ErrorCode::DoesNotExist, "You have no such file.")
}
