use super::thread_in;
use crate::app::App;
use crate::error::Result;
use crate::extract::{Body, CallerFrom};
use axum::extract::State;
use http::StatusCode;
use parlour_core::live;

/// What the caller has seen. JSON, urlencoded and multipart alike.
#[derive(utoipa::ToSchema)]
#[schema(as = MarkSeen)]
#[expect(dead_code, reason = "describes the body for the OpenAPI document; the handler reads it field by field")]
pub struct MarkSeenBody {
    /// The id of the thread.
    #[schema(minimum = 1, maximum = 9007199254740991_i64)]
    thread: Option<i64>,
    /// The id of the other participant, instead of the thread's.
    #[schema(minimum = 1, maximum = 9007199254740991_i64)]
    user: Option<i64>,
    /// Up to which message; without it, everything in the thread now.
    #[schema(minimum = 1, maximum = 9007199254740991_i64)]
    message: Option<i64>,
}

/// Mark a thread as seen
///
/// For a client that shows what comes by the stream, without asking for the thread again. Never moves back.
#[utoipa::path(
    post,
    path = "/api/v2/pm/seen/",
    tag = "Private messages",
    operation_id = "mark_seen",
    request_body(content(
        (MarkSeenBody = "application/json"),
        (MarkSeenBody = "application/x-www-form-urlencoded"),
        (MarkSeenBody = "multipart/form-data"),
    )),
    responses(
        (status = 204, description = "Done"),
        (status = 404, description = "No such thread, or a thread of others"),
    ),
    security(("token" = [])),
)]
pub async fn mark_seen(State(app): State<App>, CallerFrom(caller): CallerFrom, mut body: Body) -> Result<StatusCode> {
    let thread = thread_in(&mut body);
    let message = body.id("message");
    body.finish()?;
    if let Some(thread) = thread {
        live::mark_seen(&app.core, caller, thread, message).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
