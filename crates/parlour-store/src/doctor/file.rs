//! The file itself, and references from row to row: what only a backup brings back.

use super::{Place, Problem, Report, count};
use crate::db::Read;
use crate::{Progress, Result, Watch};

/// SQLite's own check of every page, index and constraint.
pub(super) fn examine(read: &Read<'_>, report: &mut Report, watch: &Watch) -> Result<()> {
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
    read.each("pragma foreign_key_check", &[], |row| {
        let detail = format!("a row of {} refers to no row of {}", row.str(0)?, row.str(2)?);
        report.add(Problem::damage("foreign_key", detail), None);
        Ok(())
    })?;
    let mut messages = |what, sql| {
        read.each(sql, &[], |row| {
            let place = Place { user: row.int_opt(0)?, message: row.int_opt(1)?, ..Place::NOWHERE };
            report.add(Problem::lost(what, place), None);
            Ok(())
        })
    };
    // Each id against the index of the other table; ids inside one thread grow, so only different threads can share one.
    messages("id.repeated", "select null, id from messages group by id having count(*) > 1")?;
    messages(
        "id.repeated",
        "select null, message_id from deleted_messages d where exists (select 1 from messages m where m.id = d.message_id)",
    )?;
    messages(
        "id.repeated",
        "select null, t.id from threads t where exists (select 1 from messages m where m.id = t.id)
             or exists (select 1 from deleted_messages d where d.message_id = t.id)",
    )?;
    messages(
        "idempotency_keys.messages",
        "select sender_id, null from idempotency_keys where not json_valid(messages)",
    )?;
    messages(
        "idempotency_keys.message",
        "select k.sender_id, j.value ->> 0 from idempotency_keys k, json_each(k.messages) j where json_valid(k.messages)
             and not exists (select 1 from messages m where m.id = j.value ->> 0)
             and not exists (select 1 from deleted_messages d where d.message_id = j.value ->> 0)",
    )?;
    messages(
        "imported_messages.message",
        "select null, i.message_id from imported_messages i
         where not exists (select 1 from messages m where m.id = i.message_id)
             and not exists (select 1 from deleted_messages d where d.message_id = i.message_id)",
    )?;
    report.checked.idempotency_keys = count(read, "select count(*) from idempotency_keys")?;
    Ok(())
}
