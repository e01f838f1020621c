//! How far a long piece of work is, told to whoever started it.

use std::sync::Arc;

/// How far a long piece of work is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// What is being done.
    pub step: &'static str,
    /// How much of it is done.
    pub done: u64,
    /// Out of how much; 0 when that is not known.
    pub total: u64,
}

/// Told every now and then.
pub type Watch = Arc<dyn Fn(Progress) + Send + Sync>;
