use crate::access::can_send;
use crate::{Caller, Card, Core, Error, Result};
use parlour_store::users::{Account, Totals};
use parlour_store::{relations, users};
use parlour_types::UserId;
use parlour_types::model::User;
use std::sync::Arc;

/// The caller and what waits for them (contract §3.1, "me only").
///
/// # Errors
/// [`Error::UnknownCaller`].
pub async fn get_me(core: &Core, caller: Caller) -> Result<(Arc<Card>, Totals)> {
    core.ask(caller, |read, viewer| Ok((Arc::clone(&viewer.card), users::totals(read, viewer.id())?))).await
}

/// A user, and how the viewer stands to them.
pub struct UserAccess {
    /// The user.
    pub card: Arc<Card>,
    /// Whether the viewer may write to them now.
    pub can_send_pm_to: bool,
    /// Whether the viewer follows them.
    pub followed: bool,
}

/// A user by id, deleted ones included (contract §0.3 no. 27).
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get_user(core: &Core, caller: Caller, id: UserId) -> Result<UserAccess> {
    let has_messages = core.rules.private_messages;
    core.ask(caller, move |read, viewer| {
        let card = viewer.cards.get(id)?.ok_or(Error::NotFound)?;
        let relation = relations::between(read, viewer.id(), id)?;
        Ok(UserAccess {
            can_send_pm_to: has_messages
                && can_send(&Account::from(&viewer.card.user), &Account::from(&card.user), relation),
            followed: relations::follows(read, viewer.id(), id)?,
            card,
        })
    })
    .await
}

/// Whether there is a user with this id, whatever its state.
///
/// # Errors
/// A failure of the store.
pub async fn user_exists(core: &Core, id: UserId) -> Result<bool> {
    core.store.read(move |read| Ok(users::account(read, id)?.is_some())).await
}

/// Users with ids above `after`, for the operator.
///
/// # Errors
/// A failure of the store.
pub async fn list_users(core: &Core, after: i64, limit: i64) -> Result<Vec<User>> {
    core.store.read(move |read| Ok(users::list(read, after, limit)?)).await
}
