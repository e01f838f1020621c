//! Connections, which this community does not have: its members follow each other (contract §5.2).

use crate::app::App;
use crate::error::{ApiError, Result};
use crate::extract::{Body, CallerFrom, PathId, UserPath};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use parlour_core::{Caller, directory};
use parlour_types::view::ConnectionStatus;
use parlour_types::{ErrorCode, UserId};
use serde::Serialize;
use std::collections::BTreeMap;

/// How the caller stands to a user.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ConnectionStatusBody {
    /// `followed` when the caller follows the user, else `null`.
    connection_status: Option<ConnectionStatus>,
}

/// Get the connection status of a user
#[utoipa::path(
    get,
    path = "/api/v2/user/{id}/connection_status/",
    tag = "Users",
    operation_id = "get_connection_status",
    params(UserPath),
    responses((status = 200, description = "The status", body = ConnectionStatusBody), (status = 404, description = "No such user")),
    security(("token" = [])),
)]
pub async fn get_connection_status(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    PathId(id): PathId<UserId>,
) -> Result<Json<ConnectionStatusBody>> {
    let is_followed = directory::is_followed(&app.core, caller, id).await?;
    Ok(Json(ConnectionStatusBody { connection_status: is_followed.then_some(ConnectionStatus::Followed) }))
}

/// Whose connection statuses are asked for. JSON, urlencoded and multipart alike.
#[derive(utoipa::ToSchema)]
#[schema(as = ConnectionStatuses)]
#[expect(dead_code, reason = "describes the body for the OpenAPI document; the handler reads it field by field")]
pub struct ConnectionStatusesBody {
    /// Ids of users, at most 100.
    #[schema(max_items = 100)]
    users: Vec<UserId>,
}

/// How the caller stands to users.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ConnectionStatusesAnswer {
    /// By the id of the user, each as in `connection_status`. Users who are not there are left out.
    #[schema(value_type = BTreeMap<String, Option<String>>)]
    connection_statuses: BTreeMap<UserId, Option<ConnectionStatus>>,
}

/// Users of one request.
const MAX_USERS: usize = 100;

/// Get the connection statuses of users
#[utoipa::path(
    post,
    path = "/api/v2/user/connection/statuses/",
    tag = "Users",
    operation_id = "get_connection_statuses",
    request_body(content(
        (ConnectionStatusesBody = "application/json"),
        (ConnectionStatusesBody = "application/x-www-form-urlencoded"),
        (ConnectionStatusesBody = "multipart/form-data"),
    )),
    responses((status = 200, description = "The statuses", body = ConnectionStatusesAnswer)),
    security(("token" = [])),
)]
pub async fn get_connection_statuses(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    mut body: Body,
) -> Result<Json<ConnectionStatusesAnswer>> {
    let users = body.ids::<UserId>("users");
    if users.len() > MAX_USERS {
        body.problem("users", ErrorCode::TooMany, "At most 100 users.");
    }
    body.finish()?;
    let followed = directory::followed_among(&app.core, caller, users).await?;
    let status = |is_followed: bool| is_followed.then_some(ConnectionStatus::Followed);
    let connection_statuses = followed.into_iter().map(|(user, followed)| (user, status(followed))).collect();
    Ok(Json(ConnectionStatusesAnswer { connection_statuses }))
}

/// Whether the caller and a user are connected.
#[derive(Serialize, utoipa::ToSchema)]
pub struct IsConnection {
    /// Never: members follow each other.
    is_connection: bool,
}

/// Check whether the caller and a user are connected
#[utoipa::path(
    get,
    path = "/api/v2/user/{id}/is_connection/",
    tag = "Users",
    operation_id = "is_connection",
    params(UserPath),
    responses((status = 200, description = "The answer", body = IsConnection), (status = 404, description = "No such user")),
    security(("token" = [])),
)]
pub async fn is_connection(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    PathId(id): PathId<UserId>,
) -> Result<Json<IsConnection>> {
    directory::is_followed(&app.core, caller, id).await?;
    Ok(Json(IsConnection { is_connection: false }))
}

/// The answer to all that would connect two members.
async fn refuse(app: &App, caller: Caller, user: UserId) -> Result<StatusCode> {
    directory::is_followed(&app.core, caller, user).await?;
    let message = "There are no connections here: members follow each other.";
    Err(ApiError::new(StatusCode::FORBIDDEN, ErrorCode::PermissionDenied, message))
}

/// One operation that connects, or ends that; all of them are refused.
macro_rules! refused {
    ($name:ident, $action:literal, $summary:literal) => {
        #[doc = $summary]
        ///
        /// There are no connections here: members follow each other.
        #[utoipa::path(
            post,
            path = concat!("/api/v2/user/{id}/connection/", $action, "/"),
            tag = "Users",
            operation_id = stringify!($name),
            params(UserPath),
            responses((status = 403, description = "There are no connections"), (status = 404, description = "No such user")),
            security(("token" = [])),
        )]
        pub async fn $name(
            State(app): State<App>,
            CallerFrom(caller): CallerFrom,
            PathId(id): PathId<UserId>,
        ) -> Result<StatusCode> {
            refuse(&app, caller, id).await
        }
    };
}

refused!(request_connection, "request", "Ask for a connection");
refused!(accept_connection, "accept", "Accept a request for a connection");
refused!(reject_connection, "reject", "Reject a request for a connection");
refused!(cancel_reject_connection, "cancel_reject", "Take back a rejection");
refused!(cancel_request_connection, "cancel_request", "Take back a request for a connection");
refused!(remove_connection, "remove", "End a connection");
