//! Large bodies on blocking connections, a thread each: what is timed is the server that takes them or sends them.

use anyhow::{Context as _, Result, ensure};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes that are read at once.
const PIECE: usize = 256 * 1024;

/// A request, ready to be sent.
pub(crate) struct Request<'a> {
    pub(crate) head: String,
    pub(crate) body: &'a [u8],
}

/// One keep-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: vec![0; PIECE] })
    }

    /// Sends a request and reads the answer.
    pub(crate) fn ask(&mut self, request: &Request<'_>) -> Result<(usize, Vec<u8>)> {
        self.send(request, request.body.len())?;
        self.answer()
    }

    /// Sends a request whose answer will be waited for with [`Connection::has_answer`].
    pub(crate) fn begin(&mut self, request: &Request<'_>) -> Result<()> {
        self.send(request, request.body.len())?;
        Ok(self.stream.set_nonblocking(true)?)
    }

    /// Whether the answer to what was begun is there, which then is read.
    pub(crate) fn has_answer(&mut self) -> Result<bool> {
        match self.stream.peek(&mut [0]) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        self.stream.set_nonblocking(false)?;
        self.answer()?;
        Ok(true)
    }

    /// Sends the head and the first `first` bytes of the body.
    fn send(&mut self, request: &Request<'_>, first: usize) -> Result<()> {
        self.stream.write_all(request.head.as_bytes())?;
        Ok(self.stream.write_all(&request.body[..first])?)
    }

    /// Reads an answer to its end, which must be a success. Answers the length of its body, and what of it came together with the head.
    fn answer(&mut self) -> Result<(usize, Vec<u8>)> {
        let mut filled = 0;
        let head = loop {
            let read = self.stream.read(&mut self.buffer[filled..])?;
            ensure!(read > 0, "the server closed a connection");
            filled += read;
            if let Some(end) = self.buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let text = std::str::from_utf8(&self.buffer[..head])?;
        let length =
            text.lines().find_map(|line| line.strip_prefix("content-length: ")).context("an answer with a length")?;
        let length: usize = length.parse()?;
        let start = self.buffer[head..filled].to_vec();
        ensure!(text.starts_with("HTTP/1.1 20"), "the server answered {text}{}", String::from_utf8_lossy(&start));
        let mut left = length.saturating_sub(start.len());
        while left > 0 {
            let read = self.stream.read(&mut self.buffer)?;
            ensure!(read > 0, "the server broke off an answer");
            left = left.saturating_sub(read);
        }
        Ok((length, start))
    }
}

/// Exchanges requests on `connections` connections for `time`; answers the MiB a second of the bodies that `size` counts.
pub(crate) fn run(
    address: SocketAddr,
    connections: usize,
    time: Duration,
    size: usize,
    request: impl Fn(usize) -> Request<'static> + Sync,
) -> Result<f64> {
    let started = Instant::now();
    let one = |number: usize| {
        let request = request(number);
        let mut connection = Connection::open(address)?;
        let mut exchanged = 0_usize;
        while started.elapsed() < time {
            connection.ask(&request)?;
            exchanged += 1;
        }
        Ok(exchanged)
    };
    let counts = on_threads(connections, one)?;
    let bytes = counts.into_iter().sum::<usize>() * size;
    Ok(bytes as f64 / f64::from(1 << 20) / started.elapsed().as_secs_f64())
}

/// Sends `connections` requests so that all of them are half way at one moment, and waits for their answers.
pub(crate) fn at_once(
    address: SocketAddr,
    connections: usize,
    request: impl Fn(usize) -> Request<'static> + Sync,
) -> Result<()> {
    let half_way = Barrier::new(connections);
    let one = |number: usize| {
        let request = request(number);
        let half = request.body.len() / 2;
        let sent = Connection::open(address).and_then(|mut connection| {
            connection.send(&request, half)?;
            Ok(connection)
        });
        // Whoever failed must not be waited for.
        half_way.wait();
        let mut connection = sent?;
        connection.stream.write_all(&request.body[half..])?;
        connection.answer()
    };
    on_threads(connections, one).map(drop)
}

/// Does the same on several threads at once, each with a number of its own.
fn on_threads<T: Send>(count: usize, one: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    std::thread::scope(|scope| {
        let one = &one;
        let threads: Vec<_> = (0..count).map(|number| scope.spawn(move || one(number))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<T>>| {
            thread.join().map_err(|_| anyhow::anyhow!("a thread of the load panicked"))?
        };
        threads.into_iter().map(join).collect()
    })
}
