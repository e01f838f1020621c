use crate::app::App;
use crate::error::Result;
use crate::extract::{Body, CallerFrom, OwnPath, PathId};
use axum::Json;
use axum::extract::State;
use parlour_core::directory;
use parlour_types::UserId;
use parlour_types::model::{Settings, SettingsChange};

/// Get the caller's settings
#[utoipa::path(
    get,
    path = "/api/v2/user/{id}/settings/",
    tag = "Users",
    operation_id = "get_settings",
    params(OwnPath),
    responses(
        (status = 200, description = "The settings", body = Settings),
        (status = 403, description = "Somebody else's settings"),
    ),
    security(("token" = [])),
)]
pub async fn get_settings(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    PathId(id): PathId<UserId>,
) -> Result<Json<Settings>> {
    Ok(Json(directory::get_settings(&app.core, caller, id).await?))
}

/// The settings to change; those not given stay.
#[derive(utoipa::ToSchema)]
#[schema(as = SettingsChange)]
#[expect(dead_code, reason = "describes the body for the OpenAPI document; the handler reads it field by field")]
pub struct SettingsBody {
    /// −1 never, 0 at once, 1 daily: mail about everything but private messages.
    #[schema(minimum = -1, maximum = 1)]
    qa_frequency: Option<i64>,
    /// Mail about private messages.
    #[schema(minimum = 0, maximum = 1)]
    email_notification_not_qa: Option<i64>,
    /// Push to the phone.
    #[schema(minimum = 0, maximum = 1)]
    mobile_notifications_scmty: Option<i64>,
    /// Toasts in the page.
    #[schema(minimum = 0, maximum = 1)]
    show_toast_notifications: Option<i64>,
    /// Toasts make a sound.
    #[schema(minimum = 0, maximum = 1)]
    toast_notifications_emit_sound: Option<i64>,
    /// Others see what the member has read, and the member what they have.
    #[schema(minimum = 0, maximum = 1)]
    share_read_receipts: Option<i64>,
    /// Others see that the member is writing, and the member that they are.
    #[schema(minimum = 0, maximum = 1)]
    share_typing: Option<i64>,
    /// Others see that the member is there, and the member that they are.
    #[schema(minimum = 0, maximum = 1)]
    share_presence: Option<i64>,
}

/// Change the caller's settings
#[utoipa::path(
    patch,
    path = "/api/v2/user/{id}/settings/",
    tag = "Users",
    operation_id = "change_settings",
    params(OwnPath),
    request_body(content(
        (SettingsBody = "application/json"),
        (SettingsBody = "application/x-www-form-urlencoded"),
        (SettingsBody = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "All settings, as they are now", body = Settings),
        (status = 403, description = "Somebody else's settings"),
    ),
    security(("token" = [])),
)]
pub async fn change_settings(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    PathId(id): PathId<UserId>,
    mut body: Body,
) -> Result<Json<Settings>> {
    const SWITCH: (i64, i64) = (0, 1);
    let change = SettingsChange {
        qa_frequency: body.int("qa_frequency", (-1, 1)),
        email_notification_not_qa: body.int("email_notification_not_qa", SWITCH),
        mobile_notifications_scmty: body.int("mobile_notifications_scmty", SWITCH),
        show_toast_notifications: body.int("show_toast_notifications", SWITCH),
        toast_notifications_emit_sound: body.int("toast_notifications_emit_sound", SWITCH),
        share_read_receipts: body.int("share_read_receipts", SWITCH),
        share_typing: body.int("share_typing", SWITCH),
        share_presence: body.int("share_presence", SWITCH),
    };
    body.finish()?;
    Ok(Json(directory::change_settings(&app.core, caller, id, change).await?))
}
