//! One file per operation: its parameters, its place in the OpenAPI document, its handler.

pub mod admin;
pub mod docs;
pub mod events;
pub mod health;
pub mod home;
pub mod jwt;
pub mod media;
pub mod notification;
pub mod platform;
pub mod pm;
pub mod user;

use crate::error::{ApiError, Result};
use crate::gather::Gathered;
use crate::links::Links;
use axum::response::{IntoResponse as _, Response};
use http::header;
use parlour_core::RowsPage;
use parlour_types::view::LinkMaker;
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

/// A page of messages or conversations as an answer: a [`PageBody`] whose rows are ready.
fn rows_answer(page: RowsPage, link: LinkMaker<'_>, links: Links) -> Result<Response> {
    let empty: PageBody<()> = PageBody::new(page.count, links, Vec::new());
    let around = serde_json::to_vec(&empty).map_err(ApiError::fault)?;
    // The rows go between the brackets of the empty list at the end.
    let (before, after) = around.split_at(around.len() - 2);
    Ok(Gathered::new(page, link, before, after).into_response())
}

impl<T> PageBody<T> {
    fn new(count: i64, links: Links, results: Vec<T>) -> Self {
        Self { count, next: links.next, previous: links.previous, results }
    }
}
