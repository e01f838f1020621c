use crate::api::rows_answer;
use crate::app::App;
use crate::error::Result;
use crate::extract::Query;
use crate::links::{ListUrl, cursor_numbers};
use axum::response::Response;
use parlour_core::InboxCursor;
use parlour_core::{Caller, threads};
use parlour_types::{ErrorCode, ThreadId, Timestamp, Window};

/// The caller's conversations: `GET /api/v2/pm/` without a selector (contract §2.2).
///
/// `next` carries, beside `offset`, the place where its page begins, so that following it costs the same at any depth and shows no
/// conversation twice.
pub(super) async fn list_snippets(
    app: &App,
    caller: Caller,
    url: &ListUrl,
    mut query: Query,
    window: Window,
) -> Result<Response> {
    let cursor = query.text("cursor");
    let below = cursor.as_deref().and_then(|cursor| cursor_numbers(cursor, window.offset)).and_then(|[at, thread]| {
        Some(InboxCursor { last_message_at: Timestamp::from_micros(at), thread_id: ThreadId::new(thread)? })
    });
    if cursor.is_some() && below.is_none() {
        query.problem("cursor", ErrorCode::Invalid, "Take it from a next link, together with its offset.");
    }
    query.finish()?;
    let skip = if below.is_some() { 0 } else { window.offset };
    let page = threads::list_snippets(&app.core, caller, below, skip, window.limit).await?;
    let cursor = page.next.map(|next| format!("{}.{}", next.last_message_at.as_micros(), next.thread_id));
    let link = app.message_links(url.base(), caller);
    rows_answer(page, &link, url.links(&[], window, cursor.is_some(), cursor))
}
