//! The community's own backend keeps Parlour in step: users and follows in bulk, under the admin key.

mod upsert_follows;
mod upsert_users;

pub use upsert_follows::*;
pub use upsert_users::*;

use crate::app::App;
use crate::error::{ApiError, Result};
use crate::extract::{essence, read_whole};
use crate::json_row::parse_strict;
use axum::extract::Request;
use http::StatusCode;
use parlour_core::FieldProblem;
use parlour_types::ErrorCode;
use serde_json::Value;

/// The rows of a bulk body `{"<name>": [...]}`, in JSON alone. A row that is not well formed is reported as `<name>[3]`.
async fn rows<T>(
    app: &App,
    request: Request,
    name: &'static str,
    parse: impl Fn(Value) -> Result<T, FieldProblem>,
) -> Result<Vec<T>> {
    if essence(request.headers()).as_deref() != Some("application/json") {
        let message = "Send application/json.";
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorCode::UnsupportedMediaType, message));
    }
    let bytes = read_whole(request, app).await?;
    let body = parse_strict(&bytes)
        .map_err(|message| ApiError::new(StatusCode::BAD_REQUEST, ErrorCode::ParseError, message))?;
    let Value::Object(mut body) = body else {
        return Err(ApiError::field(name, ErrorCode::Required, "This field is required."));
    };
    let Some(rows) = body.remove(name) else {
        return Err(ApiError::field(name, ErrorCode::Required, "This field is required."));
    };
    if let Some((unknown, _)) = body.into_iter().next() {
        return Err(ApiError::field(unknown, ErrorCode::Invalid, "There is no such field."));
    }
    let Value::Array(rows) = rows else { return Err(ApiError::field(name, ErrorCode::Invalid, "A list is required.")) };
    let limit = app.core.rules.max_bulk_rows;
    if rows.len() > limit {
        return Err(ApiError::field(name, ErrorCode::TooMany, format!("At most {limit} rows in one request.")));
    }
    let mut parsed = Vec::with_capacity(rows.len());
    let mut problems = Vec::new();
    for (index, row) in rows.into_iter().enumerate() {
        let within = |problem: FieldProblem| {
            let field = if problem.field.is_empty() {
                format!("{name}[{index}]")
            } else {
                format!("{name}[{index}].{}", problem.field)
            };
            FieldProblem { field: field.into(), ..problem }
        };
        match parse(row) {
            Ok(row) => parsed.push(row),
            Err(problem) => problems.push(within(problem)),
        }
    }
    if problems.is_empty() { Ok(parsed) } else { Err(ApiError::invalid(problems)) }
}
