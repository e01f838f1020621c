use super::arrive::{Adds, Claims, Incoming, admit_early, admit_upload, check_size, on_a_thread};
use super::prepare::prepare;
use super::upload::{facts, signed, store};
use super::{MAX_PARTS, refuse, unknown};
use crate::limits::{Action, Allowance};
use crate::{Caller, Core, Error, Result};
use futures_util::TryStreamExt as _;
use parlour_store::files::parts::{self, Part as StoredPart};
use parlour_store::files::{self, FileFacts, FileState, NewFile, StoredFile, find};
use parlour_store::objects::ObjectName;
use parlour_store::{StoreError, Tx};
use parlour_types::{ErrorCode, FileUuid, UserId};
use std::fs::File;
use std::io::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

/// One part of a file that comes in several (contract §2.8, H).
pub struct Part {
    /// The file; absent with the first part, which gives it its name.
    pub uuid: Option<FileUuid>,
    /// Which part, from 0 on.
    pub index: i64,
    /// How many there are.
    pub total_parts: i64,
    /// Where it begins in the whole.
    pub byte_offset: Option<u64>,
    /// How long the whole is.
    pub total_size: Option<u64>,
    /// Its bytes.
    pub incoming: Incoming,
}

impl Part {
    const fn adds(&self) -> Adds {
        if self.uuid.is_none() { Adds::FileInParts } else { Adds::Nothing }
    }
}

/// The end of an upload in parts (contract §2.8, I).
pub struct Finish {
    /// The file.
    pub uuid: FileUuid,
    /// The name that it is to have.
    pub filename: Option<String>,
    /// How many parts there were.
    pub total_parts: Option<i64>,
    /// What must be true of the whole.
    pub claims: Claims,
}

/// Takes a part, in any order and as often as it is sent; the last one counts. It is on disk when this answers.
///
/// # Errors
/// [`Error::Invalid`] for a part that does not fit, [`Error::Forbidden`] for a blocked member, [`Error::TooOften`].
pub async fn upload_part(
    core: &Core,
    (caller, address): (Caller, Option<IpAddr>),
    part: Part,
) -> Result<(FileUuid, Option<Allowance>)> {
    let rules = &core.rules.files;
    if !(1..=MAX_PARTS).contains(&part.total_parts) {
        return refuse("totalparts", ErrorCode::OutOfRange, format!("Must be an integer from 1 to {MAX_PARTS}."));
    }
    if !(0..part.total_parts).contains(&part.index) {
        return refuse("partindex", ErrorCode::OutOfRange, "Must be an integer from 0 to below totalparts.");
    }
    if part.uuid.is_none() && part.index > 0 {
        return refuse("uuid", ErrorCode::Required, "Every part but the first names its file.");
    }
    if part.incoming.size == 0 {
        return refuse("file", ErrorCode::Required, "The part is empty.");
    }
    let end = part.byte_offset.unwrap_or(0).saturating_add(part.incoming.size);
    check_size(rules, end.max(part.total_size.unwrap_or(0)))?;
    if part.total_size.is_some_and(|total| end > total) {
        return refuse("totalfilesize", ErrorCode::Invalid, "The part ends behind the file.");
    }
    let allowance = match part.uuid {
        None => core.limits.count(Action::Upload, caller, address, 1)?,
        Some(_) => None,
    };
    admit_early(core, caller, part.adds(), part.incoming.size).await?;
    let (uuid, attempt) = begin_part(core, caller, &part).await?;
    let name = ObjectName::Part { uuid, index: part.index, attempt };
    core.files.objects.put(name, part.incoming.file, part.incoming.size).await?;
    let (owner, index) = (caller.user_id, part.index);
    let superseded = core.store.write(move |tx| superseded(tx, owner, uuid, (index, attempt))).await?;
    let Some(superseded) = superseded else {
        // The upload was given up or finished while these bytes were on their way; nobody knows of them.
        core.files.objects.delete(name).await?;
        return unknown("uuid");
    };
    forget_parts(core, owner, uuid, superseded).await?;
    Ok((uuid, allowance))
}

/// Notes that a try is stored, and answers the tries of its part that count no more: perhaps this one itself, as several may be on their way.
/// Those that are not stored yet are left to whoever stores them. `None` when the part is no longer wanted.
fn superseded(
    tx: &Tx<'_>,
    owner: UserId,
    uuid: FileUuid,
    (index, attempt): (i64, i64),
) -> Result<Option<Vec<StoredPart>>> {
    if !parts::stored(tx, owner, uuid, (index, attempt))? {
        return Ok(None);
    }
    let mut tries = parts::tries(tx, owner, uuid, index)?;
    tries.retain(|one| one.stored);
    if find(tx, owner, uuid)?.is_some_and(|file| file.state == FileState::Uploading) {
        tries.pop();
    }
    Ok(Some(tries))
}

/// Writes the rows of a part, and of the file with its first one.
async fn begin_part(core: &Core, caller: Caller, part: &Part) -> Result<(FileUuid, i64)> {
    let owner = caller.user_id;
    let (index, total_parts, bytes) = (part.index, part.total_parts, part.incoming.size);
    let (byte_offset, total_size) = (part.byte_offset.map(signed), part.total_size.map(signed));
    let (given, adds) = (part.uuid, part.adds());
    let uuid = given.unwrap_or_else(FileUuid::random);
    let filename = part.incoming.filename.clone().unwrap_or_default();
    let facts = FileFacts { filename, mimetype: String::new(), size: 0, duration: None };
    let (rules, now, expires_at) = (Arc::clone(&core.rules), core.clock.now(), core.upload_expiry());
    core.store
        .write(move |tx| {
            admit_upload(tx, caller, (&rules.files, now), (adds, bytes))?;
            if given.is_none() {
                let whole = NewFile::whole(owner, uuid, &facts, expires_at);
                files::begin(tx, &NewFile { total_parts: Some(total_parts), total_size, ..whole }, now)?;
            } else {
                let Some(file) = find(tx, owner, uuid)? else { return unknown("uuid") };
                fits(&file, total_parts, total_size)?;
                let others = parts::size_of_others(tx, owner, uuid, index)?;
                check_size(&rules.files, others.unsigned_abs().saturating_add(bytes))?;
            }
            match parts::begin(tx, owner, uuid, (index, byte_offset, signed(bytes)), expires_at)? {
                Some(attempt) => Ok((uuid, attempt)),
                None => unknown("uuid"),
            }
        })
        .await
}

/// Whether a part belongs to the file that it names.
fn fits(file: &StoredFile, total_parts: i64, total_size: Option<i64>) -> Result<()> {
    match file.state {
        FileState::Uploading if file.parent.is_none() => {}
        FileState::Ready => return refuse("uuid", ErrorCode::Conflict, "This file is whole already."),
        _ => return unknown("uuid"),
    }
    if file.total_parts != Some(total_parts) {
        return refuse("totalparts", ErrorCode::Conflict, "The first part said another number.");
    }
    if total_size.is_some() && file.total_size.is_some() && total_size != file.total_size {
        return refuse("totalfilesize", ErrorCode::Conflict, "The first part said another size.");
    }
    Ok(())
}

/// The tries that count: of each part the newest that was stored.
fn newest(all: Vec<StoredPart>) -> Vec<StoredPart> {
    let mut newest: Vec<StoredPart> = Vec::new();
    for part in all.into_iter().filter(|part| part.stored) {
        match newest.last_mut() {
            Some(last) if last.index == part.index => *last = part,
            _ => newest.push(part),
        }
    }
    newest
}

pub(super) async fn forget_parts(core: &Core, owner: UserId, uuid: FileUuid, gone: Vec<StoredPart>) -> Result<()> {
    if gone.is_empty() {
        return Ok(());
    }
    for part in &gone {
        core.files.objects.delete(ObjectName::Part { uuid, index: part.index, attempt: part.attempt }).await?;
    }
    core.store.write(move |tx| Ok(parts::forget(tx, owner, uuid, &gone)?)).await
}

/// Puts the parts together. Finishing a file that is whole, because this is a repeat or because it came whole, changes nothing.
///
/// # Errors
/// [`Error::Invalid`] while parts are missing or do not fit together, and for what is not taken.
pub async fn finish(core: &Core, caller: Caller, finish: Finish) -> Result<FileUuid> {
    let (owner, uuid) = (caller.user_id, finish.uuid);
    admit_early(core, caller, Adds::Nothing, 0).await?;
    let _alone = core.files.alone_with(uuid).await;
    let found = core.store.read(move |read| Ok((find(read, owner, uuid)?, parts::list(read, owner, uuid)?)));
    let (file, all) = found.await.map_err(|error: StoreError| Error::from(error))?;
    let Some(file) = file else { return unknown("uuid") };
    if let (Some(claimed), Some(known)) = (finish.total_parts, file.total_parts)
        && claimed != known
    {
        return refuse("totalparts", ErrorCode::Conflict, format!("The file has {known} parts."));
    }
    match file.state {
        FileState::Ready => return Ok(uuid),
        FileState::Uploading if file.parent.is_none() => {}
        _ => return unknown("uuid"),
    }
    let whole = fit_together(&file, newest(all.clone()), finish.claims)?;
    let claims = Claims { total_size: None, ..finish.claims };
    let filename = finish.filename.or_else(|| Some(file.facts.filename.clone()).filter(|name| !name.is_empty()));
    let incoming = match join(core, uuid, &whole).await {
        // Another server was faster, or a part was sent again meanwhile.
        Err(Error::Store(StoreError::NoObject)) => return finished_elsewhere(core, owner, uuid).await,
        joined => joined?,
    };
    let incoming = incoming.keep_promises(core, claims).await?;
    let prepared = prepare(core, incoming).await?;
    let facts = facts(&prepared, filename, finish.claims.duration);
    if !store(core, owner, uuid, prepared, facts).await? {
        return finished_elsewhere(core, owner, uuid).await;
    }
    forget_parts(core, owner, uuid, all).await?;
    Ok(uuid)
}

async fn finished_elsewhere(core: &Core, owner: UserId, uuid: FileUuid) -> Result<FileUuid> {
    let found = core.store.read(move |read| find(read, owner, uuid)).await?;
    match found.map(|file| file.state) {
        Some(FileState::Ready) => Ok(uuid),
        Some(FileState::Uploading) => refuse("uuid", ErrorCode::Conflict, "A part was sent again meanwhile."),
        _ => unknown("uuid"),
    }
}

/// Whether the parts make a whole.
fn fit_together(file: &StoredFile, whole: Vec<StoredPart>, claims: Claims) -> Result<Vec<StoredPart>> {
    let total = file.total_parts.unwrap_or(0);
    let missing = (0..total)
        .find(|index| whole.get(usize::try_from(*index).unwrap_or(usize::MAX)).is_none_or(|part| part.index != *index));
    if let Some(index) = missing {
        return refuse("totalparts", ErrorCode::Invalid, format!("Part {index} is missing."));
    }
    let mut size = 0;
    for part in &whole {
        if part.byte_offset.is_some_and(|offset| offset != size) {
            let message = format!("Part {} does not begin where the one before it ends.", part.index);
            return refuse("partbyteoffset", ErrorCode::Invalid, message);
        }
        size += part.size;
    }
    let claimed = [claims.total_size.map(signed), file.total_size];
    if claimed.into_iter().flatten().any(|claimed| claimed != size) {
        return refuse("totalfilesize", ErrorCode::Invalid, format!("The parts have {size} bytes."));
    }
    Ok(whole)
}

/// The parts one behind the other.
async fn join(core: &Core, uuid: FileUuid, whole: &[StoredPart]) -> Result<Incoming> {
    let mut file: File = core.files.objects.spool()?;
    let mut size = 0;
    for part in whole {
        let name = ObjectName::Part { uuid, index: part.index, attempt: part.attempt };
        let mut bytes = core.files.objects.get(name, 0..part.size.unsigned_abs()).await?;
        while let Some(piece) = bytes.try_next().await? {
            size += piece.len() as u64;
            file = on_a_thread(core, move || file.write_all(&piece).map(|()| file)).await?;
        }
    }
    Ok(Incoming { file, size, filename: None })
}
