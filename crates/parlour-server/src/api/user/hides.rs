use crate::app::App;
use crate::error::Result;
use crate::extract::{CallerFrom, PathId, UserPath};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use parlour_core::directory;
use parlour_types::UserId;
use serde::Serialize;

/// Hide or show a user
///
/// The official UI calls it "block": while one of two has hidden the other, neither can write to the other.
#[utoipa::path(
    post,
    path = "/api/v2/user/{id}/hide/",
    tag = "Users",
    operation_id = "toggle_hide",
    params(UserPath),
    responses((status = 204, description = "Hidden, or no longer hidden"), (status = 404, description = "No such user")),
    security(("token" = [])),
)]
pub async fn toggle_hide(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    PathId(id): PathId<UserId>,
) -> Result<StatusCode> {
    directory::toggle_hide(&app.core, caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether the caller has hidden a user.
#[derive(Serialize, utoipa::ToSchema)]
pub struct IsHidden {
    /// Whether the caller has hidden the user.
    is_hidden: bool,
}

/// Check whether the caller has hidden a user
#[utoipa::path(
    get,
    path = "/api/v2/user/{id}/is_hidden/",
    tag = "Users",
    operation_id = "is_hidden",
    params(UserPath),
    responses((status = 200, description = "The answer", body = IsHidden), (status = 404, description = "No such user")),
    security(("token" = [])),
)]
pub async fn is_hidden(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    PathId(id): PathId<UserId>,
) -> Result<Json<IsHidden>> {
    Ok(Json(IsHidden { is_hidden: directory::is_hidden(&app.core, caller, id).await? }))
}

/// List the ids of hidden users
#[utoipa::path(
    get,
    path = "/api/v2/user/hidden_users_id/",
    tag = "Users",
    operation_id = "list_hidden_ids",
    responses((status = 200, description = "The ids, lowest first", body = Vec<UserId>)),
    security(("token" = [])),
)]
pub async fn list_hidden_ids(State(app): State<App>, CallerFrom(caller): CallerFrom) -> Result<Json<Vec<UserId>>> {
    Ok(Json(directory::hidden_ids(&app.core, caller).await?))
}

/// Whether a user has hidden the caller.
#[derive(Serialize, utoipa::ToSchema)]
pub struct IsHiddenBy {
    /// Whether the user has hidden the caller.
    is_hidden_by: bool,
}

/// Check whether a user has hidden the caller
#[utoipa::path(
    get,
    path = "/api/v2/user/{id}/is_hidden_by/",
    tag = "Users",
    operation_id = "is_hidden_by",
    params(UserPath),
    responses((status = 200, description = "The answer", body = IsHiddenBy), (status = 404, description = "No such user")),
    security(("token" = [])),
)]
pub async fn is_hidden_by(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    PathId(id): PathId<UserId>,
) -> Result<Json<IsHiddenBy>> {
    Ok(Json(IsHiddenBy { is_hidden_by: directory::is_hidden_by(&app.core, caller, id).await? }))
}
