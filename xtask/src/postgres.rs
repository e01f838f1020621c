//! The PostgreSQL server that the tests use: one that is named, or else a private one.

use crate::process::{command, run};
use crate::tools::{ensure_openssl, install_postgresql};
use anyhow::{Context as _, Result};
use private_postgres::{Cluster, Durability, Programs, Setup};
use std::process::Command;

/// The URL of a database whose user may make others. Where it is set, nothing is installed and nothing is started.
const VARIABLE: &str = "TEST_POSTGRES_URL";

/// A file system in memory. A database is copied from a template in 20 ms there, and on a disk that is busy in up to 250.
const MEMORY: &str = "/dev/shm";

/// How much of it must be free: a database of the tests takes 9 MB for as long as it is there.
const ROOM: u64 = 6 << 30;

/// A server for tests, which is there as long as this value. A private one waits for no disk.
pub(crate) struct TestServer {
    url: String,
    private: Option<Cluster>,
}

impl TestServer {
    /// The server that the environment names, or else a private one, for which what is missing is installed.
    pub(crate) fn start() -> Result<Self> {
        if let Some(url) = std::env::var(VARIABLE).ok().filter(|url| !url.is_empty()) {
            println!("PostgreSQL is where {VARIABLE} says");
            return Ok(Self { url, private: None });
        }
        ensure_programs().with_context(|| {
            format!(
                "the tests need a PostgreSQL server: install PostgreSQL 15 to 18, or set {VARIABLE} to the URL of a database whose \
                 user may make others, such as postgres://USER:PASSWORD@HOST/postgres"
            )
        })?;
        let mut setup = Setup::new(Durability::None);
        if rustix::fs::statvfs(MEMORY).is_ok_and(|memory| memory.f_bavail * memory.f_frsize >= ROOM) {
            setup = setup.data_in(MEMORY);
        }
        let cluster = setup.start()?;
        let (port, data) = (cluster.port(), cluster.data_folder().display());
        println!("{}, a private server on 127.0.0.1:{port}, its data in {data}", cluster.programs());
        Ok(Self { url: cluster.url("postgres"), private: Some(cluster) })
    }

    /// Tells a program where it is.
    pub(crate) fn tell<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env(VARIABLE, &self.url)
    }
}

/// Makes sure that private servers can be started.
pub(crate) fn ensure_programs() -> Result<()> {
    if Programs::find().is_err() {
        install_postgresql()?;
        Programs::find()?;
    }
    ensure_openssl()
}

/// They cannot where a server is named and nothing is installed.
pub(crate) fn private_servers_can_be_started() -> bool {
    Programs::find().is_ok()
}

/// `cargo xtask postgres [COMMAND]`: a server for a command, or for `cargo test` in another terminal until it is interrupted.
pub(crate) fn postgres(on_it: &[&str]) -> Result<()> {
    let server = TestServer::start()?;
    if let [program, arguments @ ..] = on_it {
        return run(server.tell(&mut command(program, arguments)));
    }
    // What is in a URL needs no more quotes than these.
    println!("export {VARIABLE}='{}'", server.url);
    if server.private.is_some() {
        println!("It runs until Ctrl-C.");
        let (tell, told) = std::sync::mpsc::channel();
        ctrlc::set_handler(move || {
            // Somebody waits for it.
            let _ = tell.send(());
        })?;
        told.recv()?;
    }
    Ok(())
}
