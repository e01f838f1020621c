use crate::app::App;
use crate::error::Result;
use crate::extract::{CallerFrom, PathId};
use crate::links::BaseUrl;
use crate::live::show;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use parlour_core::messages;
use parlour_types::view::Message;

/// Get a message
///
/// Marks nothing as seen. A message that its sender deleted in the first minute is answered to the sender alone, with the status
/// `deleted` and without text.
#[utoipa::path(
    get,
    path = "/api/v2/pm/{id}/",
    tag = "Private messages",
    operation_id = "get_message",
    params(("id" = i64, Path, description = "The message's id", minimum = 1, maximum = 9007199254740991_i64)),
    responses(
        (status = 200, description = "The message", body = Message),
        (status = 404, description = "No such message, or one that the caller does not see"),
    ),
    security(("token" = [])),
)]
pub async fn get_message(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    BaseUrl(base): BaseUrl,
    PathId(id): PathId<parlour_types::MessageId>,
) -> Result<Response> {
    let found = messages::get_message(&app.core, caller, id).await?;
    let link = app.message_links(&base, caller);
    Ok(Json(show::message(&app, &found, &link)).into_response())
}
