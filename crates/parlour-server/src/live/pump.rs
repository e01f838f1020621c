//! Reads a member's log on and gives what it reads to the member's clients.

use super::hub::{Channel, ChannelState, Door};
use super::outbox::{Ending, Frame};
use super::render::{self, Listener};
use super::stream::{StreamEvent, Totals};
use bytes::Bytes;
use parlour_core::live::{Feed, FeedEvent, MAX_EVENTS, read_feed};
use parlour_core::{Caller, Error};
use std::sync::Arc;
use std::time::Duration;

/// Pause after the log could not be read.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs until everything is told that stood in the log when somebody last woke it. One runs for a member at a time.
pub(super) async fn run(channel: Arc<Channel>) {
    let caller = Caller { user_id: channel.user };
    loop {
        let Some(after) = cursor(&channel) else {
            if channel.rests() {
                return;
            }
            continue;
        };
        match read_feed(&channel.app.core, caller, Some(after), MAX_EVENTS).await {
            Ok(feed) => {
                tell(&channel, &feed);
                if feed.is_at_end && channel.rests() {
                    return;
                }
            }
            Err(Error::UnknownCaller) => {
                channel.end(Ending::Deleted);
                if channel.rests() {
                    return;
                }
            }
            Err(Error::Invalid(_)) => restart(&channel, caller).await,
            Err(error) => {
                tracing::warn!(%error, "a member's events could not be read");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Where the clients are, as long as there are any.
fn cursor(channel: &Channel) -> Option<parlour_types::EventCursor> {
    let state = channel.state();
    if state.clients.is_empty() { None } else { state.cursor }
}

/// The log is another one than before, and shorter: it was restored. Goes on from its end.
async fn restart(channel: &Channel, caller: Caller) {
    match read_feed(&channel.app.core, caller, None, 1).await {
        Ok(feed) => tell(channel, &Feed { is_gone: true, ..feed }),
        Err(_) => tokio::time::sleep(PAUSE).await,
    }
}

/// Gives every client its frames.
fn tell(channel: &Channel, feed: &Feed) {
    let mut state = channel.state();
    let totals = Totals::from(feed.totals);
    let mut rendered = Rendered::default();
    if feed.is_gone {
        let reload = StreamEvent::Reload { cursor: feed.cursor };
        for client in state.clients.iter_mut().filter(|client| client.after.is_some()) {
            client.after = Some(feed.cursor.position);
            client.said = None;
            if client.door != Door::Official {
                channel.give(client, Frame { cursor: Some(feed.cursor), json: render::json(&reload) });
            }
        }
    }
    for event in &feed.events {
        tell_event(channel, &mut state, (feed, event), &mut rendered);
    }
    if !feed.events.is_empty() || feed.is_gone {
        for client in &mut state.clients {
            let is_told = client.after.is_some_and(|after| after <= feed.cursor.position);
            if is_told && client.said != Some(totals) && matches!(client.door, Door::Socket | Door::EventSource) {
                client.said = Some(totals);
                channel.give(client, Frame { cursor: None, json: rendered.totals(totals) });
            }
        }
    }
    state.cursor = Some(feed.cursor);
}

fn tell_event(
    channel: &Channel,
    state: &mut ChannelState,
    (feed, event): (&Feed, &FeedEvent),
    rendered: &mut Rendered,
) {
    rendered.of_event.clear();
    let position = event.cursor.position;
    for client in state.clients.iter().filter(|client| client.after.is_some_and(|after| after < position)) {
        let listener = Listener { app: &channel.app, user: channel.user, door: client.door, base: &client.base };
        if let Some(json) = rendered.event(&listener, feed, event) {
            channel.give(client, Frame { cursor: Some(event.cursor), json });
        }
    }
}

/// What was rendered already: most clients of a member are told the same.
#[derive(Default)]
struct Rendered {
    of_event: Vec<(Door, Arc<str>, Option<Bytes>)>,
    totals: Option<Bytes>,
}

impl Rendered {
    fn event(&mut self, listener: &Listener<'_>, feed: &Feed, event: &FeedEvent) -> Option<Bytes> {
        // The three doors to the stream are told the same.
        let door = if listener.door == Door::EventSource { Door::Socket } else { listener.door };
        let known = self.of_event.iter().find(|(of, base, _)| *of == door && *base == *listener.base);
        if let Some((_, _, json)) = known {
            return json.clone();
        }
        let json = listener.event(feed, event);
        self.of_event.push((door, Arc::clone(listener.base), json.clone()));
        json
    }

    fn totals(&mut self, totals: Totals) -> Bytes {
        self.totals.get_or_insert_with(|| render::json(&StreamEvent::Unread(totals))).clone()
    }
}
