//! The doors through which the fuzz targets (`fuzz/`) reach what only HTTP and the command line reach otherwise. There in the fuzzer's
//! build alone; nothing but passing on is done here.

pub use crate::extract::{Body, Query, SpooledFile, UploadForm};
pub use crate::import_format::Line;

use crate::error::Result;
use crate::extract::{UploadBounds, read_upload};
use axum::extract::Request;
use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use http::{HeaderMap, HeaderValue, header};
use parlour_core::FieldProblem;
use std::convert::Infallible;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

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

/// Bytes that the file of an [`upload`] may have.
pub const MAX_FILE: u64 = 1000;

/// The body of an upload that arrives in these frames.
///
/// # Errors
/// What a request with this body would be answered.
pub fn upload(content_type: &'static str, frames: Vec<Bytes>) -> Result<UploadForm> {
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime needs nothing"));
    let frames = stream::iter(frames.into_iter().map(Ok::<_, Infallible>));
    let mut request = Request::new(axum::body::Body::from_stream(frames));
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    let bounds = UploadBounds { max_file: MAX_FILE, max_body: 1 << 20, timeout: Duration::from_secs(60) };
    RUNTIME.block_on(read_upload(request, &std::env::temp_dir(), bounds))
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
