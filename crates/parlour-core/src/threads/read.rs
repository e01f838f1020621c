use super::{ThreadRef, resolve};
use crate::{Caller, Card, Core, Result};
use parlour_store::StoreError;
use parlour_store::messages::{self, IdRange};
use parlour_store::threads::mark_seen;
use parlour_types::model::Message;
use parlour_types::{Page, Timestamp, Window};
use std::sync::Arc;

/// A page of a thread, with whom its messages are between.
pub struct ThreadPage {
    /// The messages, oldest first.
    pub page: Page<Message>,
    /// Who is asking.
    pub viewer: Arc<Card>,
    /// The other participant; the viewer again when a page is empty because there is no thread.
    pub partner: Arc<Card>,
    /// When the thread's newest message came.
    pub last_message_at: Timestamp,
}

/// Lets an answer go out although a side effect of it could not be stored for now. `consequence` says what that means.
fn unless_transient<T>(stored: Result<T, StoreError>, consequence: &'static str) -> Result<(), StoreError> {
    match stored {
        Err(error) if error.is_transient() => {
            tracing::warn!(%error, consequence, "a side effect was not stored");
            Ok(())
        }
        other => other.map(drop),
    }
}

/// Get a thread (contract §2.3): a page of its messages, counted from the newest. Marks the whole thread as seen by the caller,
/// up to what this very snapshot shows.
///
/// # Errors
/// [`NotFound`](crate::Error::NotFound) for a thread that the caller is not in and for a user who does not exist.
pub async fn get_thread(
    core: &Core,
    caller: Caller,
    thread: ThreadRef,
    range: IdRange,
    window: Window,
) -> Result<ThreadPage> {
    let (answer, seen) = core
        .ask(caller, move |read, viewer| {
            let Some(member) = resolve(read, viewer.id(), thread)? else {
                let (viewer, partner) = (Arc::clone(&viewer.card), Arc::clone(&viewer.card));
                let page = Page { count: 0, rows: Vec::new() };
                return Ok((ThreadPage { page, viewer, partner, last_message_at: Timestamp::from_micros(0) }, None));
            };
            let answer = ThreadPage {
                page: messages::page(read, &member, range, window)?,
                viewer: Arc::clone(&viewer.card),
                partner: viewer.cards.known(member.thread().partner_of(viewer.id()))?,
                last_message_at: member.thread().last_message_at,
            };
            let seen = (member.unread_count() > 0).then(|| (member.thread().id, member.thread().last_seq));
            Ok((answer, seen))
        })
        .await?;
    if let Some((thread, up_to)) = seen {
        let now = core.clock.now();
        let marked = core.store.write(move |tx| mark_seen(tx, thread, caller.user_id, up_to, now)).await;
        unless_transient(marked, "the thread stays unread until it is read again")?;
    }
    Ok(answer)
}
