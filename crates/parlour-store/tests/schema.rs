//! The two migrated schemas are one, and PostgreSQL's uses nothing that would keep its tables from being distributed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use parlour_store::{Location, Options, Settings, Store, UNCHECKED_REFERENCES};
use parlour_testkit::Schema;
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tokio_postgres::{Client, NoTls};

/// Tables of PostgreSQL alone: it has several writers, and nothing like SQLite's `user_version`.
const OF_POSTGRES: [&str; 2] = ["nodes", "schema_migrations"];

#[derive(PartialEq, Eq, Debug)]
struct Column {
    name: String,
    /// `integer`, `text` or `blob`.
    kind: String,
    nullable: bool,
    default: Option<String>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Index {
    name: String,
    unique: bool,
    columns: Vec<String>,
    condition: Option<String>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Debug)]
struct Reference {
    column: String,
    parent: String,
    parent_column: String,
}

#[derive(Default, PartialEq, Eq, Debug)]
struct Table {
    columns: Vec<Column>,
    primary_key: Vec<String>,
    indexes: BTreeSet<Index>,
    references: BTreeSet<Reference>,
    /// What the checks allow.
    allowed: BTreeSet<String>,
}

type Tables = BTreeMap<String, Table>;

/// What stands in quotes.
fn quoted(text: &str) -> impl Iterator<Item = String> {
    text.split('\'').skip(1).step_by(2).map(str::to_owned)
}

fn of_sqlite(file: &Path) -> Tables {
    let database = Connection::open(file).unwrap();
    let mut tables = Tables::new();
    for_each(
        &database,
        "select name, sql from sqlite_schema where type = 'table' and name not like 'sqlite%'",
        |row| {
            let (name, sql): (String, String) = (row.get_unwrap(0), row.get_unwrap(1));
            let allowed =
                sql.split("check (").skip(1).flat_map(|check| quoted(check.split("))").next().unwrap())).collect();
            tables.insert(name, Table { allowed, ..Table::default() });
        },
    );
    for (name, table) in &mut tables {
        let mut key = BTreeMap::new();
        for_each(
            &database,
            &format!("select name, type, \"notnull\", dflt_value, pk from pragma_table_info('{name}')"),
            |row| {
                let (column, place): (String, i64) = (row.get_unwrap(0), row.get_unwrap(4));
                if place > 0 {
                    key.insert(place, column.clone());
                }
                table.columns.push(Column {
                    name: column,
                    kind: row.get_unwrap::<_, String>(1).to_lowercase(),
                    nullable: !row.get_unwrap::<_, bool>(2) && place == 0,
                    default: row.get_unwrap(3),
                });
            },
        );
        table.primary_key = key.into_values().collect();
        for_each(
            &database,
            &format!("select name, \"unique\" from pragma_index_list('{name}') where origin <> 'pk'"),
            |row| {
                table.indexes.insert(sqlite_index(&database, row.get_unwrap(0), row.get_unwrap(1)));
            },
        );
        for_each(
            &database,
            &format!("select \"from\", \"table\", \"to\" from pragma_foreign_key_list('{name}')"),
            |row| {
                table.references.insert(Reference {
                    column: row.get_unwrap(0),
                    parent: row.get_unwrap(1),
                    parent_column: row.get_unwrap(2),
                });
            },
        );
    }
    tables
}

fn sqlite_index(database: &Connection, name: String, unique: bool) -> Index {
    let mut columns = Vec::new();
    for_each(database, &format!("select name from pragma_index_info('{name}') order by seqno"), |row| {
        columns.push(row.get_unwrap(0));
    });
    let mut condition = None;
    for_each(database, &format!("select sql from sqlite_schema where name = '{name}'"), |row| {
        condition = row.get_unwrap::<_, String>(0).split_once(" where ").map(|(_, condition)| condition.to_owned());
    });
    Index { name, unique, columns, condition }
}

fn for_each(database: &Connection, sql: &str, mut see: impl FnMut(&rusqlite::Row<'_>)) {
    let mut statement = database.prepare(sql).unwrap();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().unwrap() {
        see(row);
    }
}

/// What the names of a constraint or an index stand for in the order of its columns.
const NAMES: &str = "array(select attname::text from unnest(KEY) with ordinality k (number, place)
    join pg_attribute a on a.attrelid = RELATION and a.attnum = k.number order by place)";

fn names(key: &str, relation: &str) -> String {
    NAMES.replace("KEY", key).replace("RELATION", relation)
}

async fn of_postgres(client: &Client) -> Tables {
    let mut tables = Tables::new();
    let columns = "select c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod), not a.attnotnull,
            pg_get_expr(d.adbin, d.adrelid)
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
        where c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace order by c.relname, a.attnum";
    for row in client.query(columns, &[]).await.unwrap() {
        let kind = match row.get(2) {
            "bigint" => "integer",
            "bytea" => "blob",
            other => other,
        };
        let column = Column { name: row.get(1), kind: kind.to_owned(), nullable: row.get(3), default: row.get(4) };
        tables.entry(row.get(0)).or_default().columns.push(column);
    }
    let indexes = format!(
        "select c.relname::text, i.relname::text, x.indisprimary, x.indisunique, {}, lower(pg_get_expr(x.indpred, x.indrelid))
         from pg_index x join pg_class c on c.oid = x.indrelid join pg_class i on i.oid = x.indexrelid
         where c.relnamespace = current_schema()::regnamespace",
        names("x.indkey::int2[]", "c.oid")
    );
    for row in client.query(&indexes, &[]).await.unwrap() {
        let table = tables.get_mut(row.get::<_, &str>(0)).unwrap();
        if row.get(2) {
            table.primary_key = row.get(4);
            continue;
        }
        let condition = row.get::<_, Option<&str>>(5).map(|text| text.trim_matches(['(', ')']).to_owned());
        table.indexes.insert(Index { name: row.get(1), unique: row.get(3), columns: row.get(4), condition });
    }
    let constraints = format!(
        "select c.conrelid::regclass::text, c.contype::text, pg_get_constraintdef(c.oid), {}, c.confrelid::regclass::text, {}
         from pg_constraint c where c.connamespace = current_schema()::regnamespace and c.contype in ('c', 'f')",
        names("c.conkey", "c.conrelid"),
        names("c.confkey", "c.confrelid")
    );
    for row in client.query(&constraints, &[]).await.unwrap() {
        let table = tables.get_mut(row.get::<_, &str>(0)).unwrap();
        if row.get::<_, &str>(1) == "c" {
            table.allowed.extend(quoted(row.get(2)));
            continue;
        }
        let (columns, parents): (Vec<String>, Vec<String>) = (row.get(3), row.get(5));
        for (column, parent_column) in columns.into_iter().zip(parents) {
            table.references.insert(Reference { column, parent: row.get(4), parent_column });
        }
    }
    tables
}

/// A migrated PostgreSQL database, and a look into it.
async fn migrated() -> (Schema, Client) {
    let schema = Schema::create();
    let address = schema.to_string();
    let settings = Settings::parse(&address, Options::default()).unwrap();
    Store::migrate(Location::Postgres(settings)).unwrap();
    let (client, connection) = tokio_postgres::connect(&address, NoTls).await.unwrap();
    tokio::spawn(connection);
    (schema, client)
}

#[tokio::test]
async fn both_databases_have_one_schema() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("parlour.db");
    Store::migrate(file.as_path()).unwrap();
    let sqlite = of_sqlite(&file);
    let (_schema, client) = migrated().await;
    let mut postgres = of_postgres(&client).await;
    for table in OF_POSTGRES {
        assert!(postgres.remove(table).is_some(), "{table}");
    }
    assert_eq!(postgres.keys().collect::<Vec<_>>(), sqlite.keys().collect::<Vec<_>>());
    let mut unchecked = BTreeSet::new();
    for (name, mut expected) in sqlite {
        let found = &postgres[&name];
        expected.references.retain(|reference| {
            let checked = found.references.contains(reference);
            if !checked {
                unchecked.insert((name.clone(), reference.column.clone(), reference.parent.clone()));
            }
            checked
        });
        assert_eq!(*found, expected, "{name}");
    }
    // One of them has no reference in SQLite either: its rows outlive nothing there.
    let documented = UNCHECKED_REFERENCES.map(|(table, column, parent)| (table.into(), column.into(), parent.into()));
    assert!(unchecked.is_subset(&documented.into()), "{unchecked:?}");
}

/// The migrations' file names, in order.
fn migrations(database: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(database);
    let names: BTreeSet<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.into_iter().map(|name| name.into_string().unwrap()).collect()
}

#[tokio::test]
async fn migrations_carry_the_same_numbers_and_names() {
    let names = migrations("sqlite");
    assert_eq!(names, migrations("postgres"));
    for (index, name) in names.iter().enumerate() {
        assert!(name.starts_with(&format!("{:04}_", index + 1)), "{name}");
    }
    let folder = tempfile::tempdir().unwrap();
    let schema = Schema::create();
    let settings = Settings::parse(&schema.to_string(), Options::default()).unwrap();
    for location in [Location::from(folder.path().join("parlour.db")), Location::Postgres(settings)] {
        let steps = Store::migrate(location.clone()).unwrap();
        assert_eq!(steps.iter().map(|step| format!("{step}.sql")).collect::<Vec<_>>(), names, "{location}");
        assert_eq!(Store::migrate(location).unwrap(), Vec::<String>::new(), "a second time");
    }
}

/// By which column each table would be distributed; `None` for one that every node would have whole.
const DISTRIBUTION: [(&str, Option<&str>); 21] = [
    // By thread.
    ("threads", Some("id")),
    ("messages", Some("thread_id")),
    ("deleted_messages", Some("thread_id")),
    ("members", Some("thread_id")),
    // By member.
    ("inbox", Some("user_id")),
    ("mailboxes", Some("user_id")),
    ("events", Some("user_id")),
    ("user_settings", Some("user_id")),
    ("follows", Some("follower_id")),
    ("hides", Some("user_id")),
    ("direct_threads", Some("low_user_id")),
    ("idempotency_keys", Some("sender_id")),
    ("user_renderings", Some("user_id")),
    ("files", Some("owner_id")),
    ("file_parts", Some("owner_id")),
    ("file_usage", Some("user_id")),
    // By itself.
    ("imported_messages", Some("ext_id")),
    // Everywhere.
    ("users", None),
    ("counters", None),
    ("nodes", None),
    ("schema_migrations", None),
];

#[tokio::test]
async fn postgresql_tables_can_be_distributed() {
    let (_schema, client) = migrated().await;
    let tables = of_postgres(&client).await;
    let distribution = BTreeMap::from(DISTRIBUTION);
    assert!(
        tables.keys().map(String::as_str).eq(distribution.keys().copied()),
        "a new table is placed: {:?}",
        tables.keys()
    );
    for (name, table) in &tables {
        assert!(!table.primary_key.is_empty(), "{name} has a primary key");
        let Some(by) = distribution[name.as_str()] else { continue };
        let unique = table.indexes.iter().filter(|index| index.unique).map(|index| &index.columns);
        for key in unique.chain([&table.primary_key]) {
            assert!(key.iter().any(|column| column == by), "the unique key {key:?} of {name} holds {by}");
        }
        for Reference { column, parent, parent_column } in &table.references {
            let beside = column == by && distribution[parent.as_str()] == Some(parent_column);
            assert!(distribution[parent.as_str()].is_none() || beside, "{name}.{column} leads to the same node");
        }
    }
    let foreign = [
        (
            "sequences",
            "select relname::text from pg_class where relkind = 'S' and relnamespace = current_schema()::regnamespace",
        ),
        (
            "kinds of relations",
            "select relname::text from pg_class where relkind not in ('r', 'i', 't') and relnamespace = current_schema()::regnamespace",
        ),
        (
            "identities and generated columns",
            "select attname::text from pg_attribute a join pg_class c on c.oid = a.attrelid
             where (attidentity <> '' or attgenerated <> '') and relnamespace = current_schema()::regnamespace",
        ),
        (
            "triggers",
            "select tgname::text from pg_trigger t join pg_class c on c.oid = t.tgrelid
             where not tgisinternal and relnamespace = current_schema()::regnamespace",
        ),
        ("functions", "select proname::text from pg_proc where pronamespace = current_schema()::regnamespace"),
        (
            "exclusions",
            "select conname::text from pg_constraint where contype not in ('c', 'f', 'p', 'u', 'n')
             and connamespace = current_schema()::regnamespace",
        ),
    ];
    for (what, sql) in foreign {
        let found: Vec<String> = client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
        assert_eq!(found, Vec::<String>::new(), "{what}");
    }
}

/// What distributed engines lack, wherever it stands in the SQL.
const FOREIGN: [&str; 11] = [
    "advisory",
    "pg_notify",
    "nextval",
    "serial,",
    "serial ",
    "generated always",
    "generated by default",
    "create trigger",
    "create sequence",
    "create function",
    "unlisten",
];

/// The same, at the beginning of a statement.
const FOREIGN_STATEMENTS: [&str; 2] = ["listen ", "notify "];

#[test]
fn the_sql_of_the_store_uses_nothing_that_distributed_engines_lack() {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![crate_root.join("src"), crate_root.join("migrations/postgres")];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    assert!(files.len() > 20, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap().to_lowercase();
        for line in
            text.lines().filter(|line| !line.trim_start().starts_with("//") && !line.trim_start().starts_with("--"))
        {
            assert!(!FOREIGN.iter().any(|word| line.contains(word)), "{}: {line}", file.display());
            let mut statements = line.split(['"', ';']).map(str::trim_start);
            let is_foreign = |statement: &str| FOREIGN_STATEMENTS.iter().any(|word| statement.starts_with(word));
            assert!(!statements.any(is_foreign), "{}: {line}", file.display());
        }
    }
}
