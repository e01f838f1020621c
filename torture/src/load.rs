//! Many connections at once, for scenarios that flood: requests at a fixed rate whatever the answers do.

use crate::http::Answer;
use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// What a load saw.
#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) statuses: BTreeMap<u16, usize>,
    /// Connections that broke without an answer.
    pub(crate) broken: usize,
    /// Why the last of them did.
    pub(crate) how_it_broke: String,
    /// Requests that were due while every connection was waiting for an answer.
    pub(crate) turned_away: usize,
    pub(crate) seconds: f64,
    /// Times of good answers, sorted.
    pub(crate) latencies: Vec<Duration>,
    /// The slowest refusal.
    pub(crate) slowest_refusal: Duration,
    /// Answers of 503 that do not say when to come back.
    pub(crate) without_retry_after: usize,
}

impl Measured {
    /// Answers of 200 and 201 a second.
    pub(crate) fn goodput(&self) -> f64 {
        self.latencies.len() as f64 / self.seconds
    }

    pub(crate) fn p99(&self) -> Duration {
        let at = (self.latencies.len() * 99 / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(at).copied().unwrap_or_default()
    }
}

/// How much to ask.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) connections: usize,
    pub(crate) time: Duration,
    /// Requests a second; `None` for one after another on every connection.
    pub(crate) rate: Option<f64>,
}

/// Asks `next(0)`, `next(1)`, … as planned.
pub(crate) fn run(
    address: SocketAddr,
    plan: Plan,
    next: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static,
) -> Result<Measured> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let began = Instant::now();
        let due = Arc::new(Due { began, end: began + plan.time, rate: plan.rate, taken: AtomicUsize::new(0) });
        let next = Arc::new(next);
        let mut clients = JoinSet::new();
        for _ in 0..plan.connections {
            let (due, next) = (Arc::clone(&due), Arc::clone(&next));
            clients.spawn(async move { client(address, &due, &*next).await });
        }
        let mut all = Measured::default();
        while let Some(one) = clients.join_next().await {
            let one = one?;
            one.statuses.into_iter().for_each(|(status, count)| *all.statuses.entry(status).or_default() += count);
            all.broken += one.broken;
            if one.broken > 0 {
                all.how_it_broke = one.how_it_broke;
            }
            all.without_retry_after += one.without_retry_after;
            all.latencies.extend(one.latencies);
            all.slowest_refusal = all.slowest_refusal.max(one.slowest_refusal);
        }
        all.seconds = plan.time.as_secs_f64();
        let offered = plan.rate.map_or(0.0, |rate| rate * all.seconds) as usize;
        all.turned_away = offered.saturating_sub(due.taken.load(Ordering::Relaxed));
        all.latencies.sort_unstable();
        Ok(all)
    })
}

/// Which request is due, for whichever connection is free.
struct Due {
    began: Instant,
    end: Instant,
    rate: Option<f64>,
    taken: AtomicUsize,
}

impl Due {
    /// The number of the next request, at its time; `None` when the load is over.
    async fn next(&self) -> Option<usize> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        if let Some(rate) = self.rate {
            let at = self.began + Duration::from_secs_f64(number as f64 / rate);
            tokio::time::sleep_until(at.min(self.end).into()).await;
        }
        (Instant::now() < self.end).then_some(number)
    }
}

async fn client(address: SocketAddr, due: &Due, next: &(dyn Fn(usize) -> Vec<u8> + Sync)) -> Measured {
    let mut measured = Measured::default();
    let mut connection = None;
    while let Some(number) = due.next().await {
        let asked = Instant::now();
        match ask(address, &mut connection, &next(number)).await {
            Ok(answer) => {
                *measured.statuses.entry(answer.status).or_default() += 1;
                if answer.status < 300 {
                    measured.latencies.push(asked.elapsed());
                } else {
                    let says_when = answer.status != 503 || answer.header("retry-after").is_some();
                    measured.without_retry_after += usize::from(!says_when);
                    measured.slowest_refusal = measured.slowest_refusal.max(asked.elapsed());
                }
            }
            Err(error) => {
                connection = None;
                measured.broken += 1;
                measured.how_it_broke = format!("{error:#}");
            }
        }
    }
    measured
}

async fn ask(address: SocketAddr, connection: &mut Option<TcpStream>, request: &[u8]) -> Result<Answer> {
    if connection.is_none() {
        *connection = Some(TcpStream::connect(address).await?);
    }
    let stream = connection.as_mut().context("a connection")?;
    stream.set_nodelay(true)?;
    stream.write_all(request).await?;
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        ensure!(stream.read_buf(&mut buffer).await? > 0, "the server closed a connection");
        if let Some(answer) = Answer::take(&mut buffer)? {
            return Ok(answer);
        }
    }
}
