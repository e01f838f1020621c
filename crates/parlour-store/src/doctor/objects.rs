//! What is in the object store against the rows that know of it, in both directions, piece by piece: memory does not grow with either.
//!
//! Rows come before their objects and go after them. So an object that no row knows when it is asked for after the object was seen is
//! nobody's; and a row that says ready has its object. Whatever looks wrong is looked at once more before anything is said or done, as a
//! server may be at work.

use super::{Place, Problem, Report, Unit, files};
use crate::db::{Tx, params};
use crate::files::parts::{self, Part};
use crate::files::stored::{knows, lose, page};
use crate::files::{FileState, StoredFile, find, lock};
use crate::objects::{Listed, ObjectName, Objects};
use crate::{Progress, Result, Store, StoreError, Watch};
use futures_util::stream::{StreamExt as _, TryStreamExt as _, iter};
use parlour_types::{FileUuid, Timestamp, UserId};

/// Rows or objects in memory at a time.
const PAGE: usize = 500;

/// Questions to the object store at a time.
const AT_ONCE: usize = 16;

/// So many, and not a single one that fits: the place is another community's, or the database is.
const SUSPICIOUS: u64 = 10;

/// What to do with what is wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Look,
    Mend,
}

/// Adds to the report what is wrong between the rows and the object store.
///
/// # Errors
/// A failure of the database or of the object store.
pub async fn examine_objects(
    store: &Store,
    objects: &Objects,
    now: Timestamp,
    report: &mut Report,
    watch: &Watch,
) -> Result<()> {
    Walk { store, objects, mode: Mode::Look, report, watch }.everything(now).await
}

/// Repairs what `report` says of files beside their rows, and what of the object store, if it says anything of that. A file whose object is
/// gone is lost to the messages that show it, and goes if none does; a lost one whose object is back is ready again; an object that no row
/// knows is deleted.
///
/// # Errors
/// A failure of the database or of the object store.
pub async fn repair_objects(
    store: &Store,
    objects: &Objects,
    now: Timestamp,
    report: &Report,
    watch: &Watch,
) -> Result<()> {
    if report.damaged || report.wrong_place {
        return Ok(());
    }
    for unit in &report.units {
        if let Unit::Parts { owner, uuid } = unit
            && let Some(owner) = UserId::new(*owner)
        {
            remove_parts(store, objects, owner, *uuid).await?;
        }
    }
    if report.checked.objects.is_some() {
        let report = &mut Report::default();
        Walk { store, objects, mode: Mode::Mend, report, watch }.everything(now).await?;
    }
    Ok(())
}

async fn remove_parts(store: &Store, objects: &Objects, owner: UserId, uuid: FileUuid) -> Result<()> {
    let unwanted = store.read(move |read| match find(read, owner, uuid)? {
        Some(file) if matches!(file.state, FileState::Uploading | FileState::Going) => Ok(Vec::<Part>::new()),
        _ => parts::list(read, owner, uuid),
    });
    let unwanted = unwanted.await?;
    for part in &unwanted {
        objects.delete(ObjectName::Part { uuid, index: part.index, attempt: part.attempt }).await?;
    }
    store.write(move |tx| parts::forget(tx, owner, uuid, &unwanted)).await
}

struct Walk<'a> {
    store: &'a Store,
    objects: &'a Objects,
    mode: Mode,
    report: &'a mut Report,
    watch: &'a Watch,
}

impl Walk<'_> {
    async fn everything(mut self, now: Timestamp) -> Result<()> {
        self.report.checked.objects = Some(0);
        self.rows().await?;
        self.listed().await?;
        let left = self.objects.leftovers(now, self.mode == Mode::Mend).await?;
        if left > 0 {
            let left = i64::try_from(left).unwrap_or(i64::MAX);
            self.report.add(Problem::derived("objects.leftover", Place::NOWHERE, Some(left), Some(0)), None);
        }
        Ok(())
    }

    /// Every row that says that there is an object, or that there is none.
    async fn rows(&mut self) -> Result<()> {
        let (mut after, mut found, mut missing) = (None, 0, 0);
        let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
        loop {
            let (done, total) = (found + missing, self.report.checked.files);
            (self.watch)(Progress { step: "checking files", done, total });
            let rows = self.store.read(move |read| page(read, after, limit)).await?;
            let Some(last) = rows.last() else { break };
            after = Some((last.owner_id, last.uuid));
            let objects = self.objects;
            let sized = iter(rows).map(|file| async move {
                let size = objects.size(ObjectName::File(file.uuid)).await?;
                Ok::<_, StoreError>((file, size))
            });
            let sized: Vec<_> = sized.buffered(AT_ONCE).try_collect().await?;
            for (file, size) in sized {
                if file.state == FileState::Ready {
                    *(if size.is_some() { &mut found } else { &mut missing }) += 1;
                }
                self.row(file, size).await?;
            }
        }
        if found == 0 && missing >= SUSPICIOUS {
            self.wrong_place(format!("none of {missing} files is in {}", self.objects.place()));
        }
        Ok(())
    }

    fn wrong_place(&mut self, detail: String) {
        self.report.wrong_place = true;
        self.report.add(Problem::damage("objects.place", detail), None);
    }

    async fn row(&mut self, file: StoredFile, size: Option<u64>) -> Result<()> {
        let Some(what) = wrong(&file, size) else { return Ok(()) };
        let (owner, uuid) = (file.owner_id, file.uuid);
        let now = self.store.read(move |read| find(read, owner, uuid)).await?;
        if now.as_ref().and_then(|now| wrong(now, size)) != Some(what) {
            return Ok(());
        }
        match self.mode {
            Mode::Look => {
                let place = Place::user(owner.get()).file(uuid);
                let size = size.map(|size| i64::try_from(size).unwrap_or(i64::MAX));
                let problem = Problem::derived(what, place, size, Some(file.facts.size));
                self.report.add(problem, None);
            }
            Mode::Mend => {
                self.store.write(move |tx| mend(tx, owner, uuid, size)).await?;
            }
        }
        Ok(())
    }

    /// Everything in the store.
    async fn listed(&mut self) -> Result<()> {
        let (mut known, mut unknown, mut done) = (0, 0, 0);
        let mut pieces = self.objects.list().try_chunks(PAGE);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| error.1)?;
            done += piece.len() as u64;
            (self.watch)(Progress { step: "checking objects", done, total: 0 });
            let names: Vec<Option<ObjectName>> = piece.iter().map(|listed| listed.name).collect();
            let are_known = self.store.read(move |read| {
                let is_known = |name: &Option<ObjectName>| name.map_or(Ok(true), |name| knows(read, name));
                names.iter().map(is_known).collect::<Result<Vec<bool>>>()
            });
            for (listed, is_known) in piece.iter().zip(are_known.await?) {
                match (listed.name, is_known) {
                    (None, _) => self.report.checked.foreign_objects += 1,
                    (Some(_), true) => known += 1,
                    (Some(name), false) => unknown += u64::from(self.unknown(listed, name).await?),
                }
            }
        }
        self.report.checked.objects = Some(known + unknown);
        if known == 0 && unknown >= SUSPICIOUS {
            self.wrong_place(format!("no row knows any of {unknown} objects in {}", self.objects.place()));
        }
        Ok(())
    }

    /// An object that no row knew a moment ago.
    async fn unknown(&mut self, listed: &Listed, name: ObjectName) -> Result<bool> {
        // Whoever removes a file deletes the object first.
        if self.objects.size(name).await?.is_none() || self.store.read(move |read| knows(read, name)).await? {
            return Ok(false);
        }
        match self.mode {
            Mode::Look => {
                let size = i64::try_from(listed.size).unwrap_or(i64::MAX);
                let place = Place { file: Some(name.uuid()), ..Place::NOWHERE };
                self.report.add(Problem::derived("objects.unknown", place, Some(size), None), None);
            }
            Mode::Mend => self.objects.delete(name).await?,
        }
        Ok(true)
    }
}

/// What is wrong with a file whose object has this size.
fn wrong(file: &StoredFile, size: Option<u64>) -> Option<&'static str> {
    match file.state {
        FileState::Ready if size != Some(file.facts.size.unsigned_abs()) => Some("files.object"),
        FileState::Lost if file.attached_count > 0 && is_back(file, size) => Some("files.lost"),
        _ => None,
    }
}

/// Whether the object of a lost file is there. The size of one that had no row is not known.
fn is_back(file: &StoredFile, size: Option<u64>) -> bool {
    size.is_some_and(|size| size == file.facts.size.unsigned_abs() || (file.facts.size == 0 && size > 0))
}

/// Makes a row say what is there.
fn mend(tx: &Tx<'_>, owner: UserId, uuid: FileUuid, size: Option<u64>) -> Result<()> {
    lock(tx, owner)?;
    let Some(file) = find(tx, owner, uuid)? else { return Ok(()) };
    match wrong(&file, size) {
        None => return Ok(()),
        Some("files.lost") => {
            let size = i64::try_from(size.unwrap_or(0)).unwrap_or(i64::MAX);
            tx.execute_one(
                "finding a file again",
                "update files set state = 1, size = ?3, expires_at = null where owner_id = ?1 and uuid = ?2",
                params![owner, &uuid, size],
            )?;
            files::mend_usage(tx, owner.get())?;
        }
        Some(_) => lose(tx.source(), &file)?,
    }
    tx.touch_everything();
    Ok(())
}
