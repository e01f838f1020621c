//! What one viewer may see, as JSON: one shape per noun (contract §3).

mod message;
mod notification;
mod rows;
mod snippet;
mod user;

pub use message::{File, LinkMaker, Message, MessageContext, ThreadStatus};
pub use notification::{Notification, NotificationAggregate, NotificationType};
pub use rows::{MessagePage, Piece, Rows};
pub use snippet::Snippet;
pub use user::{ConnectionStatus, Me, Permission, User, UserWithAccess, Waiting};

use serde_json::value::RawValue;
use std::sync::Arc;

/// A [`User`] that is already JSON. Users are rendered once per change and spliced into every row that shows them.
#[derive(Clone, Debug)]
pub struct UserJson(Arc<RawValue>);

impl UserJson {
    /// Renders `user`.
    #[must_use]
    pub fn render(user: &User<'_>) -> Self {
        let raw = serde_json::value::to_raw_value(user).expect("a user has string keys and finite numbers only");
        Self(Arc::from(raw))
    }

    /// Takes a rendering back from where it was kept; `None` unless it is JSON.
    #[must_use]
    pub fn kept(json: String) -> Option<Self> {
        RawValue::from_string(json).ok().map(|raw| Self(Arc::from(raw)))
    }

    /// The rendering, to be kept.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// How many bytes it takes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.0.get().len()
    }
}

impl serde::Serialize for UserJson {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::serialize(&self.0, serializer)
    }
}
