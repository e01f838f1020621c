//! The load: keep-alive connections that ask one question after another, on the calling thread.

use anyhow::{Context as _, Result, ensure};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

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
    next: impl FnMut() -> Vec<u8> + 'static,
) -> Result<Measured> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let started = Instant::now();
    let end = started + time;
    let next = std::rc::Rc::new(std::cell::RefCell::new(next));
    let latencies = LocalSet::new().block_on(&runtime, async move {
        let mut clients = JoinSet::new();
        for _ in 0..connections {
            let next = std::rc::Rc::clone(&next);
            clients.spawn_local(async move {
                let mut client = Client::connect(address).await?;
                let mut latencies = Vec::new();
                while Instant::now() < end {
                    let request = (next.borrow_mut())();
                    let asked = Instant::now();
                    client.ask(&request, status).await?;
                    latencies.push(asked.elapsed());
                }
                anyhow::Ok(latencies)
            });
        }
        let mut all = Vec::new();
        while let Some(latencies) = clients.join_next().await {
            all.extend(latencies??);
        }
        anyhow::Ok(all)
    })?;
    let mut latencies = latencies;
    latencies.sort_unstable();
    Ok(Measured { answers: latencies.len(), seconds: started.elapsed().as_secs_f64(), latencies })
}

/// One connection.
struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(128 * 1024) })
    }

    async fn ask(&mut self, request: &[u8], status: u16) -> Result<()> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let (head, length) = loop {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the server closed a connection");
            if let Some(head) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break (head, content_length(&self.buffer[..head])?);
            }
        };
        while self.buffer.len() < head + 4 + length {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the server broke off an answer");
        }
        let found = std::str::from_utf8(&self.buffer[9..12])?.parse::<u16>()?;
        ensure!(found == status, "the server answered {found}: {}", String::from_utf8_lossy(&self.buffer[head..]));
        Ok(())
    }
}

fn content_length(head: &[u8]) -> Result<usize> {
    let head = std::str::from_utf8(head)?;
    let value =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).context("an answer with a length")?;
    Ok(value.parse()?)
}

/// Asks once and answers the body.
pub(crate) fn body(address: SocketAddr, request: &[u8]) -> Result<Vec<u8>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut client = Client::connect(address).await?;
        client.ask(request, 200).await?;
        let head = client.buffer.windows(4).position(|window| window == b"\r\n\r\n").context("a head")?;
        Ok(client.buffer.split_off(head + 4))
    })
}
