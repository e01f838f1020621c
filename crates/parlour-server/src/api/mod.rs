//! One file per operation: its parameters, its place in the OpenAPI document, its handler.

pub mod admin;
pub mod docs;
pub mod health;
pub mod jwt;
pub mod pm;
pub mod user;

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

impl<T> PageBody<T> {
    fn new(count: i64, links: crate::links::Links, results: Vec<T>) -> Self {
        Self { count, next: links.next, previous: links.previous, results }
    }
}
