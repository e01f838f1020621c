use super::{Message, Snippet};
use crate::Timestamp;
use serde::Serialize;

/// What a member is notified of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotificationType {
    /// A message came.
    PrivateMessage,
}

/// A notification (contract §3.6).
#[derive(Clone, Serialize, utoipa::ToSchema)]
#[schema(as = Notification)]
pub struct Notification<'a> {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: NotificationType,
    /// The notification's id: the message's, as text.
    pub sid: String,
    /// Whether it has not been read yet.
    pub is_new: bool,
    /// When it happened.
    pub active_at: Timestamp,
    /// The message.
    pub message: Message<'a>,
    /// The conversation that it came in, as the member's list shows it.
    pub snippet: Snippet<'a>,
}

impl<'a> Notification<'a> {
    /// The notification of a received message.
    #[must_use]
    pub fn of_message(message: Message<'a>, snippet: Snippet<'a>, active_at: Timestamp, is_new: bool) -> Self {
        let (kind, sid) = (NotificationType::PrivateMessage, message.id.to_string());
        Self { kind, sid, is_new, active_at, message, snippet }
    }
}

/// Notifications that belong together: messages of one thread that came one after another.
#[derive(Clone, Serialize, utoipa::ToSchema)]
#[schema(as = NotificationAggregate)]
pub struct NotificationAggregate<'a> {
    /// The `sid` of the newest one.
    pub sid: String,
    /// Whether any of them has not been read yet.
    pub is_new: bool,
    /// The notifications, the newest first.
    pub aggregated: Vec<Notification<'a>>,
}

impl<'a> NotificationAggregate<'a> {
    /// Puts notifications together, the newest first; `None` without one.
    #[must_use]
    pub fn of(aggregated: Vec<Notification<'a>>) -> Option<Self> {
        let sid = aggregated.first()?.sid.clone();
        Some(Self { sid, is_new: aggregated.iter().any(|one| one.is_new), aggregated })
    }
}
