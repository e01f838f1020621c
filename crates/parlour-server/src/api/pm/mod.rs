//! Private messages (contract §2).

mod count_unread;
mod delete_message;
mod delete_thread;
mod get_message;
mod get_presence;
mod get_receipts;
mod get_thread;
mod list_snippets;
mod mark_seen;
mod search_recipients;
mod send_message;
mod send_typing;
mod upload_media;

pub use count_unread::*;
pub use delete_message::*;
pub use delete_thread::*;
pub use get_message::*;
pub use get_presence::*;
pub use get_receipts::*;
pub use get_thread::*;
pub use mark_seen::*;
pub use search_recipients::*;
pub use send_message::*;
pub use send_typing::*;
pub use upload_media::*;

use crate::error::{ApiError, Result};
use crate::extract::{Body, Query};
use http::StatusCode;
use parlour_core::threads::ThreadRef;
use parlour_types::{ErrorCode, UserId};

/// Which thread is meant: one of the three.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the parameters for the OpenAPI document")]
pub struct ThreadSelector {
    /// The id of the thread.
    #[param(minimum = 1, maximum = 9007199254740991_i64)]
    thread: Option<i64>,
    /// The id of the other participant.
    #[param(minimum = 1, maximum = 9007199254740991_i64)]
    user: Option<i64>,
    /// The id of a group; group conversations are switched off, so it answers 403.
    #[param(minimum = 1, maximum = 9007199254740991_i64)]
    group: Option<i64>,
}

/// Reads `thread`, `user` and `group`. The first given counts, in this order (contract §2.3).
fn thread_ref(query: &mut Query) -> Option<Selector> {
    let thread = query.id("thread").map(ThreadRef::Thread);
    let user = query.id::<UserId>("user").map(ThreadRef::User);
    let group = query.id::<UserId>("group").map(|_| Selector::Group);
    thread.or(user).map(Selector::Thread).or(group)
}

/// Reads `thread` and `user` of a body. The first given counts.
fn thread_in(body: &mut Body) -> Option<ThreadRef> {
    let thread = body.id("thread").map(ThreadRef::Thread);
    let user = body.id("user").map(ThreadRef::User);
    let thread = thread.or(user);
    if thread.is_none() {
        body.problem("thread", ErrorCode::Required, "Give one of thread and user.");
    }
    thread
}

/// What a request selects.
enum Selector {
    Thread(ThreadRef),
    Group,
}

impl Selector {
    /// The one-to-one thread selected.
    fn thread(self) -> Result<ThreadRef> {
        match self {
            Self::Thread(thread) => Ok(thread),
            Self::Group => Err(groups_are_off()),
        }
    }
}

/// Group conversations are a feature of the platform that is switched off here (contract §2.3, features off).
fn groups_are_off() -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, ErrorCode::PermissionDenied, "Group conversations are switched off.")
}
