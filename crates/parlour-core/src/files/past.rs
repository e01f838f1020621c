//! Bringing files of the past in: their bytes as they are, under the names that they have.
//!
//! Like an upload a file gets its row first, then its object, and is ready at last; an import that was interrupted goes on with the row that it
//! finds. Quotas and sizes do not count, the type does: whatever would be refused as an upload by its bytes is refused here.

use super::arrive::Incoming;
use super::prepare::{prepare_picture, recognize};
use super::upload::signed;
use super::{Error, refuse};
use crate::import::Outcome;
use crate::{Core, FieldProblem, Result};
use parlour_store::files::stored::owner_of;
use parlour_store::files::{self, FileFacts, FileState, NewFile, StoredFile, complete, find, past};
use parlour_store::objects::ObjectName;
use parlour_store::{Read, users};
use parlour_types::text::clean_filename;
use parlour_types::{ErrorCode, FileUuid, Timestamp, UserId};
use std::fs::File;

/// What a lost file is if nobody says.
const ANYTHING: &str = "application/octet-stream";

/// A file of the past.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PastFile {
    /// Whose it is.
    pub owner: UserId,
    /// The name that it keeps.
    pub uuid: FileUuid,
    /// The name that its uploader gave it.
    pub filename: String,
    /// What its bytes must be.
    pub mimetype: Option<String>,
    /// How many they must be.
    pub size: Option<i64>,
    /// Seconds, as its uploader said.
    pub duration: Option<i64>,
    /// When it was uploaded.
    pub created_at: Timestamp,
    /// There is no content any more.
    pub is_lost: bool,
    /// The picture that shows it; an image without one gets one.
    pub thumbnail: Option<PastPicture>,
}

/// A picture of a file of the past.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PastPicture {
    /// The name that it keeps.
    pub uuid: FileUuid,
    /// What its bytes must be.
    pub mimetype: Option<String>,
    /// How many they must be.
    pub size: Option<i64>,
}

/// Something to store.
struct Content {
    uuid: FileUuid,
    file: File,
    size: u64,
    mimetype: &'static str,
}

/// Imports a file with the contents that `open` finds, and answers what became of it. It goes again, as an upload does, unless a message shows
/// it.
///
/// # Errors
/// A failure of the store.
pub async fn import_file(
    core: &Core,
    file: PastFile,
    open: impl Fn(FileUuid) -> Result<File, FieldProblem>,
) -> Result<Outcome> {
    match import(core, file, open).await {
        Ok(true) => Ok(Outcome::Imported),
        Ok(false) => Ok(Outcome::Known),
        Err(Error::Invalid(mut problems)) if !problems.is_empty() => Ok(Outcome::Refused(problems.remove(0))),
        Err(other) => Err(other),
    }
}

async fn import(core: &Core, file: PastFile, open: impl Fn(FileUuid) -> Result<File, FieldProblem>) -> Result<bool> {
    let (now, asked) = (core.clock.now(), file.clone());
    if core.store.read(move |read| admit(read, &asked, now)).await? == Standing::Known {
        return Ok(false);
    }
    let Some(filename) = clean_filename(&file.filename) else {
        return refuse("filename", ErrorCode::Invalid, "Nothing is left of this name.");
    };
    let content = if file.is_lost { None } else { Some(content(core, &file, &open).await?) };
    let picture = picture(core, &file, content.as_ref(), &open).await?;
    let facts = match &content {
        Some(Content { size, mimetype, .. }) => {
            FileFacts { filename, mimetype: (*mimetype).into(), size: signed(*size), duration: file.duration }
        }
        None => lost_facts(core, &file, filename)?,
    };
    if !begin(core, &file, &facts, picture.as_ref()).await? {
        return Ok(false);
    }
    let thumbnail = picture.as_ref().map(|picture| picture.uuid);
    for Content { uuid, file, size, .. } in picture.into_iter().chain(content) {
        core.files.objects.put(ObjectName::File(uuid), file, size).await?;
    }
    let expires_at = core.clock.now().plus_micros(core.rules.files.unused_lifetime_micros);
    let PastFile { owner, uuid, is_lost, .. } = file;
    let completed = core.store.write(move |tx| {
        let completed = complete(tx, owner, uuid, &facts, thumbnail, expires_at)?;
        if completed && is_lost {
            past::lose(tx, owner, uuid)?;
        }
        Ok::<_, Error>(completed)
    });
    if completed.await? { Ok(true) } else { refuse("uuid", ErrorCode::Conflict, "It was removed meanwhile.") }
}

/// How far an import of a file has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Nothing is there.
    New,
    /// An import that was interrupted has begun with it.
    Begun,
    /// It is there.
    Known,
}

/// Looks whether this file of the past can be one.
fn admit(read: &Read<'_>, file: &PastFile, now: Timestamp) -> Result<Standing> {
    if users::account(read, file.owner)?.is_none() {
        return refuse("owner", ErrorCode::DoesNotExist, format!("There is no user {}.", file.owner));
    }
    if file.created_at > now {
        return refuse("created_at", ErrorCode::OutOfRange, "Must not be in the future.");
    }
    let standing = match own(read, file.owner, file.uuid, "uuid")? {
        None => Standing::New,
        Some(found) if found.parent.is_some() => return taken("uuid"),
        Some(found) => match found.state {
            FileState::Ready | FileState::Lost => return Ok(Standing::Known),
            // What a member is uploading says in how many parts it comes.
            FileState::Uploading if found.total_parts.is_none() => Standing::Begun,
            FileState::Uploading | FileState::Going => return taken("uuid"),
        },
    };
    if let Some(PastPicture { uuid, .. }) = file.thumbnail
        && (uuid == file.uuid || picture_begun(read, file, uuid)?.is_some_and(|begun| begun.is_none()))
    {
        return taken("thumbnail.uuid");
    }
    Ok(standing)
}

/// The picture's row, if there is one; and of that only one that an import has begun with.
fn picture_begun(read: &Read<'_>, file: &PastFile, uuid: FileUuid) -> Result<Option<Option<StoredFile>>> {
    let found = own(read, file.owner, uuid, "thumbnail.uuid")?;
    let begun = |row: &StoredFile| row.parent == Some(file.uuid) && row.state == FileState::Uploading;
    Ok(found.map(|row| Some(row).filter(begun)))
}

/// The owner's file; nobody else may have one of this name, as the name is all that an object has.
fn own(read: &Read<'_>, owner: UserId, uuid: FileUuid, field: &'static str) -> Result<Option<StoredFile>> {
    if owner_of(read, uuid)?.is_some_and(|found| found != owner) {
        return taken(field);
    }
    Ok(find(read, owner, uuid)?)
}

fn taken<T>(field: &'static str) -> Result<T> {
    refuse(field, ErrorCode::Conflict, "Another file has this name.")
}

/// The file's content, which must be what the file says, and of a type that is taken.
async fn content(
    core: &Core,
    file: &PastFile,
    open: &impl Fn(FileUuid) -> Result<File, FieldProblem>,
) -> Result<Content> {
    let opened = open(file.uuid).map_err(|problem| Error::Invalid(vec![problem]))?;
    let content = look(core, file.uuid, opened, ("size", file.size), ("mimetype", file.mimetype.as_deref())).await?;
    check_type(core, content.mimetype)?;
    Ok(content)
}

fn check_type(core: &Core, mimetype: &str) -> Result<()> {
    if core.rules.files.types.iter().any(|taken| taken == mimetype) {
        return Ok(());
    }
    refuse("mimetype", ErrorCode::UnsupportedType, "Files of this type are not taken (files.types).")
}

/// The picture that the file brings along or, if it is an image and brings none, one that is made of it.
async fn picture(
    core: &Core,
    file: &PastFile,
    content: Option<&Content>,
    open: &impl Fn(FileUuid) -> Result<File, FieldProblem>,
) -> Result<Option<Content>> {
    if let Some(thumbnail) = &file.thumbnail {
        let uuid = thumbnail.uuid;
        let named = |problem| FieldProblem { field: "thumbnail.uuid".into(), ..problem };
        let opened = open(uuid).map_err(|problem| Error::Invalid(vec![named(problem)]))?;
        let (size, mimetype) =
            (("thumbnail.size", thumbnail.size), ("thumbnail.mimetype", thumbnail.mimetype.as_deref()));
        let content = look(core, uuid, opened, size, mimetype).await?;
        if !parlour_media::is_image(content.mimetype) {
            let message = "A thumbnail must be a JPEG, PNG, GIF or WebP image.";
            return refuse("thumbnail.mimetype", ErrorCode::UnsupportedType, message);
        }
        return Ok(Some(content));
    }
    let Some(Content { file, size, mimetype, .. }) = content else { return Ok(None) };
    if !parlour_media::is_image(mimetype) {
        return Ok(None);
    }
    let again = file.try_clone().map_err(|error| core.files.objects.spool_failed(error))?;
    let made = prepare_picture(core, Incoming { file: again, size: *size, filename: None }).await?;
    Ok(Some(Content { uuid: FileUuid::random(), file: made.file, size: made.size, mimetype: made.mimetype }))
}

/// Looks what a content is, and whether it is what the import says.
async fn look(
    core: &Core,
    uuid: FileUuid,
    file: File,
    (size_field, size): (&'static str, Option<i64>),
    (type_field, claimed): (&'static str, Option<&str>),
) -> Result<Content> {
    let found = file.metadata().map_err(|error| core.files.objects.spool_failed(error))?.len();
    if found == 0 || size.is_some_and(|size| size != signed(found)) {
        return refuse(size_field, ErrorCode::Invalid, format!("The content has {found} bytes."));
    }
    let (file, mimetype) = recognize(core, file).await?;
    if claimed.is_some_and(|claimed| claimed != mimetype) {
        return refuse(type_field, ErrorCode::Invalid, format!("By its bytes the content is {mimetype}."));
    }
    Ok(Content { uuid, file, size: found, mimetype })
}

/// What is said of a file whose content nobody has.
fn lost_facts(core: &Core, file: &PastFile, filename: String) -> Result<FileFacts> {
    let mimetype = file.mimetype.clone().unwrap_or_else(|| ANYTHING.into());
    if mimetype != ANYTHING {
        check_type(core, &mimetype)?;
    }
    let size = file.size.unwrap_or(0);
    if size < 0 {
        return refuse("size", ErrorCode::OutOfRange, "Must not be negative.");
    }
    Ok(FileFacts { filename, mimetype, size, duration: file.duration })
}

/// Writes the rows of what is about to be stored. False when somebody else has brought the file in meanwhile.
async fn begin(core: &Core, file: &PastFile, facts: &FileFacts, picture: Option<&Content>) -> Result<bool> {
    let (now, expires_at) = (core.clock.now(), core.upload_expiry());
    let (file, facts) = (file.clone(), facts.clone());
    let picture = picture.map(|picture| {
        let (mimetype, size) = (picture.mimetype.into(), signed(picture.size));
        (picture.uuid, FileFacts { filename: facts.filename.clone(), mimetype, size, duration: None })
    });
    let begun = core.store.write(move |tx| {
        match admit(tx, &file, now)? {
            Standing::Known => return Ok(false),
            Standing::Begun => {}
            Standing::New => {
                let new = NewFile::whole(file.owner, file.uuid, &facts, expires_at);
                files::begin(tx, &new, file.created_at)?;
            }
        }
        let Some((uuid, facts)) = &picture else { return Ok(true) };
        match picture_begun(tx, &file, *uuid)? {
            None => {
                let new = NewFile::whole(file.owner, *uuid, facts, expires_at);
                files::begin(tx, &NewFile { parent: Some(file.uuid), ..new }, file.created_at)?;
                Ok(true)
            }
            Some(Some(begun)) if begun.facts.size == facts.size => Ok(true),
            Some(_) => taken("thumbnail.uuid"),
        }
    });
    begun.await
}
