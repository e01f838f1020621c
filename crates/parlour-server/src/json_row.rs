//! One JSON object of many, such as a row of a bulk request or a line of an import: typed, or the field that is wrong.

use parlour_core::FieldProblem;
use parlour_types::model::UserChange;
use parlour_types::{ErrorCode, UserId};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::cell::Cell;
use std::fmt;

/// JSON in which no object has a key twice, at any depth: of two values for one key, one would be lost in silence.
///
/// # Errors
/// What is wrong and where, without a word of what the text holds.
pub(crate) fn parse_strict(bytes: &[u8]) -> Result<Value, String> {
    let repeated = Cell::new(false);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { repeated: &repeated }.deserialize(&mut deserializer);
    value.and_then(|value| deserializer.end().map(|()| value)).map_err(|error| {
        let what = if repeated.get() { "A key is given twice" } else { "Not valid JSON in UTF-8" };
        format!("{what}, at line {} column {}.", error.line(), error.column())
    })
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    repeated: &'a Cell<bool>,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(self)? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = serde_json::Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if object.contains_key(&key) {
                self.repeated.set(true);
                return Err(serde::de::Error::custom("repeated key"));
            }
            object.insert(key, map.next_value_seed(self)?);
        }
        Ok(object.into())
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_json_is_json_without_a_key_given_twice() {
        let text = r#"{"a":[1,-2,3.5,true,null,{"b":"x","c":{}}],"b":18446744073709551615}"#;
        assert_eq!(parse_strict(text.as_bytes()), Ok(serde_json::from_str(text).unwrap()));
        assert_eq!(parse_strict(br#"{"a":[{"b":1,"b":2}]}"#), Err("A key is given twice, at line 1 column 16.".into()));
        assert_eq!(parse_strict(b"{} x"), Err("Not valid JSON in UTF-8, at line 1 column 4.".into()));
        assert!(parse_strict(b"{\"a\":\"\xff\"}").is_err());
        assert!(parse_strict("[".repeat(10_000).as_bytes()).is_err());
    }
}
