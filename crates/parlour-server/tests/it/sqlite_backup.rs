//! `parlour backup` and `parlour restore`: nothing acknowledged is missing from a copy, and a copy takes the database's place whole or not at all.

mod files;

use crate::cli::{Background, parlour, serve};
use parlour_testkit::{TestServer, texts};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The exit code, what was printed, and what went wrong.
fn run(data: &Path, arguments: &[&str]) -> (Option<i32>, Value, String) {
    let output = parlour(data, &[arguments, &["--json"]].concat()).output().unwrap();
    let printed = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code(), printed, String::from_utf8(output.stderr).unwrap())
}

#[track_caller]
fn done(data: &Path, arguments: &[&str]) -> Value {
    let (code, printed, error) = run(data, arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {error}");
    printed
}

#[track_caller]
fn refused(data: &Path, arguments: &[&str], reason: &str) {
    let (code, _, error) = run(data, arguments);
    assert_eq!(code, Some(1), "{arguments:?}: {error}");
    assert!(error.contains(reason), "{arguments:?}: {error}");
}

/// A data directory with `messages` messages, all of them `text`.
fn filled(messages: usize, text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = vec![json!({ "type": "parlour", "version": 1 })];
    lines.extend([1, 2].map(|id| json!({ "type": "user", "id": id, "username": format!("user{id}") })));
    lines.extend((0..messages).map(|n| {
        json!({ "type": "message", "ext_id": format!("{text}-{n}"), "sender": 1, "receiver": 2,
            "created_at": "2020-01-01T10:00:00Z", "text": text })
    }));
    let file = folder.path().join("import.ndjson");
    std::fs::write(&file, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    done(folder.path(), &["import", file.to_str().unwrap()]);
    folder
}

fn sound_messages(data: &Path) -> u64 {
    done(data, &["doctor"])["checked"]["messages"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_was_acknowledged_before_a_backup_began_is_in_it_though_sends_go_on() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let acknowledged = Arc::new(Mutex::new(HashSet::new()));
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..8 {
        let (ann, bob, acknowledged) = (ann.clone(), bob.clone(), Arc::clone(&acknowledged));
        senders.spawn(async move {
            for number in 0.. {
                let text = format!("{sender}-{number}");
                ann.send(&bob, &text).await;
                acknowledged.lock().unwrap().insert(text);
            }
        });
    }
    let folder = tempfile::tempdir().unwrap();
    for round in 0..3 {
        while acknowledged.lock().unwrap().len() < 100 * (round + 1) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let before = acknowledged.lock().unwrap().clone();
        let file = folder.path().join(format!("backup-{round}.db"));
        let made = done(&server.data_dir(), &["backup", file.to_str().unwrap()]);
        assert!(made["messages"].as_u64().unwrap() >= before.len() as u64, "{made}");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let data = folder.path().join(format!("data-{round}"));
        assert_eq!(done(&data, &["restore", file.to_str().unwrap()])["messages"], made["messages"]);
        assert_eq!(sound_messages(&data), made["messages"]);
        let database = format!("sqlite:{}", data.join("parlour.db").display());
        let restored = TestServer::with(|config| config.storage.database = database).await;
        let mut stored = HashSet::new();
        let mut next = Some("/api/v2/pm/?user=2&limit=100".to_owned());
        while let Some(path) = next {
            let page = restored.sign_in(1, "ann").get(&path).await.expect(200);
            stored.extend(texts(&page).into_iter().map(str::to_owned));
            next = page["next"].as_str().map(str::to_owned);
        }
        assert!(before.is_subset(&stored), "{} of {}", before.intersection(&stored).count(), before.len());
    }
    senders.abort_all();
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 6, "nothing but three backups and three data directories: {left:?}");
}

#[test]
fn a_backup_replaces_nothing_unasked_and_never_the_database() {
    let data = filled(5, "old");
    let file = data.path().join("backup.db");
    let name = file.to_str().unwrap();
    done(data.path(), &["backup", name]);
    refused(data.path(), &["backup", name], "exists already; --force replaces it");
    done(data.path(), &["backup", name, "--force"]);
    let database = data.path().join("parlour.db");
    refused(data.path(), &["backup", database.to_str().unwrap(), "--force"], "it is the database itself");
    refused(data.path(), &["restore", database.to_str().unwrap(), "--force"], "it is the database itself");
    refused(data.path(), &["backup", "/nowhere/backup.db"], "No such file");
    refused(&data.path().join("empty"), &["backup", "x.db"], "there is no database");
    assert_eq!(sound_messages(data.path()), 5);
}

#[test]
fn what_is_no_whole_backup_is_refused_and_the_database_stays() {
    let data = filled(2_000, "old");
    let file = data.path().join("backup.db");
    done(data.path(), &["backup", file.to_str().unwrap()]);
    let whole = std::fs::read(&file).unwrap();
    let with = |at: usize, bytes: &[u8]| {
        let mut damaged = whole.clone();
        damaged[at..at + bytes.len()].copy_from_slice(bytes);
        damaged
    };
    let cases = [
        (Vec::new(), "not a database of Parlour's"),
        (b"not a database at all".repeat(500), "damaged, or no database"),
        (whole[..whole.len() / 2].to_vec(), "damaged"),
        (with(whole.len() / 2, &[0xa5; 9_000]), "damaged"),
        (with(60, &999_u32.to_be_bytes()), "schema version 999"),
    ];
    for (bytes, reason) in cases {
        let wrong = data.path().join("wrong.db");
        std::fs::write(&wrong, bytes).unwrap();
        refused(data.path(), &["restore", wrong.to_str().unwrap(), "--force"], reason);
        assert_eq!(sound_messages(data.path()), 2_000, "{reason}");
    }
    refused(data.path(), &["restore", "/nowhere/backup.db", "--force"], "No such file");
    refused(data.path(), &["restore", file.to_str().unwrap()], "exists already; --force replaces it");
}

#[test]
fn a_database_in_use_is_never_replaced_and_a_killed_servers_log_never_joins_the_new_one() {
    let (data, new) = (filled(300, "old"), filled(7, "new"));
    let file = new.path().join("backup.db");
    let name = file.to_str().unwrap();
    done(new.path(), &["backup", name]);
    let (mut server, _) = serve(data.path());
    done(data.path(), &["user", "add", "--id", "9", "--username", "only in the log"]);
    refused(data.path(), &["restore", name, "--force"], "is in use: stop the server first");
    server.kill();
    assert!(data.path().join("parlour.db-wal").exists(), "a killed server leaves its log");
    assert_eq!(done(data.path(), &["restore", name, "--force"])["messages"], 7);
    assert!(!data.path().join("parlour.db-wal").exists());
    assert_eq!(sound_messages(data.path()), 7);
    refused(data.path(), &["user", "show", "9"], "there is no user 9");
}

#[test]
fn a_damaged_database_is_replaced_but_not_while_it_is_in_use() {
    let (data, new) = (filled(300, "old"), filled(7, "new"));
    let file = new.path().join("backup.db");
    done(new.path(), &["backup", file.to_str().unwrap()]);
    let restore = ["restore", file.to_str().unwrap(), "--force"];
    let (mut server, _) = serve(data.path());
    let damaged = std::fs::OpenOptions::new().write(true).open(data.path().join("parlour.db")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&damaged, &[0xa5; 4_096], 0).unwrap();
    refused(data.path(), &restore, "is in use: stop the server first");
    server.kill();
    assert_eq!(done(data.path(), &restore)["messages"], 7);
    assert_eq!(sound_messages(data.path()), 7);
}

#[test]
fn a_restore_killed_at_any_moment_leaves_the_old_database_or_the_new_one() {
    let (data, new) = (filled(3_000, "old"), filled(4_000, "new"));
    let file = new.path().join("backup.db");
    done(new.path(), &["backup", file.to_str().unwrap()]);
    let old = data.path().join("old.db");
    done(data.path(), &["backup", old.to_str().unwrap()]);
    let mut seen = HashSet::new();
    for round in 0..20 {
        let mut command = parlour(data.path(), &["restore", file.to_str().unwrap(), "--force"]);
        let mut restore = Background::new(command.stdout(Stdio::null()).stderr(Stdio::null()));
        // Not a wait for anything: the moments of the kills are spread over the work.
        std::thread::sleep(Duration::from_millis(round * 4));
        restore.kill();
        let messages = sound_messages(data.path());
        assert!(matches!(messages, 3_000 | 4_000), "{messages}");
        seen.insert(messages);
        // A log for the next one to fold in.
        Connection::open(data.path().join("parlour.db")).unwrap().execute_batch("pragma user_version").unwrap();
        done(data.path(), &["restore", old.to_str().unwrap(), "--force"]);
    }
    assert!(seen.contains(&3_000), "some were killed in time: {seen:?}");
}
