use crate::app::App;
use crate::error::Result;
use crate::extract::AdminKey;
use crate::json_row::parse_row;
use axum::Json;
use axum::extract::{Request, State};
use parlour_core::FieldProblem;
use parlour_core::directory::{self, FollowChange, FollowRef};
use parlour_types::id::IdOutOfRange;
use parlour_types::{ErrorCode, UserId};
use serde::{Deserialize, Serialize};

/// Follows to set.
#[derive(utoipa::ToSchema)]
#[schema(as = UpsertFollows)]
#[expect(dead_code, reason = "describes the body for the OpenAPI document")]
pub struct UpsertFollowsBody {
    /// At most 1,000.
    follows: Vec<FollowBody>,
}

/// One follow. Each of the two is a number, or a text for the user's `ext_id`.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = UpsertFollow)]
#[serde(deny_unknown_fields)]
pub struct FollowBody {
    /// Who follows.
    follower: UserReference,
    /// Whom.
    followed: UserReference,
    /// `false` ends the follow.
    #[serde(default = "yes")]
    following: bool,
}

const fn yes() -> bool {
    true
}

/// A user by number or by the community's own key.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum UserReference {
    /// The number.
    Id(i64),
    /// The `ext_id`.
    ExtId(String),
}

impl UserReference {
    fn check(self, field: &'static str) -> Result<FollowRef, FieldProblem> {
        match self {
            Self::ExtId(ext_id) => Ok(FollowRef::ExtId(ext_id)),
            Self::Id(id) => {
                let out_of_range =
                    |error: IdOutOfRange| FieldProblem::new(field, ErrorCode::OutOfRange, format!("The id {error}."));
                UserId::try_from(id).map(FollowRef::Id).map_err(out_of_range)
            }
        }
    }
}

/// What became of each follow, in the order given.
#[derive(Serialize, utoipa::ToSchema)]
pub struct UpsertedFollows {
    /// One element a follow.
    results: Vec<UpsertedFollow>,
}

/// What became of one follow.
#[derive(Serialize, utoipa::ToSchema)]
pub struct UpsertedFollow {
    /// Whether it changed anything.
    changed: bool,
}

/// Create or end follows
///
/// All or none. The same request again changes nothing.
#[utoipa::path(
    post,
    path = "/api/v2/admin/follows/",
    tag = "Server to server",
    operation_id = "upsert_follows",
    request_body(content = UpsertFollowsBody, content_type = "application/json"),
    responses((status = 200, description = "What became of each follow", body = UpsertedFollows)),
    security(("admin_key" = [])),
)]
pub async fn upsert_follows(State(app): State<App>, _: AdminKey, request: Request) -> Result<Json<UpsertedFollows>> {
    let parse = |row| {
        let body: FollowBody = parse_row(row)?;
        let (follower, followed) = (body.follower.check("follower")?, body.followed.check("followed")?);
        Ok(FollowChange { follower, followed, following: body.following })
    };
    let rows = super::rows(&app, request, "follows", parse).await?;
    let changed = directory::upsert_follows(&app.core, rows).await?;
    Ok(Json(UpsertedFollows { results: changed.into_iter().map(|changed| UpsertedFollow { changed }).collect() }))
}
