use super::list_snippets::list_snippets;
use super::{Selector, ThreadSelector, thread_ref};
use crate::api::{PageBody, rows_answer};
use crate::app::App;
use crate::error::Result;
use crate::extract::{CallerFrom, PageQuery, Query, page_query};
use crate::links::ListUrl;
use axum::extract::State;
use axum::response::Response;
use parlour_core::IdRange;
use parlour_core::threads;
use parlour_core::threads::ThreadRef;
use parlour_types::view::{Message, Snippet};
use parlour_types::{ErrorCode, MessageId};

/// Which part of a thread is asked for.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the parameters for the OpenAPI document")]
pub struct ThreadRange {
    /// Return all messages before this id of the message (excluded before_message).
    #[param(minimum = 1, maximum = 9007199254740991_i64)]
    before_message: Option<i64>,
    /// Return all messages from this id of the message (included from_message).
    #[param(minimum = 1, maximum = 9007199254740991_i64)]
    from_message: Option<i64>,
    /// Where a list of conversations goes on; only as it stands in a `next` link.
    cursor: Option<String>,
}

/// What `GET /api/v2/pm/` answers: the messages of one thread, or the list of conversations.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum ThreadOrSnippets<'a> {
    /// With `thread`, `user` or `group`.
    Thread(PageBody<Message<'a>>),
    /// Without any of them.
    Snippets(PageBody<Snippet<'a>>),
}

/// Get a thread, or list the conversations
///
/// With `thread` or `user`: the messages of that thread. Page 1 holds the newest, each page lists the oldest of its messages first,
/// and `next` leads to older ones; `offset` counts from the newest. `before_message` and `from_message` narrow the thread first.
/// The whole thread counts as seen by the caller afterwards. A user with whom there is no thread yet gives an empty page.
///
/// Without a selector: the caller's conversations, latest activity first. Nothing is marked as seen.
#[utoipa::path(
    get,
    path = "/api/v2/pm/",
    tag = "Private messages",
    operation_id = "get_thread",
    params(ThreadSelector, ThreadRange, PageQuery),
    responses(
        (status = 200, description = "A page of messages, or of conversations", body = ThreadOrSnippets),
        (status = 403, description = "`group`: group conversations are switched off"),
        (status = 404, description = "No such thread or user, or a thread of others"),
    ),
    security(("token" = [])),
)]
pub async fn get_thread(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    url: ListUrl,
    mut query: Query,
) -> Result<Response> {
    let window = page_query(&app, &mut query);
    let range = IdRange { before: query.id("before_message"), from: query.id("from_message") };
    let Some(selector) = thread_ref(&mut query) else {
        for (name, given) in [("before_message", range.before), ("from_message", range.from)] {
            if given.is_some() {
                query.problem(name, ErrorCode::Invalid, "Needs thread or user beside it.");
            }
        }
        return list_snippets(&app, caller, &url, query, window).await;
    };
    query.finish()?;
    let thread = match selector {
        Selector::Thread(thread) => thread,
        Selector::Group => return Err(super::groups_are_off()),
    };
    let page = threads::get_thread(&app.core, caller, thread, range, window).await?;
    let more = window.offset.saturating_add(window.limit) < page.count;
    let link = app.message_links(url.base(), caller);
    rows_answer(page, &link, url.links(&kept(thread, range), window, more, None))
}

/// The parameters that the links to other pages keep.
fn kept(thread: ThreadRef, range: IdRange) -> Vec<(&'static str, String)> {
    let (name, id) = match thread {
        ThreadRef::Thread(id) => ("thread", id.get()),
        ThreadRef::User(id) => ("user", id.get()),
    };
    let mut kept = vec![(name, id.to_string())];
    let mut keep = |name, id: Option<MessageId>| kept.extend(id.map(|id| (name, id.to_string())));
    keep("before_message", range.before);
    keep("from_message", range.from);
    kept
}
