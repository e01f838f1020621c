//! What the official UI asks a whole platform for on its way to private messages (contract §5): what the community is like, and lists of
//! things that Parlour does not have.

mod list_features;
mod list_preferences;
mod nothing;

pub use list_features::*;
pub use list_preferences::*;
pub use nothing::*;

use crate::api::PageBody;
use crate::config::Config;
use crate::error::Result;
use crate::extract::Query;
use crate::links::ListUrl;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header;
use parlour_types::Window;
use serde::Serialize;

/// Which part of a short list.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the parameters for the OpenAPI document")]
pub struct PartQuery {
    /// Number of results to return; without it, all that are left.
    #[param(minimum = 1, maximum = 9007199254740991_i64)]
    limit: Option<i64>,
    /// The initial index from which to return the results.
    #[param(minimum = 0, maximum = 9007199254740991_i64)]
    offset: Option<i64>,
}

/// A short list that never changes while the server runs, with the answer that has all of it.
pub struct Listed<T> {
    rows: Vec<T>,
    whole: Bytes,
}

impl<T: Serialize + Clone> Listed<T> {
    fn new(rows: Vec<T>) -> serde_json::Result<Self> {
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let body = PageBody { count, next: None, previous: None, results: rows };
        let whole = serde_json::to_vec(&body)?.into();
        Ok(Self { rows: body.results, whole })
    }

    /// All of it, unless the request names a part: the official UI reads one page alone (contract §1.1).
    fn answer(&self, mut query: Query, url: &ListUrl) -> Result<Response> {
        let limit = query.int("limit", 1);
        let offset = query.int("offset", 0);
        query.finish()?;
        if limit.is_none() && offset.is_none() {
            return Ok(([(header::CONTENT_TYPE, "application/json")], self.whole.clone()).into_response());
        }
        let count = i64::try_from(self.rows.len()).unwrap_or(i64::MAX);
        let window = Window { limit: limit.unwrap_or(count.max(1)), offset: offset.unwrap_or(0) };
        let place = |place: i64| usize::try_from(place).unwrap_or(usize::MAX).min(self.rows.len());
        let (from, to) = (place(window.offset), place(window.offset.saturating_add(window.limit)));
        let links = url.links(&[], window, to < self.rows.len(), None);
        PageBody::new(count, links, self.rows[from..to].to_vec()).answer()
    }
}

/// Both lists, as they are from the start on.
pub struct Platform {
    preferences: Listed<Preference>,
    features: Listed<Feature>,
}

impl Platform {
    /// What the configuration says.
    ///
    /// # Errors
    /// A value that JSON cannot hold.
    pub fn new(config: &Config) -> serde_json::Result<Self> {
        let preferences = Listed::new(Preference::all(&config.preferences)?)?;
        Ok(Self { preferences, features: Listed::new(Feature::all(&config.features))? })
    }
}
