//! Somebody else at the same database, who locks tables and does not let go.

use crate::server::wait_until;
use anyhow::Result;
use private_postgres::Cluster;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Longer than anybody waits here.
const HELD: &str = "select pg_sleep(300)";

/// Tables that nobody else can even read, until this is released.
pub(super) struct Lock {
    cluster: Arc<Cluster>,
    database: String,
    holder: Option<JoinHandle<()>>,
}

impl Lock {
    pub(super) fn take(cluster: &Arc<Cluster>, database: &str, tables: &str) -> Result<Self> {
        let (session, name) = (Arc::clone(cluster), database.to_owned());
        let script = format!("begin; lock table {tables} in access exclusive mode; {HELD};");
        // It ends with an error when it is released.
        let holder = std::thread::spawn(move || drop(session.sql(&name, &script)));
        let lock = Self { cluster: Arc::clone(cluster), database: database.to_owned(), holder: Some(holder) };
        let holding = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
        wait_until("the tables are locked", || Ok(lock.cluster.sql(&lock.database, holding)? == "1"))?;
        Ok(lock)
    }

    /// Sessions that wait for it.
    pub(super) fn waiting(&self) -> Result<usize> {
        let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";
        Ok(self.cluster.sql(&self.database, waiting)?.parse()?)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let release = "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'";
        // If it cannot be ended, the cluster ends it.
        let released = self.cluster.sql(&self.database, release);
        if let (Ok(_), Some(holder)) = (released, self.holder.take()) {
            let _ = holder.join();
        }
    }
}
