//! Lists of what Parlour does not have. They are empty, and true: a client that asks finds nothing, instead of an error.

use crate::api::PageBody;
use crate::app::App;
use crate::error::Result;
use crate::extract::{CallerFrom, PageQuery, PathId, Query, UserPath, page_query};
use crate::links::ListUrl;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use parlour_core::directory;
use parlour_types::UserId;
use serde::Serialize;

/// What there is none of.
#[derive(Serialize, utoipa::ToSchema)]
pub enum Nothing {}

/// The empty page that a request asks for.
fn empty(app: &App, mut query: Query, url: &ListUrl) -> Result<Response> {
    let window = page_query(app, &mut query);
    query.finish()?;
    PageBody::<Nothing>::new(0, url.links(&[], window, false, None), Vec::new()).answer()
}

/// List reactions
///
/// There are none.
#[utoipa::path(
    get,
    path = "/api/v2/reaction/",
    tag = "Platform",
    operation_id = "list_reactions",
    params(PageQuery),
    responses((status = 200, description = "An empty page", body = PageBody<Nothing>)),
)]
pub async fn list_reactions(State(app): State<App>, query: Query, url: ListUrl) -> Result<Response> {
    empty(&app, query, &url)
}

/// List incubators
///
/// There are none.
#[utoipa::path(
    get,
    path = "/api/v2/incubator/",
    tag = "Platform",
    operation_id = "list_incubators",
    params(PageQuery),
    responses((status = 200, description = "An empty page", body = PageBody<Nothing>)),
    security(("token" = [])),
)]
pub async fn list_incubators(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    query: Query,
    url: ListUrl,
) -> Result<Response> {
    directory::get_me(&app.core, caller).await?;
    empty(&app, query, &url)
}

/// List banners
///
/// There are none.
#[utoipa::path(
    get,
    path = "/api/v2/notification/banner/",
    tag = "Platform",
    operation_id = "list_banners",
    params(PageQuery),
    responses((status = 200, description = "An empty page", body = PageBody<Nothing>)),
    security(("token" = [])),
)]
pub async fn list_banners(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    query: Query,
    url: ListUrl,
) -> Result<Response> {
    directory::get_me(&app.core, caller).await?;
    empty(&app, query, &url)
}

/// List a user's categories
///
/// There are none.
#[utoipa::path(
    get,
    path = "/api/v2/user/{id}/categories/",
    tag = "Platform",
    operation_id = "list_user_categories",
    params(UserPath),
    responses((status = 200, description = "An empty list", body = Vec<Nothing>), (status = 404, description = "No such user")),
    security(("token" = [])),
)]
pub async fn list_user_categories(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    PathId(id): PathId<UserId>,
) -> Result<Json<[Nothing; 0]>> {
    directory::get_user(&app.core, caller, id).await?;
    Ok(Json([]))
}

/// A list of a user's, with nothing in it.
macro_rules! nothing_of_user {
    ($name:ident, $list:literal, $summary:literal) => {
        #[doc = $summary]
        ///
        /// There are none.
        #[utoipa::path(
            get,
            path = concat!("/api/v2/user/{id}/", $list, "/"),
            tag = "Platform",
            operation_id = stringify!($name),
            params(UserPath, PageQuery),
            responses((status = 200, description = "An empty page", body = PageBody<Nothing>), (status = 404, description = "No such user")),
            security(("token" = [])),
        )]
        pub async fn $name(
            State(app): State<App>,
            CallerFrom(caller): CallerFrom,
            PathId(id): PathId<UserId>,
            query: Query,
            url: ListUrl,
        ) -> Result<Response> {
            directory::get_user(&app.core, caller, id).await?;
            empty(&app, query, &url)
        }
    };
}

nothing_of_user!(list_user_groups, "groups", "List a user's groups");
nothing_of_user!(list_user_events, "events", "List a user's events");
nothing_of_user!(list_user_courses, "courses", "List a user's courses");

/// How many there are.
#[derive(Serialize, utoipa::ToSchema)]
pub struct NoneCount {
    /// None.
    count: i64,
}

/// Count the banners not seen
///
/// There are none.
#[utoipa::path(
    get,
    path = "/api/v2/notification/banner/unseen/count/",
    tag = "Platform",
    operation_id = "count_unseen_banners",
    responses((status = 200, description = "None", body = NoneCount)),
    security(("token" = [])),
)]
pub async fn count_unseen_banners(State(app): State<App>, CallerFrom(caller): CallerFrom) -> Result<Json<NoneCount>> {
    directory::get_me(&app.core, caller).await?;
    Ok(Json(NoneCount { count: 0 }))
}

/// Count the banners not put away
///
/// There are none.
#[utoipa::path(
    get,
    path = "/api/v2/notification/banner/undisposed/count/",
    tag = "Platform",
    operation_id = "count_undisposed_banners",
    responses((status = 200, description = "None", body = NoneCount)),
    security(("token" = [])),
)]
pub async fn count_undisposed_banners(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
) -> Result<Json<NoneCount>> {
    directory::get_me(&app.core, caller).await?;
    Ok(Json(NoneCount { count: 0 }))
}

/// Mark banners as read
///
/// There are none, so nothing changes.
#[utoipa::path(
    post,
    path = "/api/v2/notification/banner/read/",
    tag = "Platform",
    operation_id = "read_banners",
    responses((status = 204, description = "Done")),
    security(("token" = [])),
)]
pub async fn read_banners(State(app): State<App>, CallerFrom(caller): CallerFrom) -> Result<StatusCode> {
    directory::get_me(&app.core, caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Put banners away
///
/// There are none, so nothing changes.
#[utoipa::path(
    post,
    path = "/api/v2/notification/banner/dispose/",
    tag = "Platform",
    operation_id = "dispose_banners",
    responses((status = 204, description = "Done")),
    security(("token" = [])),
)]
pub async fn dispose_banners(State(app): State<App>, CallerFrom(caller): CallerFrom) -> Result<StatusCode> {
    directory::get_me(&app.core, caller).await?;
    Ok(StatusCode::NO_CONTENT)
}
