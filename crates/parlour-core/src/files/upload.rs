use super::arrive::{Adds, Claims, Incoming, admit_early, admit_upload};
use super::prepare::{Picture, Prepared, prepare, prepare_picture};
use super::unknown;
use crate::limits::{Action, Allowance};
use crate::{Caller, Core, Result};
use parlour_store::StoreError;
use parlour_store::files::{self, FileFacts, FileState, NewFile, complete, find, set_thumbnail};
use parlour_store::objects::ObjectName;
use parlour_types::{FileUuid, UserId};
use std::net::IpAddr;
use std::sync::Arc;

/// Uploads a file whole (contract §2.8, G). It is on disk when this answers, with a picture of it if it is an image.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) for what is not taken, [`Error::Forbidden`](crate::Error::Forbidden) for a blocked member,
/// [`Error::TooOften`](crate::Error::TooOften).
pub async fn upload(
    core: &Core,
    (caller, address): (Caller, Option<IpAddr>),
    incoming: Incoming,
    claims: Claims,
) -> Result<(FileUuid, Option<Allowance>)> {
    let allowance = core.limits.count(Action::Upload, caller, address, 1)?;
    admit_early(core, caller, Adds::File, incoming.size).await?;
    let incoming = incoming.keep_promises(core, claims).await?;
    let filename = incoming.filename.clone();
    let prepared = prepare(core, incoming).await?;
    let facts = facts(&prepared, filename, claims.duration);
    let uuid = FileUuid::random();
    let (rules, begun) = (Arc::clone(&core.rules), facts.clone());
    let (now, expires_at) = (core.clock.now(), core.upload_expiry());
    let more = prepared.size + prepared.picture.as_ref().map_or(0, |picture| picture.size);
    core.store
        .write(move |tx| {
            admit_upload(tx, caller, (&rules.files, now), (Adds::File, more))?;
            let new = NewFile { total_parts: Some(1), ..NewFile::whole(caller.user_id, uuid, &begun, expires_at) };
            files::begin(tx, &new, now)?;
            Ok::<_, crate::Error>(())
        })
        .await?;
    if !store(core, caller.user_id, uuid, prepared, facts).await? {
        // It took longer than an upload may lie still, and was given up.
        return Err(StoreError::TimedOut.into());
    }
    Ok((uuid, allowance))
}

/// Stores what a row announces, and makes the file ready. True unless it was not uploading any more.
pub(super) async fn store(
    core: &Core,
    owner: UserId,
    uuid: FileUuid,
    prepared: Prepared,
    facts: FileFacts,
) -> Result<bool> {
    let Prepared { file, size, picture, .. } = prepared;
    let picture = match picture {
        None => None,
        Some(picture) => Some(store_picture(core, owner, uuid, picture, &facts.filename).await?),
    };
    core.files.objects.put(ObjectName::File(uuid), file, size).await?;
    let expires_at = core.clock.now().plus_micros(core.rules.files.unused_lifetime_micros);
    let completed = core.store.write(move |tx| {
        let completed = complete(tx, owner, uuid, &facts, picture, expires_at)?;
        Ok::<_, crate::Error>((completed, find(tx, owner, uuid)?.is_some()))
    });
    let (completed, is_known) = completed.await?;
    if !is_known {
        // Its row went while the object was on its way.
        core.files.objects.delete(ObjectName::File(uuid)).await?;
    }
    Ok(completed)
}

/// Stores a picture under a name of its own. It goes again unless somebody makes it a file's.
async fn store_picture(
    core: &Core,
    owner: UserId,
    parent: FileUuid,
    picture: Picture,
    filename: &str,
) -> Result<FileUuid> {
    let Picture { file, size, mimetype } = picture;
    let facts =
        FileFacts { filename: filename.to_owned(), mimetype: mimetype.into(), size: signed(size), duration: None };
    let uuid = FileUuid::random();
    let (now, expires_at) = (core.clock.now(), core.upload_expiry());
    core.store
        .write(move |tx| {
            let whole = NewFile::whole(owner, uuid, &facts, expires_at);
            files::begin(tx, &NewFile { parent: Some(parent), ..whole }, now)
        })
        .await?;
    core.files.objects.put(ObjectName::File(uuid), file, size).await?;
    Ok(uuid)
}

/// Uploads a picture of a file (contract §2.8, J), which is kept small and without metadata. Its name stands for the file from then on.
///
/// # Errors
/// As [`upload`], and for a parent that is none of the caller's files.
pub async fn upload_thumbnail(
    core: &Core,
    caller: Caller,
    parent: FileUuid,
    incoming: Incoming,
    claims: Claims,
) -> Result<FileUuid> {
    let owner = caller.user_id;
    admit_early(core, caller, Adds::Nothing, incoming.size).await?;
    let file = core.store.read(move |read| find(read, owner, parent)).await?;
    let Some(file) = file.filter(|file| file.state == FileState::Ready && file.parent.is_none()) else {
        return unknown("parentuuid");
    };
    let incoming = incoming.keep_promises(core, claims).await?;
    let picture = prepare_picture(core, incoming).await?;
    let uuid = store_picture(core, owner, parent, picture, &file.facts.filename).await?;
    let before_expires = core.clock.now().plus_micros(core.rules.files.unused_lifetime_micros);
    let set = core.store.write(move |tx| set_thumbnail(tx, owner, (parent, uuid), before_expires)).await?;
    if set { Ok(uuid) } else { unknown("parentuuid") }
}

/// What is stored of a file beside its bytes. One without a name gets one by its type.
pub(super) fn facts(prepared: &Prepared, filename: Option<String>, duration: Option<i64>) -> FileFacts {
    let mimetype = prepared.mimetype;
    FileFacts {
        filename: filename.unwrap_or_else(|| format!("file.{}", parlour_media::extension(mimetype))),
        mimetype: mimetype.into(),
        size: signed(prepared.size),
        duration,
    }
}

pub(super) fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

impl Core {
    /// When what is uploading now is given up.
    pub(super) fn upload_expiry(&self) -> parlour_types::Timestamp {
        self.clock.now().plus_micros(self.rules.files.upload_lifetime_micros)
    }
}
