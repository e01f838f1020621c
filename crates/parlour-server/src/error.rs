//! The only place where a failure becomes an answer (contract §1.5).

use crate::rate_limit;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use parlour_core::limits::Allowance;
use parlour_core::{Error, FieldProblem};
use parlour_types::ErrorCode;
use serde::Serialize;
use std::borrow::Cow;

/// A request that ends without what it asked for.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    body: ErrorBody,
    /// What only the log may know.
    internal: Option<String>,
    /// Where the caller stands with the limit that refused the request.
    allowance: Option<Box<Allowance>>,
}

/// The body of every answer from 400 on. The official SDK reads `errors`; `detail` is the first message, as Django REST framework
/// gives it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Error)]
pub struct ErrorBody {
    /// What is wrong: one element a field, or one without a field.
    pub errors: Vec<ErrorItem>,
    /// The first message.
    pub detail: Cow<'static, str>,
}

/// One thing that is wrong.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum ErrorItem {
    /// A field of the request.
    Field {
        /// The field's name.
        field: Cow<'static, str>,
        /// What is wrong with it.
        messages: Vec<ErrorMessage>,
    },
    /// The request as a whole.
    Whole(ErrorMessage),
}

/// One reason.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ErrorMessage {
    /// The code, out of a closed list.
    pub code: ErrorCode,
    /// The same in words.
    pub message: Cow<'static, str>,
}

/// Problems that one answer names at the most: a body made of nothing but mistakes gets no answer of its own size.
const MAX_PROBLEMS: usize = 50;

/// What a handler answers.
pub type Result<T, E = ApiError> = std::result::Result<T, E>;

impl ApiError {
    /// A request that fails as a whole.
    #[must_use]
    pub fn new(status: StatusCode, code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        let body =
            ErrorBody { detail: message.clone(), errors: vec![ErrorItem::Whole(ErrorMessage { code, message })] };
        Self { status, body, internal: None, allowance: None }
    }

    /// A request with wrong fields, of which the first 50 are named.
    #[must_use]
    pub fn invalid(problems: Vec<FieldProblem>) -> Self {
        let detail = problems.first().map_or(Cow::Borrowed("Invalid input."), |problem| problem.message.clone());
        let mut errors: Vec<ErrorItem> = Vec::new();
        for problem in problems.into_iter().take(MAX_PROBLEMS) {
            let message = ErrorMessage { code: problem.code, message: problem.message };
            let same_field = errors.iter_mut().find_map(|item| match item {
                ErrorItem::Field { field, messages } if *field == problem.field => Some(messages),
                _ => None,
            });
            match same_field {
                Some(messages) => messages.push(message),
                None => errors.push(ErrorItem::Field { field: problem.field, messages: vec![message] }),
            }
        }
        Self { status: StatusCode::BAD_REQUEST, body: ErrorBody { errors, detail }, internal: None, allowance: None }
    }

    /// One wrong field.
    #[must_use]
    pub fn field(field: impl Into<Cow<'static, str>>, code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self::invalid(vec![FieldProblem::new(field, code, message)])
    }

    /// A fault of the server's; `internal` is for the log alone.
    #[must_use]
    pub fn fault(internal: impl std::fmt::Display) -> Self {
        let error =
            Self::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::InternalError, "The server made a mistake.");
        Self { internal: Some(internal.to_string()), ..error }
    }

    /// The server cannot take the request now; `internal` is for the log alone.
    #[must_use]
    pub fn unavailable(internal: impl std::fmt::Display) -> Self {
        let message = "The server cannot take this request right now. Try again in a moment.";
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, message);
        Self { internal: Some(internal.to_string()), ..error }
    }

    /// The same failure under another code.
    pub fn set_code(&mut self, code: ErrorCode) {
        for item in &mut self.body.errors {
            if let ErrorItem::Whole(message) = item {
                message.code = code;
            }
        }
    }

    /// No or no good credentials.
    #[must_use]
    pub fn unauthenticated(code: ErrorCode, message: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, message)
    }

    /// Too much of something that has a limit.
    #[must_use]
    pub fn too_often(allowance: Allowance) -> Self {
        let message = "You do this too often. Try again in a while.";
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::Throttled, message);
        Self { allowance: Some(Box::new(allowance)), ..error }
    }

    /// Nothing here that the caller may see.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorCode::NotFound, "Not found.")
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(problems) => Self::invalid(problems),
            Error::UnknownCaller => {
                Self::unauthenticated(ErrorCode::AuthenticationFailed, "The token's user is unknown or deleted.")
            }
            Error::Forbidden(why) => Self::new(StatusCode::FORBIDDEN, ErrorCode::PermissionDenied, why),
            Error::NotFound => Self::not_found(),
            Error::TooOften(allowance) => Self::too_often(allowance),
            Error::KeyReused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                ErrorCode::IdempotencyKeyReused,
                "This Idempotency-Key was used before with another body.",
            ),
            Error::Store(error) if error.is_transient() => Self::unavailable(error),
            Error::Store(error) => Self::fault(error),
        }
    }
}

/// What only the log may know about an answer, carried beside it to the middleware that logs.
#[derive(Clone)]
pub struct InternalReason(pub String);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"api\""));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Some(allowance) = self.allowance {
            rate_limit::tell_refused(headers, &allowance);
        }
        if let Some(internal) = self.internal {
            response.extensions_mut().insert(InternalReason(internal));
        }
        response
    }
}
