//! `parlour doctor`, which looks at a closed database and counts everything again.

use crate::server::Start;
use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The exit code of a doctor that found something.
const UNSOUND: i32 = 4;

/// What it says.
pub(crate) enum Diagnosis {
    Sound,
    Problems(Vec<String>),
    /// The database cannot even be opened.
    Refused(String),
}

/// Examines the database that `start` would serve.
pub(crate) fn examine(start: &Start) -> Result<Diagnosis> {
    let output = start.command("doctor").arg("--json").output()?;
    match output.status.code() {
        Some(0) => Ok(Diagnosis::Sound),
        Some(UNSOUND) => {
            let answer: Value = serde_json::from_slice(&output.stdout).context("the doctor's JSON")?;
            let problems = answer["problems"].as_array().context("problems")?;
            Ok(Diagnosis::Problems(problems.iter().map(Value::to_string).collect()))
        }
        Some(1) => Ok(Diagnosis::Refused(String::from_utf8_lossy(&output.stderr).into_owned())),
        _ => bail!("the doctor ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr)),
    }
}
