use super::caller::bearer;
use crate::app::App;
use crate::error::{ApiError, Result};
use axum::extract::FromRequestParts;
use http::request::Parts;
use parlour_types::ErrorCode;

/// The proof that the request comes from the community's own backend: it carries the admin key.
pub struct AdminKey;

impl FromRequestParts<App> for AdminKey {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        if app.auth.is_admin_key(bearer(parts)?) {
            Ok(Self)
        } else {
            Err(ApiError::unauthenticated(ErrorCode::TokenNotValid, "The admin key is wrong."))
        }
    }
}
