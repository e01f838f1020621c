use super::thread_ref;
use crate::app::App;
use crate::error::Result;
use crate::extract::{CallerFrom, Query};
use axum::extract::State;
use http::StatusCode;
use parlour_core::threads;
use parlour_types::ErrorCode;

/// Which thread to delete: one of the three.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the parameters for the OpenAPI document")]
pub struct ThreadSelector {
    /// The id of the thread.
    #[param(minimum = 1, maximum = 9007199254740991_i64)]
    thread: Option<i64>,
    /// The id of the other participant.
    #[param(minimum = 1, maximum = 9007199254740991_i64)]
    user: Option<i64>,
    /// The id of a group; group conversations are switched off, so it answers 403.
    #[param(minimum = 1, maximum = 9007199254740991_i64)]
    group: Option<i64>,
}

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
