//! What one client has yet to be told: bounded, so that a client that does not listen costs no memory.

use bytes::Bytes;
use parlour_types::EventCursor;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Frames that wait at the most.
pub(crate) const MAX_FRAMES: usize = 256;

/// Bytes that wait at the most. One frame may be larger, where the community's messages are.
pub(crate) const MAX_BYTES: usize = 256 * 1024;

/// A client with no more than this to take is given the next piece of the log, which has room beside it.
const ROOM_FRAMES: usize = 128;
const ROOM_BYTES: usize = 48 * 1024;

/// A queue for so few frames is kept for the next ones.
const KEPT_FRAMES: usize = 8;

/// How long a client that is told nothing more may take for what it was told before.
const TIME_TO_END: Duration = Duration::from_secs(2);

/// One thing that a client is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Frame {
    /// Where a client goes on that has been told this; `None` for what does not stand in the log.
    pub(crate) cursor: Option<EventCursor>,
    /// What it is told.
    pub(crate) json: Bytes,
}

/// Why a client is told nothing more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    /// It did not take what it was told.
    TooSlow,
    /// The server stops.
    Stopping,
    /// The community blocked the member.
    Blocked,
    /// The member is gone.
    Deleted,
    /// The log could not be read.
    Failed,
}

/// What comes next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// A frame.
    Frame(Frame),
    /// Nothing more.
    End(Ending),
}

/// The frames that wait for one client.
#[derive(Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    changed: Notify,
    ended: Notify,
    has_room: Notify,
}

#[derive(Default)]
struct State {
    frames: VecDeque<Frame>,
    bytes: usize,
    ending: Option<Ending>,
    /// Nobody waits for it any more, until it has room again.
    was_waited_for: bool,
}

impl State {
    fn has_room(&self) -> bool {
        self.ending.is_some() || (self.frames.len() <= ROOM_FRAMES && self.bytes <= ROOM_BYTES)
    }
}

impl Outbox {
    /// Adds a frame. If there are too many, all are given up, and `false` is answered once: a client that comes back with its last cursor
    /// misses none.
    pub(crate) fn push(&self, frame: Frame) -> bool {
        let mut state = self.state();
        if state.ending.is_some() {
            return true;
        }
        let bytes = state.bytes + frame.json.len();
        let is_full = state.frames.len() >= MAX_FRAMES || (bytes > MAX_BYTES && !state.frames.is_empty());
        if is_full {
            *state = State { ending: Some(Ending::TooSlow), ..State::default() };
            self.ended.notify_one();
        } else {
            state.bytes = bytes;
            state.frames.push_back(frame);
        }
        drop(state);
        self.changed.notify_one();
        !is_full
    }

    /// Ends it behind the frames that wait. The first ending counts.
    pub(crate) fn end(&self, ending: Ending) {
        self.state().ending.get_or_insert(ending);
        self.changed.notify_one();
        self.ended.notify_one();
    }

    /// The next frame, or the end behind the last one.
    pub(crate) fn try_next(&self) -> Option<Next> {
        let mut state = self.state();
        let had_room = state.has_room();
        let Some(frame) = state.frames.pop_front() else { return state.ending.map(Next::End) };
        state.bytes -= frame.json.len();
        if !had_room && state.has_room() {
            state.was_waited_for = false;
            self.has_room.notify_waiters();
        }
        if state.frames.is_empty() && state.frames.capacity() > KEPT_FRAMES {
            state.frames = VecDeque::new();
        }
        Some(Next::Frame(frame))
    }

    /// The same, as soon as there is one. For one reader. Giving up waiting loses nothing.
    pub(crate) async fn next(&self) -> Next {
        loop {
            if let Some(next) = self.try_next() {
                return next;
            }
            self.changed.notified().await;
        }
    }

    /// Waits until there is room for a piece of the log, unless it was waited for already and in vain.
    pub(crate) async fn room(&self) {
        loop {
            let mut room = std::pin::pin!(self.has_room.notified());
            room.as_mut().enable();
            {
                let state = self.state();
                if state.has_room() || state.was_waited_for {
                    return;
                }
            }
            room.await;
        }
    }

    /// Lets nobody wait for room again before there is some.
    pub(crate) fn was_waited_for(&self) {
        let mut state = self.state();
        state.was_waited_for = !state.has_room();
    }

    /// Waits until the client has had [`TIME_TO_END`] for what waited before the end. For one task.
    pub(crate) async fn overdue(&self) {
        self.ended.notified().await;
        tokio::time::sleep(TIME_TO_END).await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bytes: usize) -> Frame {
        Frame { cursor: None, json: vec![b'x'; bytes].into() }
    }

    #[test]
    fn frames_come_in_order_and_the_end_behind_them() {
        let outbox = Outbox::default();
        assert_eq!(outbox.try_next(), None);
        let _ = outbox.push(frame(1));
        let _ = outbox.push(frame(2));
        outbox.end(Ending::Stopping);
        outbox.end(Ending::Blocked);
        let _ = outbox.push(frame(3));
        assert_eq!(outbox.try_next(), Some(Next::Frame(frame(1))));
        assert_eq!(outbox.try_next(), Some(Next::Frame(frame(2))));
        assert_eq!(outbox.try_next(), Some(Next::End(Ending::Stopping)), "nothing follows an ending");
        assert_eq!(outbox.try_next(), Some(Next::End(Ending::Stopping)));
    }

    #[test]
    fn too_many_frames_are_given_up_at_once() {
        let outbox = Outbox::default();
        for _ in 0..MAX_FRAMES {
            assert!(outbox.push(frame(1)));
        }
        assert!(!outbox.push(frame(1)));
        assert!(outbox.push(frame(1)), "said once");
        assert_eq!(outbox.try_next(), Some(Next::End(Ending::TooSlow)));
        assert_eq!(outbox.state().frames.capacity(), 0, "and their memory");
    }

    #[test]
    fn too_many_bytes_are_given_up_but_a_single_large_frame_is_not() {
        let outbox = Outbox::default();
        let _ = outbox.push(frame(2 * MAX_BYTES));
        assert_eq!(outbox.try_next(), Some(Next::Frame(frame(2 * MAX_BYTES))));
        let _ = outbox.push(frame(MAX_BYTES));
        let _ = outbox.push(frame(1));
        assert_eq!(outbox.try_next(), Some(Next::End(Ending::TooSlow)));
    }

    #[tokio::test]
    async fn whoever_has_much_to_take_is_waited_for_once() {
        let outbox = Outbox::default();
        outbox.room().await;
        (0..=ROOM_FRAMES).for_each(|_| assert!(outbox.push(frame(1))));
        {
            let mut room = std::pin::pin!(outbox.room());
            assert!(futures_util::poll!(room.as_mut()).is_pending());
            assert!(outbox.try_next().is_some());
            assert!(futures_util::poll!(room.as_mut()).is_ready());
        }
        assert!(outbox.push(frame(1)));
        outbox.was_waited_for();
        assert!(futures_util::poll!(std::pin::pin!(outbox.room())).is_ready());
        assert!(outbox.try_next().is_some());
        (0..2).for_each(|_| assert!(outbox.push(frame(1))));
        assert!(futures_util::poll!(std::pin::pin!(outbox.room())).is_pending(), "it had room in between");
    }

    #[test]
    fn a_drained_queue_holds_no_memory() {
        let outbox = Outbox::default();
        (0..100).for_each(|_| assert!(outbox.push(frame(1))));
        while outbox.try_next().is_some() {}
        assert!(outbox.state().frames.capacity() <= KEPT_FRAMES);
        assert_eq!(outbox.state().bytes, 0);
    }
}
