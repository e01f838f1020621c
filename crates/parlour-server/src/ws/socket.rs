//! The socket itself: one task, which does one thing after the other. While it waits for the peer to take something it reads nothing, so a
//! peer can make it neither read nor keep more than it takes.

use super::metered::Metered;
use super::session::{CloseReason, HEARTBEAT, Heard, Protocol, Session, Step};
use crate::live::{Ending, Next, Reader};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_websockets::{CloseCode, Config, Error, Limits, Message, ServerBuilder, WebSocketStream};

/// Bytes of a message of the peer at the most: all that it has to say is a heartbeat.
const MAX_MESSAGE: usize = 4096;

/// Bytes that are handed to the system at once.
const FLUSH_BYTES: usize = 16 * 1024;

/// Time for the answer to be taken that makes a connection a socket.
const UPGRADE_TIME: Duration = Duration::from_secs(10);

/// Time for the peer to take the closing frame and answer it.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// What a reader is told of the stream before the end, so that it knows why.
const RESYNC: &str = "{\"type\":\"resync\"}";

type Socket = WebSocketStream<Metered>;

/// Makes a socket of a connection, once its answer is out, and serves it until either side closes it.
pub(super) fn serve(on_upgrade: OnUpgrade, protocol: Protocol, reader: Reader) {
    tokio::spawn(async move {
        let Ok(Ok(upgraded)) = timeout(UPGRADE_TIME, on_upgrade).await else {
            tracing::debug!("a connection was gone before it was a socket");
            return;
        };
        let limits = Limits::default().max_payload_len(Some(MAX_MESSAGE));
        let config = Config::default().flush_threshold(FLUSH_BYTES);
        let socket = ServerBuilder::new().config(config).limits(limits).serve(Metered::new(TokioIo::new(upgraded)));
        let overdue = reader.overdue();
        tokio::select! {
            talked = talk(socket, protocol, reader) => if let Err(error) = talked {
                tracing::debug!(%error, "a socket broke");
            },
            () = overdue => tracing::debug!("a socket was cut whose peer did not take the end"),
        }
    });
}

async fn talk(mut socket: Socket, protocol: Protocol, mut reader: Reader) -> Result<(), Error> {
    let mut session = Session::new(protocol, Instant::now());
    let timer = sleep_until(session.due());
    tokio::pin!(timer);
    let mut step = session.begin();
    loop {
        match step {
            Step::Wait => {}
            Step::Heartbeat => socket.send(Message::text(HEARTBEAT)).await?,
            Step::Ping => socket.send(Message::ping(Bytes::new())).await?,
            Step::Typing(thread) => reader.typing(thread).await,
            // Boxed, as the state of an idle socket should be small.
            Step::Close(reason) => return Box::pin(close(socket, reason, protocol)).await,
        }
        step = tokio::select! {
            heard = socket.next() => match heard {
                None => return Ok(()),
                Some(Ok(message)) if message.is_close() => return Box::pin(finish(socket)).await,
                Some(Ok(message)) => {
                    let heard = if message.is_text() {
                        Heard::Text(message.as_payload())
                    } else if message.is_binary() {
                        Heard::Binary
                    } else {
                        Heard::Control
                    };
                    let step = session.hear(heard, Instant::now());
                    if heard == Heard::Control {
                        // The library has queued the answer to a ping.
                        socket.flush().await?;
                    }
                    step
                }
                // The library has queued the close, except where the pieces of a message are too large together.
                Some(Err(Error::PayloadTooLong { .. })) => Step::Close(CloseReason::TooBig),
                Some(Err(Error::Io(error))) => return Err(Error::Io(error)),
                Some(Err(_)) => return Box::pin(finish(socket)).await,
            },
            next = reader.next() => tell(&mut socket, &mut reader, next).await?,
            () = &mut timer => {
                let step = session.tick(Instant::now());
                timer.as_mut().reset(session.due());
                step
            }
        };
    }
}

/// Sends what the reader has, and whatever else it has by then.
async fn tell(socket: &mut Socket, reader: &mut Reader, first: Next) -> Result<Step, Error> {
    let mut next = Some(first);
    let mut step = Step::Wait;
    while let Some(told) = next {
        match told {
            Next::Frame(frame) => socket.feed(Message::text(frame.json)).await?,
            Next::End(ending) => {
                step = Step::Close(reason(ending));
                break;
            }
        }
        next = reader.try_next();
    }
    socket.flush().await?;
    Ok(step)
}

const fn reason(ending: Ending) -> CloseReason {
    match ending {
        Ending::TooSlow => CloseReason::TooSlow,
        Ending::Stopping => CloseReason::Stopping,
        Ending::Blocked => CloseReason::Blocked,
        Ending::Deleted => CloseReason::Deleted,
        Ending::Failed => CloseReason::Failed,
    }
}

/// Says why and closes.
async fn close(mut socket: Socket, reason: CloseReason, protocol: Protocol) -> Result<(), Error> {
    let (code, text) = reason.code_and_text();
    let code = CloseCode::try_from(code).unwrap_or(CloseCode::NORMAL_CLOSURE);
    let saying = async {
        if reason == CloseReason::TooSlow && protocol == Protocol::Stream {
            socket.feed(Message::text(RESYNC)).await?;
        }
        socket.send(Message::close(Some(code), text)).await
    };
    // Where the library has queued a closing frame of its own already, that one is what the peer is told.
    let said = timeout(CLOSE_TIME, saying).await;
    if matches!(said, Ok(Ok(()) | Err(Error::AlreadyClosed))) { finish(socket).await } else { Ok(()) }
}

/// Lets the peer answer the closing frame, so that the frame is not lost to what the peer still sends.
async fn finish(mut socket: Socket) -> Result<(), Error> {
    timeout(CLOSE_TIME, socket.close()).await.unwrap_or(Ok(()))
}
