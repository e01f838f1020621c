//! Every difference between the SQL of the two databases, each with its reason. All other SQL is one text for both.

use std::borrow::Cow;

/// References that PostgreSQL does not check at every write, as table, column and parent: what a send writes refers to rows that its
/// transaction holds locked, and looking each of them up again would cost a third of the send. The doctor checks them.
pub(crate) const UNCHECKED: [(&str, &str, &str); 8] = [
    ("direct_threads", "thread_id", "threads"),
    ("messages", "thread_id", "threads"),
    ("messages", "sender_id", "users"),
    ("inbox", "user_id", "users"),
    ("inbox", "thread_id", "threads"),
    ("events", "user_id", "users"),
    ("idempotency_keys", "sender_id", "users"),
    ("user_renderings", "user_id", "users"),
];

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
