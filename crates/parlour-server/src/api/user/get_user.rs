use crate::app::App;
use crate::error::Result;
use crate::extract::{CallerFrom, PathId, UserPath};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use parlour_core::directory;
use parlour_types::UserId;
use parlour_types::view::{ConnectionStatus, UserWithAccess};

/// Get a user
///
/// Deleted users too, with `deleted: true`. `can_send_pm_to` says whether the caller may write to the user now.
#[utoipa::path(
    get,
    path = "/api/v2/user/{id}/",
    tag = "Users",
    operation_id = "get_user",
    params(UserPath),
    responses(
        (status = 200, description = "The user", body = UserWithAccess),
        (status = 404, description = "No such user"),
    ),
    security(("token" = [])),
)]
pub async fn get_user(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    PathId(id): PathId<UserId>,
) -> Result<Response> {
    let found = directory::get_user(&app.core, caller, id).await?;
    let view = UserWithAccess {
        user: (&found.card.user).into(),
        connection_status: found.followed.then_some(ConnectionStatus::Followed),
        can_send_pm_to: found.can_send_pm_to,
    };
    Ok(Json(view).into_response())
}
