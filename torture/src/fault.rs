//! What is demanded of a server whose disk has just failed, whatever the failure was.

use crate::community::Community;
use crate::http::Request;
use crate::report::{Report, milliseconds};
use crate::senders::Tally;
use crate::server::{Server, wait_for, wait_until};
use anyhow::Result;
use std::time::{Duration, Instant};

/// A refusal comes within this time.
pub(crate) const REFUSAL: Duration = Duration::from_secs(1);

/// The failing call comes within this time, and with it the first refusal.
const NOTICE: Duration = Duration::from_secs(20);

/// Further refusals that are looked at.
const REFUSALS: usize = 32;

/// Nothing is acknowledged any more: the server says so in every way it has, still shows what it has, and lives.
pub(crate) fn demand_refusal(
    server: &mut Server,
    community: &Community,
    tally: &Tally,
    what: &str,
    report: &mut Report,
) -> Result<()> {
    let unready = || Ok(server.client().status("/readyz")? == 503);
    if wait_for(NOTICE, "the server says that it is not ready", unready).is_err() {
        report.problem(format!("{what}: /readyz stays 200, and {} sends were acknowledged", tally.acknowledged()));
        return Ok(());
    }
    let unready_at = Instant::now();
    let enough = tally.refused() + REFUSALS;
    wait_until("sends are refused", || Ok(tally.refused() >= enough))?;
    probe(server, community, what, report)?;
    let acknowledged = tally.last_begun().is_some_and(|begun| begun > unready_at);
    report.demand(!acknowledged, || format!("{what}: a send was acknowledged after /readyz had turned 503"));
    let log = std::fs::read_to_string(&server.log)?;
    report.demand(log.contains("ERROR"), || format!("{what}: the log says nothing"));
    Ok(())
}

/// A send is refused in time.
fn probe(server: &mut Server, community: &Community, what: &str, report: &mut Report) -> Result<()> {
    let (one, other) = (&community.members[0], &community.members[1]);
    let asked = Instant::now();
    let refusal =
        server.client().ask(&Request::send(&one.token, &[other.id], "a probe that must not be taken", None))?;
    let took = asked.elapsed();
    let refused = matches!(refusal.status, 503 | 507) && refusal.header("retry-after").is_some();
    report.demand(refused, || format!("{what}: a send was answered {}", refusal.status));
    report.demand(took <= REFUSAL, || format!("{what}: a refusal took {} ms", milliseconds(took)));
    demand_reads(server, community, what, report)
}

/// Reads are answered, and the process lives.
pub(crate) fn demand_reads(server: &mut Server, community: &Community, what: &str, report: &mut Report) -> Result<()> {
    let (one, other) = (&community.members[0], &community.members[1]);
    for path in ["/api/v2/pm/".to_owned(), format!("/api/v2/pm/?user={}", other.id)] {
        let read = server.client().ask(&Request::get(path, &one.token))?;
        // There may be no thread of these two yet.
        report.demand(matches!(read.status, 200 | 404), || format!("{what}: a read was answered {}", read.status));
    }
    report.demand(server.is_alive()?, || format!("{what}: the process has ended"));
    Ok(())
}
