use crate::app::App;
use crate::error::Result;
use crate::extract::{CallerFrom, Query};
use axum::Json;
use axum::extract::State;
use parlour_core::live::visible_presence;
use parlour_types::UserId;
use serde::Serialize;

/// Users of one request.
const MAX_USERS: usize = 100;

/// Whose presence is asked for.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the parameters for the OpenAPI document")]
pub struct PresenceQuery {
    /// Ids of up to 100 users, separated by commas.
    #[param(example = "2,3", pattern = "^[1-9][0-9]*(,[1-9][0-9]*)*$")]
    users: String,
}

/// Who is there.
#[derive(Serialize, utoipa::ToSchema)]
pub struct PresenceBody {
    /// Those of the users asked for whom the caller may see, in the order asked.
    pub results: Vec<Presence>,
}

/// Whether somebody is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct Presence {
    /// Who.
    pub user_id: UserId,
    /// Whether a socket or stream of theirs is open, or was half a minute ago.
    pub is_online: bool,
}

/// Get presence
///
/// Who of some users is there: has a socket or stream open. Only users with whom the caller has a thread are shown, and nobody where either of
/// the two has switched `share_presence` off or hidden the other.
#[utoipa::path(
    get,
    path = "/api/v2/pm/presence/",
    tag = "Private messages",
    operation_id = "get_presence",
    params(PresenceQuery),
    responses((status = 200, description = "Who is there", body = PresenceBody)),
    security(("token" = [])),
)]
pub async fn get_presence(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    mut query: Query,
) -> Result<Json<PresenceBody>> {
    let users = query.ids("users", MAX_USERS);
    query.finish()?;
    let mut shown = visible_presence(&app.core, caller, users.clone()).await?;
    shown.sort_unstable();
    let results = users.into_iter().filter(|user| shown.binary_search(user).is_ok());
    let presence = |user_id| Presence { user_id, is_online: app.signals.is_online(user_id) };
    Ok(Json(PresenceBody { results: results.map(presence).collect() }))
}
