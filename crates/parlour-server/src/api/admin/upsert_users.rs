use crate::app::App;
use crate::error::Result;
use crate::extract::AdminKey;
use crate::json_row::parse_user;
use axum::Json;
use axum::extract::{Request, State};
use parlour_core::directory::{self, UpsertOutcome, UserRow};
use parlour_types::UserId;
use parlour_types::model::UserChange;
use serde::Serialize;

/// Users to create or change.
#[derive(utoipa::ToSchema)]
#[schema(as = UpsertUsers)]
#[expect(dead_code, reason = "describes the body for the OpenAPI document")]
pub struct UpsertUsersBody {
    /// At most 1,000.
    users: Vec<UserBody>,
}

/// A user, known by `id`, or else by `ext_id`; fields not given stay as they are.
#[derive(utoipa::ToSchema)]
#[schema(as = UpsertUser)]
#[expect(dead_code, reason = "describes the row for the OpenAPI document")]
pub struct UserBody {
    /// The community's number. Without one, `ext_id` names the user, and a new user gets a number from the server.
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 9007199254740991_i64)]
    id: Option<i64>,
    /// The fields given.
    #[serde(flatten)]
    change: UserChange,
}

/// What became of each user, in the order given.
#[derive(Serialize, utoipa::ToSchema)]
pub struct UpsertedUsers {
    /// One element a user.
    results: Vec<UpsertedUser>,
}

/// What became of one user.
#[derive(Serialize, utoipa::ToSchema)]
pub struct UpsertedUser {
    /// The number.
    id: UserId,
    /// The community's own key.
    ext_id: Option<String>,
    /// `created`, `updated` or `unchanged`.
    outcome: &'static str,
}

/// Create or update users
///
/// All or none. The same request again changes nothing.
#[utoipa::path(
    post,
    path = "/api/v2/admin/users/",
    tag = "Server to server",
    operation_id = "upsert_users",
    request_body(content = UpsertUsersBody, content_type = "application/json"),
    responses((status = 200, description = "What became of each user", body = UpsertedUsers)),
    security(("admin_key" = [])),
)]
pub async fn upsert_users(State(app): State<App>, _: AdminKey, request: Request) -> Result<Json<UpsertedUsers>> {
    let parse = |row| parse_user(row).map(|(id, change)| UserRow { id, change });
    let rows = super::rows(&app, request, "users", parse).await?;
    let results = directory::upsert_users(&app.core, rows).await?.into_iter().map(|result| UpsertedUser {
        id: result.user.id,
        ext_id: result.user.ext_id,
        outcome: match result.outcome {
            UpsertOutcome::Created => "created",
            UpsertOutcome::Updated => "updated",
            UpsertOutcome::Unchanged => "unchanged",
        },
    });
    Ok(Json(UpsertedUsers { results: results.collect() }))
}
