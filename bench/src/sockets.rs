//! Websockets as clients, on the calling thread: as little as lets a frame be told from the next one.

use anyhow::{Context as _, Result, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The heartbeat of the official client.
pub(crate) const HEARTBEAT: &[u8] = b"--1a61c1de89b75ddfbb684b8d224ee3ae--";

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Frames that came, with whose socket it was.
pub(crate) struct Sockets {
    poll: Poll,
    events: Events,
    sockets: Vec<Socket>,
}

struct Socket {
    stream: TcpStream,
    /// What came of a frame that is not whole yet.
    rest: Vec<u8>,
}

impl Sockets {
    /// Opens one after the other, each with a path and a sub-protocol.
    pub(crate) fn open(address: SocketAddr, each: impl ExactSizeIterator<Item = (String, String)>) -> Result<Self> {
        let poll = Poll::new()?;
        let events = Events::with_capacity(1024);
        let mut sockets = Vec::with_capacity(each.len());
        for (number, (path, protocol)) in each.enumerate() {
            let mut stream = TcpStream::from_std(shake_hands(address, &path, &protocol)?);
            poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
            sockets.push(Socket { stream, rest: Vec::new() });
        }
        Ok(Self { poll, events, sockets })
    }

    pub(crate) fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Sends a text on one of them.
    pub(crate) fn send(&mut self, number: usize, text: &[u8]) -> Result<()> {
        let frame = masked(text);
        let mut rest = &frame[..];
        while !rest.is_empty() {
            match self.sockets[number].stream.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads what has come, after waiting for so long at the most; tells `came` of every text and its socket.
    pub(crate) fn read(&mut self, wait: Duration, mut came: impl FnMut(usize, &[u8])) -> Result<()> {
        self.poll.poll(&mut self.events, Some(wait))?;
        let mut piece = [0; 16 * 1024];
        for event in &self.events {
            let number = event.token().0;
            let socket = &mut self.sockets[number];
            loop {
                match socket.stream.read(&mut piece) {
                    Ok(0) => anyhow::bail!("the server closed a socket"),
                    Ok(length) => socket.take(&piece[..length], |text| came(number, text))?,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// Sends a heartbeat on each and waits until all are answered.
    pub(crate) fn beat(&mut self) -> Result<()> {
        let mut unheard = vec![true; self.len()];
        for number in 0..self.len() {
            self.send(number, HEARTBEAT)?;
        }
        let mut left = self.len();
        let begun = Instant::now();
        while left > 0 {
            ensure!(begun.elapsed() < PATIENCE, "{left} heartbeats are not answered");
            self.read(Duration::from_millis(1), |number, text| {
                if text == HEARTBEAT {
                    left -= usize::from(std::mem::take(&mut unheard[number]));
                }
            })?;
        }
        Ok(())
    }
}

impl Socket {
    /// Takes the whole frames out of what has come.
    fn take(&mut self, piece: &[u8], mut came: impl FnMut(&[u8])) -> Result<()> {
        let joined;
        let mut come = piece;
        if !self.rest.is_empty() {
            self.rest.extend_from_slice(piece);
            joined = std::mem::take(&mut self.rest);
            come = &joined;
        }
        while let Some((kind, from, to)) = frame(come) {
            let payload = &come[from..to];
            match kind {
                0x81 => came(payload),
                0x89 => ensure!(self.stream.write(&control(0x8a, payload))? > 0, "a pong cannot be written"),
                0x88 => anyhow::bail!("the server closed a socket: {}", String::from_utf8_lossy(payload)),
                _ => anyhow::bail!("a frame of kind {kind:#x}"),
            }
            come = &come[to..];
        }
        if !come.is_empty() {
            self.rest = come.to_vec();
        }
        Ok(())
    }
}

/// The first byte of a frame, and where its payload lies, if all of it is there.
fn frame(come: &[u8]) -> Option<(u8, usize, usize)> {
    let (from, length) = match *come.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes(*come.get(2..)?.first_chunk()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(*come.get(2..)?.first_chunk()?)).ok()?),
        length => (2, usize::from(length)),
    };
    (come.len() >= from + length).then_some((come[0], from, from + length))
}

/// A text as a client has to send it. A mask of zeros is one, and costs this side nothing.
fn masked(text: &[u8]) -> Vec<u8> {
    if text.len() < 126 {
        return control(0x81, text);
    }
    let length = u16::try_from(text.len()).expect("what is sent here is short").to_be_bytes();
    [&[0x81, 0x80 | 126], &length[..], &[0; 4], text].concat()
}

fn control(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("what is sent here is short");
    [&[kind, 0x80 | length], &[0; 4][..], payload].concat()
}

fn shake_hands(address: SocketAddr, path: &str, protocol: &str) -> Result<std::net::TcpStream> {
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let protocol = if protocol.is_empty() { String::new() } else { format!("Sec-WebSocket-Protocol: {protocol}\r\n") };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{protocol}\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    // Byte by byte, so that what follows the head is left for later.
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(stream.read(&mut byte)? > 0, "the server closed a connection");
        head.push(byte[0]);
    }
    let status = head.get(9..12).context("a status")?;
    ensure!(status == b"101", "a handshake was answered {}", String::from_utf8_lossy(status));
    stream.set_nonblocking(true)?;
    Ok(stream)
}
