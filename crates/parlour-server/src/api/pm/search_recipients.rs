use crate::api::PageBody;
use crate::app::App;
use crate::error::Result;
use crate::extract::{CallerFrom, ClientAddress, PageQuery, Query, page_query};
use crate::links::ListUrl;
use crate::rate_limit;
use axum::extract::State;
use axum::response::Response;
use parlour_core::directory;
use parlour_types::view::User;

/// Search a recipient
///
/// Whom the caller could write to: by a part of the username or real name in any case, among the caller's followers; among
/// everybody for a caller with a role. An empty term finds nobody.
#[utoipa::path(
    get,
    path = "/api/v2/pm/search/",
    tag = "Private messages",
    operation_id = "search_recipients",
    params(("user" = Option<String>, Query, description = "The part of a name"), PageQuery),
    responses(
        (status = 200, description = "A page of users", body = PageBody<User>),
        (status = 429, description = "More searches than the community allows"),
    ),
    security(("token" = [])),
)]
pub async fn search_recipients(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    ClientAddress(address): ClientAddress,
    url: ListUrl,
    mut query: Query,
) -> Result<Response> {
    let window = page_query(&app, &mut query);
    let term = query.text("user").unwrap_or_default();
    query.finish()?;
    let (page, allowance) = directory::search_users(&app.core, (caller, address), &term, window).await?;
    let more = window.offset.saturating_add(window.limit) < page.count;
    let links = url.links(&[("user", term)], window, more, None);
    let rows: Vec<_> = page.rows.iter().map(|card| &card.json).collect();
    let mut response = PageBody::new(page.count, links, rows).answer()?;
    if let Some(allowance) = &allowance {
        rate_limit::tell(response.headers_mut(), allowance);
    }
    Ok(response)
}
