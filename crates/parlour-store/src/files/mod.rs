//! Files of members: their rows, from the first part that comes to the last trace that goes. The bytes are in [`objects`](crate::objects).
//!
//! A row is written before its object is stored and taken away after it was deleted, so that a crash leaves nothing that nobody knows of.
//! Everything here names a file together with its owner: somebody else's file is as good as none.

pub mod parts;
pub mod past;
pub mod removal;
pub mod stored;

use crate::db::{Read, Row, Source, Tx, params};
use crate::dialect;
use crate::error::{Result, StoreError};
use parlour_types::model::Attachment;
use parlour_types::{FileUuid, Timestamp, UserId};

/// Where a file is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileState {
    /// Its bytes are not all stored yet.
    Uploading,
    /// Whole, and stored.
    Ready,
    /// Nobody may open it any more; what is stored of it is being removed.
    Going,
    /// Its object is not where it should be.
    Lost,
}

impl FileState {
    pub(crate) const fn code(self) -> i64 {
        match self {
            Self::Uploading => 0,
            Self::Ready => 1,
            Self::Going => 2,
            Self::Lost => 3,
        }
    }

    fn of(code: i64) -> Result<Self> {
        const UNKNOWN: StoreError = StoreError::Inconsistent { table: "files", what: "state" };
        [Self::Uploading, Self::Ready, Self::Going, Self::Lost]
            .into_iter()
            .find(|state| state.code() == code)
            .ok_or(UNKNOWN)
    }
}

/// What a file is, beside whose it is.
#[derive(Clone, PartialEq, Eq)]
pub struct FileFacts {
    /// The name that its uploader gave it.
    pub filename: String,
    /// What its bytes are, as a MIME type; empty while that is not known.
    pub mimetype: String,
    /// Bytes of its object.
    pub size: i64,
    /// Seconds, as its uploader says.
    pub duration: Option<i64>,
}

/// A row of `files`.
#[derive(Clone)]
pub struct StoredFile {
    /// Whose it is.
    pub owner_id: UserId,
    /// Which one.
    pub uuid: FileUuid,
    /// Of a picture: the file that it shows.
    pub parent: Option<FileUuid>,
    /// Where it is in its life.
    pub state: FileState,
    /// What it is.
    pub facts: FileFacts,
    /// The picture of it that is shown.
    pub thumbnail: Option<FileUuid>,
    /// How many parts there will be, if it comes in parts.
    pub total_parts: Option<i64>,
    /// How long the whole will be, if its sender said so.
    pub total_size: Option<i64>,
    /// Messages that show it.
    pub attached_count: i64,
    /// When its upload began.
    pub created_at: Timestamp,
    /// When it goes unless something happens.
    pub expires_at: Option<Timestamp>,
}

impl StoredFile {
    /// As a message shows it.
    #[must_use]
    pub fn attachment(&self) -> Attachment {
        let FileFacts { filename, mimetype, size, duration } = self.facts.clone();
        let is_lost = self.state != FileState::Ready;
        Attachment {
            uuid: self.uuid,
            filename,
            size,
            mimetype,
            duration,
            has_thumbnail: self.thumbnail.is_some(),
            is_lost,
        }
    }
}

/// The columns of a file, of which a message's attachment are the first seven.
macro_rules! file_columns {
    () => {
        "f.uuid, f.filename, f.mimetype, f.size, f.duration, f.thumbnail_uuid, f.state, f.parent_uuid, f.total_parts,
         f.total_size, f.attached_count, f.created_at, f.expires_at, f.owner_id"
    };
}

/// What a message's row needs of its file, to be joined as `f`.
macro_rules! attachment_columns {
    () => {
        "f.uuid, f.filename, f.mimetype, f.size, f.duration, f.thumbnail_uuid, f.state"
    };
}
pub(crate) use attachment_columns;
use file_columns;

const FIND: &str = concat!("select ", file_columns!(), " from files f where f.owner_id = ?1 and f.uuid = ?2");

/// The file of the owner `?1` that `?2` stands for: itself, or the one that it is a picture of.
pub(crate) const RESOLVE: &str = concat!(
    "select ",
    attachment_columns!(),
    " from files f where f.owner_id = ?1
         and f.uuid = coalesce((select p.parent_uuid from files p where p.owner_id = ?1 and p.uuid = ?2), ?2)"
);

/// Counts a message more that shows a file.
pub(crate) const ATTACH: &str = "update files set attached_count = attached_count + ?3, expires_at = null
     where owner_id = ?1 and uuid = ?2 and state = 1";

fn decode(row: &Row<'_>) -> Result<StoredFile> {
    Ok(StoredFile {
        uuid: row.file_uuid(0)?,
        facts: FileFacts {
            filename: row.text(1)?,
            mimetype: row.text(2)?,
            size: row.int(3)?,
            duration: row.int_opt(4)?,
        },
        thumbnail: row.file_uuid_opt(5)?,
        state: FileState::of(row.int(6)?)?,
        parent: row.file_uuid_opt(7)?,
        total_parts: row.int_opt(8)?,
        total_size: row.int_opt(9)?,
        attached_count: row.int(10)?,
        created_at: row.time(11)?,
        expires_at: row.int_opt(12)?.map(Timestamp::from_micros),
        owner_id: row.user_id(13)?,
    })
}

/// An attachment out of the seven columns from `first` on; `None` where nothing was joined.
pub(crate) fn decode_attachment(row: &Row<'_>, first: usize) -> Result<Option<Attachment>> {
    let Some(uuid) = row.file_uuid_opt(first)? else { return Ok(None) };
    Ok(Some(Attachment {
        uuid,
        filename: row.text(first + 1)?,
        mimetype: row.text(first + 2)?,
        size: row.int(first + 3)?,
        duration: row.int_opt(first + 4)?,
        has_thumbnail: row.bytes_opt(first + 5)?.is_some(),
        is_lost: FileState::of(row.int(first + 6)?)? != FileState::Ready,
    }))
}

/// `owner`'s file.
///
/// # Errors
/// A failure of the store.
pub fn find(read: &Read<'_>, owner: UserId, uuid: FileUuid) -> Result<Option<StoredFile>> {
    read.row(FIND, params![owner, &uuid], decode)
}

/// The file of a message by `sender`, as the message shows it; `None` where its row is gone, which the doctor finds.
pub(crate) fn attachment(read: &Read<'_>, sender: UserId, uuid: FileUuid) -> Result<Option<Attachment>> {
    const SQL: &str = concat!("select ", attachment_columns!(), " from files f where f.owner_id = ?1 and f.uuid = ?2");
    Ok(read.row(SQL, params![sender, &uuid], |row| decode_attachment(row, 0))?.flatten())
}

/// How much a member has stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Files, not counting the pictures of them.
    pub files: i64,
    /// Bytes of everything stored.
    pub bytes: i64,
    /// Files whose upload goes on.
    pub uploading: i64,
}

/// How much `owner` has stored; of what is uploading, what would expire after this time.
///
/// # Errors
/// A failure of the store.
pub fn usage(read: &Read<'_>, owner: UserId, expires_after: Timestamp) -> Result<Usage> {
    let usage = read.row(
        "select coalesce((select files from file_usage where user_id = ?1), 0),
             coalesce((select bytes from file_usage where user_id = ?1), 0),
             (select count(*) from files where owner_id = ?1 and state = 0 and expires_at > ?2)",
        params![owner, expires_after],
        |row| Ok(Usage { files: row.int(0)?, bytes: row.int(1)?, uploading: row.int(2)? }),
    )?;
    Ok(usage.unwrap_or_default())
}

/// Moves what `owner` has stored.
fn account(tx: &Tx<'_>, owner: UserId, files: i64, bytes: i64) -> Result<()> {
    tx.execute_one(
        "accounting for a file",
        "insert into file_usage (user_id, files, bytes) values (?1, ?2, ?3)
         on conflict (user_id) do update set files = file_usage.files + ?2, bytes = file_usage.bytes + ?3",
        params![owner, files, bytes],
    )
}

/// A file whose upload begins.
pub struct NewFile<'a> {
    /// Whose it is.
    pub owner_id: UserId,
    /// Which one.
    pub uuid: FileUuid,
    /// Of a picture: the file that it shows.
    pub parent: Option<FileUuid>,
    /// What is known of it; of size 0 when it comes in parts.
    pub facts: &'a FileFacts,
    /// How many parts there will be.
    pub total_parts: Option<i64>,
    /// How long the whole will be.
    pub total_size: Option<i64>,
    /// When it goes unless it becomes ready.
    pub expires_at: Timestamp,
}

impl<'a> NewFile<'a> {
    /// A file that comes whole.
    #[must_use]
    pub const fn whole(owner_id: UserId, uuid: FileUuid, facts: &'a FileFacts, expires_at: Timestamp) -> Self {
        Self { owner_id, uuid, parent: None, facts, total_parts: None, total_size: None, expires_at }
    }
}

/// Begins an upload. Whatever is stored under its name from now on is removed when it expires.
///
/// # Errors
/// A failure of the store.
pub fn begin(tx: &Tx<'_>, new: &NewFile<'_>, now: Timestamp) -> Result<()> {
    let facts = new.facts;
    tx.execute_one(
        "beginning an upload",
        "insert into files (owner_id, uuid, parent_uuid, state, filename, mimetype, size, duration, total_parts, total_size,
             attached_count, created_at, expires_at) values (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7, ?8, ?9, 0, ?10, ?11)",
        params![
            new.owner_id,
            &new.uuid,
            new.parent.as_ref(),
            &*facts.filename,
            &*facts.mimetype,
            facts.size,
            facts.duration,
            new.total_parts,
            new.total_size,
            now,
            new.expires_at,
        ],
    )?;
    account(tx, new.owner_id, i64::from(new.parent.is_none()), facts.size)
}

/// Makes a file ready whose objects are stored, with the picture of it, if there is one. `expires_at` says when it goes unless a message
/// shows it. False when it is no longer uploading.
///
/// # Errors
/// A failure of the store.
pub fn complete(
    tx: &Tx<'_>,
    owner: UserId,
    uuid: FileUuid,
    facts: &FileFacts,
    thumbnail: Option<FileUuid>,
    expires_at: Timestamp,
) -> Result<bool> {
    let before = tx.row(
        "select size from files where owner_id = ?1 and uuid = ?2 and state = 0",
        params![owner, &uuid],
        |row| row.int(0),
    )?;
    let Some(before) = before else { return Ok(false) };
    tx.execute_one(
        "completing an upload",
        "update files set state = 1, filename = ?3, mimetype = ?4, size = ?5, duration = ?6, thumbnail_uuid = ?7,
             expires_at = ?8 where owner_id = ?1 and uuid = ?2 and state = 0",
        params![
            owner,
            &uuid,
            &*facts.filename,
            &*facts.mimetype,
            facts.size,
            facts.duration,
            thumbnail.as_ref(),
            expires_at,
        ],
    )?;
    if let Some(thumbnail) = thumbnail {
        keep_picture(tx, owner, thumbnail)?;
    }
    account(tx, owner, 0, facts.size - before)?;
    Ok(true)
}

/// A picture is ready, and lives as long as its file.
fn keep_picture(tx: &Tx<'_>, owner: UserId, uuid: FileUuid) -> Result<()> {
    tx.execute_one(
        "keeping a picture",
        "update files set state = 1, expires_at = null where owner_id = ?1 and uuid = ?2 and state = 0",
        params![owner, &uuid],
    )
}

/// Shows a file by another picture, whose object is stored. The one before stays a name of the file until `expires_at`. False when the file
/// is not ready or the picture not uploading.
///
/// # Errors
/// A failure of the store.
pub fn set_thumbnail(
    tx: &Tx<'_>,
    owner: UserId,
    (file, picture): (FileUuid, FileUuid),
    expires_at: Timestamp,
) -> Result<bool> {
    let (Some(file), Some(picture)) = (find(tx, owner, file)?, find(tx, owner, picture)?) else { return Ok(false) };
    if file.state != FileState::Ready || picture.state != FileState::Uploading {
        return Ok(false);
    }
    keep_picture(tx, owner, picture.uuid)?;
    if let Some(before) = file.thumbnail {
        tx.execute(
            "update files set expires_at = ?3 where owner_id = ?1 and uuid = ?2",
            params![owner, &before, expires_at],
        )?;
    } else if file.attached_count > 0 {
        tx.touch_everything();
    }
    tx.execute_one(
        "showing a file by a picture",
        "update files set thumbnail_uuid = ?3 where owner_id = ?1 and uuid = ?2",
        params![owner, &file.uuid, &picture.uuid],
    )?;
    Ok(true)
}

/// A message less shows the file. What no message shows any more is going at once: whoever took it back wants it gone.
pub(crate) fn detach(tx: &Tx<'_>, owner: UserId, uuid: FileUuid, now: Timestamp) -> Result<()> {
    lock(tx, owner)?;
    let left = tx
        .row(
            "update files set attached_count = attached_count - 1 where owner_id = ?1 and uuid = ?2
             returning attached_count",
            params![owner, &uuid],
            |row| row.int(0),
        )?
        .ok_or(StoreError::Inconsistent { table: "messages", what: "file" })?;
    if left == 0 {
        tx.execute_one(
            "giving up a file",
            "update files set state = 2, expires_at = ?3 where owner_id = ?1 and uuid = ?2",
            params![owner, &uuid, now],
        )?;
    }
    Ok(())
}

/// Keeps sends of `owner` away, which may be about to attach a file.
pub(crate) fn lock(tx: &Tx<'_>, owner: UserId) -> Result<()> {
    if let Source::Postgres(_) = tx.source() {
        tx.each(dialect::LOCK_MAILBOXES, params![&[owner.get()][..]], |_| Ok(()))?;
    }
    Ok(())
}
