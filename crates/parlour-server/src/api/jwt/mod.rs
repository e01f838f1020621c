//! Tokens (contract §1.2).

use crate::app::App;
use crate::error::{ApiError, Result};
use crate::extract::Body;
use axum::Json;
use axum::extract::State;
use parlour_types::ErrorCode;
use serde::Serialize;

/// The token to verify.
#[derive(utoipa::ToSchema)]
#[schema(as = VerifyToken)]
#[expect(dead_code, reason = "describes the body for the OpenAPI document; the handler reads it field by field")]
pub struct VerifyTokenBody {
    /// The token.
    token: String,
}

/// Nothing: the token is good.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Verified {}

/// Verify a token
///
/// Checks signature and expiry, and neither `user_id` nor `ext_id` nor `token_type`.
#[utoipa::path(
    post,
    path = "/api/v2/jwt/verify_token/",
    tag = "Tokens",
    operation_id = "verify_token",
    request_body(content(
        (VerifyTokenBody = "application/json"),
        (VerifyTokenBody = "application/x-www-form-urlencoded"),
        (VerifyTokenBody = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "The token is good", body = Verified),
        (status = 401, description = "The token is not good"),
    ),
)]
pub async fn verify_token(State(app): State<App>, mut body: Body) -> Result<Json<Verified>> {
    let token = body.text("token").filter(|token| !token.is_empty());
    if token.is_none() {
        body.problem("token", ErrorCode::Required, "This field is required.");
    }
    body.finish()?;
    let verified = app.auth.verify_only(&token.unwrap_or_default(), app.core.clock.now());
    verified.map_err(|_| ApiError::unauthenticated(ErrorCode::TokenNotValid, "The token is invalid or expired."))?;
    Ok(Json(Verified {}))
}
