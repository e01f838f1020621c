//! One file per operation: its parameters, its place in the OpenAPI document, its handler.

pub mod admin;
pub mod docs;
pub mod health;
pub mod jwt;
pub mod pm;
pub mod user;

use crate::error::{ApiError, Result};
use axum::response::{IntoResponse as _, Response};
use http::header;
use serde::Serialize;

/// A page of a list, as Django REST framework wraps it (contract §1.1).
#[derive(Serialize, utoipa::ToSchema)]
pub struct PageBody<T> {
    /// Total results count.
    pub count: i64,
    /// Absolute address of the next page.
    #[schema(format = "uri")]
    pub next: Option<String>,
    /// Absolute address of the previous page.
    #[schema(format = "uri")]
    pub previous: Option<String>,
    /// The rows.
    pub results: Vec<T>,
}

/// Bytes of a list's row, about, so that an answer is written into one buffer that does not grow.
const ROW_BYTES: usize = 2_560;

impl<T: Serialize> PageBody<T> {
    /// The page as an answer.
    fn answer(&self) -> Result<Response> {
        let mut body = Vec::with_capacity(512 + self.results.len() * ROW_BYTES);
        serde_json::to_writer(&mut body, self).map_err(ApiError::fault)?;
        Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
    }
}

impl<T> PageBody<T> {
    fn new(count: i64, links: crate::links::Links, results: Vec<T>) -> Self {
        Self { count, next: links.next, previous: links.previous, results }
    }
}
