//! The community in PostgreSQL: loaded once from the SQLite file, kept as the data folder of a stopped server, copied for each run.

use crate::dataset::Dataset;
use anyhow::{Context as _, Result};
use bytes::{Bytes, BytesMut};
use futures_util::SinkExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use parlour_store::statements::PLANS;
use parlour_store::{DATABASE_FILE, Location, Options, Settings, Store};
use private_postgres::{Cluster, Durability, Setup};
use rusqlite::types::ValueRef;
use std::fmt::Write as _;
use std::process::Command;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

/// The database in the server.
const DATABASE: &str = "community";

/// All tables that hold data, parents first.
const TABLES: [&str; 15] = [
    "counters",
    "users",
    "user_settings",
    "follows",
    "hides",
    "threads",
    "direct_threads",
    "messages",
    "deleted_messages",
    "members",
    "inbox",
    "mailboxes",
    "events",
    "imported_messages",
    "user_renderings",
];

/// Bytes that go out at once.
const PIECE_BYTES: usize = 1 << 20;

/// A PostgreSQL server with a copy of the community, that waits for the disk as any would.
pub(crate) struct Community {
    cluster: Cluster,
    /// Bytes of the database on disk, before anybody has written to it.
    pub(crate) loaded_bytes: f64,
}

impl Community {
    /// Starts a server on a copy of `dataset`, which is loaded first if it never was.
    pub(crate) fn start(dataset: &Dataset, runtime: &Runtime) -> Result<Self> {
        let kept = dataset.folder.join("postgres");
        let done = dataset.folder.join("postgres-complete");
        if !done.exists() {
            if kept.exists() {
                std::fs::remove_dir_all(&kept)?;
            }
            let community = Self { cluster: setup().data_in(&dataset.folder).start()?, loaded_bytes: 0.0 };
            community.load(dataset, runtime)?;
            community.cluster.stop()?;
            let data = community.cluster.data_folder();
            let copied = Command::new("cp").args(["--archive", "--reflink=auto"]).args([data, &kept]).status()?;
            anyhow::ensure!(copied.success(), "the loaded server could not be kept");
            std::fs::write(done, "")?;
        }
        let cluster = setup().data_in(&dataset.folder).copy_of(kept).start()?;
        let bytes = cluster.sql(DATABASE, &format!("select pg_database_size('{DATABASE}')"))?.parse()?;
        Ok(Self { cluster, loaded_bytes: bytes })
    }

    pub(crate) fn url(&self) -> String {
        self.cluster.url(DATABASE)
    }

    /// The version and where its programs are.
    pub(crate) fn programs(&self) -> String {
        self.cluster.programs().to_string()
    }

    /// Seconds of processor time used so far by the connections that are open.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let mut nanoseconds = 0;
        for process in self.processes()? {
            // It may have ended meanwhile.
            let statistics = std::fs::read_to_string(format!("/proc/{process}/schedstat")).unwrap_or_default();
            nanoseconds += statistics.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0_u64);
        }
        Ok(nanoseconds as f64 / 1e9)
    }

    /// The processes of its connections, and a few of its own.
    pub(crate) fn processes(&self) -> Result<Vec<u32>> {
        let server = self.cluster.process_id()?;
        let children = std::fs::read_to_string(format!("/proc/{server}/task/{server}/children"))?;
        Ok(children.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
    }

    fn load(&self, dataset: &Dataset, runtime: &Runtime) -> Result<()> {
        self.cluster.create_database(DATABASE)?;
        Store::migrate(Location::Postgres(Settings::parse(&self.url(), Options::default())?))?;
        let file = rusqlite::Connection::open(dataset.folder.join(DATABASE_FILE))?;
        runtime.block_on(async {
            let client = connect(&self.url()).await?;
            client.batch_execute("truncate counters").await?;
            for table in TABLES {
                copy_table(&file, &client, table).await.with_context(|| format!("loading {table}"))?;
            }
            anyhow::Ok(())
        })?;
        self.cluster.sql(DATABASE, "vacuum (freeze, analyze)")?;
        Ok(())
    }
}

/// Room for the pages that are read often, as an operator would give it; else as PostgreSQL comes.
fn setup() -> Setup {
    Setup::new(Durability::Real).setting("shared_buffers", "1GB")
}

/// A connection without anything of Parlour's, driven by the calling runtime.
pub(super) async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    // As the store's sessions do.
    client.batch_execute(PLANS).await?;
    Ok(client)
}

async fn copy_table(file: &rusqlite::Connection, client: &Client, table: &str) -> Result<()> {
    let rows: i64 = file.query_row(&format!("select count(*) from {table}"), [], |row| row.get(0))?;
    let progress = ProgressBar::new(rows.try_into()?);
    progress.set_style(ProgressStyle::with_template("loading {msg:18} {bar:40} {pos}/{len} rows  {eta} left")?);
    progress.set_message(table.to_owned());
    // Rows lie where a community's life has put them, and not where they are read.
    let order = if table == "messages" { " order by id" } else { "" };
    let mut statement = file.prepare(&format!("select * from {table}{order}"))?;
    let columns = statement.column_names().collect::<Vec<_>>().join(", ");
    let count = statement.column_count();
    let sink = client.copy_in::<_, Bytes>(&format!("copy {table} ({columns}) from stdin")).await?;
    let mut sink = std::pin::pin!(sink);
    let (mut piece, mut rows) = (BytesMut::with_capacity(PIECE_BYTES * 2), statement.query([])?);
    while let Some(row) = rows.next()? {
        for column in 0..count {
            piece.extend_from_slice(if column == 0 { b"" } else { b"\t" });
            put(&mut piece, row.get_ref(column)?)?;
        }
        piece.extend_from_slice(b"\n");
        progress.inc(1);
        if piece.len() >= PIECE_BYTES {
            sink.send(piece.split().freeze()).await?;
        }
    }
    sink.send(piece.freeze()).await?;
    sink.finish().await?;
    progress.finish_and_clear();
    Ok(())
}

/// A value in the text form of `copy`.
fn put(piece: &mut BytesMut, value: ValueRef<'_>) -> Result<()> {
    match value {
        ValueRef::Null => piece.extend_from_slice(b"\\N"),
        ValueRef::Integer(number) => write!(piece, "{number}")?,
        ValueRef::Real(number) => write!(piece, "{number}")?,
        ValueRef::Blob(bytes) => {
            piece.extend_from_slice(b"\\\\x");
            bytes.iter().try_for_each(|byte| write!(piece, "{byte:02x}"))?;
        }
        ValueRef::Text(text) => {
            for byte in text {
                match byte {
                    b'\\' => piece.extend_from_slice(b"\\\\"),
                    b'\n' => piece.extend_from_slice(b"\\n"),
                    b'\r' => piece.extend_from_slice(b"\\r"),
                    b'\t' => piece.extend_from_slice(b"\\t"),
                    _ => piece.extend_from_slice(&[*byte]),
                }
            }
        }
    }
    Ok(())
}
