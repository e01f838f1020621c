//! Pages of a list, as `limit` and `offset` cut them (contract §1.1).

/// Which part of a list is asked for: `limit` rows after skipping `offset`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// At most this many rows, 1 or more.
    pub limit: i64,
    /// Rows to skip, 0 or more.
    pub offset: i64,
}

/// Rows of a page together with the size of the whole list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page<T> {
    /// Rows in the whole list, whatever the page.
    pub count: i64,
    /// The rows of this page, in the list's order.
    pub rows: Vec<T>,
}
