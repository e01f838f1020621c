//! What a new server is to be like, and how it is made.

use crate::certificate::Certificate;
use crate::cluster::{Cluster, Passwords};
use crate::programs::{Programs, run};
use crate::watcher::Watcher;
use anyhow::{Context as _, Result, bail};
use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Ports that no client is given for its own end. One that was could meet a client's end while the server is down; a client that tries
/// again and again would even meet itself.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// How many ports are tried.
const ATTEMPTS: u32 = 20;

/// What holds of every server. Nothing is said of what PostgreSQL decides well by itself.
const SETTINGS: [(&str, &str); 6] = [
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("max_connections", "400"),
    ("shared_buffers", "128MB"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
];

/// What makes a server fast that nobody will miss.
const CARELESS: [(&str, &str); 3] = [("fsync", "off"), ("synchronous_commit", "off"), ("full_page_writes", "off")];

/// What a commit is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// As PostgreSQL comes: what is committed is on disk.
    Real,
    /// Nothing waits for the disk. What is committed outlives the server's own end, and no power cut.
    None,
}

/// How text is sorted where neither a column nor a query says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sorting {
    Bytes,
    English,
}

/// What a new server is to be like.
#[derive(Clone, Debug)]
pub struct Setup {
    durability: Durability,
    settings: Vec<(String, String)>,
    parent: Option<PathBuf>,
    model: Option<PathBuf>,
    sorting: Sorting,
    tls: bool,
}

impl Setup {
    /// A server with nothing special.
    pub fn new(durability: Durability) -> Self {
        Self { durability, settings: Vec::new(), parent: None, model: None, sorting: Sorting::Bytes, tls: false }
    }

    /// A line of `postgresql.conf`, before which all others yield.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The data goes into a new folder in this one, which must exist. The log stays in the temporary folder, so that it can be written
    /// while this file system is full. The new folder is removed in the end.
    #[must_use]
    pub fn data_in(mut self, parent: impl Into<PathBuf>) -> Self {
        self.parent = Some(parent.into());
        self
    }

    /// Begins with a copy of this data folder, which a [`Cluster`] of the same version left when it was stopped.
    #[must_use]
    pub fn copy_of(mut self, data: impl Into<PathBuf>) -> Self {
        self.model = Some(data.into());
        self
    }

    /// Sorts text as an English dictionary does where neither a column nor a query says how, as many operators' servers do. Otherwise text
    /// is sorted by its bytes.
    #[must_use]
    pub fn sorting_as_in_english(mut self) -> Self {
        self.sorting = Sorting::English;
        self
    }

    /// Also speaks TLS, with a certificate for 127.0.0.1 and localhost that [`Cluster::authority_file`] vouches for. Needs the program
    /// openssl, 3.0 or newer.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Makes the server and starts it.
    pub fn start(self) -> Result<Cluster> {
        let programs = Programs::find()?;
        let new = |parent: &Path| -> Result<TempDir> {
            let folder = tempfile::Builder::new()
                .prefix("private-postgres-")
                .tempdir_in(parent)
                .with_context(|| format!("cannot make a folder in {}", parent.display()))?;
            programs.give(folder.path())?;
            programs.ensure_reachable(folder.path())?;
            Ok(folder)
        };
        let temporary = new(&std::env::temp_dir())?;
        let elsewhere = self.parent.as_deref().map(new).transpose()?;
        let folder = temporary.path().to_owned();
        let data = elsewhere.as_ref().map_or_else(|| folder.join("data"), |elsewhere| elsewhere.path().to_owned());
        let watcher = Watcher::start(&programs, &folder, &data)?;
        // From here on they are the watcher's to remove.
        for folder in [Some(temporary), elsewhere].into_iter().flatten() {
            let _ = folder.keep();
        }
        let passwords = Passwords::new()?;
        match &self.model {
            Some(model) => copy_data(&programs, model, &data)?,
            None => self.make_data(&programs, &folder, &data, &passwords)?,
        }
        let certificate = if self.tls { Some(Certificate::make(&programs, &folder)?) } else { None };
        let mut cluster =
            Cluster { watcher, programs, durability: self.durability, folder, data, port: 0, passwords, certificate };
        if self.model.is_some() {
            // Nobody knows those of the model any more.
            cluster.renew_passwords()?;
        }
        self.start_on_a_free_port(&mut cluster)?;
        if self.model.is_none() {
            cluster.make_role()?;
        }
        Ok(cluster)
    }

    fn make_data(&self, programs: &Programs, folder: &Path, data: &Path, passwords: &Passwords) -> Result<()> {
        let password_file = folder.join("password");
        std::fs::write(&password_file, &passwords.superuser)?;
        programs.give(&password_file)?;
        let mut initdb = programs.as_owner("initdb");
        initdb.args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]);
        initdb.arg("--pwfile").arg(&password_file).arg("--pgdata").arg(data);
        if self.sorting == Sorting::English {
            initdb.args(["--locale-provider=icu", "--icu-locale=en-US"]);
        }
        if self.durability == Durability::None {
            initdb.arg("--no-sync");
        }
        run(&mut initdb)?;
        std::fs::remove_file(password_file)?;
        Ok(())
    }

    fn start_on_a_free_port(&self, cluster: &mut Cluster) -> Result<()> {
        for attempt in 1.. {
            cluster.port = free_port()?;
            std::fs::write(cluster.data.join("postgresql.conf"), self.configuration(cluster)?)?;
            match cluster.start_again() {
                // Somebody else took it in between.
                Err(_)
                    if attempt < ATTEMPTS && cluster.log().is_ok_and(|log| log.contains("Address already in use")) =>
                {
                    std::fs::remove_file(cluster.log_file())?;
                }
                result => return result,
            }
        }
        Ok(())
    }

    fn configuration(&self, cluster: &Cluster) -> Result<String> {
        let mut settings: Vec<(&str, String)> =
            SETTINGS.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        settings.push(("port", cluster.port.to_string()));
        if self.durability == Durability::None {
            settings.extend(CARELESS.iter().map(|(name, value)| (*name, (*value).to_owned())));
        }
        if let Some(Certificate { certificate, key, .. }) = &cluster.certificate {
            settings.push(("ssl", "on".to_owned()));
            settings.push(("ssl_cert_file", certificate.display().to_string()));
            settings.push(("ssl_key_file", key.display().to_string()));
        }
        settings.extend(self.settings.iter().map(|(name, value)| (name.as_str(), value.clone())));
        // Of two lines with one name the last one counts.
        settings.into_iter().try_fold(String::new(), |mut text, (name, value)| {
            writeln!(text, "{name} = '{}'", value.replace('\'', "''"))?;
            Ok(text)
        })
    }
}

fn copy_data(programs: &Programs, model: &Path, data: &Path) -> Result<()> {
    // The owner's mode and its files in whatever depth, for whom `cp` knows more short cuts than we do.
    let mut copy = Command::new("cp");
    run(copy.args(["--archive", "--reflink=auto", "--no-target-directory"]).args([model, data]))?;
    programs.give(data)
}

fn free_port() -> Result<u16> {
    for _ in 0..ATTEMPTS * 10 {
        let span = u32::from(PORTS.end - PORTS.start);
        let port = PORTS.start + u16::try_from(getrandom::u32()? % span)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port of {} to {} on 127.0.0.1 is free", PORTS.start, PORTS.end)
}
