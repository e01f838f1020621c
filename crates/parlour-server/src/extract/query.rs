use super::form::{MAX_FIELDS, decode_pairs};
use crate::error::{ApiError, Result};
use axum::extract::FromRequestParts;
use http::request::Parts;
use parlour_core::FieldProblem;
use parlour_types::ErrorCode;
use parlour_types::id::MAX_ID;
use std::convert::Infallible;

/// The query string, read field by field. Problems are gathered, and [`Query::finish`] reports them all.
///
/// What the official SDK's `URLSearchParams` makes of an absent value counts as absent: the empty text, `undefined` and `null`
/// (contract §1.1, odd query strings).
pub struct Query {
    pairs: Vec<(String, String)>,
    problems: Vec<FieldProblem>,
}

impl Query {
    pub(crate) fn parse(query: &str) -> Self {
        let mut problems = Vec::new();
        let mut pairs = decode_pairs(query.as_bytes(), &mut problems);
        if pairs.len() > MAX_FIELDS {
            problems.push(FieldProblem::new("query", ErrorCode::TooMany, "At most 1000 parameters."));
        }
        pairs.retain(|(_, value)| !matches!(value.as_str(), "" | "undefined" | "null"));
        Self { pairs, problems }
    }

    /// The text given for `name`.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        let mut values = self.pairs.iter().filter(|(key, _)| key == name);
        let first = values.next().map(|(_, value)| value.clone());
        if values.next().is_some() {
            self.problem(name, ErrorCode::Repeated, "Give this parameter once.");
            return None;
        }
        first
    }

    /// The whole number given for `name`, from `min` to 2^53 − 1.
    pub fn int(&mut self, name: &'static str, min: i64) -> Option<i64> {
        let text = self.text(name)?;
        match parse_int(&text, min) {
            Ok(value) => Some(value),
            Err((code, message)) => {
                self.problem(name, code, message);
                None
            }
        }
    }

    /// The id given for `name`.
    pub fn id<T: TryFrom<i64>>(&mut self, name: &'static str) -> Option<T> {
        self.int(name, 1).and_then(|value| T::try_from(value).ok())
    }

    /// The ids given for `name`, separated by commas: 1 to `most`, each once.
    pub fn ids<T: TryFrom<i64> + PartialEq>(&mut self, name: &'static str, most: usize) -> Vec<T> {
        let Some(text) = self.text(name) else {
            self.problem(name, ErrorCode::Required, "This parameter is required.");
            return Vec::new();
        };
        let mut ids = Vec::new();
        for text in text.split(',') {
            match parse_int(text, 1).map(T::try_from) {
                Ok(Ok(id)) if ids.contains(&id) => {}
                Ok(Ok(id)) if ids.len() < most => ids.push(id),
                Ok(_) => {
                    self.problem(name, ErrorCode::TooMany, format!("At most {most} ids."));
                    break;
                }
                Err((code, message)) => {
                    self.problem(name, code, message);
                    break;
                }
            }
        }
        ids
    }

    /// Whether `name` is given with anything but `0` or `false`.
    pub fn flag(&mut self, name: &'static str) -> bool {
        self.text(name).is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// Notes a problem with `name`.
    pub fn problem(&mut self, name: &'static str, code: ErrorCode, message: impl Into<std::borrow::Cow<'static, str>>) {
        self.problems.push(FieldProblem::new(name, code, message));
    }

    /// # Errors
    /// Every problem met so far.
    pub fn finish(self) -> Result<()> {
        if self.problems.is_empty() { Ok(()) } else { Err(ApiError::invalid(self.problems)) }
    }
}

/// A whole number from `min` to 2^53 − 1, or what is wrong with the text.
pub(super) fn parse_int(text: &str, min: i64) -> Result<i64, (ErrorCode, String)> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err((ErrorCode::Invalid, "A valid integer is required.".into()));
    }
    match text.parse::<i64>() {
        Ok(value) if (min..=MAX_ID).contains(&value) => Ok(value),
        _ => Err((ErrorCode::OutOfRange, format!("Must be an integer from {min} to {MAX_ID}."))),
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}
