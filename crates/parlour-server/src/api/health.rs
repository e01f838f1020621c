//! Whether the process lives, and whether it can work.

use crate::app::App;
use crate::error::{ApiError, Result};
use axum::Json;
use axum::extract::State;
use parlour_types::UserId;
use serde::Serialize;
use std::sync::atomic::Ordering;

/// Well.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Health {
    /// `ok`.
    status: &'static str,
}

const OK: Health = Health { status: "ok" };

/// Liveness: the process answers. Touches nothing else.
#[utoipa::path(get, path = "/healthz", tag = "Health", operation_id = "healthz", responses((status = 200, description = "The process lives", body = Health)))]
pub async fn healthz() -> Json<Health> {
    Json(OK)
}

/// Readiness: the database answers and takes writes, and the server is not stopping.
#[utoipa::path(get, path = "/readyz", tag = "Health", operation_id = "readyz", responses((status = 200, description = "The server can work", body = Health)))]
pub async fn readyz(State(app): State<App>) -> Result<Json<Health>> {
    if app.draining.load(Ordering::Acquire) {
        return Err(ApiError::unavailable("the server is stopping"));
    }
    if !app.core.store.accepts_writes() {
        return Err(ApiError::unavailable("the database refuses writes"));
    }
    let somebody = UserId::new(1).ok_or_else(ApiError::not_found)?;
    parlour_core::directory::user_exists(&app.core, somebody).await?;
    Ok(Json(OK))
}
