//! The three ways to one stream: websocket, Server-Sent Events, and asking again and again.

use crate::http::{Client, Request};
use crate::websocket::{Ended, Handshake, WebSocket};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Events of one answer to who asks.
const LIMIT: usize = 50;

/// How long the head of a stream may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a socket that is slow on purpose lets the system hold for it.
const SMALL_BUFFER: usize = 4096;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Door {
    Socket,
    /// A socket whose reader pauses, with little room in between.
    SlowSocket,
    ServerSentEvents,
    Poll,
}

/// An open way.
pub(crate) enum Stream {
    Socket(WebSocket),
    ServerSentEvents(EventStream),
    Poll { client: Client, token: String, cursor: String, waiting: VecDeque<Value> },
}

impl Door {
    /// Opens the stream behind `cursor`; `None` while the server is away.
    pub(crate) fn open(self, address: SocketAddr, token: &str, cursor: &str) -> Result<Option<Stream>> {
        let (token, cursor) = (token.to_owned(), cursor.to_owned());
        Ok(match self {
            Self::Socket | Self::SlowSocket => {
                let handshake = Handshake {
                    path: format!("/ws/stream?after={cursor}"),
                    token: Some(token),
                    receive_buffer: (self == Self::SlowSocket).then_some(SMALL_BUFFER),
                    ..Handshake::default()
                };
                WebSocket::open(address, &handshake)?.ok().map(Stream::Socket)
            }
            Self::ServerSentEvents => EventStream::open(address, &token, &cursor)?.map(Stream::ServerSentEvents),
            Self::Poll => {
                let client = Client::new(address);
                Some(Stream::Poll { client, token, cursor, waiting: VecDeque::new() })
            }
        })
    }
}

impl Stream {
    /// The next object. `None` if none came in this time.
    pub(crate) fn next(&mut self, patience: Duration) -> Result<Option<Value>, Ended> {
        match self {
            Self::Socket(socket) => socket.read(patience)?.map(|text| parsed(&text)).transpose(),
            Self::ServerSentEvents(events) => events.next(patience),
            Self::Poll { client, token, cursor, waiting } => {
                if waiting.is_empty() {
                    let path =
                        format!("/api/v2/events/?after={cursor}&limit={LIMIT}&wait={}", patience.as_secs().max(1));
                    let answer = client.ask(&Request::get(path, token)).map_err(|_| Ended::Gone)?;
                    if answer.status == 503 {
                        return Err(Ended::Gone);
                    }
                    let mut page = answer.json().map_err(|error| Ended::Wrong(format!("{error:#}")))?;
                    let Value::Array(events) = page["events"].take() else {
                        return Err(Ended::Wrong("an answer without its events".to_owned()));
                    };
                    if let Some(next) = page["cursor"].as_str() {
                        next.clone_into(cursor);
                    }
                    waiting.extend(events);
                }
                Ok(waiting.pop_front())
            }
        }
    }

    /// Goes, with or without a word.
    pub(crate) fn leave(self, says_so: bool) {
        if let Self::Socket(socket) = self
            && says_so
        {
            socket.close();
        }
    }
}

fn parsed(text: &str) -> Result<Value, Ended> {
    serde_json::from_str(text).map_err(|error| Ended::Wrong(format!("a text that is not JSON: {error}")))
}

/// An answer that does not end.
pub(crate) struct EventStream {
    stream: TcpStream,
    /// Chunks as they came.
    raw: Vec<u8>,
    /// What was in them.
    text: Vec<u8>,
}

impl EventStream {
    fn open(address: SocketAddr, token: &str, cursor: &str) -> Result<Option<Self>> {
        let mut request = Request::get("/api/v2/events/stream/", token).bytes();
        request.truncate(request.len() - 2);
        request.extend(format!("accept: text/event-stream\r\nlast-event-id: {cursor}\r\n\r\n").bytes());
        let Ok(mut stream) = TcpStream::connect(address) else { return Ok(None) };
        stream.set_read_timeout(Some(PATIENCE))?;
        let (mut raw, mut piece) = (Vec::new(), [0; 4096]);
        if stream.write_all(&request).is_err() {
            return Ok(None);
        }
        let end = loop {
            match stream.read(&mut piece) {
                Ok(0) | Err(_) => return Ok(None),
                Ok(length) => raw.extend_from_slice(&piece[..length]),
            }
            if let Some(end) = raw.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head: Vec<u8> = raw.drain(..end).collect();
        let head = std::str::from_utf8(&head)?.to_ascii_lowercase();
        if head.starts_with("http/1.1 503") {
            return Ok(None);
        }
        ensure!(head.starts_with("http/1.1 200"), "the event stream was answered {}", &head[..head.len().min(12)]);
        ensure!(head.contains("\r\ncontent-type: text/event-stream"), "the event stream has another type");
        ensure!(head.contains("\r\ntransfer-encoding: chunked"), "the event stream does not come in chunks");
        Ok(Some(Self { stream, raw, text: Vec::new() }))
    }

    fn next(&mut self, patience: Duration) -> Result<Option<Value>, Ended> {
        let deadline = Instant::now() + patience;
        let mut piece = [0; 16 * 1024];
        loop {
            while let Some(end) = self.text.windows(2).position(|window| window == b"\n\n") {
                let block: Vec<u8> = self.text.drain(..end + 2).collect();
                let block = String::from_utf8(block).map_err(|error| Ended::Wrong(error.to_string()))?;
                if let Some(event) = event(&block)? {
                    return Ok(Some(event));
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.stream.set_read_timeout(Some(left)).map_err(|_| Ended::Gone)?;
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(Ended::Gone),
                Ok(length) => self.raw.extend_from_slice(&piece[..length]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Ended::Gone),
            }
            self.take_chunks()?;
        }
    }

    /// Moves what is in whole chunks to the text.
    fn take_chunks(&mut self) -> Result<(), Ended> {
        while let Some(line) = self.raw.windows(2).position(|window| window == b"\r\n") {
            let length =
                std::str::from_utf8(&self.raw[..line]).ok().and_then(|hex| usize::from_str_radix(hex, 16).ok());
            let length = length.ok_or_else(|| Ended::Wrong("a chunk without a length".to_owned()))?;
            let begin = line + 2;
            let Some(chunk) = self.raw.get(begin..begin + length + 2) else { return Ok(()) };
            self.text.extend_from_slice(&chunk[..length]);
            self.raw.drain(..begin + length + 2);
            if length == 0 {
                return Err(Ended::Gone);
            }
        }
        Ok(())
    }
}

/// The object of a block; a block of comments has none. What names a place has to name that of its object.
fn event(block: &str) -> Result<Option<Value>, Ended> {
    let field = |name: &str| {
        let values = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let values: Vec<&str> = values.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect();
        (!values.is_empty()).then(|| values.join("\n"))
    };
    let Some(data) = field("data") else { return Ok(None) };
    let object = parsed(&data)?;
    let named = field("id");
    if named.is_some() && named.as_deref() != object["cursor"].as_str() {
        return Err(Ended::Wrong("an event whose id is not its cursor".to_owned()));
    }
    Ok(Some(object))
}

/// Where the log of `token`'s member ends now.
pub(crate) fn end_of_log(client: &mut Client, token: &str) -> Result<String> {
    let page = client.json(&Request::get("/api/v2/events/", token))?;
    let events = page["events"].as_array().context("events")?;
    ensure!(events.is_empty(), "who asks from the end is told of what was before");
    Ok(page["cursor"].as_str().context("a cursor")?.to_owned())
}
