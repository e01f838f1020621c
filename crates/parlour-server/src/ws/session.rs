//! What a socket does about what it hears and about time: decided here, done in [`socket`](super::socket). Nothing here touches a socket.

use parlour_types::ThreadId;
use serde::Deserialize;
use std::time::Duration;
use tokio::time::Instant;

/// What the official client sends every 5 s and must hear back (contract §4.2): after 20 s without it, the client closes for good.
pub(crate) const HEARTBEAT: &str = "--1a61c1de89b75ddfbb684b8d224ee3ae--";

/// A peer that is silent for so long is asked whether it is there.
const PING_AFTER: Duration = Duration::from_secs(25);

/// A peer that is silent for so long is gone.
const GONE_AFTER: Duration = Duration::from_secs(75);

/// Frames of a peer in one second at the most.
const MAX_FRAMES_PER_SECOND: u32 = 50;

/// Which protocol a socket speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Protocol {
    /// The official client's, with heartbeats at least so often.
    Official {
        /// Time between two heartbeats.
        heartbeat: Duration,
    },
    /// The stream of events.
    Stream,
}

/// What came from the peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Heard<'a> {
    /// A text.
    Text(&'a [u8]),
    /// Bytes.
    Binary,
    /// A ping or pong, which the library has dealt with.
    Control,
}

/// What a client of the stream may say.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Said {
    /// The member is writing.
    Typing {
        /// In which thread.
        thread_id: ThreadId,
    },
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Nothing.
    Wait,
    /// Send the heartbeat.
    Heartbeat,
    /// Ask the peer whether it is there.
    Ping,
    /// Tell the other one of this thread that the member is writing.
    Typing(ThreadId),
    /// Say why, and close.
    Close(CloseReason),
}

/// Why a socket is closed by the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CloseReason {
    /// The server stops.
    Stopping,
    /// The peer sent bytes.
    Binary,
    /// The peer sent too much at once.
    TooBig,
    /// The peer sends too often.
    Flood,
    /// The member was blocked.
    Blocked,
    /// The member is gone.
    Deleted,
    /// The peer does not take what it is sent.
    TooSlow,
    /// The peer is not heard any more.
    Silent,
    /// The server cannot go on.
    Failed,
}

impl CloseReason {
    /// The code and the text of the closing frame.
    pub(crate) const fn code_and_text(self) -> (u16, &'static str) {
        match self {
            Self::Stopping => (1001, "the server stops"),
            Self::Silent => (1001, "nothing was heard for 75 seconds"),
            Self::Binary => (1003, "only texts are understood"),
            Self::Flood => (1008, "at most 50 frames a second"),
            Self::Blocked => (1008, "the account was blocked"),
            Self::Deleted => (1008, "the account was deleted"),
            Self::TooBig => (1009, "at most 4096 bytes"),
            Self::Failed => (1011, "the server cannot go on"),
            Self::TooSlow => (1013, "too much was waiting"),
        }
    }
}

/// A socket's life, apart from the socket.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    protocol: Protocol,
    /// When the peer was heard last, and when it was pinged last.
    heard: Instant,
    pinged: Instant,
    /// When the last heartbeat was sent.
    beat: Instant,
    /// The second in which frames are counted, and how many came.
    second: Instant,
    frames: u32,
}

impl Session {
    /// Begins it; a heartbeat is due at once where there are any.
    pub(crate) const fn new(protocol: Protocol, now: Instant) -> Self {
        Self { protocol, heard: now, pinged: now, beat: now, second: now, frames: 0 }
    }

    /// The first thing to do.
    pub(crate) const fn begin(&self) -> Step {
        match self.protocol {
            Protocol::Official { .. } => Step::Heartbeat,
            Protocol::Stream => Step::Wait,
        }
    }

    /// Something came.
    pub(crate) fn hear(&mut self, heard: Heard<'_>, now: Instant) -> Step {
        self.heard = now;
        if now.duration_since(self.second) >= Duration::from_secs(1) {
            (self.second, self.frames) = (now, 0);
        }
        self.frames += 1;
        if self.frames > MAX_FRAMES_PER_SECOND {
            return Step::Close(CloseReason::Flood);
        }
        match (heard, self.protocol) {
            (Heard::Binary, _) => Step::Close(CloseReason::Binary),
            (Heard::Text(text), Protocol::Official { .. }) if text == HEARTBEAT.as_bytes() => {
                self.beat = now;
                Step::Heartbeat
            }
            (Heard::Text(text), Protocol::Stream) => match serde_json::from_slice(text) {
                Ok(Said::Typing { thread_id }) => Step::Typing(thread_id),
                Err(_) => Step::Wait,
            },
            // Whatever else a client says is nothing that the protocol knows.
            (Heard::Text(_) | Heard::Control, _) => Step::Wait,
        }
    }

    /// When [`Session::tick`] has something to do.
    pub(crate) fn due(&self) -> Instant {
        let ping = self.pinged.max(self.heard) + PING_AFTER;
        let gone = self.heard + GONE_AFTER;
        match self.protocol {
            Protocol::Official { heartbeat } => ping.min(gone).min(self.beat + heartbeat),
            Protocol::Stream => ping.min(gone),
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Instant) -> Step {
        if now >= self.heard + GONE_AFTER {
            return Step::Close(CloseReason::Silent);
        }
        if let Protocol::Official { heartbeat } = self.protocol
            && now >= self.beat + heartbeat
        {
            self.beat = now;
            return Step::Heartbeat;
        }
        if now >= self.pinged.max(self.heard) + PING_AFTER {
            self.pinged = now;
            return Step::Ping;
        }
        Step::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFICIAL: Protocol = Protocol::Official { heartbeat: Duration::from_secs(4) };

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn the_official_client_hears_its_heartbeat_at_once_and_every_four_seconds_otherwise() {
        let start = Instant::now();
        let mut session = Session::new(OFFICIAL, start);
        assert_eq!(session.begin(), Step::Heartbeat);
        assert_eq!(session.due(), start + seconds(4));
        assert_eq!(session.tick(start + seconds(3)), Step::Wait);
        assert_eq!(session.tick(start + seconds(4)), Step::Heartbeat);
        assert_eq!(session.hear(Heard::Text(HEARTBEAT.as_bytes()), start + seconds(5)), Step::Heartbeat);
        assert_eq!(session.due(), start + seconds(9), "the echo was one");
        for other in ["", "--heartbeat--", "{\"type\":\"x\"}", "--1a61c1de89b75ddfbb684b8d224ee3ae-- "] {
            assert_eq!(session.hear(Heard::Text(other.as_bytes()), start + seconds(5)), Step::Wait, "{other}");
        }
    }

    #[tokio::test]
    async fn a_silent_peer_is_asked_twice_and_then_given_up() {
        let start = Instant::now();
        let mut session = Session::new(Protocol::Stream, start);
        assert_eq!(session.begin(), Step::Wait);
        assert_eq!(session.due(), start + seconds(25));
        assert_eq!(session.tick(start + seconds(25)), Step::Ping);
        assert_eq!(session.due(), start + seconds(50));
        assert_eq!(session.tick(start + seconds(50)), Step::Ping);
        assert_eq!(session.tick(start + seconds(75)), Step::Close(CloseReason::Silent));
        let mut session = Session::new(Protocol::Stream, start);
        assert_eq!(session.tick(start + seconds(25)), Step::Ping);
        assert_eq!(session.hear(Heard::Control, start + seconds(26)), Step::Wait);
        assert_eq!(session.due(), start + seconds(51));
        assert_eq!(session.tick(start + seconds(76)), Step::Ping);
    }

    #[tokio::test]
    async fn a_client_of_the_stream_may_say_that_it_is_writing_and_nothing_else() {
        let start = Instant::now();
        let mut session = Session::new(Protocol::Stream, start);
        let typing = br#"{"type":"typing","thread_id":7}"#;
        let thread = ThreadId::new(7).expect("an id");
        assert_eq!(session.hear(Heard::Text(typing), start), Step::Typing(thread));
        for other in ["", "{}", "[", r#"{"type":"typing"}"#, r#"{"type":"typing","thread_id":0}"#, r#"{"type":"x"}"#] {
            assert_eq!(session.hear(Heard::Text(other.as_bytes()), start), Step::Wait, "{other}");
        }
        assert_eq!(Session::new(OFFICIAL, start).hear(Heard::Text(typing), start), Step::Wait);
    }

    #[tokio::test]
    async fn bytes_and_floods_are_closed_and_the_echo_of_a_flood_is_bounded() {
        let start = Instant::now();
        let mut session = Session::new(OFFICIAL, start);
        assert_eq!(session.hear(Heard::Binary, start), Step::Close(CloseReason::Binary));
        let mut session = Session::new(OFFICIAL, start);
        for _ in 0..MAX_FRAMES_PER_SECOND {
            assert_eq!(session.hear(Heard::Text(HEARTBEAT.as_bytes()), start), Step::Heartbeat);
        }
        assert_eq!(session.hear(Heard::Control, start + Duration::from_millis(999)), Step::Close(CloseReason::Flood));
        let mut session = Session::new(Protocol::Stream, start);
        for frame in 0..10_000_u64 {
            let now = start + Duration::from_millis(frame * 25);
            assert_eq!(session.hear(Heard::Control, now), Step::Wait, "40 a second are no flood");
        }
    }

    #[test]
    fn a_closing_frame_fits_into_a_control_frame() {
        use CloseReason as R;
        for reason in
            [R::Stopping, R::Binary, R::TooBig, R::Flood, R::Blocked, R::Deleted, R::TooSlow, R::Silent, R::Failed]
        {
            let (code, text) = reason.code_and_text();
            assert!((1000..5000).contains(&code) && text.len() <= 123, "{reason:?}");
        }
    }
}
