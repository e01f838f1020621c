//! `parlour export`: what is imported from it is the same community, in every answer and in every byte of the next export.

mod files;

use crate::cli::parlour;
use parlour_testkit::{Backend, Member, TestServer, backend, both_databases, database_of};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

const HISTORIES: usize = 40;
const STEPS: usize = 60;

fn run(data: &Path, arguments: &[&str]) -> Output {
    parlour(data, arguments).output().unwrap()
}

#[track_caller]
fn export(data: &Path) -> String {
    let output = run(data, &["export", "-"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Imports `text` into `data` and answers the exit code, the summary and what was refused.
fn import(data: &Path, text: &str) -> (Option<i32>, Value, String) {
    import_with(data, text, &[])
}

/// The same with more arguments.
fn import_with(data: &Path, text: &str, arguments: &[&str]) -> (Option<i32>, Value, String) {
    let mut command = parlour(data, &[&["import", "-", "--json"], arguments].concat());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let summary = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code(), summary, String::from_utf8(output.stderr).unwrap())
}

/// A fresh data directory with what `exported` holds, from which the same bytes are exported again.
#[track_caller]
fn brought_over(exported: &str) -> tempfile::TempDir {
    let fresh = tempfile::tempdir().unwrap();
    let (code, summary, refused) = import(fresh.path(), exported);
    assert_eq!((code, &summary["refused"]), (Some(0), &json!(0)), "{refused}");
    assert_eq!(export(fresh.path()), exported);
    let doctor = run(fresh.path(), &["doctor"]);
    assert!(doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));
    fresh
}

#[derive(Clone, Debug)]
enum Step {
    Send(String),
    TakeBack(usize),
    DeleteThread,
    Look,
    Hide,
    Follow,
    Settings(i64),
    Change(Value),
    Advance,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        14 => "\\PC{0,20}[a-z\"\\\\\u{1}<]".prop_map(Step::Send),
        6 => (0_usize..5).prop_map(Step::TakeBack),
        2 => Just(Step::DeleteThread),
        2 => Just(Step::Look),
        1 => Just(Step::Hide),
        1 => Just(Step::Follow),
        1 => (-1_i64..=1).prop_map(Step::Settings),
        1 => prop_oneof![
            "\\PC{1,10}".prop_map(|name| json!({ "real_name": name, "tags": [name] })),
            Just(json!({ "status": "b" })), Just(json!({ "status": "d" })),
            Just(json!({ "ext_id": "e-1", "role": "editor", "date_of_birth": "1990-12-31" })),
            Just(json!({ "ext_id": null, "avatar": "https://example.org/a.png", "posts_counter": 7 })),
        ].prop_map(Step::Change),
        // Whoever was blocked or deleted comes back soon.
        3 => Just(Step::Change(json!({ "status": "a" }))),
        4 => Just(Step::Advance),
    ]
}

/// `member` takes a step towards `other`; what the server refuses is as good as what it does.
async fn take(server: &TestServer, member: &Member, other: &Member, step: Step) {
    match step {
        Step::Send(text) => drop(member.try_send(other, &text).await),
        Step::TakeBack(back) => {
            let page = member.get(&format!("/api/v2/pm/?user={}&limit=10", other.id)).await.json();
            let own = |row: &&Value| row["sender_id"] == member.id;
            let rows = page["results"].as_array().cloned().unwrap_or_default();
            if let Some(row) = rows.iter().rev().filter(own).nth(back) {
                member.delete(&format!("/api/v2/pm/{}/", row["id"])).await;
            }
        }
        Step::DeleteThread => drop(member.delete(&format!("/api/v2/pm/?user={}", other.id)).await),
        Step::Look => drop(member.get(&format!("/api/v2/pm/?user={}", other.id)).await),
        Step::Hide => drop(member.post(&format!("/api/v2/user/{}/hide/", other.id), json!({})).await),
        Step::Follow => drop(member.post(&format!("/api/v2/user/{}/follow/", other.id), json!({})).await),
        Step::Settings(value) => {
            let change = json!({ "qa_frequency": value, "show_toast_notifications": value.abs() });
            member.patch(&format!("/api/v2/user/{}/settings/", member.id), change).await;
        }
        Step::Change(mut fields) => {
            fields["id"] = json!(member.id);
            server.backend().post("/api/v2/admin/users/", json!({ "users": [fields] })).await;
        }
        Step::Advance => server.advance(Duration::from_secs(45)),
    }
}

/// Everything that the three can ask for, lists before threads, as a look marks what it shows as seen.
async fn answers(server: &TestServer) -> Vec<String> {
    let mut answers = Vec::new();
    for path in ["pm/", "pm/?limit=1", "user/me/", "user/ME/settings/", "pm/search/?user=r"] {
        for id in 1..=3 {
            let path = path.replace("ME", &id.to_string());
            answers.push(server.sign_in(id, "me").get(&format!("/api/v2/{path}")).await.text);
        }
    }
    for page in ["limit=3", "limit=2&offset=3", "limit=100"] {
        for (one, other) in [(1, 2), (2, 1), (1, 3), (3, 1), (2, 3), (3, 2)] {
            let me = server.sign_in(one, "me");
            answers.push(me.get(&format!("/api/v2/pm/?user={other}&{page}")).await.text);
            answers.push(me.get(&format!("/api/v2/user/{other}/is_hidden/")).await.text);
        }
    }
    answers
}

#[both_databases]
async fn random_histories_are_the_same_community_after_the_round_trip() {
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[3; 32]));
    let history = prop::collection::vec((any_step(), 1..=3_i64, 1..=2_i64), STEPS);
    let mut everything = String::new();
    for _ in 0..HISTORIES {
        let steps = history.new_tree(&mut runner).unwrap().current();
        let server = TestServer::with(|config| config.server.public_url = "https://chat.example".into()).await;
        let mut members = Vec::new();
        for (id, name) in [(1, "ann"), (2, "bernd"), (3, "carla")] {
            members.push(server.member(id, name).await);
        }
        server.befriend(&members.iter().collect::<Vec<_>>()).await;
        for (step, member, other) in steps {
            let other = (member - 1 + other) % 3;
            take(&server, &members[member as usize - 1], &members[other as usize], step).await;
        }
        let exported = export(&server.data_dir());
        everything.push_str(&exported);
        let fresh = brought_over(&exported);
        let second = TestServer::with(|config| {
            config.storage.database = database_of(fresh.path());
            if config.storage.database.is_empty() {
                config.storage.database = format!("sqlite:{}", fresh.path().join("parlour.db").display());
            }
            config.server.public_url = "https://chat.example".into();
        })
        .await;
        second.advance(Duration::from_micros((server.now().as_micros() - second.now().as_micros()).unsigned_abs()));
        assert_eq!(answers(&second).await, answers(&server).await, "{exported}");
    }
    for kind in [
        "unread\":true",
        "cleared_by\":[",
        "status\":\"hidden",
        "status\":\"deleted",
        "type\":\"hide",
        "type\":\"settings",
    ] {
        assert!(everything.matches(kind).count() >= 5, "there was {kind}");
    }
}

#[both_databases]
async fn files_are_whole_packed_if_named_so_and_replaced_only_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let lines = [
        json!({ "type": "parlour", "version": 1 }),
        json!({ "type": "user", "id": 1, "username": "ann" }),
        json!({ "type": "user", "id": 2, "username": "bob" }),
        json!({ "type": "thread", "id": 9, "participants": [2, 1], "created_at": "2020-01-01T10:00:00Z" }),
    ];
    import(&data, &lines.map(|line| format!("{line}\n")).concat());
    let (plain, packed) = (folder.path().join("export.ndjson"), folder.path().join("export.ndjson.gz"));
    for file in [&plain, &packed] {
        let name = file.to_str().unwrap();
        let output = run(&data, &["export", name, "--json"]);
        assert_eq!(
            serde_json::from_slice::<Value>(&output.stdout).unwrap(),
            json!({ "lines": 4 }),
            "an empty thread too"
        );
        let refused = run(&data, &["export", name]);
        assert_eq!(refused.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("exists already; --force replaces it"));
        assert!(run(&data, &["export", name, "--force"]).status.success());
    }
    let bytes = std::fs::read(&packed).unwrap();
    assert!(bytes.starts_with(&[0x1f, 0x8b]), "gzip");
    assert_eq!(std::fs::read_to_string(&plain).unwrap(), export(&data));
    let fresh = folder.path().join("fresh");
    assert!(run(&fresh, &["import", packed.to_str().unwrap()]).status.success());
    assert_eq!(export(&fresh), export(&data));
    if backend() == Backend::Sqlite {
        let database = data.join("parlour.db");
        assert_eq!(run(&data, &["export", database.to_str().unwrap(), "--force"]).status.code(), Some(1));
        assert_eq!(run(&folder.path().join("none"), &["export", "-"]).status.code(), Some(1));
    }
    assert!(run(&data, &["doctor"]).status.success());
}

#[both_databases]
async fn what_has_become_of_a_message_is_checked_when_it_is_imported() {
    let folder = tempfile::tempdir().unwrap();
    let message = |change: Value| {
        let mut line = json!({ "type": "message", "ext_id": "x", "sender": 1, "receiver": 2, "created_at": "2020-01-01T10:00:00Z" });
        line.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        line
    };
    let settings = json!({ "type": "settings", "user": 1, "qa_frequency": 2, "email_notification_not_qa": 1,
        "mobile_notifications_scmty": 1, "show_toast_notifications": 1, "toast_notifications_emit_sound": 0 });
    let wrong = [
        (message(json!({})), "text: This field is required."),
        (
            message(json!({ "status": "hidden", "text": "still here" })),
            "text: A message that was taken back has no text.",
        ),
        (message(json!({ "status": "created", "text": "x" })), "status: "),
        (message(json!({ "text": "x", "cleared_by": [3] })), "cleared_by: Only the two"),
        (message(json!({ "text": "x", "unread": 1 })), "unread: "),
        (settings, "qa_frequency: It must be an integer from -1 to 1."),
        (json!({ "type": "hide", "user": 1, "hidden": 1, "created_at": "2020-01-01T10:00:00Z" }), "hidden: Nobody"),
        (
            json!({ "type": "hide", "user": 1, "hidden": 9, "created_at": "2020-01-01T10:00:00Z" }),
            "hidden: There is no user",
        ),
    ];
    let people = [1, 2, 3].map(|id| json!({ "type": "user", "id": id, "username": format!("user{id}") }).to_string());
    let head = format!("{{\"type\":\"parlour\",\"version\":1}}\n{}\n", people.join("\n"));
    for (line, reason) in wrong {
        let (code, summary, refused) = import(folder.path(), &format!("{head}{line}\n"));
        assert_eq!((code, &summary["refused"]), (Some(3), &json!(1)), "{line}");
        assert!(refused.contains(&format!("line 5: {reason}")), "{reason} in {refused}");
    }
}
