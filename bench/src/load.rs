//! The load: keep-alive connections that ask one question after another, on the calling thread.
//!
//! The thread never sleeps, unless it shares the server's core. A server that has to wake its client pays for that, on a virtual machine as much as for many an answer, and
//! pays the more often the slower it is; over a real network it would not. And whatever the load does between two answers is kept short,
//! so that the floor shows what the server can do and not what the load can.

use anyhow::{Context as _, Result, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Room for the largest answer at first.
const BUFFER_BYTES: usize = 128 * 1024;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a load measured.
pub(crate) struct Measured {
    pub(crate) answers: usize,
    pub(crate) seconds: f64,
    /// Times of single answers, sorted.
    pub(crate) latencies: Vec<Duration>,
}

impl Measured {
    pub(crate) fn per_second(&self) -> f64 {
        self.answers as f64 / self.seconds
    }

    /// The latency below which this part of the answers lies, in microseconds.
    pub(crate) fn percentile_us(&self, part: f64) -> f64 {
        let at = ((self.latencies.len() as f64 * part) as usize).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(at).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
    }
}

/// Asks `next` for requests on `connections` connections for `time` and expects `status` on every answer.
pub(crate) fn run(
    address: SocketAddr,
    connections: usize,
    time: Duration,
    status: u16,
    next: impl FnMut() -> Vec<u8>,
) -> Result<Measured> {
    run_with(address, connections, time, status, Some(Duration::ZERO), next)
}

/// The same, sleeping while there is nothing to do: for a load on the server's own core.
pub(crate) fn run_beside(
    address: SocketAddr,
    connections: usize,
    time: Duration,
    status: u16,
    next: impl FnMut() -> Vec<u8>,
) -> Result<Measured> {
    run_with(address, connections, time, status, Some(PATIENCE), next)
}

fn run_with(
    address: SocketAddr,
    connections: usize,
    time: Duration,
    status: u16,
    sleep: Option<Duration>,
    mut next: impl FnMut() -> Vec<u8>,
) -> Result<Measured> {
    let mut poll = Poll::new()?;
    let mut clients = Vec::with_capacity(connections);
    for number in 0..connections {
        let mut client = Client::connect(address)?;
        poll.registry().register(&mut client.stream, Token(number), Interest::READABLE)?;
        clients.push(client);
    }
    let mut events = Events::with_capacity(connections);
    let mut latencies = Vec::new();
    let started = Instant::now();
    let end = started + time;
    for client in &mut clients {
        client.ask(next())?;
    }
    let mut open = connections;
    while open > 0 {
        poll.poll(&mut events, sleep)?;
        for event in &events {
            let client = &mut clients[event.token().0];
            if !client.answered(status)? {
                continue;
            }
            let now = Instant::now();
            latencies.push(now - client.asked);
            if now < end {
                client.ask(next())?;
            } else {
                open -= 1;
            }
        }
        ensure!(started.elapsed() < time + PATIENCE, "{open} answers did not come");
    }
    latencies.sort_unstable();
    Ok(Measured { answers: latencies.len(), seconds: started.elapsed().as_secs_f64(), latencies })
}

/// One connection.
struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Bytes of the answer that have come.
    filled: usize,
    /// Bytes that the answer has, once its head has come.
    length: Option<usize>,
    asked: Instant,
}

impl Client {
    fn connect(address: SocketAddr) -> Result<Self> {
        // The connection is made before anything is measured.
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let stream = TcpStream::from_std(stream);
        Ok(Self { stream, buffer: vec![0; BUFFER_BYTES], filled: 0, length: None, asked: Instant::now() })
    }

    fn ask(&mut self, request: Vec<u8>) -> Result<()> {
        (self.filled, self.length, self.asked) = (0, None, Instant::now());
        let mut rest = &request[..];
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads what has come, and says whether that completes the answer.
    fn answered(&mut self, status: u16) -> Result<bool> {
        loop {
            if self.filled == self.buffer.len() {
                self.buffer.resize(2 * self.filled, 0);
            }
            match self.stream.read(&mut self.buffer[self.filled..]) {
                Ok(0) => anyhow::bail!("the server closed a connection"),
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
            let length = match self.length {
                Some(length) => length,
                None => match self.head()? {
                    Some((head, body)) => {
                        self.check(status, head)?;
                        *self.length.insert(head + body)
                    }
                    None => continue,
                },
            };
            if self.filled >= length {
                return Ok(true);
            }
        }
    }

    /// Bytes of the head and of the body, once the head has come.
    fn head(&self) -> Result<Option<(usize, usize)>> {
        let come = &self.buffer[..self.filled];
        let Some(end) = come.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
        let head = std::str::from_utf8(&come[..end])?;
        let value =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).context("an answer with a length")?;
        Ok(Some((end + 4, value.parse()?)))
    }

    fn check(&self, status: u16, head: usize) -> Result<()> {
        let found = std::str::from_utf8(&self.buffer[9..12])?.parse::<u16>()?;
        let said = || String::from_utf8_lossy(&self.buffer[head..self.filled]).into_owned();
        ensure!(found == status, "the server answered {found}: {}", said());
        Ok(())
    }
}

/// Asks once and answers the body.
pub(crate) fn body(address: SocketAddr, request: &[u8]) -> Result<Vec<u8>> {
    let mut client = Client::connect(address)?;
    client.ask(request.to_vec())?;
    let started = Instant::now();
    while !client.answered(200)? {
        ensure!(started.elapsed() < PATIENCE, "the answer did not come");
        std::thread::yield_now();
    }
    let (head, _) = client.head()?.context("a head")?;
    client.buffer.truncate(client.filled);
    Ok(client.buffer.split_off(head))
}
