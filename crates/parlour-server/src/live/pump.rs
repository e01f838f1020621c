//! Reads a member's log on and gives what it reads to the member's clients.

use super::hub::{Channel, ChannelState, Door};
use super::outbox::{Ending, Frame};
use super::render::{self, Listener};
use super::stream::{StreamEvent, Totals};
use bytes::Bytes;
use parlour_core::live::{Feed, FeedEvent, read_feed};
use parlour_core::{Caller, Error};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Events of a piece of the log at the most, and bytes of text: so few that whoever has taken the piece before has room for it, whatever it takes
/// to show them.
const PIECE: usize = 16;
const PIECE_TEXT: usize = 24 * 1024;

/// How long everybody waits for a client that does not take what it is told, once.
const PATIENCE: Duration = Duration::from_millis(250);

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
        wait_for_room(&channel).await;
        match read_feed(&channel.app.core, caller, Some(after), PIECE).await {
            Ok(mut feed) => {
                feed.cut(PIECE_TEXT);
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

/// Lets the clients take what they were told: a burst, as when another server wrote, must not look like a client that does not listen.
async fn wait_for_room(channel: &Channel) {
    let outboxes: Vec<_> = {
        let state = channel.state();
        let listening = state.clients.iter().filter(|client| client.after.is_some());
        listening.map(|client| Arc::clone(&client.outbox)).collect()
    };
    let all = async {
        for outbox in &outboxes {
            outbox.room().await;
        }
    };
    if timeout(PATIENCE, all).await.is_err() {
        outboxes.iter().for_each(|outbox| outbox.was_waited_for());
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
