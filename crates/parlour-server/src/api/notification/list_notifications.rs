use crate::app::App;
use crate::error::{ApiError, Result};
use crate::extract::{CallerFrom, PageQuery, Query, page_query};
use crate::links::{ListUrl, cursor_numbers};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use parlour_core::notifications::{self, ListedNotifications};
use parlour_core::{Card, NotificationCursor, NotificationRow};
use parlour_types::ErrorCode;
use parlour_types::view::{
    LinkMaker, Message, MessageContext, Notification, NotificationAggregate, Snippet, ThreadStatus,
};
use serde::Serialize;
use std::sync::Arc;

/// A page of notifications.
#[derive(Serialize, utoipa::ToSchema)]
pub struct NotificationPageBody<'a> {
    /// Absolute address of the next page.
    #[schema(format = "uri")]
    next: Option<String>,
    /// Absolute address of the previous page.
    #[schema(format = "uri")]
    previous: Option<String>,
    /// The rows.
    results: Vec<NotificationAggregate<'a>>,
}

/// List notifications
///
/// Received messages, the newest first; those of one thread that came one after another are one row. What was taken back or deleted with its
/// thread is not listed, nor what is older than the server keeps. The answer says what was new (`is_new`), and marks all that it lists as
/// read, with whatever came earlier in the same threads; no thread counts as seen by that.
///
/// A page looks at 1,000 messages at the most: where many of them were taken back, it may be short, and even empty, although `next` leads on.
#[utoipa::path(
    get,
    path = "/api/v2/notification/",
    tag = "Notifications",
    operation_id = "list_notifications",
    params(
        PageQuery,
        ("cursor" = Option<String>, Query, description = "Where the list goes on; only as it stands in a `next` link"),
    ),
    responses((status = 200, description = "A page of notifications", body = NotificationPageBody)),
    security(("token" = [])),
)]
pub async fn list_notifications(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    url: ListUrl,
    mut query: Query,
) -> Result<Response> {
    let window = page_query(&app, &mut query);
    let cursor = query.text("cursor");
    let from = match cursor.as_deref().map(|cursor| cursor_numbers(cursor, window.offset)) {
        None => NotificationCursor { skip: window.offset, ..NotificationCursor::TOP },
        Some(Some([below, skip])) if skip >= 0 => NotificationCursor { below, skip },
        Some(_) => {
            query.problem("cursor", ErrorCode::Invalid, "Take it from a next link, together with its offset.");
            NotificationCursor::TOP
        }
    };
    query.finish()?;
    let limit = usize::try_from(window.limit).map_err(ApiError::fault)?;
    let listed = notifications::list_notifications(&app.core, caller, from, limit).await?;
    let cursor = listed.next.map(|next| format!("{}.{}", next.below, next.skip));
    let links = url.links(&[], window, cursor.is_some(), cursor);
    let link = app.message_links(url.base(), caller);
    let results = aggregates(&listed, &app.core.rules.hidden_text, &link);
    Ok(Json(NotificationPageBody { next: links.next, previous: links.previous, results }).into_response())
}

fn aggregates<'a>(
    listed: &'a ListedNotifications,
    hidden_text: &'a str,
    link: LinkMaker<'a>,
) -> Vec<NotificationAggregate<'a>> {
    let viewer = &listed.viewer;
    let aggregate = |(row, writer): &'a (NotificationRow, Arc<Card>)| {
        let conversation = &row.conversation;
        let is_begun_by_viewer = conversation.creator_id == viewer.user.id;
        let (creator, other) = if is_begun_by_viewer { (viewer, writer) } else { (writer, viewer) };
        let thread_status = if conversation.unread_count > 0 { ThreadStatus::New } else { ThreadStatus::Seen };
        let context = MessageContext {
            sender: &writer.json,
            receiver: &viewer.json,
            last_message_at: conversation.last_message_at,
            thread_status,
            hidden_text,
            link,
        };
        let snippet = Snippet::for_member(&conversation.as_ref(), &creator.json, &other.json, hidden_text);
        let notifications = row.notifications.iter().map(|one| {
            let message = Message::for_participant(&one.message, context);
            Notification::of_message(message, snippet.clone(), one.active_at, one.is_new)
        });
        NotificationAggregate::of(notifications.collect())
    };
    listed.rows.iter().filter_map(aggregate).collect()
}
