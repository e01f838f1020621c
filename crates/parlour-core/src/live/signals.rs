//! What members let each other see beside messages: read receipts, typing, presence. Who shares what with whom is decided in the store's
//! statements, both ways in one place.

use crate::access::{active, admit_messages};
use crate::threads::{ThreadRef, resolve};
use crate::{Caller, Core, Error, Result};
use parlour_store::seen::mark_seen as store_seen;
use parlour_store::signals::{self, Receipt};
use parlour_store::threads::Membership;
use parlour_store::users::Account;
use parlour_store::{Read, messages};
use parlour_types::{ErrorCode, MessageId, ThreadId, UserId};

/// Conversations of a member whose other ones learn that the member came or went: the latest ones.
const AUDIENCE: i64 = 100;

/// How far the others of a thread have read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipts {
    /// The thread.
    pub thread_id: ThreadId,
    /// Those who share it with the caller.
    pub receipts: Vec<Receipt>,
}

/// How far the others of a thread have read, as far as they and the caller share that.
///
/// # Errors
/// [`Error::NotFound`] for a thread that the caller is not in.
pub async fn get_receipts(core: &Core, caller: Caller, thread: ThreadRef) -> Result<Receipts> {
    core.ask(caller, move |read, viewer| {
        let member = member_of(read, viewer.id(), thread)?;
        Ok(Receipts { thread_id: member.thread().id, receipts: signals::receipts(read, &member)? })
    })
    .await
}

/// Marks a thread as seen by the caller, up to a message or as a whole. Never moves back.
///
/// # Errors
/// [`Error::NotFound`] for a thread that the caller is not in, [`Error::Invalid`] naming `message` for one that is not in the thread.
pub async fn mark_seen(core: &Core, caller: Caller, thread: ThreadRef, up_to: Option<MessageId>) -> Result<()> {
    let (id, seq) = core
        .ask(caller, move |read, viewer| {
            let member = member_of(read, viewer.id(), thread)?;
            let id = member.thread().id;
            let Some(message) = up_to else { return Ok((id, member.thread().last_seq)) };
            let found = messages::find(read, message, viewer.id())?.map(|found| found.message);
            let found = found.filter(|found| found.thread_id == id && found.seq > member.cleared_seq());
            let absent =
                || Error::field("message", ErrorCode::DoesNotExist, "There is no such message in this thread.");
            Ok((id, found.ok_or_else(absent)?.seq))
        })
        .await?;
    let now = core.clock.now();
    core.store.write_at_once(move |tx| store_seen(tx, id, caller.user_id, seq, now)).await?;
    Ok(())
}

/// Whom the caller's typing is shown to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Typing {
    /// In which thread.
    pub thread_id: ThreadId,
    /// Who.
    pub user_id: UserId,
    /// To whom.
    pub to: UserId,
}

/// The caller is writing in a thread; `None` where nobody is to know.
///
/// # Errors
/// [`Error::NotFound`] for a thread that the caller is not in, [`Error::Forbidden`] for a blocked caller and where there are no messages.
pub async fn begin_typing(core: &Core, caller: Caller, thread: ThreadRef) -> Result<Option<Typing>> {
    admit_messages(&core.rules)?;
    core.ask(caller, move |read, viewer| {
        active(Some(Account::from(&viewer.card.user)))?;
        let member = member_of(read, viewer.id(), thread)?;
        let (thread_id, user_id) = (member.thread().id, viewer.id());
        let to = member.thread().partner_of(user_id);
        Ok(signals::share_typing(read, user_id, to)?.then_some(Typing { thread_id, user_id, to }))
    })
    .await
}

/// Those among `users` whom the caller may see being there: they have a thread with the caller, and both share it.
///
/// # Errors
/// [`Error::UnknownCaller`].
pub async fn visible_presence(core: &Core, caller: Caller, users: Vec<UserId>) -> Result<Vec<UserId>> {
    core.ask(caller, move |read, viewer| Ok(signals::shares_presence(read, viewer.id(), &users)?)).await
}

/// Who learns at once that `user` came or went: the other ones of the latest conversations, as far as both share it.
///
/// # Errors
/// A failure of the store.
pub async fn presence_audience(core: &Core, user: UserId) -> Result<Vec<UserId>> {
    core.store.read(move |read| Ok(signals::see_presence(read, user, AUDIENCE)?)).await
}

fn member_of(read: &Read<'_>, user: UserId, thread: ThreadRef) -> Result<Membership> {
    resolve(read, user, thread)?.ok_or(Error::NotFound)
}
