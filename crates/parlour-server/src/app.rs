//! What every handler shares.

use crate::api::home::DemoMember;
use crate::api::platform::Platform;
use crate::auth::Auth;
use crate::config::Config;
use crate::links::PublicUrl;
use crate::live::{Hub, Signals};
use crate::media::MediaLinks;
use crate::metrics::Metrics;
use parlour_core::{Caller, Core};
use parlour_types::MessageId;
use parlour_types::model::{FileLink, LinkSubject, Purpose};
use std::ops::Deref;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

/// What the addresses of files begin with; their last segment is the token.
const FILES: &str = "/media/pm/";

/// The application, shared by every request.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts of an [`App`].
pub struct Parts {
    /// The rules and the data.
    pub core: Core,
    /// Tokens.
    pub auth: Auth,
    /// Links to files.
    pub links: MediaLinks,
    /// Where the server stands, as its clients see it.
    pub public_url: PublicUrl,
    /// The configuration.
    pub config: Config,
    /// What the official UI is told about the community.
    pub platform: Platform,
    /// Who is connected.
    pub hub: Hub,
    /// What is told and never stored.
    pub signals: Signals,
    /// What is counted for the operator, if anybody asks.
    pub metrics: Option<Metrics>,
    /// Whose tokens the first page shows to anybody: of a demo alone.
    pub demo: OnceLock<Vec<DemoMember>>,
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

impl App {
    /// The address that opens a file, below the client's own for the server.
    #[must_use]
    pub fn file_link(&self, base: &str, link: FileLink) -> String {
        format!("{base}{FILES}{}", self.links.sign(&link, self.core.clock.now()))
    }

    /// Makes the addresses that open the files of messages for `caller`.
    pub fn message_links<'a>(&'a self, base: &'a str, caller: Caller) -> impl Fn(MessageId, Purpose) -> String + 'a {
        move |message, purpose| {
            let subject = LinkSubject::Message(message);
            self.file_link(base, FileLink { viewer: caller.user_id, subject, purpose })
        }
    }
}

impl Deref for App {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}
