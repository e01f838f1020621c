use crate::access::admit;
use crate::{Caller, Core, Error, Result};
use parlour_store::users;
use parlour_types::UserId;
use parlour_types::model::{Settings, SettingsChange};

/// The caller's own settings (contract §5.4).
///
/// # Errors
/// [`Error::Forbidden`] for anybody else's.
pub async fn get_settings(core: &Core, caller: Caller, user: UserId) -> Result<Settings> {
    core.ask(caller, move |read, viewer| {
        own(viewer.id(), user)?;
        Ok(users::settings(read, user)?)
    })
    .await
}

/// Changes some of the caller's own settings and answers all of them.
///
/// # Errors
/// [`Error::Forbidden`] for anybody else's.
pub async fn change_settings(core: &Core, caller: Caller, user: UserId, change: SettingsChange) -> Result<Settings> {
    core.store
        .write(move |tx| {
            admit(tx, caller)?;
            own(caller.user_id, user)?;
            let settings = users::settings(tx, user)?.with(change);
            users::set_settings(tx, user, settings)?;
            Ok(settings)
        })
        .await
}

/// Settings are private, so whether the other user exists is not said either.
fn own(caller: UserId, user: UserId) -> Result<()> {
    if caller == user { Ok(()) } else { Err(Error::Forbidden("Settings are for their owner only.")) }
}
