use super::query::parse_int;
use crate::error::ApiError;
use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;

/// The `{id}` of the address.
pub struct PathId<T>(pub T);

impl<T: TryFrom<i64>, S: Send + Sync> FromRequestParts<S> for PathId<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| ApiError::not_found())?;
        let text = params.iter().find(|(name, _)| *name == "id").map(|(_, value)| value.to_owned()).unwrap_or_default();
        let value = parse_int(&text, 1).map_err(|(code, message)| ApiError::field("id", code, message))?;
        T::try_from(value).map(PathId).map_err(|_| ApiError::not_found())
    }
}

/// A user in the address.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes the parameter for the OpenAPI document; PathId reads it")]
pub struct UserPath {
    /// The user's id.
    #[param(minimum = 1, maximum = 9007199254740991_i64)]
    id: i64,
}

/// The caller in the address.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes the parameter for the OpenAPI document; PathId reads it")]
pub struct OwnPath {
    /// The caller's own id.
    #[param(minimum = 1, maximum = 9007199254740991_i64)]
    id: i64,
}
