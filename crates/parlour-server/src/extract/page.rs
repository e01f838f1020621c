use super::Query;
use crate::app::App;
use parlour_types::Window;
use parlour_types::id::MAX_ID;

/// `limit` and `offset` of a list (contract §1.1).
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the parameters for the OpenAPI document; page_query reads them")]
pub struct PageQuery {
    /// Number of results to return per page. More than the server's maximum gives the maximum, as `next` then says.
    #[param(minimum = 1, maximum = 9007199254740991_i64)]
    limit: Option<i64>,
    /// The initial index from which to return the results.
    #[param(minimum = 0, maximum = 9007199254740991_i64)]
    offset: Option<i64>,
}

/// Reads `limit` and `offset`.
pub fn page_query(app: &App, query: &mut Query) -> Window {
    let rules = &app.core.rules;
    let limit = query.int("limit", 1).unwrap_or(rules.default_limit).min(rules.max_limit);
    Window { limit, offset: query.int("offset", 0).unwrap_or(0).min(MAX_ID) }
}
