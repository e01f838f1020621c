//! What a copy takes along: every table of the schema, each after those that it refers to. Not `nodes` and `schema_migrations`, which
//! belong to one database and say nothing of the community.

use std::fmt::Write as _;

/// A table, whose first columns are its primary key.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// How many columns the key has.
    pub(super) key: usize,
    pub(super) columns: &'static [Column],
}

/// A column.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) class: Class,
}

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Class {
    Integer,
    Text,
    Blob,
}

macro_rules! table {
    ($name:ident, $key:literal, $($column:ident: $class:ident),+ $(,)?) => {
        Table {
            name: stringify!($name),
            key: $key,
            columns: &[$(Column { name: stringify!($column), class: Class::$class }),+],
        }
    };
}

pub(super) const TABLES: &[Table] = &[
    table!(counters, 1, name: Text, value: Integer),
    table!(
        users, 1,
        id: Integer, username: Text, real_name: Text, ext_id: Text, status: Text, role: Text, community_badge: Integer,
        avatar: Text, email: Text, email_isvalid: Integer, date_joined: Integer, deleted_at: Integer,
        followers_counter: Integer, followings_counter: Integer, profile: Text, search_text: Text, version: Integer,
    ),
    table!(
        user_settings, 1,
        user_id: Integer, qa_frequency: Integer, email_notification_not_qa: Integer, mobile_notifications_scmty: Integer,
        show_toast_notifications: Integer, toast_notifications_emit_sound: Integer,
        share_read_receipts: Integer, share_typing: Integer, share_presence: Integer,
    ),
    table!(follows, 2, follower_id: Integer, followed_id: Integer, created_at: Integer),
    table!(hides, 2, user_id: Integer, hidden_id: Integer, created_at: Integer),
    table!(
        threads, 1,
        id: Integer, creator_id: Integer, other_id: Integer, created_at: Integer, last_seq: Integer,
        deleted_count: Integer, last_message_at: Integer,
    ),
    table!(direct_threads, 2, low_user_id: Integer, high_user_id: Integer, thread_id: Integer),
    table!(
        messages, 2,
        thread_id: Integer, seq: Integer, id: Integer, sender_id: Integer, created_at: Integer, status: Integer, text: Text,
        file_uuid: Blob,
    ),
    table!(
        deleted_messages, 2,
        thread_id: Integer, seq: Integer, visible_before: Integer, message_id: Integer, sender_id: Integer,
        created_at: Integer,
    ),
    table!(
        members, 2,
        thread_id: Integer, user_id: Integer, read_seq: Integer, cleared_seq: Integer, unread_count: Integer,
        listed_at: Integer, notified_seq: Integer, unseen_count: Integer,
    ),
    table!(
        inbox, 3,
        user_id: Integer, last_message_at: Integer, thread_id: Integer, creator_id: Integer, other_id: Integer,
        created_at: Integer, unread_count: Integer, message_id: Integer, message_status: Integer, text: Text,
        file_name: Text,
    ),
    table!(
        mailboxes, 1,
        user_id: Integer, listed_threads: Integer, unread_threads: Integer, unread_messages: Integer,
        event_position: Integer, unseen_notifications: Integer,
    ),
    table!(
        events, 2,
        user_id: Integer, position: Integer, kind: Integer, thread_id: Integer, seq: Integer, created_at: Integer,
    ),
    table!(
        idempotency_keys, 2,
        sender_id: Integer, key: Text, fingerprint: Blob, sender_version: Integer, messages: Text, created_at: Integer,
    ),
    table!(user_renderings, 2, user_id: Integer, version: Integer, json: Text),
    table!(
        files, 2,
        owner_id: Integer, uuid: Blob, parent_uuid: Blob, state: Integer, filename: Text, mimetype: Text, size: Integer,
        duration: Integer, thumbnail_uuid: Blob, total_parts: Integer, total_size: Integer, attached_count: Integer,
        created_at: Integer, expires_at: Integer,
    ),
    table!(
        file_parts, 4,
        owner_id: Integer, uuid: Blob, part_index: Integer, attempt: Integer, byte_offset: Integer, size: Integer,
        stored: Integer,
    ),
    table!(file_usage, 1, user_id: Integer, files: Integer, bytes: Integer),
    table!(imported_messages, 1, ext_id: Text, message_id: Integer),
];

impl Table {
    fn list(columns: &[Column]) -> String {
        columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
    }

    fn placeholders(count: usize) -> String {
        (1..=count).map(|number| format!("?{number}")).collect::<Vec<_>>().join(", ")
    }

    /// The next rows in the order of the key, at most as many as the last parameter says; behind a key, if the first ones are one.
    pub(super) fn page(&self, behind_a_key: bool) -> String {
        let key = Self::list(&self.columns[..self.key]);
        let mut sql = format!("select {} from {}", Self::list(self.columns), self.name);
        if behind_a_key {
            let _ = write!(sql, " where ({key}) > ({})", Self::placeholders(self.key));
        }
        let limit = if behind_a_key { self.key + 1 } else { 1 };
        let _ = write!(sql, " order by {key} limit ?{limit}");
        sql
    }

    /// One row, its values as parameters.
    pub(super) fn insert(&self) -> String {
        let (columns, values) = (Self::list(self.columns), Self::placeholders(self.columns.len()));
        format!("insert into {} ({columns}) values ({values})", self.name)
    }

    /// Many rows, as they come.
    pub(super) fn copy_in(&self) -> String {
        format!("copy {} ({}) from stdin (format binary)", self.name, Self::list(self.columns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate;
    use rusqlite::Connection;
    use std::collections::BTreeMap;

    fn names(connection: &Connection, sql: &str) -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn every_table_and_column_is_copied_each_behind_what_it_refers_to() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate::run(&mut connection).unwrap();
        let tables = names(&connection, "select name from sqlite_schema where type = 'table' order by name");
        let place: BTreeMap<&str, usize> =
            TABLES.iter().enumerate().map(|(place, table)| (table.name, place)).collect();
        assert_eq!(place.keys().copied().collect::<Vec<_>>(), tables);
        for (at, table) in TABLES.iter().enumerate() {
            let name = table.name;
            let columns = names(
                &connection,
                &format!("select name || ' ' || type || ' ' || pk from pragma_table_info('{name}')"),
            );
            let copied = table.columns.iter().enumerate().map(|(number, column)| {
                let class = format!("{:?}", column.class).to_uppercase();
                format!("{} {class} {}", column.name, if number < table.key { number + 1 } else { 0 })
            });
            assert_eq!(copied.collect::<Vec<_>>(), columns, "{name}");
            for parent in names(&connection, &format!("select \"table\" from pragma_foreign_key_list('{name}')")) {
                assert!(place[&*parent] < at, "{name} refers to {parent}");
            }
        }
    }
}
