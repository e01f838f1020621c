use super::{Common, progress};
use crate::config::{Config, Secret};
use clap::Args;
use parlour_store::copy::{self, Copied};
use parlour_store::{Location, StoreError};
use serde_json::{Map, json};
use std::time::Instant;

/// Arguments of `parlour copy`.
#[derive(Args)]
pub struct CopyArgs {
    /// The database to copy: sqlite:PATH or postgres://user@host:port/database.
    #[arg(long, value_name = "ADDRESS")]
    from: String,
    /// Where to copy it: the same forms. It must be empty, or hold a part of the same copy, which is then finished.
    #[arg(long, value_name = "ADDRESS")]
    to: String,
}

pub(super) fn copy(common: &Common, args: &CopyArgs) -> anyhow::Result<()> {
    let config = common.load()?;
    crate::telemetry::start(&config.log)?;
    let access = &config.copy;
    let from = end(&config, &args.from, &access.from_user, &access.from_password)?;
    let to = end(&config, &args.to, &access.to_user, &access.to_password)?;
    let (bar, watch) = progress::steps();
    let started = Instant::now();
    let copied = copy::copy(&from, &to, &watch);
    bar.finish_and_clear();
    print(common, &copied?, started.elapsed().as_secs_f64(), &to);
    Ok(())
}

fn end(config: &Config, address: &str, user: &Secret, password: &Secret) -> Result<Location, StoreError> {
    let mut options = config.postgres.options();
    if !user.is_empty() {
        options.user = Some(user.expose().to_owned());
    }
    if !password.is_empty() {
        options.password = Some(password.expose().to_owned());
    }
    crate::location(address, options)
}

fn print(common: &Common, copied: &Copied, seconds: f64, to: &Location) {
    let Copied { tables, rows, bytes, resumed } = copied;
    let a_second = |number: u64| (number as f64 / seconds) as u64;
    let in_all: u64 = tables.iter().map(|(_, rows)| rows).sum();
    if common.json {
        let tables: Map<_, _> = tables.iter().map(|(table, rows)| ((*table).to_owned(), json!(rows))).collect();
        let copied = json!({
            "tables": tables,
            "rows": in_all,
            "resumed": resumed,
            "copied_rows": rows,
            "copied_bytes": bytes,
            "seconds": seconds,
            "rows_per_second": a_second(*rows),
            "bytes_per_second": a_second(*bytes),
        });
        println!("{copied}");
        return;
    }
    let filled = tables.iter().filter(|(_, rows)| *rows > 0);
    filled.for_each(|(table, rows)| println!("{rows:>12} {table}"));
    let (size, speed) = (bytesize::ByteSize::b(*bytes), a_second(*rows));
    let begun = if *resumed { format!(", {rows} of them by this run") } else { String::new() };
    println!("{in_all} rows copied to {to} and verified{begun}: {size} in {seconds:.1} s, {speed} rows/s");
    if tables.iter().any(|(table, rows)| *table == "files" && *rows > 0) {
        println!(
            "the files themselves are not in the database: see docs/OPERATIONS.md, \"Moving to PostgreSQL, and back\""
        );
    }
}
