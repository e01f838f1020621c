//! Parlour on a PostgreSQL that fails: restarted, killed, cut off, silent, held up, full. Each scenario has a PostgreSQL server of its own.
//!
//! Whatever happens to the database, a caller sees 503 with `Retry-After` and nothing else; once the database is well, so is Parlour, in
//! the same process; what was acknowledged is there, once, in one order that everybody sees.

pub(crate) mod connection;
pub(crate) mod disk_full;
mod lock;
mod messages;
pub(crate) mod nodes;
mod proxy;
pub(crate) mod restart;
pub(crate) mod waiting;

use crate::community::Community;
use crate::history::Checked;
use crate::report::{Context, Report, milliseconds};
use crate::senders::{Senders, Tally};
use crate::server::{Server, Start, wait_for};
use anyhow::{Result, ensure};
use private_postgres::{Cluster, Programs};
use std::time::Duration;

/// From PostgreSQL's return to the next acknowledgement of every sender.
const BACK: Duration = Duration::from_secs(5);

/// Threads whose messages are not numbered 1, 2, 3 and so on, up to where the thread says it ends.
const BROKEN_NUMBERS: &str = "select t.id from threads t left join
    (select thread_id, seq from messages union all select thread_id, seq from deleted_messages) m on m.thread_id = t.id
    group by t.id having count(m.seq) <> t.last_seq or coalesce(min(m.seq), 1) <> 1 or coalesce(max(m.seq), 0) <> t.last_seq";

/// Why there can be no PostgreSQL server here.
fn unavailable() -> Option<String> {
    Programs::find().err().map(|error| format!("{error:#}"))
}

/// A start on a new database of the cluster.
fn start_on(context: &Context, cluster: &Cluster, database: &str) -> Result<Start> {
    cluster.create_database(database)?;
    let mut start = context.start()?;
    start.database = Some(cluster.url(database));
    Ok(start)
}

/// Waits until every sender is acknowledged again, and answers how long that took.
fn everybody_is_back(tally: &Tally, patience: Duration, what: &str, report: &mut Report) -> Result<Duration> {
    let before = tally.by_member();
    let back = wait_for(patience * 4, "everybody's sends are acknowledged", || Ok(tally.everybody_is_beyond(&before)));
    match &back {
        Ok(back) => report.demand(*back <= patience, || format!("{what}: well again after {} ms", milliseconds(*back))),
        Err(_) => report.problem(format!("{what}: not well again after {} ms", milliseconds(patience * 4))),
    }
    back
}

/// Compares everything through every server, then stops them and has the database counted.
fn finish(
    context: &Context,
    (cluster, database): (&Cluster, &str),
    servers: Vec<(Start, Server)>,
    senders: &mut Senders<'_>,
    report: &mut Report,
) -> Result<Checked> {
    let community: &Community = senders.community();
    let addresses: Vec<_> = servers.iter().map(|(start, _)| start.address).collect();
    senders.settle(addresses[0])?;
    let checked = senders.check(community, addresses[0], &mut report.problems)?;
    for address in &addresses[1..] {
        senders.check_again(community, *address, &mut report.problems)?;
    }
    report.problems.extend(senders.tally.take_problems_and_faults());
    let (faults, unanswered) = (senders.tally.read_faults(), senders.tally.unanswered());
    report.demand(faults == 0, || format!("{faults} reads were answered 500"));
    report.demand(unanswered == 0, || format!("{unanswered} sends got no answer"));
    let broken = cluster.sql(database, BROKEN_NUMBERS)?;
    report.demand(broken.is_empty(), || format!("threads with gaps in their numbers: {}", broken.replace('\n', ", ")));
    for (start, mut server) in servers {
        report.demand(server.is_alive()?, || "the process has ended".to_owned());
        ensure!(server.stop()?.success(), "the server did not stop well");
        report.look_for_panics(&start.log)?;
        context.examine(&start, report)?;
    }
    Ok(checked)
}
