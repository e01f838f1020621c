use crate::app::App;
use crate::error::Result;
use crate::extract::{CallerFrom, Query};
use crate::links::BaseUrl;
use crate::live::{Door, Reader, StreamEvent, events_of};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use parlour_core::live::{MAX_EVENTS, read_feed};
use parlour_types::{ErrorCode, EventCursor};
use serde::Serialize;
use std::time::Duration;

/// Events of one answer unless the caller says otherwise.
const DEFAULT_LIMIT: usize = 100;

/// How long a request waits for something to happen at the most.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(60);

/// Bytes of text after which an answer ends, as `is_at_end` then says.
const ANSWER_TEXT: usize = 512 * 1024;

/// Where to go on, and how far.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the parameters for the OpenAPI document")]
pub struct ListEventsQuery {
    /// The cursor of the last answer or event. Without it no events are answered, and the cursor of now.
    after: Option<String>,
    /// Events at the most. More than 256 gives 256, and long texts give fewer, as `is_at_end` then says.
    #[param(minimum = 1, maximum = 9007199254740991_i64, default = 100)]
    limit: Option<i64>,
    /// Seconds to wait for the next event when there is none; the community may allow less.
    #[param(minimum = 0, maximum = 60, default = 0)]
    wait: Option<i64>,
}

/// What happened to the caller.
#[derive(Serialize, utoipa::ToSchema)]
pub struct EventsBody<'a> {
    /// Where to go on: `after` of the next request.
    #[schema(value_type = String, example = "7-12-9f86d081")]
    pub cursor: EventCursor,
    /// What happened, oldest first.
    pub events: Vec<StreamEvent<'a>>,
    /// Whether there is nothing more for now.
    pub is_at_end: bool,
}

/// List events
///
/// What happened to the caller after a cursor, in order and without a gap, however long ago that was. To begin, ask without a cursor, keep the
/// one that is answered, fetch threads and messages, and go on from it. Where events were missed for good, because they are older than the
/// log is kept or the database was restored, the only event is `reload`. A cursor that the server says is invalid is of no more use: begin anew.
#[utoipa::path(
    get,
    path = "/api/v2/events/",
    tag = "Events",
    operation_id = "list_events",
    params(ListEventsQuery),
    responses((status = 200, description = "What happened", body = EventsBody)),
    security(("token" = [])),
)]
pub async fn list_events(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    BaseUrl(base): BaseUrl,
    mut query: Query,
) -> Result<Response> {
    let after = after(&mut query);
    let limit = limit(&mut query);
    let wait = wait(&mut query).min(app.config.live.max_wait.get());
    query.finish()?;
    let mut feed = read_feed(&app.core, caller, after, limit).await?;
    if feed.events.is_empty() && feed.is_at_end && !feed.is_gone && !wait.is_zero() {
        let mut reader = Reader::begin(&app, caller, &base, (Door::Poll, Some(feed.cursor))).await?;
        // Whatever ends the waiting: the log says what happened until then.
        let _ = tokio::time::timeout(wait, reader.next()).await;
        feed = read_feed(&app.core, caller, Some(feed.cursor), limit).await?;
    }
    feed.cut(ANSWER_TEXT);
    let link = app.message_links(&base, caller);
    let events = events_of(&app, &feed, &link);
    Ok(Json(EventsBody { cursor: feed.cursor, events, is_at_end: feed.is_at_end }).into_response())
}

/// The cursor given as `after`.
pub(crate) fn after(query: &mut Query) -> Option<EventCursor> {
    let text = query.text("after")?;
    let cursor = text.parse().ok();
    if cursor.is_none() {
        query.problem("after", ErrorCode::Invalid, "Take it from an earlier answer or event.");
    }
    cursor
}

fn wait(query: &mut Query) -> Duration {
    let seconds = query.int("wait", 0).unwrap_or(0);
    if seconds > MAX_WAIT.as_secs().cast_signed() {
        query.problem("wait", ErrorCode::OutOfRange, "At most 60 seconds.");
    }
    Duration::from_secs(seconds.cast_unsigned())
}

fn limit(query: &mut Query) -> usize {
    let given = query.int("limit", 1).map(|limit| usize::try_from(limit).unwrap_or(MAX_EVENTS));
    given.unwrap_or(DEFAULT_LIMIT).min(MAX_EVENTS)
}
