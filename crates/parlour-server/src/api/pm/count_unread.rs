use crate::app::App;
use crate::error::Result;
use crate::extract::CallerFrom;
use axum::Json;
use axum::extract::State;
use parlour_core::threads;
use serde::Serialize;

/// What the caller has not seen.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Unread {
    /// Threads with messages of others that the caller has not seen.
    unread_threads: i64,
    /// Messages of others that the caller has not seen.
    unread_messages: i64,
}

/// Count what is unread
///
/// Exactly, and at the same cost however much there is.
#[utoipa::path(
    get,
    path = "/api/v2/pm/unread/",
    tag = "Private messages",
    operation_id = "count_unread",
    responses((status = 200, description = "The totals", body = Unread)),
    security(("token" = [])),
)]
pub async fn count_unread(State(app): State<App>, CallerFrom(caller): CallerFrom) -> Result<Json<Unread>> {
    let totals = threads::count_unread(&app.core, caller).await?;
    Ok(Json(Unread { unread_threads: totals.unread_threads, unread_messages: totals.unread_messages }))
}
