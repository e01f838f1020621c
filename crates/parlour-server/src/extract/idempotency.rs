use crate::error::ApiError;
use axum::extract::FromRequestParts;
use http::request::Parts;
use parlour_core::messages::IdempotencyKey;
use parlour_types::ErrorCode;

/// The name of the header.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The caller's name for this request, from the `Idempotency-Key` header.
pub struct Idempotency(pub Option<IdempotencyKey>);

impl<S: Sync> FromRequestParts<S> for Idempotency {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let wrong = |code, message: &'static str| ApiError::field("Idempotency-Key", code, message);
        let mut keys = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(key) = keys.next() else { return Ok(Self(None)) };
        if keys.next().is_some() {
            return Err(wrong(ErrorCode::Repeated, "Give this header once."));
        }
        let key = key.to_str().map_err(|_| "Must be 1 to 255 visible ASCII characters.").and_then(IdempotencyKey::new);
        key.map(|key| Self(Some(key))).map_err(|message| wrong(ErrorCode::Invalid, message))
    }
}
