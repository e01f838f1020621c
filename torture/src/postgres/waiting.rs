//! Every connection is held up by somebody else's lock: whoever waits too long for one is refused, and whatever a statement waits for too
//! long is given up.

use super::lock::Lock;
use super::{BACK, everybody_is_back, finish, start_on, unavailable};
use crate::community::Community;
use crate::http::Request;
use crate::load::{self, Plan};
use crate::report::{Context, Report, milliseconds};
use crate::senders::Senders;
use crate::server::{Server, wait_until};
use anyhow::Result;
use private_postgres::{Cluster, Durability, Setup};
use std::sync::Arc;
use std::time::Duration;

/// Members who send.
const SENDERS: usize = 16;

/// Requests that wait at the same time.
const WAITING: usize = 2_000;

/// How long a request may wait for a connection, as the server is told.
const WAIT: Duration = Duration::from_secs(1);

/// For what so many requests at once cost on the same cores.
const SLACK: Duration = Duration::from_secs(10);

/// Memory that all of them may take.
const MEMORY_MIB: f64 = 64.0;

#[derive(Default)]
struct Seen {
    refused: usize,
    slowest: Duration,
    memory: (f64, f64),
    back: Duration,
    refused_in_time_out: usize,
    back_after_time_out: Duration,
    slowest_time_out: Duration,
}

pub(crate) fn run(context: &Context) -> Result<Report> {
    if let Some(reason) = unavailable() {
        return Ok(Report::not_run(reason));
    }
    let mut report = Report::default();
    let cluster = Arc::new(Setup::new(Durability::None).start()?);
    let mut seen = Seen::default();
    let mut acknowledged = no_connection_left(context, &cluster, &mut seen, &mut report)?;
    acknowledged += too_slow(context, &cluster, &mut seen, &mut report)?;
    let (before, peak) = seen.memory;
    report.done = format!(
        "{WAITING} requests waited for 4 connections that were all held up: {} refused, each within {} ms, {before:.0} MiB before and {peak:.0} \
         MiB at the most; everybody acknowledged again {} ms after the lock; statements that waited for a lock: {} sends refused within {} ms, \
         everybody acknowledged again {} ms after it; {acknowledged} sends acknowledged, 0 lost",
        seen.refused,
        milliseconds(seen.slowest),
        milliseconds(seen.back),
        seen.refused_in_time_out,
        milliseconds(seen.slowest_time_out),
        milliseconds(seen.back_after_time_out),
    );
    report.figure("refused", seen.refused);
    report.figure("slowest_refusal_ms", milliseconds(seen.slowest));
    report.figure("memory_before_mib", before.round());
    report.figure("memory_peak_mib", peak.round());
    report.figure("back_ms", milliseconds(seen.back));
    report.figure("acknowledged", acknowledged);
    Ok(report)
}

/// The fewest connections that can be had, and each of them waits for a lock.
fn no_connection_left(
    context: &Context,
    cluster: &Arc<Cluster>,
    seen: &mut Seen,
    report: &mut Report,
) -> Result<usize> {
    let mut start = start_on(context, cluster, "pool")?;
    start.settings.extend([
        "postgres.connections=4".to_owned(),
        format!("postgres.wait_timeout={}s", WAIT.as_secs()),
        "postgres.statement_timeout=60s".to_owned(),
        "server.request_timeout=60s".to_owned(),
    ]);
    let community = Community::create(&start, SENDERS)?;
    let server = start.ready()?;
    let mut senders = Senders::new(&community, 40);
    // So that every connection is made and every thread begun.
    senders.drive(start.address, |tally| wait_until("sends are acknowledged", || Ok(tally.acknowledged() >= 100)))?;
    for round in 0..context.pick(1, 5) {
        flood(cluster, &server, &community, round, (seen, report))?;
        let back = senders.drive(start.address, |tally| everybody_is_back(tally, BACK, "after a full pool", report))?;
        seen.back = seen.back.max(back);
    }
    finish(context, (cluster, "pool"), vec![(start, server)], &mut senders, report)?;
    Ok(senders.acknowledged())
}

/// Takes every connection by a request that waits for a lock, and asks much more.
fn flood(
    cluster: &Arc<Cluster>,
    server: &Server,
    community: &Community,
    round: usize,
    (seen, report): (&mut Seen, &mut Report),
) -> Result<()> {
    let (one, other) = (&community.members[0], &community.members[1]);
    let read = Request::get("/api/v2/pm/", &one.token);
    let send = Request::send(&one.token, &[one.id + 3], "to nobody whom the check looks at", None);
    let (before, _) = server.memory_mib()?;
    let lock = Lock::take(cluster, "pool", "users, mailboxes")?;
    std::thread::scope(|scope| {
        let held = |request: &Request| {
            let (mut client, request) = (server.client(), request.clone());
            scope.spawn(move || client.ask(&request))
        };
        // The second one finds no connection for reads either, or the first one does.
        let holders = [held(&read), held(&Request::get(format!("/api/v2/pm/?user={}", other.id), &one.token))];
        wait_until("a read waits for the lock", || Ok(lock.waiting()? >= 1))?;
        let blocked = held(&Request { key: Some(format!("blocked-{round}")), ..send.clone() });
        wait_until("a send waits for the lock", || Ok(lock.waiting()? >= 2))?;
        let requests = [read.bytes(), send.bytes()];
        let plan = Plan { connections: WAITING, time: Duration::from_secs(3), rate: None };
        let measured = load::run(server.address, plan, move |number| requests[number % 2].clone())?;
        let refused = measured.statuses.get(&503).copied().unwrap_or_default();
        let others: Vec<_> = measured.statuses.iter().filter(|(status, _)| **status != 503).collect();
        report.demand(others.is_empty(), || format!("answers other than 503: {others:?}"));
        report.demand(measured.broken == 0, || {
            format!("{} connections broke, the last one as {}", measured.broken, measured.how_it_broke)
        });
        report.demand(measured.without_retry_after == 0, || "a 503 came without Retry-After".to_owned());
        report.demand(refused >= WAITING, || format!("only {refused} of {WAITING} requests were refused"));
        let slowest = measured.slowest_refusal;
        report.demand(slowest <= WAIT + SLACK, || format!("a refusal took {} ms", milliseconds(slowest)));
        let (_, peak) = server.memory_mib()?;
        report.demand(peak - before <= MEMORY_MIB, || format!("{before:.0} MiB before, {peak:.0} MiB at the most"));
        seen.refused += refused;
        seen.slowest = seen.slowest.max(slowest);
        seen.memory = if seen.memory.0 == 0.0 { (before, peak) } else { (seen.memory.0, seen.memory.1.max(peak)) };
        drop(lock);
        let sent = blocked.join().expect("no client panics")?;
        report.demand(sent.status == 201, || format!("a send that held a connection was answered {}", sent.status));
        let statuses = holders.map(|holder| holder.join().expect("no client panics").map(|answer| answer.status));
        let read = statuses.iter().any(|status| matches!(status, Ok(200)));
        report.demand(read, || format!("reads that held a connection were answered {statuses:?}"));
        take_back(server, &one.token, &sent.json()?[0]["id"], report)
    })
}

/// Removes a message that is none of the senders'.
fn take_back(server: &Server, token: &str, id: &serde_json::Value, report: &mut Report) -> Result<()> {
    let delete = Request { method: "DELETE", ..Request::get(format!("/api/v2/pm/{id}/"), token) };
    let deleted = server.client().ask(&delete)?;
    report.demand(deleted.status < 300, || format!("a deletion was answered {}", deleted.status));
    Ok(())
}

/// Statements wait for a lock until they are given up.
fn too_slow(context: &Context, cluster: &Arc<Cluster>, seen: &mut Seen, report: &mut Report) -> Result<usize> {
    const LIMIT: Duration = Duration::from_secs(1);
    let mut start = start_on(context, cluster, "slow")?;
    start.settings.push(format!("postgres.statement_timeout={}s", LIMIT.as_secs()));
    let community = Community::create(&start, SENDERS)?;
    let server = start.ready()?;
    let (one, other) = (&community.members[0], &community.members[1]);
    let mut senders = Senders::new(&community, 41);
    senders.drive(start.address, |tally| {
        for round in 0..context.pick(2, 10) {
            let enough = tally.acknowledged() + 100;
            wait_until("sends are acknowledged", || Ok(tally.acknowledged() >= enough))?;
            let lock = Lock::take(cluster, "slow", "messages")?;
            let enough = tally.refused() + SENDERS;
            let mut client = server.client();
            let read = client.ask(&Request::get(format!("/api/v2/pm/?user={}", other.id), &one.token))?;
            let refused = read.status == 503 && read.header("retry-after").is_some();
            report.demand(refused, || format!("round {round}: a read was answered {}", read.status));
            wait_until("sends are refused", || Ok(tally.refused() >= enough))?;
            drop(lock);
            let back = everybody_is_back(tally, BACK, &format!("after time-out {round}"), report)?;
            seen.back_after_time_out = seen.back_after_time_out.max(back);
        }
        Ok(())
    })?;
    seen.refused_in_time_out = senders.tally.refused();
    seen.slowest_time_out = senders.tally.slowest_refusal();
    let slowest = seen.slowest_time_out;
    // One group waits for the lock, and the next one for that group.
    report.demand(slowest <= LIMIT * 2 + SLACK, || format!("a refusal took {} ms", milliseconds(slowest)));
    finish(context, (cluster, "slow"), vec![(start, server)], &mut senders, report)?;
    Ok(senders.acknowledged())
}
