use super::{ThreadSelector, thread_ref};
use crate::app::App;
use crate::error::Result;
use crate::extract::{CallerFrom, Query};
use axum::extract::State;
use http::StatusCode;
use parlour_core::threads;
use parlour_types::ErrorCode;

/// Delete a thread
///
/// For the caller alone: what is in it now is never shown to them again, and the other side keeps everything. A later message
/// brings the thread back, with that message only. Nothing to delete is no error.
#[utoipa::path(
    delete,
    path = "/api/v2/pm/",
    tag = "Private messages",
    operation_id = "delete_thread",
    params(ThreadSelector),
    responses(
        (status = 204, description = "Done"),
        (status = 403, description = "`group`: group conversations are switched off"),
        (status = 404, description = "No such thread or user, or a thread of others"),
    ),
    security(("token" = [])),
)]
pub async fn delete_thread(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    mut query: Query,
) -> Result<StatusCode> {
    let selector = thread_ref(&mut query);
    if selector.is_none() {
        query.problem("thread", ErrorCode::Required, "Give one of thread and user.");
    }
    query.finish()?;
    if let Some(selector) = selector {
        threads::delete_thread(&app.core, caller, selector.thread()?).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
