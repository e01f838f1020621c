use crate::{Caller, Core, Error, Result};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use parlour_store::files::{FileState, StoredFile, find};
use parlour_store::objects::ObjectName;
use parlour_store::{Read, StoreError, messages};
use parlour_types::model::{FileLink, LinkSubject, MessageStatus, Purpose};
use parlour_types::{FileUuid, MessageId, Timestamp, UserId};
use std::ops::Range;

/// A file that a viewer may open.
pub struct OpenFile {
    /// Which object: the file, or the picture of it. What is stored under it never changes.
    pub uuid: FileUuid,
    /// The name of the file.
    pub filename: String,
    /// What its bytes are.
    pub mimetype: String,
    /// How many they are.
    pub size: u64,
    /// When it was uploaded.
    pub created_at: Timestamp,
}

/// What a link opens, if its viewer may open it now: the file of a message that the viewer is shown, or an upload of the viewer's own.
///
/// # Errors
/// [`Error::NotFound`] for everything else.
pub async fn open(core: &Core, link: FileLink) -> Result<OpenFile> {
    let caller = Caller { user_id: link.viewer };
    let found = core.ask(caller, move |read, _| {
        let file = match link.subject {
            LinkSubject::Message(id) => of_message(read, id, link.viewer)?,
            LinkSubject::Upload(uuid) => find(read, link.viewer, uuid)?,
        };
        let file = file.filter(|file| file.state == FileState::Ready).ok_or(Error::NotFound)?;
        match (link.purpose, file.thumbnail) {
            (Purpose::Thumbnail, Some(picture)) => {
                find(read, file.owner_id, picture)?.filter(|file| file.state == FileState::Ready).ok_or(Error::NotFound)
            }
            (Purpose::Thumbnail, None) if !file.facts.mimetype.starts_with("image/") => Err(Error::NotFound),
            _ => Ok(file),
        }
    });
    let file = found.await.map_err(|error| match error {
        // The link names its viewer; there are no credentials to complain about.
        Error::UnknownCaller => Error::NotFound,
        other => other,
    })?;
    let facts = file.facts;
    Ok(OpenFile {
        uuid: file.uuid,
        filename: facts.filename,
        mimetype: facts.mimetype,
        size: facts.size.unsigned_abs(),
        created_at: file.created_at,
    })
}

fn of_message(read: &Read<'_>, id: MessageId, viewer: UserId) -> Result<Option<StoredFile>, StoreError> {
    let Some(found) = messages::find(read, id, viewer)? else { return Ok(None) };
    let message = found.message;
    let shown = message.status == MessageStatus::Created && message.seq > found.member.cleared_seq();
    match message.file {
        Some(file) if shown => find(read, message.sender_id, file.uuid),
        _ => Ok(None),
    }
}

/// The bytes of a file, or a part of them.
///
/// # Errors
/// A failure of the store.
pub async fn read(
    core: &Core,
    file: &OpenFile,
    range: Range<u64>,
) -> Result<BoxStream<'static, Result<Bytes, StoreError>>> {
    Ok(core.files.objects.get(ObjectName::File(file.uuid), range).await?)
}
