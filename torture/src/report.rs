//! What a scenario did, what it saw, and whether that is good enough.

use crate::doctor::{self, Diagnosis};
use crate::server::{Server, Start};
use anyhow::{Result, ensure};
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// How thorough a run is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// Without root, in minutes: part of the tests.
    Small,
    /// As much as the machine allows.
    Full,
}

/// What every scenario works with.
pub(crate) struct Context {
    pub(crate) parlour: PathBuf,
    /// The scenario's own folder, kept when it fails.
    pub(crate) folder: PathBuf,
    /// What is made once and kept between runs.
    pub(crate) kept: PathBuf,
    pub(crate) size: Size,
    /// Power cuts a file system.
    pub(crate) cuts: usize,
    /// Settings that every server gets.
    pub(crate) settings: Vec<String>,
}

impl Context {
    pub(crate) fn is_small(&self) -> bool {
        self.size == Size::Small
    }

    /// One number for the small run, another for the full one.
    pub(crate) fn pick<T>(&self, small: T, full: T) -> T {
        if self.is_small() { small } else { full }
    }

    pub(crate) fn start(&self) -> Result<Start> {
        Start::new(&self.parlour, &self.folder, &self.settings)
    }

    /// Stops the server and lets the doctor look at its database.
    pub(crate) fn stop_and_examine(&self, server: Server, start: &Start, report: &mut Report) -> Result<()> {
        ensure!(server.stop()?.success(), "the server did not stop well");
        self.examine(start, report)
    }

    /// Lets the doctor look at a database that must be sound.
    pub(crate) fn examine(&self, start: &Start, report: &mut Report) -> Result<()> {
        match doctor::examine(start)? {
            Diagnosis::Sound => {}
            Diagnosis::Problems(problems) => report.problem(format!("the doctor found {}", problems.join(", "))),
            Diagnosis::Refused(why) => report.problem(format!("the doctor could not open the database: {why}")),
        }
        Ok(())
    }
}

/// What one scenario has to tell.
#[derive(Default, Serialize)]
pub(crate) struct Report {
    /// What was done, in words.
    pub(crate) done: String,
    pub(crate) figures: Map<String, Value>,
    /// What should not be; empty if it passed.
    pub(crate) problems: Vec<String>,
    /// Why it could not run.
    pub(crate) not_run: Option<String>,
}

impl Report {
    pub(crate) fn not_run(reason: impl Into<String>) -> Self {
        Self { not_run: Some(reason.into()), ..Self::default() }
    }

    pub(crate) fn figure(&mut self, name: &str, value: impl Into<Value>) {
        self.figures.insert(name.to_owned(), value.into());
    }

    pub(crate) fn problem(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    /// Notes a problem unless `holds`.
    pub(crate) fn demand(&mut self, holds: bool, problem: impl FnOnce() -> String) {
        if !holds {
            self.problems.push(problem());
        }
    }

    /// Notes a server's panic, which nothing may cause.
    pub(crate) fn look_for_panics(&mut self, log: &Path) -> Result<()> {
        let log = std::fs::read(log)?;
        let panicked = String::from_utf8_lossy(&log).contains("panicked");
        self.demand(!panicked, || "the server panicked; see its log".to_owned());
        Ok(())
    }
}

/// Copies the files of a data directory; sub-folders are none of the server's.
pub(crate) fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Milliseconds, to one decimal.
pub(crate) fn milliseconds(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}
