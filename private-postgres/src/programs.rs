//! Where PostgreSQL's programs are, and as whom they run.

use anyhow::{Context as _, Result, bail, ensure};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The versions that Parlour works with.
const VERSIONS: RangeInclusive<u32> = 15..=18;

/// What must stand beside each other in one folder.
const NEEDED: [&str; 4] = ["postgres", "initdb", "pg_ctl", "psql"];

/// Where Debian's packages put each version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The user that Debian's packages make. PostgreSQL refuses to run as root, so root runs it as this one.
const USER: &str = "postgres";

/// PostgreSQL's programs: those in `PATH`, or else the newest of Debian's. Displayed as the version and where it is.
#[derive(Clone, Debug)]
pub struct Programs {
    folder: PathBuf,
    version: u32,
    owner: Option<Owner>,
}

/// Whom the servers' files belong to, where that is not ourselves.
#[derive(Clone, Copy, Debug)]
struct Owner {
    user: u32,
    group: u32,
}

impl Programs {
    /// Looks for them. Where there are none that will do, the error says what was found instead.
    pub fn find() -> Result<Self> {
        let mut unfit = Vec::new();
        for folder in folders() {
            match version(&folder) {
                Ok(version) if VERSIONS.contains(&version) => {
                    return Ok(Self { folder, version, owner: owner()? });
                }
                Ok(version) => unfit.push(format!("{} has version {version}", folder.display())),
                Err(error) => unfit.push(format!("{}: {error:#}", folder.display())),
            }
        }
        let (first, last) = (VERSIONS.start(), VERSIONS.end());
        let found = if unfit.is_empty() { String::new() } else { format!(" ({})", unfit.join("; ")) };
        bail!(
            "PostgreSQL {first} to {last} is needed, with {} in one folder; it is neither in PATH nor in {DEBIAN}{found}",
            NEEDED.join(", ")
        )
    }

    /// The major version.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// One of PostgreSQL's programs, to be run by whom the files belong to.
    pub(crate) fn as_owner(&self, program: &str) -> Command {
        self.other_as_owner(&self.folder.join(program))
    }

    /// Any other program, to be run by whom the files belong to.
    pub(crate) fn other_as_owner(&self, program: &Path) -> Command {
        let mut command = match self.owner {
            None => Command::new(program),
            Some(Owner { user, group }) => {
                let mut command = Command::new("setpriv");
                command.arg(format!("--reuid={user}")).arg(format!("--regid={group}")).arg("--clear-groups");
                command.arg("--").arg(program);
                command
            }
        };
        prepare(&mut command);
        command
    }

    /// The client, to be run by us.
    pub(crate) fn psql(&self) -> Command {
        let mut command = Command::new(self.folder.join("psql"));
        prepare(&mut command);
        command
    }

    /// Gives a file or folder to whom the server runs as.
    pub(crate) fn give(&self, path: &Path) -> Result<()> {
        if let Some(Owner { user, group }) = self.owner {
            std::os::unix::fs::chown(path, Some(user), Some(group))
                .with_context(|| format!("cannot give {} to the user {USER}", path.display()))?;
        }
        Ok(())
    }

    /// Makes sure that the server will come as far as `folder`.
    pub(crate) fn ensure_reachable(&self, folder: &Path) -> Result<()> {
        if self.owner.is_some() {
            let reached = self.other_as_owner(Path::new("test")).arg("-w").arg(folder).status()?.success();
            ensure!(
                reached,
                "PostgreSQL does not run as root but as the user {USER}, who cannot reach {}: every folder above it must let others through",
                folder.display()
            );
        }
        Ok(())
    }
}

impl fmt::Display for Programs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PostgreSQL {} in {}", self.version, self.folder.display())
    }
}

/// Runs a program to its end; what it said is in the error if it failed.
pub(crate) fn run(command: &mut Command) -> Result<Output> {
    let program = command.get_program().to_owned();
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let output = command.output().with_context(|| format!("cannot run {}", program.display()))?;
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    ensure!(
        output.status.success(),
        "{} {} ended with {}: {}",
        program.display(),
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&said).trim()
    );
    Ok(output)
}

/// What a developer has set for databases of their own must not lead here, nor translate what is said.
fn prepare(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
    command.env("LC_ALL", "C").current_dir("/");
}

/// Folders that hold all programs, the best first.
fn folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Links lead to where its neighbours are.
    let linked = std::env::split_paths(&path).filter_map(|folder| folder.join("postgres").canonicalize().ok());
    let in_path = linked.filter_map(|postgres| Some(postgres.parent()?.to_owned()));
    let mut debian: Vec<(u32, PathBuf)> = std::fs::read_dir(DEBIAN)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let folder = entry.ok()?.path();
            Some((folder.file_name()?.to_str()?.parse().ok()?, folder.join("bin")))
        })
        .collect();
    debian.sort();
    let newest_first = debian.into_iter().rev().map(|(_, folder)| folder);
    in_path.chain(newest_first).filter(|folder| NEEDED.iter().all(|program| folder.join(program).is_file())).collect()
}

/// `postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)` is 15.
fn version(folder: &Path) -> Result<u32> {
    let output = run(Command::new(folder.join("postgres")).arg("--version"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = said.split_once("(PostgreSQL) ").map_or("", |(_, number)| number);
    let major: String = number.chars().take_while(char::is_ascii_digit).collect();
    major.parse().with_context(|| format!("cannot read a version in {said:?}"))
}

fn owner() -> Result<Option<Owner>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let number = |flag: &str| -> Result<u32> {
        let output = run(Command::new("id").args([flag, USER]))
            .with_context(|| format!("PostgreSQL does not run as root, and there is no user {USER} to run it as"))?;
        Ok(String::from_utf8(output.stdout)?.trim().parse()?)
    };
    Ok(Some(Owner { user: number("-u")?, group: number("-g")? }))
}
