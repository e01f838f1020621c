//! The file itself, and references from row to row: what only a backup brings back.

use super::{Place, Problem, Report};
use crate::db::{Read, Row, Source, params};
use crate::dialect::UNCHECKED;
use crate::{Progress, Result, Watch};

/// SQLite's own check of every page, index and constraint.
pub(super) fn examine(read: &Read<'_>, report: &mut Report, watch: &Watch) -> Result<()> {
    // PostgreSQL keeps its own house, and takes no text that is none.
    if matches!(read.source(), Source::Postgres(_)) {
        return Ok(());
    }
    watch(Progress { step: "checking the file", done: 0, total: 0 });
    for line in integrity(read)? {
        report.damage("integrity", line);
    }
    examine_texts(read, report)
}

/// Texts that are none: SQLite takes any bytes for a text, and whoever reads such a row gets an error.
fn examine_texts(read: &Read<'_>, report: &mut Report) -> Result<()> {
    let columns = "select s.name, c.name from sqlite_schema s, pragma_table_info(s.name) c
                   where s.type = 'table' and s.name not like 'sqlite%' and c.type = 'TEXT' collate nocase";
    for (table, column) in read.rows(columns, &[], |row| Ok((row.text(0)?, row.text(1)?)))? {
        let mut broken = 0_u64;
        read.each(&format!("select {column} from {table} where {column} is not null"), &[], |row| {
            broken += u64::from(row.str(0).is_err());
            Ok(())
        })?;
        if broken > 0 {
            report.add(Problem::damage("text", format!("{broken} values of {table}.{column} are not UTF-8")), None);
        }
    }
    Ok(())
}

/// What SQLite says of a file that is not whole; nothing for a sound one.
pub(crate) fn integrity(read: &Read<'_>) -> Result<Vec<String>> {
    let lines = read.rows("pragma integrity_check(1000)", &[], |row| row.text(0))?;
    Ok(if lines == ["ok"] { Vec::new() } else { lines })
}

/// References that lead nowhere, and ids used twice.
pub(super) fn examine_references(read: &Read<'_>, report: &mut Report, watch: &Watch) -> Result<()> {
    watch(Progress { step: "checking references", done: 0, total: 0 });
    let mut dangling = |table: &str, parent: &str| {
        let detail = format!("a row of {table} refers to no row of {parent}");
        report.add(Problem::damage("foreign_key", detail), None);
    };
    match read.source() {
        Source::Sqlite(_) => read.each("pragma foreign_key_check", &[], |row| {
            dangling(row.str(0)?, row.str(2)?);
            Ok(())
        })?,
        Source::Postgres(_) | Source::Question(_) => {
            for (table, column, parent) in UNCHECKED {
                let sql = format!(
                    "select 1 from {table} c where not exists (select 1 from {parent} p where p.id = c.{column}) limit 1000"
                );
                read.each(&sql, &[], |_| {
                    dangling(table, parent);
                    Ok(())
                })?;
            }
        }
    }
    examine_keys(read, report)?;
    let mut messages = |what, sql| {
        read.scan(sql, &[], |row| {
            let place = Place { user: row.int_opt(0)?, message: row.int_opt(1)?, ..Place::NOWHERE };
            report.add(Problem::lost(what, place), None);
            Ok(())
        })
    };
    // Each id against the index of the other table; ids inside one thread grow, so only different threads can share one.
    messages("id.repeated", "select cast(null as bigint), id from messages group by id having count(*) > 1")?;
    messages(
        "id.repeated",
        "select cast(null as bigint), message_id from deleted_messages d where exists (select 1 from messages m where m.id = d.message_id)",
    )?;
    messages(
        "id.repeated",
        "select cast(null as bigint), t.id from threads t where exists (select 1 from messages m where m.id = t.id)
             or exists (select 1 from deleted_messages d where d.message_id = t.id)",
    )?;
    messages(
        "imported_messages.message",
        "select cast(null as bigint), i.message_id from imported_messages i
         where not exists (select 1 from messages m where m.id = i.message_id)
             and not exists (select 1 from deleted_messages d where d.message_id = i.message_id)",
    )?;
    Ok(())
}

/// Idempotency keys whose messages nobody can read, or never were.
fn examine_keys(read: &Read<'_>, report: &mut Report) -> Result<()> {
    read.scan("select sender_id, messages from idempotency_keys", &[], |row: &Row<'_>| {
        let sender = row.int(0)?;
        report.checked.idempotency_keys += 1;
        let Ok(messages) = serde_json::from_str::<Vec<(i64, i64, i64)>>(row.str(1)?) else {
            report.add(Problem::lost("idempotency_keys.messages", Place::user(sender)), None);
            return Ok(());
        };
        for (id, ..) in messages {
            let known = read.row(
                "select 1 where exists (select 1 from messages where id = ?1)
                     or exists (select 1 from deleted_messages where message_id = ?1)",
                params![id],
                |_| Ok(()),
            )?;
            if known.is_none() {
                report.add(Problem::lost("idempotency_keys.message", Place::user(sender).message(id)), None);
            }
        }
        Ok(())
    })
}
