use crate::app::App;
use crate::error::Result;
use crate::extract::CallerFrom;
use axum::Json;
use axum::extract::State;
use parlour_core::notifications;
use serde::Serialize;

/// How many notifications wait.
#[derive(Serialize, utoipa::ToSchema)]
pub struct UnseenNotifications {
    /// Notifications that the caller has not read.
    count: i64,
}

/// Count unread notifications
///
/// Exactly, and at the same cost however many there are. Marks nothing as read.
#[utoipa::path(
    get,
    path = "/api/v2/notification/unseen/count/",
    tag = "Notifications",
    operation_id = "count_unseen_notifications",
    responses((status = 200, description = "The count", body = UnseenNotifications)),
    security(("token" = [])),
)]
pub async fn count_unseen_notifications(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
) -> Result<Json<UnseenNotifications>> {
    Ok(Json(UnseenNotifications { count: notifications::count_unseen(&app.core, caller).await? }))
}
