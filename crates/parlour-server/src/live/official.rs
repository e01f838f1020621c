//! What the official client is told on its socket (contract §4.3, §4.4).

use super::show;
use crate::app::App;
use parlour_core::live::{Feed, FeedEvent, Happened, LiveThread};
use parlour_core::messages::OneMessage;
use parlour_types::view::{LinkMaker, Message, Snippet};
use parlour_types::{MessageId, ThreadId, Timestamp, UserId};
use serde::Serialize;

/// A message came.
const PRIVATE_MESSAGE: u16 = 37;

/// A message was deleted or hidden.
const DELETE_PRIVATE_MESSAGE: u16 = 105;

/// The member was blocked.
const BLOCKED_USER: u16 = 74;

/// The member is not blocked any more.
const UNBLOCKED_USER: u16 = 83;

/// What every frame is wrapped in.
#[derive(Serialize)]
pub(crate) struct Envelope<'a> {
    r#type: &'static str,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    activity_type: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_id: Option<ThreadId>,
    /// Keys the client's toast: another for every notification.
    feed_serialization_id: String,
    /// Unseen notifications, and how many of them are banners; together or not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    count_interactions: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count_notification_banners: Option<i64>,
    notification_obj: Notification<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Notification<'a> {
    Message {
        r#type: &'static str,
        sid: String,
        is_new: bool,
        active_at: Timestamp,
        message: Box<Message<'a>>,
        snippet: Box<Snippet<'a>>,
    },
    Deleted {
        r#type: &'static str,
        sid: String,
        is_new: bool,
        active_at: Timestamp,
        message: DeletedMessage,
        snippet: Option<Box<Snippet<'a>>>,
    },
    Status {
        r#type: &'static str,
        sid: String,
        is_new: bool,
        active_at: Timestamp,
        blocked_settings: Option<()>,
    },
}

/// What is left of a message that was deleted.
#[derive(Serialize)]
struct DeletedMessage {
    id: MessageId,
    thread_id: ThreadId,
    sender_id: UserId,
    status: &'static str,
}

/// What the member's clients are told of an event; `None` where that is nothing, as for everything that the member did (contract §4.4).
pub(super) fn frame<'a>(
    app: &'a App,
    user: UserId,
    feed: &Feed,
    event: &'a FeedEvent,
    link: LinkMaker<'a>,
) -> Option<Envelope<'a>> {
    let about = |message: &OneMessage| message.message.sender_id != user;
    match &event.happened {
        Happened::MessageCreated { message, thread } if about(message) => {
            let snippet = Box::new(show::thread(app, thread));
            Some(message_frame(PRIVATE_MESSAGE, feed, event.at, show::message(app, message, link), snippet))
        }
        Happened::MessageChanged { message, thread } if about(message) => {
            let snippet = Box::new(show::thread(app, thread));
            Some(message_frame(DELETE_PRIVATE_MESSAGE, feed, event.at, show::message(app, message, link), snippet))
        }
        Happened::MessageDeleted { thread_id, message_id, sender_id, thread } if *sender_id != user => {
            let message =
                DeletedMessage { id: *message_id, thread_id: *thread_id, sender_id: *sender_id, status: "deleted" };
            Some(deleted_frame(app, event.at, message, thread.as_ref()))
        }
        _ => None,
    }
}

fn message_frame<'a>(
    activity_type: u16,
    feed: &Feed,
    at: Timestamp,
    message: Message<'a>,
    snippet: Box<Snippet<'a>>,
) -> Envelope<'a> {
    let sid = message.id.to_string();
    let is_new = activity_type == PRIVATE_MESSAGE;
    let data = Data {
        activity_type,
        thread_id: Some(message.thread_id),
        feed_serialization_id: sid.clone(),
        count_interactions: is_new.then_some(feed.totals.unseen_notifications),
        count_notification_banners: is_new.then_some(0),
        notification_obj: Notification::Message {
            r#type: if is_new { "private_message" } else { "delete_private_message" },
            sid,
            is_new,
            active_at: at,
            message: Box::new(message),
            snippet,
        },
    };
    Envelope { r#type: "interaction", data }
}

fn deleted_frame<'a>(
    app: &'a App,
    at: Timestamp,
    message: DeletedMessage,
    thread: Option<&'a LiveThread>,
) -> Envelope<'a> {
    let sid = message.id.to_string();
    let data = Data {
        activity_type: DELETE_PRIVATE_MESSAGE,
        thread_id: Some(message.thread_id),
        feed_serialization_id: sid.clone(),
        count_interactions: None,
        count_notification_banners: None,
        notification_obj: Notification::Deleted {
            r#type: "delete_private_message",
            sid,
            is_new: false,
            active_at: at,
            message,
            snippet: thread.map(|thread| Box::new(show::thread(app, thread))),
        },
    };
    Envelope { r#type: "interaction", data }
}

/// What a member's clients are told when the community has blocked the member, or no longer does.
pub(crate) fn status_frame(is_blocked: bool, at: Timestamp) -> Envelope<'static> {
    let (activity_type, r#type) =
        if is_blocked { (BLOCKED_USER, "blocked_user") } else { (UNBLOCKED_USER, "unblocked_user") };
    let sid = format!("{activity_type}{}", at.as_micros());
    let data = Data {
        activity_type,
        thread_id: None,
        feed_serialization_id: sid.clone(),
        count_interactions: None,
        count_notification_banners: None,
        notification_obj: Notification::Status { r#type, sid, is_new: true, active_at: at, blocked_settings: None },
    };
    Envelope { r#type: "interaction", data }
}
