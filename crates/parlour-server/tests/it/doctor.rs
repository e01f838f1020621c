//! `parlour doctor`: every counter, position and row that is wrong is named, healed beside a running server, and shown right at once.

pub(crate) mod files;

use crate::cli::parlour;
use parlour_testkit::{Backend, Member, TestServer, backend, both_databases, run_sql};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// The exit code and what was printed.
fn doctor(data: &Path, flags: &[&str]) -> (Option<i32>, Value) {
    let output = parlour(data, &[&["doctor", "--json"], flags].concat()).output().unwrap();
    let report = serde_json::from_slice(&output.stdout);
    (output.status.code(), report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))))
}

/// A change as a damage would make it, without asking whether it makes sense.
fn corrupt(data: &Path, sql: &str) {
    if backend() == Backend::Postgres {
        return run_sql(data, sql);
    }
    let database = Connection::open(data.join("parlour.db")).unwrap();
    database.busy_timeout(Duration::from_secs(30)).unwrap();
    database.execute_batch(&format!("pragma foreign_keys = off; begin immediate; {sql}; commit;")).unwrap();
}

/// Ann (1), Bob (2) and Carla (3), with holes, a hidden message, a cleared thread, an idempotency key, and something unread.
async fn community(server: &TestServer) -> [Member; 3] {
    let (ann, bob) = server.ann_and_bob().await;
    let carla = server.member(3, "Carla Ångström").await;
    server.befriend(&[&ann, &bob, &carla]).await;
    let ids = ann.send_many(&bob, 8).await;
    for id in [ids[2], ids[5]] {
        ann.delete_message(&json!(id)).await;
    }
    server.advance(Duration::from_secs(120));
    ann.delete_message(&json!(ids[0])).await;
    let body = json!({ "recipients": [2], "message": "with a key" });
    let keyed = ann.request(reqwest::Method::POST, "/api/v2/pm/").header("Idempotency-Key", "k").json(&body);
    ann.send_request(keyed).await.expect(201);
    bob.send(&carla, "before it is cleared").await;
    carla.delete("/api/v2/pm/?user=2").await.expect(204);
    bob.send_many(&carla, 3).await;
    carla.send(&ann, "from carla").await;
    [ann, bob, carla]
}

/// What the members see, without marking anything as seen.
async fn seen(members: &[Member; 3]) -> Vec<String> {
    let mut answers = Vec::new();
    for member in members {
        for path in ["/api/v2/pm/", "/api/v2/user/me/", "/api/v2/pm/search/?user=ng"] {
            answers.push(member.get(path).await.text);
        }
    }
    let [ann, ..] = members;
    for path in ["&limit=3", "&limit=2&offset=3", "&limit=100"] {
        answers.push(ann.get(&format!("/api/v2/pm/?user=2{path}")).await.text);
    }
    answers
}

/// A change by hand, and what the doctor must call it.
const HEALED: [(&str, &str); 34] = [
    ("update threads set last_seq = last_seq + 3 where creator_id = 1", "threads.last_seq"),
    ("update threads set last_seq = 1 where creator_id = 1", "threads.last_seq"),
    ("update threads set deleted_count = 0 where creator_id = 1", "threads.deleted_count"),
    ("update threads set last_message_at = last_message_at - 5", "threads.last_message_at"),
    ("update deleted_messages set visible_before = visible_before + 1", "deleted_messages.visible_before"),
    ("update messages set text = 'it came back' where status = 1", "messages.text"),
    ("update members set unread_count = unread_count + 2 where user_id = 2", "members.unread_count"),
    ("update members set unread_count = 0", "members.unread_count"),
    ("update members set read_seq = 1000 where user_id = 1 and read_seq = 9", "members.read_seq"),
    ("update members set read_seq = 2 where user_id = 1 and read_seq = 9", "members.read_seq"),
    ("update members set cleared_seq = -4 where user_id = 1", "members.cleared_seq"),
    ("update members set listed_at = listed_at + 1", "members.listed_at"),
    ("update members set listed_at = null", "members.listed_at"),
    ("update members set notified_seq = 1000 where user_id = 1 and notified_seq = 9", "members.notified_seq"),
    ("update members set notified_seq = 1 where user_id = 1 and notified_seq = 9", "members.notified_seq"),
    ("update members set unseen_count = unseen_count + 1 where user_id = 2", "members.unseen_count"),
    ("delete from inbox where user_id = 2", "inbox.missing"),
    ("update inbox set unread_count = unread_count + 1", "inbox.unread_count"),
    ("update inbox set message_id = message_id - 1", "inbox.message_id"),
    ("update inbox set message_status = 1", "inbox.message_status"),
    ("update inbox set creator_id = other_id", "inbox.creator_id"),
    ("update inbox set created_at = created_at + 1", "inbox.created_at"),
    ("update inbox set text = 'not this one'", "inbox.text"),
    ("insert into inbox select user_id, 7, thread_id, 1, 2, 0, 0, 1, 0, '', null from inbox limit 1", "inbox.extra"),
    ("insert into inbox values (3, 7, 99999, 1, 2, 0, 0, 1, 0, '', null)", "inbox.extra"),
    ("delete from mailboxes where user_id = 3", "mailboxes.missing"),
    ("update mailboxes set listed_threads = 9", "mailboxes.listed_threads"),
    ("update mailboxes set unread_threads = 7, unread_messages = unread_messages + 1", "mailboxes.unread_messages"),
    ("update mailboxes set unseen_notifications = unseen_notifications - 1", "mailboxes.unseen_notifications"),
    ("update mailboxes set event_position = event_position - 1 where user_id = 1", "mailboxes.event_position"),
    ("delete from direct_threads where low_user_id = 1 and high_user_id = 2", "direct_threads.thread_id"),
    ("update direct_threads set thread_id = 1 where high_user_id = 2", "direct_threads.thread_id"),
    ("insert into direct_threads values (2, 2, 99999)", "direct_threads.extra"),
    ("update users set search_text = 'nobody'", "users.search_text"),
];

#[both_databases]
async fn what_is_wrong_is_named_and_healed_beside_a_running_server() {
    let server = TestServer::start().await;
    let members = community(&server).await;
    let data = server.data_dir();
    let (code, report) = doctor(&data, &[]);
    assert_eq!((code, &report["sound"], &report["problems"]), (Some(0), &json!(true), &json!([])));
    let checked = &report["checked"];
    assert_eq!(
        (&checked["messages"], &checked["deleted_messages"], &checked["threads"]),
        (&json!(12), &json!(2), &json!(3))
    );
    let right = seen(&members).await;
    let counters = [
        ("update users set followers_counter = 77 where id = 1", "users.followers_counter"),
        ("update users set followings_counter = 0", "users.followings_counter"),
        ("update counters set value = 2", "counters.directory_version"),
    ];
    for (sql, what) in HEALED.into_iter().chain(counters) {
        corrupt(&data, sql);
        seen(&members).await;
        let (code, report) = doctor(&data, &[]);
        let named = |problem: &&Value| problem["what"] == what;
        let problem = report["problems"].as_array().unwrap().iter().find(named);
        let problem = problem.unwrap_or_else(|| panic!("{what} is named after {sql}: {report}"));
        assert_eq!((code, &problem["repairable"]), (Some(4), &json!(true)), "{sql}: {report}");
        let (code, report) = doctor(&data, &["--repair"]);
        assert_eq!((code, &report["sound"]), (Some(0), &json!(true)), "{sql}: {report}");
        assert_eq!(report["repaired"], report["total"], "{sql}");
        assert_eq!(seen(&members).await, right, "{sql}");
        assert_eq!(doctor(&data, &[]).0, Some(0), "{sql}");
    }
    // And it goes on from there.
    let [ann, bob, _] = &members;
    ann.send(bob, "after the repairs").await;
    assert_eq!(doctor(&data, &[]).0, Some(0));
}

#[both_databases]
async fn what_nothing_can_bring_back_is_named_and_left_alone() {
    let losses = [
        ("delete from messages where seq = 2", "messages.seq"),
        ("update messages set id = id - 1000000000 where seq = 4", "messages.id"),
        ("update messages set id = 1152921504606846976 where seq = 9", "id.range"),
        ("update messages set sender_id = 77 where seq = 2", "messages.sender_id"),
        ("delete from members where user_id = 2", "members.user_id"),
        ("update users set profile = '[' where id = 1", "users.profile"),
        ("delete from events where user_id = 1 and position = 2", "events.position"),
        ("update idempotency_keys set messages = '[[12345,2,1]]'", "idempotency_keys.message"),
        ("update idempotency_keys set messages = 'x'", "idempotency_keys.messages"),
        ("insert into imported_messages values ('gone', 12345)", "imported_messages.message"),
        ("insert into user_renderings values (99, 1, '{}')", "foreign_key"),
    ];
    for (sql, what) in losses {
        let mut server = TestServer::start().await;
        community(&server).await;
        server.stop().await;
        let data = server.data_dir();
        corrupt(&data, sql);
        for flags in [&[][..], &["--repair"]] {
            let (code, report) = doctor(&data, flags);
            let named = |problem: &Value| problem["what"] == what && problem["repairable"] == false;
            assert!(report["problems"].as_array().unwrap().iter().any(named), "{what} is named after {sql}: {report}");
            assert_eq!((code, &report["sound"]), (Some(4), &json!(false)), "{sql}");
        }
    }
}

#[both_databases]
async fn a_row_that_damage_moved_to_strangers_is_shown_to_nobody() {
    let server = TestServer::start().await;
    let [_, _, carla] = community(&server).await;
    for sql in [
        "update inbox set user_id = 3 where user_id = 1 and other_id = 2",
        "update messages set sender_id = 1 where thread_id = (select thread_id from direct_threads where low_user_id = 2)",
    ] {
        corrupt(&server.data_dir(), sql);
    }
    for path in ["/api/v2/pm/", "/api/v2/pm/?user=2"] {
        let answer = carla.get(path).await.expect(500);
        assert!(!answer.to_string().contains("with a key"), "{path} shows what two others wrote");
    }
}

/// A data directory with the same database, which nobody may have open.
fn copy_of(data: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["parlour.db", "parlour.db-wal"] {
        if data.join(name).exists() {
            std::fs::copy(data.join(name), folder.path().join(name)).unwrap();
        }
    }
    folder
}

#[tokio::test]
async fn a_damaged_sqlite_file_is_named_and_never_written_to() {
    let mut server = TestServer::start().await;
    community(&server).await;
    server.stop().await;
    for (what, damage) in [("the first page", 0..100), ("pages", 4_096..40_960), ("the end", 60_000..usize::MAX)] {
        let folder = copy_of(&server.data_dir());
        let file = folder.path().join("parlour.db");
        Connection::open(&file).unwrap().execute_batch("pragma journal_mode = delete").unwrap();
        let mut bytes = std::fs::read(&file).unwrap();
        let end = damage.end.min(bytes.len());
        bytes[damage.start..end].fill(0xa5);
        std::fs::write(&file, &bytes).unwrap();
        let (code, report) = doctor(folder.path(), &["--repair"]);
        assert_eq!((code, &report["sound"]), (Some(4), &json!(false)), "{what}: {report}");
        assert_eq!(report["problems"][0]["what"], "integrity", "{what}");
    }
}

#[test]
fn without_an_sqlite_file_there_is_nothing_to_examine() {
    let folder = tempfile::tempdir().unwrap();
    let output = parlour(folder.path(), &["doctor"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no database"));
    assert!(!folder.path().join("parlour.db").exists());
}
