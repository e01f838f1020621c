//! What happened, as JSON for one kind of client.

use super::hub::Door;
use super::official;
use super::stream::event_of;
use crate::app::App;
use bytes::Bytes;
use parlour_core::Caller;
use parlour_core::live::{Feed, FeedEvent};
use parlour_types::UserId;
use serde::Serialize;
use std::sync::Arc;

/// Who is told, and by which door.
pub(super) struct Listener<'a> {
    pub(super) app: &'a App,
    pub(super) user: UserId,
    pub(super) door: Door,
    pub(super) base: &'a Arc<str>,
}

impl Listener<'_> {
    /// What the client is told of an event; `None` where that is nothing.
    pub(super) fn event(&self, feed: &Feed, event: &FeedEvent) -> Option<Bytes> {
        let link = self.app.message_links(self.base, Caller { user_id: self.user });
        match self.door {
            // It only wants to know that there is something.
            Door::Poll => Some(Bytes::new()),
            Door::Socket | Door::EventSource => Some(json(&event_of(self.app, event, &link))),
            Door::Official => official::frame(self.app, self.user, feed, event, &link).map(|frame| json(&frame)),
        }
    }
}

/// A value as JSON.
pub(super) fn json(value: &impl Serialize) -> Bytes {
    // A value of ours has string keys, and writing to memory cannot fail.
    serde_json::to_vec(value).unwrap_or_default().into()
}
