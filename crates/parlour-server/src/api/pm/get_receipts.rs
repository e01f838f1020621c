use super::{ThreadSelector, thread_ref};
use crate::app::App;
use crate::error::{ApiError, Result};
use crate::extract::{CallerFrom, Query};
use axum::Json;
use axum::extract::State;
use parlour_core::live;
use parlour_types::{ErrorCode, MessageId, ThreadId, UserId};
use serde::Serialize;

/// How far the others of a thread have read.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Receipts {
    /// The thread.
    pub thread_id: ThreadId,
    /// Those of the others who share it with the caller.
    pub results: Vec<Receipt>,
}

/// How far somebody has read.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Receipt {
    /// Who.
    pub user_id: UserId,
    /// The newest message that they have seen, and every earlier one with it; `null` for none.
    pub message_id: Option<MessageId>,
}

/// Get read receipts
///
/// How far the other one of a thread has read. Whoever has switched `share_read_receipts` off is not shown, and is shown nobody.
#[utoipa::path(
    get,
    path = "/api/v2/pm/receipts/",
    tag = "Private messages",
    operation_id = "get_receipts",
    params(ThreadSelector),
    responses(
        (status = 200, description = "The receipts", body = Receipts),
        (status = 403, description = "`group`: group conversations are switched off"),
        (status = 404, description = "No such thread, or a thread of others"),
    ),
    security(("token" = [])),
)]
pub async fn get_receipts(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    mut query: Query,
) -> Result<Json<Receipts>> {
    let selector = thread_ref(&mut query);
    if selector.is_none() {
        query.problem("thread", ErrorCode::Required, "Give one of thread and user.");
    }
    query.finish()?;
    let thread = selector.ok_or_else(ApiError::not_found)?.thread()?;
    let live::Receipts { thread_id, receipts } = live::get_receipts(&app.core, caller, thread).await?;
    let shown = |receipt: live::Receipt| Receipt { user_id: receipt.user_id, message_id: receipt.message_id };
    Ok(Json(Receipts { thread_id, results: receipts.into_iter().map(shown).collect() }))
}
