use super::PartQuery;
use crate::api::PageBody;
use crate::app::App;
use crate::config::{FEATURES, Features};
use crate::error::Result;
use crate::extract::Query;
use crate::links::ListUrl;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

/// A part of the platform that a community has or has not.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Feature {
    /// Its place in the list.
    id: i64,
    /// Its name.
    #[schema(example = "reaction")]
    name: &'static str,
    /// Whether the community has it.
    enabled: bool,
}

impl Feature {
    /// Every feature that has a name.
    pub(super) fn all(features: &Features) -> Vec<Self> {
        let enabled = |name: &str| features.enabled.iter().any(|enabled| enabled == name);
        let feature = |(id, name): (i64, &&'static str)| Self { id, name, enabled: enabled(name) };
        (1..).zip(FEATURES).map(feature).collect()
    }
}

/// List features
///
/// Which parts of the official platform the community has beside private messages: open to everybody, and whole unless a part is asked for.
#[utoipa::path(
    get,
    path = "/api/v2/feature/",
    tag = "Platform",
    operation_id = "list_features",
    params(PartQuery),
    responses((status = 200, description = "The features", body = PageBody<Feature>)),
)]
pub async fn list_features(State(app): State<App>, query: Query, url: ListUrl) -> Result<Response> {
    app.platform.features.answer(query, &url)
}
