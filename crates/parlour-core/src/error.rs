//! Why a use case said no.

use crate::limits::Allowance;
use parlour_store::StoreError;
use parlour_types::ErrorCode;
use parlour_types::text::TextProblem;
use std::borrow::Cow;

/// What is wrong with one field of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldProblem {
    /// The field's name, as the caller wrote it.
    pub field: Cow<'static, str>,
    /// What kind of problem.
    pub code: ErrorCode,
    /// The same in words; never contains what was sent.
    pub message: Cow<'static, str>,
}

impl FieldProblem {
    /// A problem with `field`.
    #[must_use]
    pub fn new(field: impl Into<Cow<'static, str>>, code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), code, message: message.into() }
    }

    /// A text in `field` that cannot be a message.
    #[must_use]
    pub(crate) fn text(field: &'static str, problem: TextProblem) -> Self {
        match problem {
            TextProblem::Blank => Self::new(field, ErrorCode::Blank, "This field may not be blank."),
            TextProblem::Nul => Self::new(field, ErrorCode::Invalid, "Null characters are not allowed."),
            TextProblem::TooLong { limit } => {
                Self::new(field, ErrorCode::MaxLength, format!("At most {limit} characters."))
            }
        }
    }
}

/// Why a use case said no. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is not well formed: at least one field is wrong.
    #[error("{} field(s) of the request are invalid", .0.len())]
    Invalid(Vec<FieldProblem>),
    /// The credentials name nobody.
    #[error("the token's user is unknown or deleted")]
    UnknownCaller,
    /// The caller may not do this.
    #[error("{0}")]
    Forbidden(&'static str),
    /// There is nothing that the caller may see.
    #[error("not found")]
    NotFound,
    /// The caller does this too often.
    #[error("more {} than allowed", .0.action.as_str())]
    TooOften(Allowance),
    /// The idempotency key was used with another body.
    #[error("the idempotency key was used before with another body")]
    KeyReused,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Error {
    /// One wrong field.
    #[must_use]
    pub fn field(field: impl Into<Cow<'static, str>>, code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self::Invalid(vec![FieldProblem::new(field, code, message)])
    }
}

/// What a use case answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Lets an answer go out although a side effect of it could not be stored for now. `consequence` says what that means.
pub(crate) fn unless_transient<T>(stored: Result<T, StoreError>, consequence: &'static str) -> Result<(), StoreError> {
    match stored {
        Err(error) if error.is_transient() => {
            tracing::warn!(%error, consequence, "a side effect was not stored");
            Ok(())
        }
        other => other.map(drop),
    }
}
