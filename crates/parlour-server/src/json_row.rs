//! One JSON object of many, such as a row of a bulk request or a line of an import: typed, or the field that is wrong.

use parlour_core::FieldProblem;
use parlour_types::model::UserChange;
use parlour_types::{ErrorCode, UserId};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads a row. The problem names the field, and is empty for the row itself; it never repeats what the row holds.
pub(crate) fn parse_row<T: DeserializeOwned>(row: Value) -> Result<T, FieldProblem> {
    serde_path_to_error::deserialize(row).map_err(|error| {
        let words = error.inner().to_string();
        let quoted = || words.split('`').nth(1).unwrap_or_default().to_owned();
        if words.starts_with("missing field") {
            return FieldProblem::new(quoted(), ErrorCode::Required, "This field is required.");
        }
        if words.starts_with("unknown field") {
            return FieldProblem::new(quoted(), ErrorCode::Invalid, "There is no such field.");
        }
        let path = error.path().to_string();
        let field = if path == "." { String::new() } else { path };
        // serde's own words quote the value; only those that Parlour wrote itself may pass.
        let message = if words.starts_with("must be") {
            format!("It {words}.")
        } else {
            "It has the wrong type or value.".into()
        };
        FieldProblem::new(field, ErrorCode::Invalid, message)
    })
}

/// Reads a user's row: an `id`, if there is one, and the fields given.
pub(crate) fn parse_user(row: Value) -> Result<(Option<UserId>, UserChange), FieldProblem> {
    let Value::Object(mut row) = row else {
        return Err(FieldProblem::new("", ErrorCode::Invalid, "An object is required."));
    };
    let id = match row.remove("id") {
        None | Some(Value::Null) => None,
        Some(id) => Some(serde_json::from_value(id).map_err(|_| {
            FieldProblem::new("id", ErrorCode::OutOfRange, "Must be an integer from 1 to 9007199254740991.")
        })?),
    };
    Ok((id, parse_row(Value::Object(row))?))
}
