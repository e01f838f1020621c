use crate::error::unless_transient;
use crate::{Caller, Card, Core, NotificationCursor, Result};
use parlour_store::notifications::{self, NotificationRow, NotificationWindow};
use parlour_types::{Seq, ThreadId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A page of notifications, as they were before they were listed.
pub struct ListedNotifications {
    /// The rows, the newest first, each with who wrote its messages.
    pub rows: Vec<(NotificationRow, Arc<Card>)>,
    /// The caller.
    pub viewer: Arc<Card>,
    /// Where the list goes on, if it does.
    pub next: Option<NotificationCursor>,
}

/// The caller's notifications, the newest first, at most `limit` rows from `from` on; those of one thread that came one after another are one
/// row. Marks what it lists as read, and with it whatever came earlier in the same threads (contract §8 no. 34).
///
/// # Errors
/// [`UnknownCaller`](crate::Error::UnknownCaller).
pub async fn list_notifications(
    core: &Core,
    caller: Caller,
    from: NotificationCursor,
    limit: usize,
) -> Result<ListedNotifications> {
    let max_messages = usize::try_from(core.rules.max_limit).unwrap_or(usize::MAX);
    let window = NotificationWindow { from, limit, max_messages };
    let listed = core
        .ask(caller, move |read, viewer| {
            let page = notifications::page(read, viewer.id(), window)?;
            let with_writer = |row: NotificationRow| {
                let conversation = &row.conversation;
                let is_creator = viewer.id() == conversation.creator_id;
                let writer = if is_creator { conversation.other_id } else { conversation.creator_id };
                Ok((row, viewer.cards.known(writer)?))
            };
            let rows = page.rows.into_iter().map(with_writer).collect::<Result<_>>()?;
            Ok(ListedNotifications { rows, viewer: Arc::clone(&viewer.card), next: page.next })
        })
        .await?;
    let mut up_to: BTreeMap<ThreadId, Seq> = BTreeMap::new();
    for notification in listed.rows.iter().flat_map(|(row, _)| &row.notifications).filter(|one| one.is_new) {
        let newest = up_to.entry(notification.message.thread_id).or_default();
        *newest = (*newest).max(notification.message.seq);
    }
    if !up_to.is_empty() {
        let (now, up_to) = (core.clock.now(), up_to.into_iter().collect::<Vec<_>>());
        let marked =
            core.store.write_at_once(move |tx| notifications::mark_read(tx, caller.user_id, &up_to, now)).await;
        unless_transient(marked, "the notifications stay unread until they are listed again")?;
    }
    Ok(listed)
}
