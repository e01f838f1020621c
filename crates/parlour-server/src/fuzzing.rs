//! The doors through which the fuzz targets (`fuzz/`) reach what only HTTP and the command line reach otherwise. There in the fuzzer's
//! build alone; nothing but passing on is done here.

pub use crate::extract::{Body, Query};
pub use crate::import_format::Line;

use crate::error::Result;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, header};
use parlour_core::FieldProblem;

/// A query string.
#[must_use]
pub fn query(text: &str) -> Query {
    Query::parse(text)
}

/// A body of this content type.
///
/// # Errors
/// What a request with this body would be answered.
pub fn body(content_type: &'static str, bytes: &[u8]) -> Result<Body> {
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))]);
    let parsed = Body::of(&headers, Bytes::copy_from_slice(bytes)).now_or_never();
    parsed.expect("a body in memory is never waited for")
}

/// The numbers of a cursor.
#[must_use]
pub fn cursor<const N: usize>(text: &str, offset: i64) -> Option<[i64; N]> {
    crate::links::cursor_numbers(text, offset)
}

/// A line of an import.
///
/// # Errors
/// What is wrong with it.
pub fn import_line(line: &[u8]) -> Result<Line, FieldProblem> {
    crate::import_format::parse_line(line)
}
