use crate::access::admitted;
use crate::{Caller, Core, Result};
use parlour_store::users;
use parlour_types::UserId;
use parlour_types::model::UserStatus;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Changed users that are asked for one by one.
const MANY: i64 = 1_000;

/// Users asked for in one question.
const AT_ONCE: usize = 1_000;

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
        let ids: Vec<UserId> = ids.into_iter().collect();
        let mut found: BTreeMap<UserId, UserStatus> = BTreeMap::new();
        for some in ids.chunks(AT_ONCE) {
            found.extend(users::accounts(read, some)?.iter().map(|account| (account.id, account.status)));
        }
        let status = |id: &UserId| found.get(id).copied().unwrap_or(UserStatus::Deleted);
        Ok(Standings { version, members: ids.iter().map(|id| (*id, status(id))).collect() })
    };
    core.store.read(ask).await
}
