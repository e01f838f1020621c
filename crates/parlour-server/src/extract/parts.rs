//! The parts of a multipart body, one piece after another, as they arrive.
//!
//! The parser takes in whatever its stream has ready before it looks at what it holds, and looks for the end of a part's head however long
//! that may be. Here it gets a piece at a time, only when it cannot go on without one, and not for ever.

use super::disposition::Disposition;
use super::fields::{BODY_BROKE_OFF, MULTIPART_BROKEN, parse_error};
use crate::error::Result;
use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, header};
use multer::{Field, Multipart};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

/// Bytes of a piece at the most.
const MAX_PIECE: usize = 16 * 1024;

/// Bytes that the parser may take without making anything of them: what stands before the first part, or the head of a part.
const MAX_HEAD: usize = 32 * 1024;

/// A multipart body.
pub(super) struct Parts {
    parser: Multipart<'static>,
    source: Arc<Mutex<Source>>,
}

/// A part whose content is still to come. It must be read to its end before the next part.
pub(super) struct Part {
    field: Field<'static>,
    source: Arc<Mutex<Source>>,
}

impl Parts {
    pub fn new(body: Body, boundary: String) -> Self {
        let source = Arc::new(Mutex::new(Source {
            body: body.into_data_stream(),
            cut: Bytes::new(),
            unused: 0,
            state: State::Shut,
        }));
        Self { parser: Multipart::new(Tap(Arc::clone(&source)), boundary), source }
    }

    /// The next part; `None` behind the last.
    pub async fn next(&mut self) -> Result<Option<Part>> {
        let field = ask_parser(&self.source, |context| self.parser.poll_next_field(context)).await?;
        Ok(field.map(|field| Part { field, source: Arc::clone(&self.source) }))
    }
}

impl Part {
    /// What the part says about itself.
    pub fn disposition(&self) -> Disposition {
        self.headers()
            .get(header::CONTENT_DISPOSITION)
            .map(|value| Disposition::parse(value.as_bytes()))
            .unwrap_or_default()
    }

    pub fn headers(&self) -> &HeaderMap {
        self.field.headers()
    }

    /// The next piece of the content; `None` at its end.
    pub async fn piece(&mut self) -> Result<Option<Bytes>> {
        let field = &mut self.field;
        ask_parser(&self.source, |context| Pin::new(&mut *field).poll_next(context).map(Option::transpose)).await
    }
}

/// Where the parser's pieces come from.
struct Source {
    body: BodyDataStream,
    /// What is left of a frame larger than a piece.
    cut: Bytes,
    /// Bytes that the parser took since it last made something of them.
    unused: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The parser is to make do with what it took.
    Shut,
    /// The parser may take one piece.
    Open,
    /// There is no more.
    Ended,
    /// The body broke off.
    BrokeOff,
}

impl Source {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, axum::Error>>> {
        while self.cut.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_next(context)) {
                Some(Ok(frame)) => self.cut = frame,
                Some(Err(error)) => {
                    self.state = State::BrokeOff;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.state = State::Ended;
                    return Poll::Ready(None);
                }
            }
        }
        let piece = self.cut.split_to(self.cut.len().min(MAX_PIECE));
        self.unused += piece.len();
        self.state = State::Shut;
        Poll::Ready(Some(Ok(piece)))
    }
}

/// What the parser takes its pieces from: shut unless it is opened for one.
struct Tap(Arc<Mutex<Source>>);

impl Stream for Tap {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut source = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match source.state {
            State::Open => source.poll_piece(context),
            // Nobody need be woken: whoever asks gives the next piece.
            State::Shut => Poll::Pending,
            State::Ended | State::BrokeOff => Poll::Ready(None),
        }
    }
}

/// Asks the parser, and gives it a piece whenever it cannot answer without one.
async fn ask_parser<T>(
    source: &Mutex<Source>,
    mut ask: impl FnMut(&mut Context<'_>) -> Poll<multer::Result<T>>,
) -> Result<T> {
    let lock = || source.lock().unwrap_or_else(PoisonError::into_inner);
    let answer = std::future::poll_fn(|context| {
        loop {
            if let Poll::Ready(answer) = ask(context) {
                return Poll::Ready(answer.ok());
            }
            let mut source = lock();
            match source.state {
                // It waits for the body.
                State::Open => return Poll::Pending,
                State::Shut if source.unused <= MAX_HEAD => source.state = State::Open,
                State::Shut | State::Ended | State::BrokeOff => return Poll::Ready(None),
            }
        }
    })
    .await;
    let mut source = lock();
    source.unused = 0;
    if source.state == State::Open {
        source.state = State::Shut;
    }
    answer.ok_or_else(|| parse_error(if source.state == State::BrokeOff { BODY_BROKE_OFF } else { MULTIPART_BROKEN }))
}
