use crate::access::admitted;
use crate::{Caller, Core, Result};
use parlour_store::users;
use parlour_types::UserId;
use parlour_types::model::UserStatus;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Changed users that are asked for one by one.
const MANY: i64 = 1_000;

/// How the caller stands, who is not deleted.
///
/// # Errors
/// [`Error::UnknownCaller`](crate::Error::UnknownCaller).
pub async fn standing(core: &Core, caller: Caller) -> Result<UserStatus> {
    // Not by way of the rendered users: thousands may be connected to whom nothing happens.
    core.store.read(move |read| Ok(admitted(users::account(read, caller.user_id)?)?.status)).await
}

/// How members stand who may have changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standings {
    /// The directory's version that this is of: what to ask from the next time.
    pub version: i64,
    /// Those who may have changed. Who is not known any more counts as deleted.
    pub members: Vec<(UserId, UserStatus)>,
}

/// How those among `connected` stand whom anybody changed since the directory had the version `since`, and `newcomers` in any case.
///
/// # Errors
/// A failure of the store.
pub async fn standings(
    core: &Core,
    since: Option<i64>,
    connected: Arc<BTreeSet<UserId>>,
    newcomers: Vec<UserId>,
) -> Result<Standings> {
    let ask = move |read: &parlour_store::Read<'_>| {
        let version = users::directory_version(read)?;
        let mut ids: BTreeSet<UserId> = newcomers.iter().copied().collect();
        match since {
            Some(since) if since == version => {}
            Some(since) => {
                let changed = users::changed_since(read, since, MANY)?;
                if changed.len() as i64 == MANY {
                    ids.extend(connected.iter());
                } else {
                    ids.extend(changed.iter().filter(|id| connected.contains(id)));
                }
            }
            None => ids.extend(connected.iter()),
        }
        let mut members = Vec::with_capacity(ids.len());
        for id in ids {
            let account = users::account(read, id)?;
            members.push((id, account.map_or(UserStatus::Deleted, |account| account.status)));
        }
        Ok(Standings { version, members })
    };
    core.store.read_long(ask).await
}
