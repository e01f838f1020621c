//! More clients than the process may have open files.

use crate::community::Community;
use crate::http::Request;
use crate::report::{Context, Report, milliseconds};
use crate::server::{Server, wait_until};
use anyhow::{Result, ensure};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Open files at the most.
const HANDLES: usize = 256;

/// Clients that come and say nothing.
const CLIENTS: usize = 400;

/// How long a client waits for its connection.
const GIVE_UP: Duration = Duration::from_millis(50);

/// From the end of the clients to the next answer.
const RECOVERY: Duration = Duration::from_secs(5);

/// How long the server is watched while it has no handle left.
const WATCH: Duration = Duration::from_secs(2);

pub(crate) fn run(context: &Context) -> Result<Report> {
    let mut report = Report::default();
    let mut start = context.start()?;
    // Nobody is sent away for being silent before everybody is there.
    start.settings.push("server.header_timeout=60s".to_owned());
    let community = Community::create(&start, 2)?;
    let limit = format!("ulimit -n {HANDLES} && exec \"$0\" \"$@\"");
    let mut server = start.under(&["sh", "-c", &limit]).ready()?;
    let (one, other) = (&community.members[0], &community.members[1]);
    let mut early = server.client();
    ensure!(early.ask(&Request::send(&one.token, &[other.id], "early", None))?.status == 201, "a first send fails");
    let rounds = context.pick(1, 10);
    let mut slowest = Duration::ZERO;
    let mut processor: f64 = 0.0;
    for round in 0..rounds {
        // The system's own queue may be shorter than what waits; who finds it full gives up.
        let connect = |_| TcpStream::connect_timeout(&server.address, GIVE_UP).ok();
        let clients: Vec<TcpStream> = (0..CLIENTS).filter_map(connect).collect();
        wait_until("no handle is left", || Ok(server.handles()? >= HANDLES - 2))?;
        let log_before = std::fs::metadata(&server.log)?.len();
        processor = processor.max(watch(&server, log_before, &mut report)?);
        // Who was there before is served.
        for request in [
            Request::send(&one.token, &[other.id], "in between", None),
            Request::get(format!("/api/v2/pm/?user={}", other.id), &one.token),
        ] {
            let status = early.ask(&request)?.status;
            report.demand(status < 300, || format!("round {round}: an open connection was answered {status}"));
        }
        drop(clients);
        let left = Instant::now();
        wait_until("a new client is answered", || {
            Ok(
                matches!(server.client().ask(&Request::send(&one.token, &[other.id], "late", None)), Ok(answer) if answer.status == 201),
            )
        })?;
        slowest = slowest.max(left.elapsed());
        report.demand(server.is_alive()?, || "the process has ended".to_owned());
    }
    report.demand(slowest <= RECOVERY, || format!("recovery took {} ms", milliseconds(slowest)));
    report.demand(processor <= 0.5, || format!("waiting for a handle takes {processor:.2} cores"));
    context.stop_and_examine(server, &start, &mut report)?;
    report.look_for_panics(&start.log)?;
    report.done = format!(
        "{rounds} times {CLIENTS} connections on {HANDLES} handles: open connections still served, {processor:.2} cores while waiting; new \
         ones served {} ms after the others left",
        milliseconds(slowest)
    );
    report.figure("slowest_recovery_ms", milliseconds(slowest));
    report.figure("cores_while_waiting", processor);
    Ok(report)
}

/// Watches the server for a while: neither the processor nor the log may run hot. Answers the part of a core that it used.
fn watch(server: &Server, log_before: u64, report: &mut Report) -> Result<f64> {
    let (began, used) = (Instant::now(), server.processor_seconds()?);
    wait_until("it was watched for long enough", || Ok(began.elapsed() >= WATCH))?;
    let lines = std::fs::metadata(&server.log)?.len() - log_before;
    report.demand(lines < 20_000, || format!("{lines} bytes of log in {} s", WATCH.as_secs()));
    Ok((server.processor_seconds()? - used) / began.elapsed().as_secs_f64())
}
