use crate::app::App;
use crate::error::Result;
use crate::extract::{Body, CallerFrom};
use axum::extract::State;
use http::StatusCode;
use parlour_core::notifications;
use parlour_types::MessageId;

/// Which notifications were read. JSON, urlencoded and multipart alike.
#[derive(utoipa::ToSchema)]
#[schema(as = ReadNotifications)]
#[expect(dead_code, reason = "describes the body for the OpenAPI document; the handler reads it field by field")]
pub struct ReadNotificationsBody {
    /// Their `sid`s, at most 1,000.
    #[schema(min_items = 1, max_items = 1000, pattern = "^[1-9][0-9]{0,15}$")]
    sids: Vec<String>,
}

/// Mark notifications as read
///
/// And with each whatever came earlier in its thread. No thread counts as seen by that. A `sid` that is none of the caller's is passed over.
#[utoipa::path(
    post,
    path = "/api/v2/notification/read/",
    tag = "Notifications",
    operation_id = "read_notifications",
    request_body(content(
        (ReadNotificationsBody = "application/json"),
        (ReadNotificationsBody = "application/x-www-form-urlencoded"),
        (ReadNotificationsBody = "multipart/form-data"),
    )),
    responses((status = 204, description = "Done")),
    security(("token" = [])),
)]
pub async fn read_notifications(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    mut body: Body,
) -> Result<StatusCode> {
    let sids = body.ids::<MessageId>("sids");
    body.finish()?;
    notifications::read_notifications(&app.core, caller, sids).await?;
    Ok(StatusCode::NO_CONTENT)
}
