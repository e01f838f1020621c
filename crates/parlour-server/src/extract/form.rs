//! `application/x-www-form-urlencoded`, as it stands in query strings and bodies.

use parlour_core::FieldProblem;
use parlour_types::ErrorCode;
use percent_encoding::percent_decode;
use std::borrow::Cow;

/// Fields that a query or a body may have.
pub(super) const MAX_FIELDS: usize = 1_000;

/// Decodes `a=b&c=d`, as far as [`MAX_FIELDS`] pairs. A pair that is not UTF-8 is left out and noted in `problems` under its name.
pub(super) fn decode_pairs(encoded: &[u8], problems: &mut Vec<FieldProblem>) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for pair in encoded.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).take(MAX_FIELDS + 1) {
        let equals = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let name = decode(&pair[..equals]);
        let value = decode(pair.get(equals + 1..).unwrap_or_default());
        match (std::str::from_utf8(&name), std::str::from_utf8(&value)) {
            (Ok(name), Ok(value)) => pairs.push((name.to_owned(), value.to_owned())),
            _ => {
                let printable = String::from_utf8_lossy(&name).into_owned();
                problems.push(FieldProblem::new(printable, ErrorCode::Invalid, "Must be valid UTF-8."));
            }
        }
    }
    pairs
}

fn decode(part: &[u8]) -> Cow<'_, [u8]> {
    if !part.iter().any(|byte| matches!(byte, b'+' | b'%')) {
        return Cow::Borrowed(part);
    }
    let spaced: Vec<u8> = part.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    Cow::Owned(percent_decode(&spaced).collect())
}
