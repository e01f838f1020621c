//! Clients that are slow on purpose: with the head of a request, with its body, and with taking the answer.

use crate::community::Community;
use crate::http::Request;
use crate::load::{self, Plan};
use crate::report::{Context, Report, milliseconds};
use crate::server::wait_until;
use anyhow::{Context as _, Result, ensure};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// The server's patience, shortened.
const HEADER_TIMEOUT: Duration = Duration::from_secs(2);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

/// Beyond the server's patience.
const SLACK: Duration = Duration::from_secs(5);

/// Memory that all of them together may cost, in MiB.
const MEMORY: f64 = 50.0;

/// Pause between two bytes.
const DRIP: Duration = Duration::from_millis(200);

/// Answers that a slow reader asks for and does not take; more than the system's buffers hold.
const UNREAD: usize = 40;

pub(crate) fn run(context: &Context) -> Result<Report> {
    let mut report = Report::default();
    let mut start = context.start()?;
    start.settings.push(format!("server.header_timeout={}s", HEADER_TIMEOUT.as_secs()));
    start.settings.push(format!("server.request_timeout={}s", REQUEST_TIMEOUT.as_secs()));
    let community = Community::create(&context.parlour, &start.data_dir, 2)?;
    let mut server = start.ready()?;
    let (one, other) = (&community.members[0], &community.members[1]);
    let mut client = server.client();
    for _ in 0..100 {
        let text = "A long letter. ".repeat(30);
        ensure!(client.ask(&Request::send(&one.token, &[other.id], &text, None))?.status == 201, "a send fails");
    }
    drop(client);
    let page = Request::get(format!("/api/v2/pm/?user={}&limit=10", other.id), &one.token).bytes();
    let normal = Request::get(format!("/api/v2/pm/?user={}&limit=10", other.id), &one.token).bytes();
    let measure = |seconds| {
        let (normal, plan) =
            (normal.clone(), Plan { connections: 4, time: Duration::from_secs(seconds), rate: Some(200.0) });
        load::run(server.address, plan, move |_| normal.clone())
    };
    let before = measure(2)?;
    // All that is allocated once has been.
    let quiet_handles = wait_for_quiet(&server)?;
    let (memory_before, _) = server.memory_mib()?;
    let each = context.pick(200, 2_000);
    let (closed, readers) = (Closed::default(), Arc::new(AtomicBool::new(false)));
    let token = one.token.clone();
    let (during, memory, gone) = std::thread::scope(|scope| -> Result<_> {
        let slow = scope.spawn(|| closed.all(server.address, each, &token, &page, &readers));
        let during = measure(4)?;
        let (_, memory) = server.memory_mib()?;
        // Who reads nothing never sees the end of the connection; the server's handles show it.
        let began = Instant::now();
        wait_until("all slow clients are gone", || Ok(server.handles()? <= quiet_handles + 4))?;
        let gone = began.elapsed();
        readers.store(true, Ordering::Release);
        slow.join().expect("no client panics")?;
        Ok((during, memory, gone))
    })?;
    let slowest = Duration::from_micros(closed.slowest.load(Ordering::Relaxed) as u64);
    let patience = HEADER_TIMEOUT.max(REQUEST_TIMEOUT) + SLACK;
    report.demand(slowest <= patience, || format!("a slow client was closed after {} ms", milliseconds(slowest)));
    // The measurement ran for four seconds before.
    let readers_gone = gone + Duration::from_secs(4);
    report.demand(readers_gone <= patience + SLACK, || {
        format!("slow readers stay for {} ms", milliseconds(readers_gone))
    });
    let growth = memory - memory_before;
    report.demand(growth <= MEMORY, || format!("slow clients cost {growth:.0} MiB"));
    let bound = before.p99() * 2 + Duration::from_millis(250);
    report.demand(during.p99() <= bound, || format!("p99 of others is {} ms", milliseconds(during.p99())));
    report.demand(during.broken == 0, || format!("{} others lost their connection", during.broken));
    report.demand(server.is_alive()?, || "the process has ended".to_owned());
    report.look_for_panics(&start.log)?;
    report.done = format!(
        "{each} slow heads, {each} slow bodies, {each} slow readers: closed after {} ms and {} ms at the latest; others' p99 {} ms against {} \
         ms before; {growth:.0} MiB more",
        milliseconds(slowest),
        milliseconds(readers_gone),
        milliseconds(during.p99()),
        milliseconds(before.p99()),
    );
    report.figure("each", each);
    report.figure("slowest_close_ms", milliseconds(slowest));
    report.figure("readers_gone_ms", milliseconds(readers_gone));
    report.figure("memory_growth_mib", growth.round());
    report.figure("p99_before_ms", milliseconds(before.p99()));
    report.figure("p99_during_ms", milliseconds(during.p99()));
    Ok(report)
}

/// The handles of a server that nobody is connected to any more.
fn wait_for_quiet(server: &crate::server::Server) -> Result<usize> {
    let mut last = server.handles()?;
    let mut since = Instant::now();
    wait_until("connections have ended", || {
        let now = server.handles()?;
        if now != last {
            (last, since) = (now, Instant::now());
        }
        Ok(since.elapsed() > Duration::from_millis(300))
    })?;
    Ok(last)
}

/// When slow clients were closed.
#[derive(Default)]
struct Closed {
    /// In microseconds.
    slowest: AtomicUsize,
}

impl Closed {
    fn all(&self, address: SocketAddr, each: usize, token: &str, page: &[u8], readers: &AtomicBool) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let head = b"GET /api/v2/pm/ HTTP/1.1\r\nhost: parlour\r\nx-slow: ".to_vec();
        let mut body = Request::send(token, &[1], &"slow ".repeat(200), None).bytes();
        body.truncate(body.len() - 1_000);
        runtime.block_on(async {
            let mut clients = JoinSet::new();
            let mut quiet = Vec::new();
            for _ in 0..each {
                clients.spawn(drip(address, head.clone()));
                clients.spawn(drip(address, body.clone()));
                quiet.push(tokio::spawn(ask_and_wait(address, page.to_vec())));
            }
            while let Some(took) = clients.join_next().await {
                let took = usize::try_from(took??.as_micros())?;
                self.slowest.fetch_max(took, Ordering::Relaxed);
            }
            while !readers.load(Ordering::Acquire) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            drop(quiet);
            Ok(())
        })
    }
}

/// Sends `start` and then a byte at a time; answers after what time the server closed the connection.
async fn drip(address: SocketAddr, start: Vec<u8>) -> Result<Duration> {
    let began = Instant::now();
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&start).await?;
    let mut answer = [0; 1024];
    while began.elapsed() < Duration::from_secs(60) {
        tokio::select! {
            read = stream.read(&mut answer) => match read {
                Ok(0) | Err(_) => return Ok(began.elapsed()),
                // The answer that says why; the end comes after it.
                Ok(_) => {}
            },
            () = tokio::time::sleep(DRIP) => {
                if stream.write_all(b"x").await.is_err() {
                    return Ok(began.elapsed());
                }
            }
        }
    }
    Ok(began.elapsed())
}

/// Asks for many pages with a small buffer and takes none of them.
async fn ask_and_wait(address: SocketAddr, page: Vec<u8>) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    let mut stream = socket.connect(address).await.context("a slow reader cannot connect")?;
    // The server may have enough of it before everything is written.
    let _ = stream.write_all(&page.repeat(UNREAD)).await;
    Ok(stream)
}
