//! A server that runs, and what can be done to it.

use crate::certificate::Certificate;
use crate::programs::{Programs, run};
use crate::setup::{Durability, Setup};
use crate::watcher::Watcher;
use anyhow::{Context as _, Result, ensure};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Whom the product connects as: it may make databases, and no more than that.
const ROLE: &str = "parlour";

/// The superuser.
const SUPERUSER: &str = "postgres";

/// How long a start may take, which may include a recovery, and how long a stop may.
const PATIENCE: &str = "--timeout=120";

/// A PostgreSQL server on a loopback port of its own. Every method but [`Cluster::start`] can be called from several threads.
///
/// When this value goes away, or this process ends in whatever way, the server is stopped at once and its folders are removed.
#[derive(Debug)]
pub struct Cluster {
    #[expect(dead_code, reason = "stops the server when it is dropped")]
    pub(crate) watcher: Watcher,
    pub(crate) programs: Programs,
    pub(crate) durability: Durability,
    pub(crate) folder: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) port: u16,
    pub(crate) passwords: Passwords,
    pub(crate) certificate: Option<Certificate>,
}

/// Made anew for each server.
pub(crate) struct Passwords {
    pub(crate) superuser: String,
    pub(crate) role: String,
}

impl Passwords {
    pub(crate) fn new() -> Result<Self> {
        let random = || -> Result<String> { Ok(format!("{:016x}{:016x}", getrandom::u64()?, getrandom::u64()?)) };
        // With what a URL must encode, since an operator's may have that.
        Ok(Self { superuser: random()?, role: format!("p@:/%?# '{}", random()?) })
    }
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Passwords")
    }
}

impl Cluster {
    /// Makes a server with nothing special and starts it; see [`Setup`] for others.
    pub fn start(durability: Durability) -> Result<Self> {
        Setup::new(durability).start()
    }

    /// `postgres://parlour:PASSWORD@127.0.0.1:PORT/DATABASE`, of a role that may make databases and is no superuser.
    pub fn url(&self, database: &str) -> String {
        let password = utf8_percent_encode(&self.passwords.role, NON_ALPHANUMERIC);
        let database = utf8_percent_encode(database, NON_ALPHANUMERIC);
        format!("postgres://{ROLE}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// The role in [`Cluster::url`].
    pub fn user(&self) -> &str {
        ROLE
    }

    /// The role's password, as it is.
    pub fn password(&self) -> &str {
        &self.passwords.role
    }

    /// The port on 127.0.0.1, the same after every start.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Which PostgreSQL it is.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// Where the data is.
    pub fn data_folder(&self) -> &Path {
        &self.data
    }

    /// The certificate that vouches for the server's own, in PEM; none without [`Setup::tls`].
    pub fn authority_file(&self) -> Option<&Path> {
        self.certificate.as_ref().map(|certificate| certificate.authority.as_path())
    }

    /// Everything that the server has logged.
    pub fn log(&self) -> Result<String> {
        let file = self.log_file();
        let log = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(String::from_utf8_lossy(&log).into_owned())
    }

    /// The process that is the server, and the parent of all its others.
    pub fn process_id(&self) -> Result<u32> {
        let file = self.data.join("postmaster.pid");
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(text.lines().next().unwrap_or_default().trim().parse()?)
    }

    /// Runs a script as superuser, one statement after the other up to the first that fails, and answers the rows: one a line, columns
    /// parted by `|`.
    pub fn sql(&self, database: &str, script: &str) -> Result<String> {
        let mut psql = self.programs.psql();
        psql.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1", "--no-password"])
            .args(["--host=127.0.0.1", "--username", SUPERUSER, "--dbname", database])
            .args(["--port", &self.port.to_string()])
            .envs([("PGPASSWORD", self.passwords.superuser.as_str()), ("PGCONNECT_TIMEOUT", "30")])
            .envs([("PGCLIENTENCODING", "UTF8")]);
        let mut child = psql
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run psql")?;
        let mut input = child.stdin.take().context("psql reads")?;
        // One that ended early says why itself.
        let written = input.write_all(script.as_bytes());
        drop(input);
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "psql ended with {}: {}", output.status, said.trim());
        written?;
        let rows = String::from_utf8(output.stdout)?;
        Ok(rows.trim_end_matches('\n').to_owned())
    }

    /// Makes an empty database that belongs to the role.
    pub fn create_database(&self, name: &str) -> Result<()> {
        self.create_database_from(name, "template0")
    }

    /// Makes a database that is a copy of another, to which nobody may be connected.
    pub fn create_database_from(&self, name: &str, template: &str) -> Result<()> {
        let (name, template) = (identifier(name), identifier(template));
        // A copy of files needs two checkpoints, which cost nothing where nothing waits for the disk, and are dear where something does.
        let strategy = match self.durability {
            Durability::None => "file_copy",
            Durability::Real => "wal_log",
        };
        self.sql(SUPERUSER, &format!("create database {name} owner {ROLE} template {template} strategy {strategy}"))?;
        Ok(())
    }

    /// Removes a database if it is there, and cuts off who is connected to it.
    pub fn drop_database(&self, name: &str) -> Result<()> {
        self.sql(SUPERUSER, &format!("drop database if exists {} with (force)", identifier(name)))?;
        Ok(())
    }

    /// Stops it in good order: open transactions are rolled back, everything is written.
    pub fn stop(&self) -> Result<()> {
        self.stop_as("fast")
    }

    /// Stops it as a crash would: nothing is finished and nothing is written; the next start recovers.
    pub fn kill(&self) -> Result<()> {
        self.stop_as("immediate")
    }

    /// Starts it after a stop, on the same port, and waits until it answers.
    pub fn start_again(&self) -> Result<()> {
        let mut start = self.programs.as_owner("pg_ctl");
        start.args(["start", "--wait", PATIENCE, "--silent", "--pgdata"]).arg(&self.data);
        start.arg("--log").arg(self.log_file());
        run(&mut start).map(drop).with_context(|| {
            let log = self.log().unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(10).collect();
            format!(
                "PostgreSQL does not start; its last words: {}",
                last.into_iter().rev().collect::<Vec<_>>().join("\n")
            )
        })
    }

    /// Stops it in good order and starts it again.
    pub fn restart(&self) -> Result<()> {
        self.stop()?;
        self.start_again()
    }

    pub(crate) fn log_file(&self) -> PathBuf {
        self.folder.join("postgresql.log")
    }

    pub(crate) fn make_role(&self) -> Result<()> {
        let password = self.passwords.role.replace('\'', "''");
        self.sql(SUPERUSER, &format!("create role {ROLE} login createdb password '{password}'"))?;
        Ok(())
    }

    /// Sets the passwords of a server that does not run.
    pub(crate) fn renew_passwords(&self) -> Result<()> {
        let mut single = self.programs.as_owner("postgres");
        single.args(["--single", "-D"]).arg(&self.data).arg(SUPERUSER);
        let mut child = single
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run postgres")?;
        let mut input = child.stdin.take().context("postgres reads")?;
        for (role, password) in [(SUPERUSER, &self.passwords.superuser), (ROLE, &self.passwords.role)] {
            writeln!(input, "alter role {role} password '{}'", password.replace('\'', "''"))?;
        }
        drop(input);
        let status = child.wait()?;
        ensure!(status.success(), "the passwords of a copied server could not be set: postgres ended with {status}");
        Ok(())
    }

    fn stop_as(&self, mode: &str) -> Result<()> {
        let mut stop = self.programs.as_owner("pg_ctl");
        stop.args(["stop", "--wait", PATIENCE, "--silent", "--mode", mode, "--pgdata"]).arg(&self.data);
        run(&mut stop).map(drop)
    }
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
