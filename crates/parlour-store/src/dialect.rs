//! Every difference between the SQL of the two databases, each with its reason. All other SQL is one text for both.

use crate::batch::{Column, Form};
use crate::db::Source;
use crate::files::attachment_columns;
use crate::threads::{inbox_rows, membership_columns};
use std::borrow::Cow;

/// References that PostgreSQL does not check at every write, as table, column and parent: what a send writes refers to rows that its
/// transaction holds locked, and looking each of them up again would cost a third of the send. The doctor checks them.
pub const UNCHECKED: [(&str, &str, &str); 8] = [
    ("direct_threads", "thread_id", "threads"),
    ("messages", "thread_id", "threads"),
    ("messages", "sender_id", "users"),
    ("inbox", "user_id", "users"),
    ("inbox", "thread_id", "threads"),
    ("events", "user_id", "users"),
    ("idempotency_keys", "sender_id", "users"),
    ("user_renderings", "user_id", "users"),
];

/// Whether there is a table of the name `?1`: each has a catalogue of its own.
pub(crate) const fn table_exists(source: Source<'_>) -> &'static str {
    match source {
        Source::Sqlite(_) => "select exists (select 1 from sqlite_schema where type = 'table' and name = ?1)",
        Source::Postgres(_) | Source::Question(_) => "select to_regclass(?1) is not null",
    }
}

/// `sql`, which is written for SQLite, as PostgreSQL takes it.
///
/// - Placeholders are `$1`: PostgreSQL knows no `?1`.
/// - `strpos` is what it calls `instr`.
pub(crate) fn postgres(sql: &str) -> Cow<'_, str> {
    let mut text = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(at) = rest.find(['?', 'i']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(behind) = rest.strip_prefix('?') {
            text.push('$');
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix("instr(") {
            text.push_str("strpos(");
            rest = behind;
        } else {
            text.push('i');
            rest = &rest[1..];
        }
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// `sql` for PostgreSQL in a form of [`batch`](crate::batch), still with SQLite's placeholders.
///
/// - Over rows, the parameters are the columns of a table `r`, unnested from one array each. An answer begins with the number of its row.
/// - Guarded, the statement fails with a division by zero unless every row of parameters touched a row: its transaction is committed in the
///   same round trip, too late for counting here.
pub(crate) fn in_form(sql: &str, form: Form, columns: &[Column<'_>]) -> String {
    match form {
        Form::Plain => sql.to_owned(),
        Form::PlainGuarded => guarded(sql, "1"),
        Form::OverRows => over_rows(sql, columns),
        Form::OverRowsGuarded => guarded(&over_rows(sql, columns), "cardinality(?1)"),
    }
}

fn guarded(sql: &str, rows: &str) -> String {
    format!(
        "with changed as ({sql} returning 1) select 1 / (case when count(*) = {rows} then 1 else 0 end) from changed"
    )
}

fn over_rows(sql: &str, columns: &[Column<'_>]) -> String {
    let arrays: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| format!("cast(?{} as {})", at + 1, column.array_type()))
        .collect();
    let names: Vec<String> = (1..=columns.len()).map(|number| format!("c{number}")).collect();
    let (arrays, names, sql) = (arrays.join(", "), names.join(", "), sql.replace('?', "r.c"));
    let rows = format!("unnest({arrays}) as r ({names})");
    let word = sql.split_whitespace().next().unwrap_or_default();
    match word {
        "select" => format!(
            "select r.i, q.* from unnest({arrays}) with ordinality as r ({names}, i) cross join lateral ({sql}) q"
        ),
        "insert" => match (sql.split_once(" values ("), sql.rfind(" on conflict")) {
            (Some((head, values)), conflict) => {
                let (values, conflict) = match conflict {
                    Some(at) => (&values[..at - head.len() - " values (".len()], &sql[at..]),
                    None => (values, ""),
                };
                let values = values.trim_end().trim_end_matches(')');
                format!("{head} select {values} from {rows}{conflict}")
            }
            (None, _) => sql,
        },
        "update" => sql.replacen(" where ", &format!(" from {rows} where "), 1),
        _ => sql.replacen(" where ", &format!(" using {rows} where "), 1),
    }
}

/// The columns of [`attachment_columns`](crate::files::attachment_columns) where there is none.
macro_rules! no_attachment {
    () => {
        "null::bytea, null, null, null::bigint, null::bigint, null::bytea, null::bigint"
    };
}

/// How many messages are shown up to a sequence number of the thread `e`, as [`position_at`](crate::positions::position_at).
macro_rules! position_at {
    ($seq:literal) => {
        concat!(
            "case when e.deleted_count = 0 then ",
            $seq,
            " when ",
            $seq,
            " >= e.last_seq then e.last_seq - e.deleted_count
             else ",
            $seq,
            " - coalesce((select d.seq - d.visible_before from deleted_messages d
                 where d.thread_id = e.id and d.seq <= ",
            $seq,
            " order by d.seq desc limit 1), 0) end"
        )
    };
}

/// The lowest sequence number of the thread `t` from a message id on, as [`first_seq_from`](crate::positions::first_seq_from).
macro_rules! first_seq_from {
    ($id:literal) => {
        concat!(
            "coalesce((select x.seq from messages x where x.id = ", $id, " and x.thread_id = t.id),
             (with recursive s (low, high) as (
                 select cast(1 as bigint), t.last_seq + 1
                 union all
                 select case when f.id < ", $id, " then f.seq + 1 else s.low end, case when f.id < ", $id, " then s.high else k.middle end
                 from s cross join lateral (select s.low + (s.high - s.low) / 2 as middle) k
                     left join lateral (select x.seq, x.id from messages x where x.thread_id = t.id and x.seq >= k.middle
                         order by x.seq limit 1) f on true
                 where s.low < s.high)
              select s.low from s where s.low >= s.high limit 1))"
        )
    };
}

/// Users as one JSON array each, in the order of [`users::decode_packed`](crate::users::decode_packed), for an answer whose other rows are
/// of other things. Those in `?2` are known in version `?1` of the directory.
macro_rules! packed_users {
    ($who:literal) => {
        concat!(
            "cast(json_build_array(u.id, u.username, u.real_name, u.ext_id, u.status, u.role, u.community_badge, u.avatar, u.email,
                 u.email_isvalid, u.date_joined, u.deleted_at, u.followers_counter, u.followings_counter, u.profile,
                 u.version) as text)
             from users u where u.id in (", $who, ") and (v.version <> ?1 or u.id <> all (?2))"
        )
    };
}

/// Between which sequence numbers of the thread `t` a page lies, where it does not go to the end. Each kind of range has its own text, since
/// PostgreSQL makes ready whatever stands in a plan, needed or not.
macro_rules! bounds {
    (whole) => {
        "t.cleared_seq as start_seq"
    };
    (before) => {
        concat!(first_seq_from!("?7"), " - 1 as end_seq, t.cleared_seq as start_seq")
    };
    (from) => {
        concat!("greatest(", first_seq_from!("?7"), " - 1, t.cleared_seq) as start_seq")
    };
    (between) => {
        concat!(
            first_seq_from!("?7"),
            " - 1 as end_seq, greatest(",
            first_seq_from!("?8"),
            " - 1, t.cleared_seq) as start_seq"
        )
    };
}

/// How many messages are shown up to the end of a page's range.
macro_rules! newest {
    (whole) => {
        "e.last_seq - e.deleted_count"
    };
    (from) => {
        "e.last_seq - e.deleted_count"
    };
    ($below:ident) => {
        position_at!("e.end_seq")
    };
}

/// The thread `?4`, or that of `?3` with `?4`.
macro_rules! named_thread {
    (by_id) => {
        "threads t join members m on m.thread_id = t.id and t.id = ?4"
    };
    (by_pair) => {
        "direct_threads d join threads t on t.id = d.thread_id and d.low_user_id = least(cast(?3 as bigint), ?4)
             and d.high_user_id = greatest(cast(?3 as bigint), ?4) join members m on m.thread_id = t.id"
    };
}

/// Who is shown in it.
macro_rules! named_people {
    (by_id) => {
        packed_users!("?3, (select t.creator_id from t), (select t.other_id from t)")
    };
    (by_pair) => {
        packed_users!("?3, ?4")
    };
}

/// A page of a thread with all that belongs to it. SQLite answers the same from the parts, one statement each: put together they take it a
/// third longer, and a statement more costs it next to nothing. PostgreSQL would make a round trip of each.
///
/// Parameters: the version and the ids of known people, the viewer, the thread or the other one, limit, offset, and for a range its ids.
macro_rules! thread_page {
    ($named:ident, $bounds:ident) => {
        concat!(
            "with v as materialized (select value as version from counters where name = 'directory_version'),
             t as materialized (select ", membership_columns!(), " from ", named_thread!($named), " where m.user_id = ?3),
             e as materialized (select t.*, ", bounds!($bounds), " from t),
             p as materialized (select e.id, e.deleted_count, ", position_at!("e.start_seq"), " as oldest, ",
                 newest!($bounds), " as newest from e),
             w as materialized (select p.id, p.deleted_count, greatest(p.newest, p.oldest) - p.oldest as count,
                 least(greatest(p.newest, p.oldest) - ?6 - p.oldest, ?5) as rows,
                 greatest(p.newest, p.oldest) - ?6 - least(greatest(p.newest, p.oldest) - ?6 - p.oldest, ?5) + 1 as first from p)
             select 0, t.id, t.creator_id, t.other_id, t.created_at, t.last_seq, t.deleted_count, t.last_message_at, t.user_id,
                 t.read_seq, t.cleared_seq, t.unread_count, t.listed_at, t.notified_seq, t.unseen_count, w.count, v.version, null, ", no_attachment!(), "
             from v left join t on true left join w on true
             union all
             select * from (select 1, x.id, x.seq, x.sender_id, x.created_at, x.status, null::bigint, null::bigint, null::bigint,
                 null::bigint, null::bigint, null::bigint, null::bigint, null::bigint, null::bigint, null::bigint, null::bigint, x.text, ", attachment_columns!(), "
             from messages x left join files f on f.owner_id = x.sender_id and f.uuid = x.file_uuid where x.thread_id = (select w.id from w) and x.seq >= (select case when w.deleted_count = 0 then w.first
                 else w.first + coalesce((select d.seq - d.visible_before from deleted_messages d where d.thread_id = w.id
                     and d.visible_before < w.first order by d.visible_before desc, d.seq desc limit 1), 0) end from w)
             order by x.seq limit (select greatest(w.rows, 0) from w)) page
             union all
             select 2, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, packed.json, ", no_attachment!(), "
             from v cross join lateral (select ", named_people!($named), ") packed (json)"
        )
    };
}

/// The pages of a thread, by which range of ids they lie in.
pub(crate) struct ThreadPages {
    pub(crate) whole: &'static str,
    /// Below `?7`.
    pub(crate) before: &'static str,
    /// From `?7` on.
    pub(crate) from: &'static str,
    /// Below `?7` and from `?8` on.
    pub(crate) between: &'static str,
}

macro_rules! thread_pages {
    ($named:ident) => {
        ThreadPages {
            whole: thread_page!($named, whole),
            before: thread_page!($named, before),
            from: thread_page!($named, from),
            between: thread_page!($named, between),
        }
    };
}

/// Pages of a thread named by its id.
pub(crate) const THREAD_PAGES: ThreadPages = thread_pages!(by_id);
/// Pages of a thread named by the other one in it.
pub(crate) const THREAD_PAGES_WITH: ThreadPages = thread_pages!(by_pair);

/// A page of an inbox with all that belongs to it, in one statement for the same reason.
///
/// Parameters: the version and the ids of known people, the viewer, the time and thread below which, limit, offset.
pub(crate) const INBOX_PAGE: &str = concat!(
    "with v as materialized (select value as version from counters where name = 'directory_version'),
     i as materialized (", inbox_rows!("?3", "?4", "?5", "?6", "?7"), ")
     select 0, m.listed_threads, v.version, null::bigint, null::bigint, null::bigint, null::bigint, null::bigint, null::bigint, null, null
     from v left join mailboxes m on m.user_id = ?3
     union all
     select 1, i.* from i
     union all
     select 2, null, null, null, null, null, null, null, null, packed.json, null
     from v cross join lateral (select ",
    packed_users!("select i.creator_id from i union select i.other_id from i union select ?3"),
    ") packed (json)"
);

/// Locks the mailboxes of everybody in `?1`, in an order that is the same for everyone who does so. SQLite has one writer at a time.
pub(crate) const LOCK_MAILBOXES: &str =
    "select user_id from mailboxes where user_id = any (?1) order by user_id for update";

/// The same of everybody in the thread `?1`.
pub(crate) const LOCK_MAILBOXES_OF_THREAD: &str = "select b.user_id from mailboxes b
     where b.user_id in (select m.user_id from members m where m.thread_id = ?1) order by b.user_id for update";

/// The directory's version, then those of `?3` who are not known.
pub(crate) const PEOPLE: &str = concat!(
    "with v as materialized (select value as version from counters where name = 'directory_version')
     select v.version, cast(null as text) from v
     union all
     select null, packed.json from v cross join lateral (select ",
    packed_users!("select unnest(cast(?3 as bigint[]))"),
    ") packed (json)"
);
