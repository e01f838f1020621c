use crate::access::{admit, admit_active};
use crate::{Caller, Card, Core, Error, Result};
use parlour_store::relations::{self, FollowSide};
use parlour_store::{Tx, users};
use parlour_types::{ErrorCode, Page, UserId};
use std::sync::Arc;

/// What a toggle left behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Toggle {
    /// It holds now.
    On,
    /// It no longer holds.
    Off,
}

/// Follows `user`, or ends that (contract §5.2, follow toggle).
///
/// # Errors
/// [`Error::NotFound`], [`Error::Forbidden`] for a blocked caller and between people of whom one has hidden the other.
pub async fn toggle_follow(core: &Core, caller: Caller, user: UserId) -> Result<Toggle> {
    let now = core.clock.now();
    core.store
        .write(move |tx| {
            let account = admit_active(tx, caller)?;
            other(tx, caller, user)?;
            if relations::unfollow(tx, account.id, user)? {
                return Ok(Toggle::Off);
            }
            if relations::between(tx, account.id, user)?.hidden {
                return Err(Error::Forbidden("You cannot follow this user."));
            }
            relations::follow(tx, account.id, user, now)?;
            Ok(Toggle::On)
        })
        .await
}

/// Lets `follower` follow `followed`, or ends that, as the operator says; answers whether it changed anything.
///
/// # Errors
/// [`Error::NotFound`] when one of the two does not exist, [`Error::Invalid`] when they are the same.
pub async fn set_follow(core: &Core, follower: UserId, followed: UserId, to: Toggle) -> Result<bool> {
    let now = core.clock.now();
    core.store
        .write(move |tx| {
            users::account(tx, follower)?.ok_or(Error::NotFound)?;
            other(tx, Caller { user_id: follower }, followed)?;
            Ok(match to {
                Toggle::On => relations::follow(tx, follower, followed, now)?,
                Toggle::Off => relations::unfollow(tx, follower, followed)?,
            })
        })
        .await
}

/// Hides `user` from the caller and the caller from `user`, or ends that ("block" in the official UI's words).
///
/// # Errors
/// [`Error::NotFound`].
pub async fn toggle_hide(core: &Core, caller: Caller, user: UserId) -> Result<Toggle> {
    let now = core.clock.now();
    core.store
        .write(move |tx| {
            let account = admit(tx, caller)?;
            other(tx, caller, user)?;
            if relations::hides(tx, account.id, user)? {
                relations::unhide(tx, account.id, user)?;
                return Ok(Toggle::Off);
            }
            relations::hide(tx, account.id, user, now)?;
            Ok(Toggle::On)
        })
        .await
}

/// `user` exists and is not the caller.
fn other(tx: &Tx<'_>, caller: Caller, user: UserId) -> Result<()> {
    if caller.user_id == user {
        return Err(Error::field("id", ErrorCode::Invalid, "This cannot be done to oneself."));
    }
    users::account(tx, user)?.map(drop).ok_or(Error::NotFound)
}

/// Whether the caller follows `user`.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn is_followed(core: &Core, caller: Caller, user: UserId) -> Result<bool> {
    core.ask(caller, move |read, viewer| {
        viewer.cards.get(user)?.ok_or(Error::NotFound)?;
        Ok(relations::follows(read, viewer.id(), user)?)
    })
    .await
}

/// Whether `user` follows the caller.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn is_follower(core: &Core, caller: Caller, user: UserId) -> Result<bool> {
    core.ask(caller, move |read, viewer| {
        viewer.cards.get(user)?.ok_or(Error::NotFound)?;
        Ok(relations::follows(read, user, viewer.id())?)
    })
    .await
}

/// Whether the caller has hidden `user`.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn is_hidden(core: &Core, caller: Caller, user: UserId) -> Result<bool> {
    core.ask(caller, move |read, viewer| {
        viewer.cards.get(user)?.ok_or(Error::NotFound)?;
        Ok(relations::hides(read, viewer.id(), user)?)
    })
    .await
}

/// Whether `user` has hidden the caller.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn is_hidden_by(core: &Core, caller: Caller, user: UserId) -> Result<bool> {
    core.ask(caller, move |read, viewer| {
        viewer.cards.get(user)?.ok_or(Error::NotFound)?;
        Ok(relations::hides(read, user, viewer.id())?)
    })
    .await
}

/// Those of `users` who are there, each with whether the caller follows them.
///
/// # Errors
/// A failure of the store.
pub async fn followed_among(core: &Core, caller: Caller, mut users: Vec<UserId>) -> Result<Vec<(UserId, bool)>> {
    users.sort_unstable();
    users.dedup();
    core.ask(caller, move |read, viewer| Ok(relations::follows_among(read, viewer.id(), &users)?)).await
}

/// Whom the caller has hidden.
///
/// # Errors
/// A failure of the store.
pub async fn hidden_ids(core: &Core, caller: Caller) -> Result<Vec<UserId>> {
    core.ask(caller, |read, viewer| Ok(relations::hidden_ids(read, viewer.id())?)).await
}

/// One side of `user`'s follows by rising id: at most `limit` above `after`, skipping `skip`, and whether more follow.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn list_follows(
    core: &Core,
    caller: Caller,
    user: UserId,
    side: FollowSide,
    (after, skip, limit): (i64, i64, i64),
) -> Result<(Page<Arc<Card>>, bool)> {
    core.ask(caller, move |read, viewer| {
        viewer.cards.get(user)?.ok_or(Error::NotFound)?;
        let mut page = relations::list(read, user, side, after, skip, limit + 1)?;
        let more = page.rows.len() as i64 > limit;
        page.rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let rows = page.rows.into_iter().map(|id| viewer.cards.known(id)).collect::<Result<_, _>>()?;
        Ok((Page { count: page.count, rows }, more))
    })
    .await
}
