use super::thread_in;
use crate::app::App;
use crate::error::Result;
use crate::extract::{Body, CallerFrom};
use axum::extract::State;
use http::StatusCode;

/// Where the caller is writing. JSON, urlencoded and multipart alike.
#[derive(utoipa::ToSchema)]
#[schema(as = SendTyping)]
#[expect(dead_code, reason = "describes the body for the OpenAPI document; the handler reads it field by field")]
pub struct SendTypingBody {
    /// The id of the thread.
    #[schema(minimum = 1, maximum = 9007199254740991_i64)]
    thread: Option<i64>,
    /// The id of the other participant, instead of the thread's.
    #[schema(minimum = 1, maximum = 9007199254740991_i64)]
    user: Option<i64>,
}

/// Say that the caller is writing
///
/// Say so while it goes on, every few seconds: the other one's streams hear `typing` at most every 2 s, and show it for as long as that says.
/// Nothing is stored, and nobody is told where either of the two has switched `share_typing` off or hidden the other.
#[utoipa::path(
    post,
    path = "/api/v2/pm/typing/",
    tag = "Private messages",
    operation_id = "send_typing",
    request_body(content(
        (SendTypingBody = "application/json"),
        (SendTypingBody = "application/x-www-form-urlencoded"),
        (SendTypingBody = "multipart/form-data"),
    )),
    responses(
        (status = 204, description = "Done"),
        (status = 403, description = "The caller is blocked"),
        (status = 404, description = "No such thread, or a thread of others"),
    ),
    security(("token" = [])),
)]
pub async fn send_typing(State(app): State<App>, CallerFrom(caller): CallerFrom, mut body: Body) -> Result<StatusCode> {
    let thread = thread_in(&mut body);
    body.finish()?;
    if let Some(thread) = thread {
        app.signals.typing(&app, caller, thread).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
