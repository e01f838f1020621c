use super::parts::forget_parts;
use crate::{Core, Result};
use parlour_store::files::parts;
use parlour_store::files::removal::{Remains, condemn, due, forget};
use parlour_store::objects::ObjectName;

/// Files looked at in one go.
const AT_ONCE: i64 = 100;

/// Removes whatever is due: uploads that nobody went on with, files that no message ever showed, and those that none shows any more. Answers
/// how many files went.
///
/// # Errors
/// A failure of the store; what is left is due again.
pub async fn remove_due(core: &Core) -> Result<u64> {
    let mut gone = 0;
    loop {
        let now = core.clock.now();
        let found = core.store.read(move |read| due(read, now, AT_ONCE)).await?;
        let last = found.len() < usize::try_from(AT_ONCE).unwrap_or(usize::MAX);
        for (owner, uuid) in found {
            let condemned = core.store.write(move |tx| condemn(tx, owner, uuid, now)).await?;
            let Some(remains) = condemned else { continue };
            delete(core, &remains).await?;
            gone += core.store.write(move |tx| forget(tx, owner, &remains)).await?;
        }
        if last {
            break;
        }
    }
    remove_parts_of_whole_files(core).await?;
    Ok(gone)
}

/// A server that is killed right after a file became whole leaves its parts. The file is finished again by nobody, so that they would stay as
/// long as it does.
async fn remove_parts_of_whole_files(core: &Core) -> Result<()> {
    let found = core.store.read(move |read| parts::of_whole_files(read, AT_ONCE)).await?;
    for (owner, uuid) in found {
        // Not while they are being removed by whoever finishes it.
        let _alone = core.files.alone_with(uuid).await;
        let all = core.store.read(move |read| parts::list(read, owner, uuid)).await?;
        forget_parts(core, owner, uuid, all).await?;
    }
    Ok(())
}

/// Removes what is left of files that were being stored when a process was killed. Answers how many there were.
///
/// # Errors
/// A failure of the store.
pub async fn remove_leftovers(core: &Core) -> Result<u64> {
    Ok(core.files.objects.leftovers(core.clock.now(), true).await?)
}

async fn delete(core: &Core, remains: &Remains) -> Result<()> {
    for (uuid, part) in &remains.parts {
        let name = ObjectName::Part { uuid: *uuid, index: part.index, attempt: part.attempt };
        core.files.objects.delete(name).await?;
    }
    for uuid in &remains.objects {
        core.files.objects.delete(ObjectName::File(*uuid)).await?;
    }
    Ok(())
}
