//! The numbers of the processes on one database, which stand inside the ids they issue: no two at a time have the same, and none is lost.

use super::{start_on, unavailable};
use crate::community::Community;
use crate::http::Request;
use crate::report::{Context, Report};
use crate::server::{Server, Start, wait_for};
use anyhow::{Context as _, Result};
use private_postgres::{Cluster, Durability, Setup};
use std::collections::BTreeSet;
use std::time::Duration;

/// More than there are numbers.
const PROCESSES: usize = 70;

/// A number is taken for a minute.
const TERM: Duration = Duration::from_secs(60);

const DATABASE: &str = "nodes";

/// The numbers that somebody holds now.
const HELD: &str =
    "select node from nodes where expires_at > extract(epoch from clock_timestamp()) * 1000000 order by node";

pub(crate) fn run(context: &Context) -> Result<Report> {
    if let Some(reason) = unavailable() {
        return Ok(Report::not_run(reason));
    }
    let mut report = Report::default();
    let cluster = Setup::new(Durability::None).start()?;
    let start = start_on(context, &cluster, DATABASE)?;
    let community = Community::create(&start, 2)?;
    let freed = kill_one(context, &cluster, &start, &mut report)?;
    let mut ids = BTreeSet::new();
    for number in 0..PROCESSES {
        let server = start.ready()?;
        let (one, other) = (&community.members[number % 2], &community.members[(number + 1) % 2]);
        let sent =
            server.client().json(&Request::send(&one.token, &[other.id], &format!("by process {number}"), None))?;
        let id = sent[0]["id"].as_i64().context("an id")?;
        report.demand(ids.last().is_none_or(|last| *last < id), || {
            format!("process {number} issued {id} after a higher id")
        });
        ids.insert(id);
        report.demand(server.stop()?.success(), || format!("process {number} did not stop well"));
    }
    let left = held(&cluster)?;
    report.demand(left.is_empty(), || format!("the numbers {left:?} are held though nobody runs"));
    report.demand(ids.len() == PROCESSES, || "an id was issued twice".to_owned());
    context.examine(&start, &mut report)?;
    report.look_for_panics(&start.log)?;
    report.done = format!(
        "three processes held three numbers; a killed one's was taken again {freed}; {PROCESSES} processes one after the other, each with a \
         send, ids growing, and every number given back"
    );
    report.figure("processes", PROCESSES);
    Ok(report)
}

/// Two processes at once, one of them killed, and who takes its number; answers in words when.
fn kill_one(context: &Context, cluster: &Cluster, start: &Start, report: &mut Report) -> Result<String> {
    let first = start.ready()?;
    let before = held(cluster)?;
    let second = start.beside("second.log")?.ready()?;
    let both = held(cluster)?;
    report.demand(before.len() == 1 && both.len() == 2, || format!("one held {before:?}, and both {both:?}"));
    let killed = both.difference(&before).next().copied().context("a number of its own")?;
    second.kill()?;
    let third = start.beside("third.log")?.ready()?;
    let all = held(cluster)?;
    report.demand(all.len() == 3, || format!("a third process holds none of its own: {all:?}"));
    let when = if context.is_small() {
        // As if the time had passed.
        let earlier = TERM.as_micros();
        cluster
            .sql(DATABASE, &format!("update nodes set expires_at = expires_at - {earlier} where node = {killed}"))?;
        "when its term was over".to_owned()
    } else {
        let waited =
            wait_for(TERM + Duration::from_secs(5), "its term is over", || Ok(!held(cluster)?.contains(&killed)))?;
        format!("{:.0} s later, after its term", waited.as_secs_f64())
    };
    let fourth = start.beside("fourth.log")?.ready()?;
    let again = held(cluster)?;
    report.demand(again.contains(&killed) && again.len() == 3, || format!("{killed} was not taken again: {again:?}"));
    for server in [first, third, fourth] {
        report.demand(Server::stop(server)?.success(), || "a server did not stop well".to_owned());
    }
    let left = held(cluster)?;
    report.demand(left.is_empty(), || format!("{left:?} were not given back"));
    Ok(when)
}

fn held(cluster: &Cluster) -> Result<BTreeSet<i64>> {
    let rows = cluster.sql(DATABASE, HELD)?;
    rows.lines().map(|node| Ok(node.parse()?)).collect()
}
