//! PostgreSQL restarted and killed under load, under one server and under two on the same database; and restarted while nobody asks.

use super::{BACK, everybody_is_back, finish, start_on, unavailable};
use crate::community::Community;
use crate::http::Request;
use crate::report::{Context, Report, milliseconds};
use crate::senders::{Senders, Tally};
use crate::server::{Server, Start, wait_for, wait_until};
use anyhow::Result;
use fastrand::Rng;
use private_postgres::{Cluster, Durability, Setup};
use std::time::{Duration, Instant};

/// Members who send.
const SENDERS: usize = 16;

/// Once it is away for longer than a process's number is its own.
const LONG: Duration = Duration::from_secs(65);

/// What all databases saw together.
#[derive(Default)]
struct Sums {
    restarts: usize,
    acknowledged: usize,
    refused: usize,
    lost: usize,
    doubled: usize,
    messages: usize,
    slowest_back: Duration,
    slowest_refusal: Duration,
    idle_restarts: usize,
    first_requests: usize,
}

pub(crate) fn run(context: &Context) -> Result<Report> {
    if let Some(reason) = unavailable() {
        return Ok(Report::not_run(reason));
    }
    let mut report = Report::default();
    let cluster = Setup::new(Durability::Real).start()?;
    let mut sums = Sums::default();
    for servers in [1, 2] {
        under_load(context, &cluster, servers, &mut sums, &mut report)?;
    }
    while_idle(context, &cluster, &mut sums, &mut report)?;
    report.done = format!(
        "{} restarts and kills under {SENDERS} senders, half under one server and half under two: {} sends acknowledged, {} refused, each \
         within {} ms, {} messages compared, {} lost, {} doubled; everybody acknowledged again {} ms after PostgreSQL was back; after {} \
         restarts while nobody asked, {} first requests answered well",
        sums.restarts,
        sums.acknowledged,
        sums.refused,
        milliseconds(sums.slowest_refusal),
        sums.messages,
        sums.lost,
        sums.doubled,
        milliseconds(sums.slowest_back),
        sums.idle_restarts,
        sums.first_requests,
    );
    report.figure("restarts", sums.restarts);
    report.figure("acknowledged", sums.acknowledged);
    report.figure("refused", sums.refused);
    report.figure("lost", sums.lost);
    report.figure("doubled", sums.doubled);
    report.figure("slowest_back_ms", milliseconds(sums.slowest_back));
    report.figure("slowest_refusal_ms", milliseconds(sums.slowest_refusal));
    Ok(report)
}

fn under_load(context: &Context, cluster: &Cluster, count: usize, sums: &mut Sums, report: &mut Report) -> Result<()> {
    let database = format!("load{count}");
    let first = start_on(context, cluster, &database)?;
    let community = Community::create(&first, SENDERS)?;
    let mut starts = vec![first];
    while starts.len() < count {
        starts.push(starts[0].beside("beside.log")?);
    }
    let mut servers: Vec<Server> = starts.iter().map(Start::ready).collect::<Result<_>>()?;
    let addresses: Vec<_> = starts.iter().map(|start| start.address).collect();
    let mut senders = Senders::new(&community, 20 + count as u64);
    let rounds = context.pick(3, 20);
    senders.drive_over(&addresses, |tally| {
        let mut random = Rng::with_seed(count as u64);
        for round in 0..rounds {
            let back = go_and_come_back(context, cluster, &mut servers, tally, (round, &mut random), report)?;
            sums.slowest_back = sums.slowest_back.max(back);
            sums.restarts += 1;
        }
        Ok(())
    })?;
    let servers = starts.into_iter().zip(servers).collect();
    let checked = finish(context, (cluster, &database), servers, &mut senders, report)?;
    sums.acknowledged += senders.acknowledged();
    sums.refused += senders.tally.refused();
    sums.slowest_refusal = sums.slowest_refusal.max(senders.tally.slowest_refusal());
    sums.lost += checked.lost;
    sums.doubled += checked.doubled;
    sums.messages += checked.messages;
    Ok(())
}

/// Ends PostgreSQL at a random moment and starts it again; answers how long it took until everybody was acknowledged.
fn go_and_come_back(
    context: &Context,
    cluster: &Cluster,
    servers: &mut [Server],
    tally: &Tally,
    (round, random): (usize, &mut Rng),
    report: &mut Report,
) -> Result<Duration> {
    let enough = tally.acknowledged() + 50 + random.usize(..context.pick(150, 1_000));
    wait_until("sends are acknowledged", || Ok(tally.acknowledged() >= enough))?;
    let what = format!("round {round} of {} servers", servers.len());
    if round % 3 == 2 {
        cluster.restart()?;
    } else {
        if round % 3 == 0 {
            cluster.kill()?;
        } else {
            cluster.stop()?;
        }
        let enough = tally.refused() + 2 * SENDERS;
        wait_until("sends are refused", || Ok(tally.refused() >= enough))?;
        for server in &*servers {
            wait_until("the server says that it is not ready", || Ok(server.client().status("/readyz")? == 503))?;
            let alive = server.client().status("/healthz")?;
            report.demand(alive == 200, || format!("{what}: /healthz answered {alive} without PostgreSQL"));
        }
        if round == 1 && !context.is_small() {
            let gone = Instant::now();
            wait_for(LONG * 2, "it was away for long", || Ok(gone.elapsed() >= LONG))?;
        }
        cluster.start_again()?;
    }
    let back = everybody_is_back(tally, BACK, &what, report)?;
    for server in servers {
        wait_until("the server says that it is ready", || Ok(server.client().status("/readyz")? == 200))?;
        report.demand(server.is_alive()?, || format!("{what}: the process has ended"));
    }
    Ok(back)
}

/// Nobody asks while PostgreSQL comes and goes, so every connection is found broken by somebody's request. None of them may fail for it.
fn while_idle(context: &Context, cluster: &Cluster, sums: &mut Sums, report: &mut Report) -> Result<()> {
    /// More than there are connections.
    const READS: usize = 12;
    let start = start_on(context, cluster, "idle")?;
    let community = Community::create(&start, SENDERS)?;
    let server = start.ready()?;
    let members = &community.members;
    let mut client = server.client();
    // What was prepared on a connection before, and what was not, are two ways to find it broken.
    let send = |number: usize| {
        let recipients: Vec<i64> = (0..number % 4).map(|place| members[place].id).collect();
        let to = if recipients.is_empty() { vec![members[4].id] } else { recipients };
        Request::send(
            &members[5 + number % 10].token,
            &to,
            &format!("after {number} restarts"),
            Some(&format!("idle-{number}")),
        )
    };
    client.json(&send(0))?;
    for restart in 1..=context.pick(4, 20) {
        if restart % 2 == 0 {
            cluster.kill()?;
        } else {
            cluster.stop()?;
        }
        cluster.start_again()?;
        let begun = Instant::now();
        let mut requests = vec![send(restart)];
        requests.extend((0..READS).map(|_| Request::get("/api/v2/pm/", &members[0].token)));
        requests.push(Request::get("/api/v2/pm/search/?user=torture", &members[0].token));
        // Marks the thread as seen.
        requests.push(Request::get(format!("/api/v2/pm/?user={}", members[5 + restart % 10].id), &members[0].token));
        for request in requests {
            let answer = client.ask(&request)?;
            let well = matches!(answer.status, 200 | 201);
            let (method, path, status) = (request.method, &request.path, answer.status);
            report.demand(well, || format!("idle restart {restart}: {method} {path} was answered {status}"));
            sums.first_requests += usize::from(well);
        }
        let took = begun.elapsed();
        report.demand(took <= BACK, || format!("idle restart {restart}: the requests took {} ms", milliseconds(took)));
        sums.idle_restarts += 1;
    }
    let log = start.log.clone();
    context.stop_and_examine(server, &start, report)?;
    report.look_for_panics(&log)
}
