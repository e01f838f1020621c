use super::PartQuery;
use crate::api::PageBody;
use crate::app::App;
use crate::config::{DECIDED, Preferences};
use crate::error::Result;
use crate::extract::Query;
use crate::links::ListUrl;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;

/// Something that the official UI is told about the community.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Preference {
    /// Its place in the list.
    id: i64,
    /// What it belongs to.
    section: String,
    /// Its name there.
    name: String,
    /// A text, a whole number, true or false: as the UI uses it, not as a text of it.
    #[schema(value_type = Value)]
    value: Value,
}

/// The table in the configuration whose names have their sections in them.
const OTHER: &str = "other";

impl Preference {
    /// All preferences: those of the community, and those that say how Parlour works. An empty colour or font is none; everything else is there
    /// even when it says nothing, as the official UI does not look first (contract §5.3).
    pub(super) fn all(preferences: &Preferences) -> serde_json::Result<Vec<Self>> {
        let mut rows = Vec::new();
        let mut add = |section: &str, name: &str, value: Value| {
            let id = rows.len() as i64 + 1;
            rows.push(Self { id, section: section.to_owned(), name: name.to_owned(), value });
        };
        for (section, name, value) in DECIDED {
            add(section, name, Value::Bool(*value));
        }
        let Value::Object(sections) = serde_json::to_value(preferences)? else { return Ok(rows) };
        for (section, values) in sections {
            let Value::Object(values) = values else { continue };
            for (name, value) in values {
                match name.split_once('.').filter(|_| section == OTHER) {
                    Some((section, name)) => add(section, name, value),
                    None if value == "" && matches!(&*section, "colors" | "style") => {}
                    None => add(&section, &name, value),
                }
            }
        }
        Ok(rows)
    }
}

/// List preferences
///
/// What the community is like, for the official UI: open to everybody, and whole unless a part is asked for.
#[utoipa::path(
    get,
    path = "/api/v2/dynamic_preference/",
    tag = "Platform",
    operation_id = "list_preferences",
    params(PartQuery),
    responses((status = 200, description = "The preferences", body = PageBody<Preference>)),
)]
pub async fn list_preferences(State(app): State<App>, query: Query, url: ListUrl) -> Result<Response> {
    app.platform.preferences.answer(query, &url)
}
