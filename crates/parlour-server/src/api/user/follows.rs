use crate::api::PageBody;
use crate::app::App;
use crate::error::Result;
use crate::extract::{CallerFrom, PageQuery, PathId, Query, UserPath, page_query};
use crate::links::{ListUrl, cursor_numbers};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use parlour_core::FollowSide;
use parlour_core::{Caller, directory};
use parlour_types::view::User;
use parlour_types::{ErrorCode, UserId};
use serde::Serialize;

/// Follow or unfollow a user
#[utoipa::path(
    post,
    path = "/api/v2/user/{id}/follow/",
    tag = "Users",
    operation_id = "toggle_follow",
    params(UserPath),
    responses(
        (status = 204, description = "Followed, or no longer followed"),
        (status = 403, description = "The caller is blocked, or one of the two has hidden the other"),
        (status = 404, description = "No such user"),
    ),
    security(("token" = [])),
)]
pub async fn toggle_follow(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    PathId(id): PathId<UserId>,
) -> Result<StatusCode> {
    directory::toggle_follow(&app.core, caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether the caller follows a user.
#[derive(Serialize, utoipa::ToSchema)]
pub struct IsFollowed {
    /// Whether the caller follows the user.
    is_followed: bool,
}

/// Check whether the caller follows a user
#[utoipa::path(
    get,
    path = "/api/v2/user/{id}/is_followed/",
    tag = "Users",
    operation_id = "is_followed",
    params(UserPath),
    responses((status = 200, description = "The answer", body = IsFollowed), (status = 404, description = "No such user")),
    security(("token" = [])),
)]
pub async fn is_followed(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    PathId(id): PathId<UserId>,
) -> Result<Json<IsFollowed>> {
    Ok(Json(IsFollowed { is_followed: directory::is_followed(&app.core, caller, id).await? }))
}

/// Whether a user follows the caller.
#[derive(Serialize, utoipa::ToSchema)]
pub struct IsFollower {
    /// Whether the user follows the caller.
    is_follower: bool,
}

/// Check whether a user follows the caller
#[utoipa::path(
    get,
    path = "/api/v2/user/{id}/is_follower/",
    tag = "Users",
    operation_id = "is_follower",
    params(UserPath),
    responses((status = 200, description = "The answer", body = IsFollower), (status = 404, description = "No such user")),
    security(("token" = [])),
)]
pub async fn is_follower(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    PathId(id): PathId<UserId>,
) -> Result<Json<IsFollower>> {
    Ok(Json(IsFollower { is_follower: directory::is_follower(&app.core, caller, id).await? }))
}

/// List a user's followers
///
/// By rising id, deleted accounts included.
#[utoipa::path(
    get,
    path = "/api/v2/user/{id}/followers/",
    tag = "Users",
    operation_id = "list_followers",
    params(
        UserPath,
        PageQuery,
        ("cursor" = Option<String>, Query, description = "Where the list goes on; only as it stands in a `next` link"),
    ),
    responses((status = 200, description = "A page of users", body = PageBody<User>), (status = 404, description = "No such user")),
    security(("token" = [])),
)]
pub async fn list_followers(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    PathId(id): PathId<UserId>,
    url: ListUrl,
    query: Query,
) -> Result<Response> {
    list(&app, caller, id, FollowSide::Followers, &url, query).await
}

/// List whom a user follows
///
/// By rising id, deleted accounts included.
#[utoipa::path(
    get,
    path = "/api/v2/user/{id}/followings/",
    tag = "Users",
    operation_id = "list_followings",
    params(
        UserPath,
        PageQuery,
        ("cursor" = Option<String>, Query, description = "Where the list goes on; only as it stands in a `next` link"),
    ),
    responses((status = 200, description = "A page of users", body = PageBody<User>), (status = 404, description = "No such user")),
    security(("token" = [])),
)]
pub async fn list_followings(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    PathId(id): PathId<UserId>,
    url: ListUrl,
    query: Query,
) -> Result<Response> {
    list(&app, caller, id, FollowSide::Followings, &url, query).await
}

async fn list(
    app: &App,
    caller: Caller,
    id: UserId,
    side: FollowSide,
    url: &ListUrl,
    mut query: Query,
) -> Result<Response> {
    let window = page_query(app, &mut query);
    let cursor = query.text("cursor");
    let after =
        cursor.as_deref().and_then(|cursor| cursor_numbers(cursor, window.offset)).map(|[after]: [i64; 1]| after);
    if cursor.is_some() && after.is_none() {
        query.problem("cursor", ErrorCode::Invalid, "Take it from a next link, together with its offset.");
    }
    query.finish()?;
    let skip = if after.is_some() { 0 } else { window.offset };
    let place = (after.unwrap_or(0), skip, window.limit);
    let (page, more) = directory::list_follows(&app.core, caller, id, side, place).await?;
    let links = url.links(&[], window, more, page.rows.last().map(|card| card.user.id.to_string()));
    let rows: Vec<_> = page.rows.iter().map(|card| &card.json).collect();
    PageBody::new(page.count, links, rows).answer()
}
