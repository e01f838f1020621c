//! A websocket client: blocking, RFC 6455 as far as a server may use it here, and strict with what the server sends.

use crate::http::{Answer, Request};
use anyhow::{Result, ensure};
use fastrand::Rng;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::net::{AddressFamily, SocketType, connect, socket};
use std::io::{Error, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// The key of RFC 6455's own example, and what a server has to make of it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// How long the handshake may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why nothing more comes.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The connection is gone, as it may be.
    Gone,
    /// The server closed it, with this code.
    Closed(u16),
    /// The server did what it must not.
    Wrong(String),
}

/// How a connection is asked for.
#[derive(Clone, Default)]
pub(crate) struct Handshake {
    /// `/ws/stream?after=…`.
    pub(crate) path: String,
    /// As `Authorization: Bearer`.
    pub(crate) token: Option<String>,
    /// The sub-protocol, which has to come back.
    pub(crate) protocol: Option<String>,
    /// What the system may hold that was not read yet, for who is slow on purpose.
    pub(crate) receive_buffer: Option<usize>,
}

/// An open connection.
pub(crate) struct WebSocket {
    stream: TcpStream,
    /// What came and was not looked at yet.
    buffer: Vec<u8>,
    /// The text of a message whose end has not come yet.
    begun: Option<Vec<u8>>,
    random: Rng,
}

impl WebSocket {
    /// Opens a connection. The inner error is a connection that did not come about, as while the server is away.
    pub(crate) fn open(address: SocketAddr, handshake: &Handshake) -> Result<Result<Self, Error>> {
        let mut stream = match connected(address, handshake.receive_buffer) {
            Ok(stream) => stream,
            Err(error) => return Ok(Err(error)),
        };
        let (mut buffer, answer) = match ask(&mut stream, handshake) {
            Ok(answered) => answered,
            Err(error) => return Ok(Err(error)),
        };
        if answer.status == 503 {
            return Ok(Err(Error::other("the server is not there for anybody")));
        }
        ensure!(
            answer.status == 101,
            "{} was answered {}: {}",
            handshake.path.split('?').next().unwrap_or_default(),
            answer.status,
            String::from_utf8_lossy(&answer.body)
        );
        ensure!(answer.header("sec-websocket-accept") == Some(ACCEPT), "a handshake without its right answer");
        ensure!(
            answer.header("sec-websocket-protocol") == handshake.protocol.as_deref(),
            "another sub-protocol than was asked for"
        );
        ensure!(answer.header("sec-websocket-extensions").is_none(), "an extension that was not asked for");
        buffer.shrink_to_fit();
        Ok(Ok(Self { stream, buffer, begun: None, random: Rng::new() }))
    }

    /// The next text. `None` if none came in this time.
    pub(crate) fn read(&mut self, patience: Duration) -> Result<Option<String>, Ended> {
        let deadline = Instant::now() + patience;
        let mut piece = [0; 16 * 1024];
        loop {
            while let Some((head, payload)) = self.take_frame()? {
                if let Some(text) = self.frame(head, payload)? {
                    return Ok(Some(text));
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.stream.set_read_timeout(Some(left)).map_err(|_| Ended::Gone)?;
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(Ended::Gone),
                Ok(length) => self.buffer.extend_from_slice(&piece[..length]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Ended::Gone),
            }
        }
    }

    /// Sends a text.
    pub(crate) fn send(&mut self, text: &str) -> Result<(), Ended> {
        self.write(0x1, text.as_bytes())
    }

    /// Says that it goes, and goes without waiting for the answer.
    pub(crate) fn close(mut self) {
        // Who goes does not care whether that arrived.
        let _ = self.write(0x8, &1000_u16.to_be_bytes());
    }

    /// The first byte and the payload of the next frame, if all of it is there.
    fn take_frame(&mut self) -> Result<Option<(u8, Vec<u8>)>, Ended> {
        let [head, length, ..] = self.buffer[..] else { return Ok(None) };
        if length & 0x80 != 0 {
            return Err(Ended::Wrong("a server's frame is masked".to_owned()));
        }
        let long = match length {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some(long_length) = self.buffer.get(2..2 + long) else { return Ok(None) };
        let payload = match long {
            0 => usize::from(length),
            _ => long_length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        };
        let begin = 2 + long;
        if payload > 1 << 20 {
            return Err(Ended::Wrong(format!("a frame of {payload} bytes")));
        }
        let Some(payload) = self.buffer.get(begin..begin + payload).map(<[u8]>::to_vec) else { return Ok(None) };
        self.buffer.drain(..begin + payload.len());
        Ok(Some((head, payload)))
    }

    /// Does what a frame asks for; answers the text that it ends.
    fn frame(&mut self, head: u8, payload: Vec<u8>) -> Result<Option<String>, Ended> {
        if head & 0x70 != 0 {
            return Err(Ended::Wrong("a frame with bits of an extension".to_owned()));
        }
        let is_last = head & 0x80 != 0;
        match (head & 0x0f, self.begun.take()) {
            (0x0, Some(mut begun)) => {
                begun.extend(payload);
                self.text_if(is_last, begun)
            }
            (0x1, None) => self.text_if(is_last, payload),
            (0x8, _) => {
                let code = payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
                // It is over either way.
                let _ = self.write(0x8, &payload);
                Err(Ended::Closed(code))
            }
            (0x9, begun) => {
                self.begun = begun;
                self.write(0xa, &payload)?;
                Ok(None)
            }
            (0xa, begun) => {
                self.begun = begun;
                Ok(None)
            }
            (kind, _) => Err(Ended::Wrong(format!("a frame of kind {kind} out of place"))),
        }
    }

    fn text_if(&mut self, is_last: bool, bytes: Vec<u8>) -> Result<Option<String>, Ended> {
        if !is_last {
            self.begun = Some(bytes);
            return Ok(None);
        }
        String::from_utf8(bytes).map(Some).map_err(|_| Ended::Wrong("a text that is not UTF-8".to_owned()))
    }

    /// Writes one frame, short as everything that a client sends here.
    fn write(&mut self, kind: u8, payload: &[u8]) -> Result<(), Ended> {
        let length = u8::try_from(payload.len()).ok().filter(|length| *length < 126).expect("what is sent is short");
        let mask = self.random.u32(..).to_be_bytes();
        let mut frame = vec![0x80 | kind, 0x80 | length];
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.stream.write_all(&frame).map_err(|_| Ended::Gone)
    }
}

/// A connection whose buffer was made small before it began, which is when its other side is told.
fn connected(address: SocketAddr, receive_buffer: Option<usize>) -> Result<TcpStream, Error> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    if let Some(size) = receive_buffer {
        set_socket_recv_buffer_size(&socket, size)?;
    }
    connect(&socket, &address)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Asks for the websocket, and answers what came behind the answer's head.
fn ask(stream: &mut TcpStream, handshake: &Handshake) -> Result<(Vec<u8>, Answer), Error> {
    let request =
        Request { method: "GET", path: handshake.path.clone(), token: handshake.token.clone(), ..Request::default() };
    let mut head = request.bytes();
    head.truncate(head.len() - 2);
    head.extend_from_slice(b"connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n");
    head.extend(format!("sec-websocket-key: {KEY}\r\n").bytes());
    if let Some(protocol) = &handshake.protocol {
        head.extend(format!("sec-websocket-protocol: {protocol}\r\n").bytes());
    }
    head.extend_from_slice(b"\r\n");
    stream.write_all(&head)?;
    let (mut buffer, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            length => buffer.extend_from_slice(&piece[..length]),
        }
        if let Some(answer) = Answer::take(&mut buffer).map_err(Error::other)? {
            return Ok((buffer, answer));
        }
    }
}
