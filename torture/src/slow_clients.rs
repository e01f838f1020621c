//! Clients that are slow on purpose: with the head of a request, with its body, and with taking the answer.

use crate::community::Community;
use crate::http::Request;
use crate::load::{self, Measured, Plan};
use crate::report::{Context, Report, milliseconds};
use crate::server::{Server, wait_until};
use anyhow::{Result, ensure};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

/// The server's patience, shortened.
const HEADER_TIMEOUT: Duration = Duration::from_secs(2);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

/// Beyond the server's patience.
const SLACK: Duration = Duration::from_secs(5);

/// Memory that all of one kind together may cost, in MiB.
const MEMORY: f64 = 50.0;

/// Pause between two bytes.
const DRIP: Duration = Duration::from_millis(200);

/// Answers that a slow reader asks for and does not take; more than the system's buffers hold.
const UNREAD: usize = 120;

/// How a client is slow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Slow {
    Head,
    Body,
    Reader,
}

/// What one kind did.
struct Phase {
    gone: Duration,
    p99: Duration,
    broken: usize,
}

pub(crate) fn run(context: &Context) -> Result<Report> {
    let mut report = Report::default();
    let mut start = context.start()?;
    start.settings.push(format!("server.header_timeout={}s", HEADER_TIMEOUT.as_secs()));
    start.settings.push(format!("server.request_timeout={}s", REQUEST_TIMEOUT.as_secs()));
    let community = Community::create(&start, 2)?;
    let mut server = start.ready()?;
    let (one, other) = (&community.members[0], &community.members[1]);
    let mut client = server.client();
    for _ in 0..100 {
        let text = "A long letter. ".repeat(30);
        ensure!(client.ask(&Request::send(&one.token, &[other.id], &text, None))?.status == 201, "a send fails");
    }
    drop(client);
    let page = Request::get(format!("/api/v2/pm/?user={}&limit=10", other.id), &one.token).bytes();
    let before = others(&server, &page)?;
    wait_for_quiet(&server)?;
    let (memory_before, _) = server.memory_mib()?;
    let each = context.pick(200, 2_000);
    let patience = HEADER_TIMEOUT.max(REQUEST_TIMEOUT) + SLACK;
    let bound = before.p99() * 2 + Duration::from_millis(250);
    let mut told = Vec::new();
    for kind in [Slow::Head, Slow::Body, Slow::Reader] {
        let Phase { gone, p99, broken } = phase(&server, kind, each, &one.token, &page)?;
        let memory = server.memory_mib()?.1 - memory_before;
        report.demand(gone <= patience, || format!("{kind:?}: the last is gone after {} ms", milliseconds(gone)));
        // Else the system's buffers took everything, and nobody was slow.
        report.demand(kind != Slow::Reader || gone > HEADER_TIMEOUT + Duration::from_millis(500), || {
            format!("{kind:?}: gone after {} ms already", milliseconds(gone))
        });
        report.demand(p99 <= bound, || format!("{kind:?}: others' p99 is {} ms", milliseconds(p99)));
        report.demand(broken == 0, || format!("{kind:?}: {broken} others lost their connection"));
        report.demand(memory <= MEMORY, || format!("{kind:?}: {memory:.0} MiB more at the highest"));
        let (gone, p99) = (milliseconds(gone), milliseconds(p99));
        told.push(format!(
            "{each} slow with the {kind:?}: gone after {gone} ms, others' p99 {p99} ms, {memory:.0} MiB more at most"
        ));
        report.figure(&format!("{kind:?}_gone_ms"), gone);
        report.figure(&format!("{kind:?}_others_p99_ms"), p99);
        report.figure(&format!("{kind:?}_memory_mib"), memory.round());
    }
    report.demand(server.is_alive()?, || "the process has ended".to_owned());
    report.look_for_panics(&start.log)?;
    report.done = format!("{}; others' p99 was {} ms before", told.join("; "), milliseconds(before.p99()));
    Ok(report)
}

/// Other clients, at a rate that leaves the server room.
fn others(server: &Server, page: &[u8]) -> Result<Measured> {
    let (page, plan) = (page.to_vec(), Plan { connections: 4, time: Duration::from_secs(2), rate: Some(200.0) });
    load::run(server.address, plan, move |_| page.clone())
}

/// Lets all clients of one kind come, and waits until the server has got rid of them. Their handles show it: who reads nothing never sees
/// the end of the connection.
fn phase(server: &Server, kind: Slow, each: usize, token: &str, page: &[u8]) -> Result<Phase> {
    let quiet = wait_for_quiet(server)?;
    let (address, over) = (server.address, AtomicBool::new(false));
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| come(address, kind, each, token, page, &over));
        let came = wait_until("they come", || Ok(server.handles()? > quiet + each / 2)).map(|_| Instant::now());
        let result = came.and_then(|came| {
            wait_until_calm(server)?;
            let others = others(server, page)?;
            wait_until("all slow clients are gone", || Ok(server.handles()? <= quiet + 4))?;
            Ok(Phase { gone: came.elapsed(), p99: others.p99(), broken: others.broken })
        });
        over.store(true, Ordering::Release);
        slow.join().expect("no client panics")?;
        result
    })
}

/// Waits until the server has done what the slow clients asked for at once. That is a flood, which [`crate::overload`] looks at; here counts
/// what they cost others by staying.
fn wait_until_calm(server: &Server) -> Result<()> {
    let mut used = server.processor_seconds()?;
    let mut since = Instant::now();
    wait_until("the server is calm", || {
        if since.elapsed() < Duration::from_millis(100) {
            return Ok(false);
        }
        let part = (server.processor_seconds()? - used) / since.elapsed().as_secs_f64();
        (used, since) = (server.processor_seconds()?, Instant::now());
        Ok(part < 0.3)
    })?;
    Ok(())
}

/// The handles of a server that nobody is connected to any more.
fn wait_for_quiet(server: &Server) -> Result<usize> {
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

/// Every client of one kind, until it is over.
fn come(address: SocketAddr, kind: Slow, each: usize, token: &str, page: &[u8], over: &AtomicBool) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let start = match kind {
        Slow::Head => b"GET /api/v2/pm/ HTTP/1.1\r\nhost: parlour\r\nx-slow: ".to_vec(),
        Slow::Body => {
            let mut request = Request::send(token, &[1], &"slow ".repeat(200), None).bytes();
            request.truncate(request.len() - 1_000);
            request
        }
        Slow::Reader => page.repeat(UNREAD),
    };
    runtime.block_on(async {
        let mut clients = JoinSet::new();
        for _ in 0..each {
            clients.spawn(client(address, kind, start.clone()));
        }
        while !over.load(Ordering::Acquire) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    })
}

/// Sends `start` and then a byte at a time, or takes nothing of the answers.
async fn client(address: SocketAddr, kind: Slow, start: Vec<u8>) -> Result<()> {
    let socket = TcpSocket::new_v4()?;
    if kind == Slow::Reader {
        socket.set_recv_buffer_size(4096)?;
    }
    let mut stream = socket.connect(address).await?;
    stream.write_all(&start).await?;
    if kind == Slow::Reader {
        std::future::pending::<()>().await;
    }
    let mut answer = [0; 1024];
    loop {
        tokio::select! {
            // Not the end yet, but the answer that says why.
            read = stream.read(&mut answer) => ensure!(read? > 0, "closed"),
            () = tokio::time::sleep(DRIP) => stream.write_all(b"x").await?,
        }
    }
}
