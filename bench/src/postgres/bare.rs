//! The floor of reads: the bare driver asks the statements of the store, on one thread, and reads the rows to their end.

use super::community::connect;
use anyhow::{Context as _, Result, ensure};
use futures_util::TryStreamExt as _;
use futures_util::future::try_join_all;
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

/// Questions that are under way at once, as many as the load has clients.
const ASKERS: usize = 64;

/// Numbers of connections that are tried.
const CONNECTIONS: [usize; 4] = [1, 2, 4, 8];

/// How long each is tried.
const TRIAL: Duration = Duration::from_millis(300);

/// The ids of known people, and all parameters after them.
pub(super) type Values = (Vec<i64>, Vec<i64>);

/// A statement with what it is asked about.
pub(super) struct Question<'q> {
    sql: &'q str,
    next: RefCell<Box<dyn FnMut() -> Values + 'q>>,
}

impl<'q> Question<'q> {
    pub(super) fn new(sql: &'q str, next: impl FnMut() -> Values + 'q) -> Self {
        Self { sql, next: RefCell::new(Box::new(next)) }
    }
}

/// Connections, of which each has the statement prepared, and how they are used.
pub(super) struct BareReads {
    clients: Vec<(Client, Statement)>,
    version: i64,
    /// Whether questions follow each other on a connection without waiting for answers.
    pipelined: bool,
}

impl BareReads {
    /// As many connections, used in such a way, as answer `question` most often.
    pub(super) async fn best(url: &str, name: &str, question: &Question<'_>) -> Result<Self> {
        let mut best: Option<(f64, Self)> = None;
        for (connections, pipelined) in CONNECTIONS.iter().flat_map(|number| [(*number, false), (*number, true)]) {
            let reads = Self::connect(url, question.sql, connections, pipelined).await?;
            // The first one prepares and warms.
            let mut per_second = 0.0;
            for _ in 0..3 {
                per_second = reads.run(question, TRIAL).await?.max(per_second);
            }
            let way = if pipelined { "pipelined" } else { "one question at a time each" };
            eprintln!("bare {name}: {per_second:.0} a second on {connections} connections, {way}");
            if best.as_ref().is_none_or(|(most, _)| per_second > *most) {
                best = Some((per_second, reads));
            }
        }
        Ok(best.context("something was tried")?.1)
    }

    async fn connect(url: &str, sql: &str, connections: usize, pipelined: bool) -> Result<Self> {
        let mut clients = Vec::with_capacity(connections);
        for _ in 0..connections {
            let client = connect(url).await?;
            let statement = client.prepare(sql).await?;
            clients.push((client, statement));
        }
        let version = "select value from counters where name = 'directory_version'";
        let version = clients[0].0.query_one(version, &[]).await?.get(0);
        Ok(Self { clients, version, pipelined })
    }

    /// Asks for `time` and answers how many answers came a second.
    pub(super) async fn run(&self, question: &Question<'_>, time: Duration) -> Result<f64> {
        let started = Instant::now();
        let (end, answers) = (started + time, Cell::new(0_usize));
        let askers = if self.pipelined { ASKERS } else { self.clients.len() };
        try_join_all((0..askers).map(|asker| {
            let (client, statement) = &self.clients[asker % self.clients.len()];
            self.ask(client, statement, question, end, &answers)
        }))
        .await?;
        Ok(answers.get() as f64 / started.elapsed().as_secs_f64())
    }

    async fn ask(
        &self,
        client: &Client,
        statement: &Statement,
        question: &Question<'_>,
        end: Instant,
        answers: &Cell<usize>,
    ) -> Result<()> {
        while Instant::now() < end {
            let (known, values) = (question.next.borrow_mut())();
            let mut params: Vec<&(dyn ToSql + Sync)> = vec![&self.version, &known];
            params.extend(values.iter().map(|value| value as &(dyn ToSql + Sync)));
            let mut rows = std::pin::pin!(client.query_raw(statement, params).await?);
            let mut count = 0;
            while let Some(row) = rows.try_next().await? {
                std::hint::black_box(row.try_get::<_, i32>(0)?);
                count += 1;
            }
            ensure!(count > 1, "a page without rows");
            answers.set(answers.get() + 1);
        }
        Ok(())
    }
}
