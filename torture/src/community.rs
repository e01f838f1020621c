//! Members who may all write to each other, brought in by the command line.

use crate::server::Start;
use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use std::io::Write as _;
use std::process::Stdio;

/// The first member's number; others may be in the same database.
const FIRST_ID: i64 = 1_000;

pub(crate) struct Member {
    pub(crate) id: i64,
    pub(crate) token: String,
}

/// People with tokens.
pub(crate) struct Community {
    pub(crate) members: Vec<Member>,
}

impl Community {
    /// Brings `size` members into the database that `start` serves, each following all.
    pub(crate) fn create(start: &Start, size: usize) -> Result<Self> {
        let ids: Vec<i64> = (FIRST_ID..).take(size).collect();
        let mut lines = vec![json!({ "type": "parlour", "version": 1 })];
        lines.extend(ids.iter().map(|id| json!({ "type": "user", "id": id, "username": format!("torture{id}") })));
        for follower in &ids {
            let others = ids.iter().filter(|followed| *followed != follower);
            lines
                .extend(others.map(|followed| json!({ "type": "follow", "follower": follower, "followed": followed })));
        }
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        import(start, &text)?;
        let member = |id| Ok(Member { id, token: token(start, id)? });
        Ok(Self { members: ids.into_iter().map(member).collect::<Result<_>>()? })
    }

    /// The member with this number.
    pub(crate) fn index(&self, id: i64) -> Option<usize> {
        usize::try_from(id - FIRST_ID).ok().filter(|index| *index < self.members.len())
    }
}

/// Brings import lines in.
fn import(start: &Start, lines: &str) -> Result<()> {
    let mut command = start.command("import");
    command.args(["-", "--json"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("a pipe")?.write_all(lines.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "the import failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn token(start: &Start, id: i64) -> Result<String> {
    let output = start.command("token").args(["--ttl", "1day", "--user", &id.to_string()]).output()?;
    ensure!(output.status.success(), "no token: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
