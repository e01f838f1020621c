use super::after;
use crate::app::App;
use crate::error::{ApiError, Result};
use crate::extract::{CallerFrom, Query};
use crate::links::BaseUrl;
use crate::live::{Door, Ending, Frame, Next, Reader, StreamEvent};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::stream;
use http::{HeaderMap, header};
use parlour_types::ErrorCode;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::timeout;

/// A client that is told nothing for so long is told that nothing happened, so that it and whatever is in between know that the stream lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A comment, which clients pass over.
const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// What a client is told of how soon to come back, once its stream ends.
const RETRY: Bytes = Bytes::from_static(b"retry: 2000\n\n");

/// What a client is told that did not take what it was told.
const RESYNC: Bytes = Bytes::from_static(b"data: {\"type\":\"resync\"}\n\n");

/// Bytes that are handed on at once.
const PIECE: usize = 16 * 1024;

/// Where to go on.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the parameters for the OpenAPI document")]
pub struct StreamEventsQuery {
    /// The cursor of an earlier answer or event; without it, from now on. The `Last-Event-ID` header counts before it.
    after: Option<String>,
}

/// Stream events
///
/// The same events as Server-Sent Events, as they happen: `data` is an event, `id` its cursor. The first one is `ready`, or `reload` where
/// events were missed for good; then come those after the cursor, and those that happen from then on, without a gap. A stream that ends is
/// to be asked for again with the last `id`. The `EventSource` of browsers sends no token: use a client that is made of `fetch`.
#[utoipa::path(
    get,
    path = "/api/v2/events/stream/",
    tag = "Events",
    operation_id = "stream_events",
    params(StreamEventsQuery),
    responses(
        (status = 200, description = "Events, until either side closes the connection", body = StreamEvent, content_type = "text/event-stream"),
        (status = 429, description = "Too many streams and sockets of the caller are open"),
    ),
    security(("token" = [])),
)]
pub async fn stream_events(
    State(app): State<App>,
    CallerFrom(caller): CallerFrom,
    BaseUrl(base): BaseUrl,
    headers: HeaderMap,
    mut query: Query,
) -> Result<Response> {
    let asked = after(&mut query);
    query.finish()?;
    let after = last_event_id(&headers)?.or(asked);
    let reader = Reader::begin(&app, caller, &base, (Door::EventSource, after)).await?;
    let pieces = stream::unfold(Some(Events { reader, begun: false }), async |events| {
        let mut events = events?;
        let (piece, goes_on) = events.next().await;
        Some((Ok::<_, Infallible>(piece), goes_on.then_some(events)))
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store, no-transform")];
    // Proxies that gather answers before they hand them on would keep the events.
    let unbuffered = [("x-accel-buffering", "no")];
    Ok((headers, unbuffered, Body::from_stream(pieces)).into_response())
}

/// The cursor that a browser sends when it comes back.
fn last_event_id(headers: &HeaderMap) -> Result<Option<parlour_types::EventCursor>> {
    let Some(id) = headers.get("last-event-id").filter(|id| !id.is_empty()) else { return Ok(None) };
    let wrong = || ApiError::field("Last-Event-ID", ErrorCode::Invalid, "Take it from an earlier event.");
    id.to_str().ok().and_then(|id| id.parse().ok()).map(Some).ok_or_else(wrong)
}

struct Events {
    reader: Reader,
    begun: bool,
}

impl Events {
    /// The next piece of the answer, and whether there is more.
    async fn next(&mut self) -> (Bytes, bool) {
        if !std::mem::replace(&mut self.begun, true) {
            return (RETRY, true);
        }
        let Ok(first) = timeout(HEARTBEAT, self.reader.next()).await else { return (COMMENT, true) };
        let mut piece = BytesMut::new();
        let mut next = Some(first);
        while let Some(told) = next {
            match told {
                Next::Frame(frame) => push(&mut piece, &frame),
                Next::End(ending) => {
                    if ending == Ending::TooSlow {
                        piece.put(RESYNC);
                    }
                    return (piece.freeze(), false);
                }
            }
            next = if piece.len() < PIECE { self.reader.try_next() } else { None };
        }
        (piece.freeze(), true)
    }
}

fn push(piece: &mut BytesMut, frame: &Frame) {
    if let Some(cursor) = frame.cursor {
        piece.put(format!("id: {cursor}\n").as_bytes());
    }
    piece.put(&b"data: "[..]);
    // JSON of ours stands on one line.
    piece.put(&*frame.json);
    piece.put(&b"\n\n"[..]);
}
