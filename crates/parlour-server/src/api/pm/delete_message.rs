use crate::app::App;
use crate::error::Result;
use crate::extract::{CallerFrom, PathId, Query};
use axum::extract::State;
use http::StatusCode;
use parlour_core::threads::ThreadRef;
use parlour_core::{messages, threads};
use parlour_types::{MessageId, ThreadId};

/// Delete a message
///
/// Its sender only. Within the first minute the message disappears for everybody; later its text is replaced by `Message delete`,
/// its status becomes `hidden` and the row stays. Deleting a hidden message again changes nothing.
///
/// With `hide=1` the id is a thread's, and the thread is deleted for the caller alone, as `DELETE /api/v2/pm/?thread={id}` does.
#[utoipa::path(
    delete,
    path = "/api/v2/pm/{id}/",
    tag = "Private messages",
    operation_id = "delete_message",
    params(
        ("id" = i64, Path, description = "The message's id; with `hide`, the thread's", minimum = 1, maximum = 9007199254740991_i64),
        ("hide" = Option<String>, Query, description = "`1` deletes the thread with this id for the caller alone"),
    ),
    responses(
        (status = 204, description = "Done"),
        (status = 403, description = "The caller is not the sender"),
        (status = 404, description = "No such message or thread, or one that the caller does not see"),
    ),
    security(("token" = [])),
)]
pub async fn delete_message(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    PathId(id): PathId<i64>,
    mut query: Query,
) -> Result<StatusCode> {
    let hide = query.flag("hide");
    query.finish()?;
    match (hide, ThreadId::new(id), MessageId::new(id)) {
        (true, Some(thread), _) => threads::delete_thread(&app.core, caller, ThreadRef::Thread(thread)).await?,
        (false, _, Some(message)) => messages::delete_message(&app.core, caller, message).await?,
        _ => return Err(crate::error::ApiError::not_found()),
    }
    Ok(StatusCode::NO_CONTENT)
}
