use crate::app::App;
use crate::error::{ApiError, Result};
use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use parlour_core::Caller;
use parlour_core::access::admit_messages;
use parlour_core::directory;
use parlour_types::ErrorCode;

/// The bearer token of a request, if its `Authorization` header has that form.
pub(crate) fn bearer(parts: &Parts) -> Result<&str> {
    let missing =
        || ApiError::unauthenticated(ErrorCode::NotAuthenticated, "Authentication credentials were not provided.");
    let header = parts.headers.get(AUTHORIZATION).ok_or_else(missing)?;
    let (scheme, token) = header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(missing)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(missing()) }
}

/// Whom a token names, created where the community wants that.
pub(crate) async fn caller_of(app: &App, token: &str) -> Result<Caller> {
    let claims = app
        .auth
        .verify(token, app.core.clock.now())
        .map_err(|_| ApiError::unauthenticated(ErrorCode::TokenNotValid, "The token is invalid or expired."))?;
    if app.auth.provisions() && !directory::user_exists(&app.core, claims.user_id).await? {
        directory::provision(&app.core, claims.as_provision()).await?;
    }
    Ok(Caller { user_id: claims.user_id })
}

/// Where all operations of private messages are, which a community may switch off.
const PRIVATE_MESSAGES: &str = "/api/v2/pm/";

/// A handler that takes a [`CallerFrom`] is for signed-in members; one without is public by visible choice.
pub struct CallerFrom(pub Caller);

impl FromRequestParts<App> for CallerFrom {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let caller = caller_of(app, bearer(parts)?).await?;
        // Every operation asks here who calls.
        if parts.uri.path().starts_with(PRIVATE_MESSAGES) {
            admit_messages(&app.core.rules)?;
        }
        Ok(Self(caller))
    }
}
