//! What every handler shares.

use crate::auth::Auth;
use crate::config::Config;
use crate::links::PublicUrl;
use crate::metrics::Metrics;
use parlour_core::Core;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The application, shared by every request.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts of an [`App`].
pub struct Parts {
    /// The rules and the data.
    pub core: Core,
    /// Tokens.
    pub auth: Auth,
    /// Where the server stands, as its clients see it.
    pub public_url: PublicUrl,
    /// The configuration.
    pub config: Config,
    /// What is counted for the operator, if anybody asks.
    pub metrics: Option<Metrics>,
    /// Whether the server is stopping, so that it is no longer ready.
    pub draining: AtomicBool,
}

impl App {
    /// Shares the parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for App {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}
