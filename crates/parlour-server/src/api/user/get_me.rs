use crate::app::App;
use crate::error::Result;
use crate::extract::CallerFrom;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use parlour_core::directory;
use parlour_types::view::{Me, Waiting};

/// Get the current user
#[utoipa::path(
    get,
    path = "/api/v2/user/me/",
    tag = "Users",
    operation_id = "get_me",
    responses((status = 200, description = "The caller", body = Me)),
    security(("token" = [])),
)]
pub async fn get_me(State(app): State<App>, CallerFrom(caller): CallerFrom) -> Result<Response> {
    let (card, totals) = directory::get_me(&app.core, caller).await?;
    let waiting = Waiting {
        unread_threads: totals.unread_threads,
        unread_messages: totals.unread_messages,
        unseen_notifications: totals.unseen_notifications,
    };
    Ok(Json(Me::new(&card.user, waiting)).into_response())
}
