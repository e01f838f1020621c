//! `parlour import`: history comes in with its times and authors, twice without harm, and a wrong line is named.

use crate::cli::parlour;
use flate2::Compression;
use flate2::write::GzEncoder;
use parlour_core::import::{Marks, OnRefusal, Outcome, Record, import_batch};
use parlour_testkit::{TestServer, both_databases, ids, texts, user_id};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

const HEADER: &str = r#"{"type":"parlour","version":1}"#;

fn user(id: i64) -> Value {
    json!({ "type": "user", "id": id, "username": format!("user{id}") })
}

fn message(ext_id: &str, sender: i64, receiver: i64, second: i64, text: &str) -> Value {
    let created_at = format!("2020-01-01T10:00:{second:02}.5Z");
    json!({ "type": "message", "ext_id": ext_id, "sender": sender, "receiver": receiver, "created_at": created_at, "text": text })
}

fn file(lines: &[Value]) -> String {
    let lines = lines.iter().map(|line| format!("{line}\n"));
    std::iter::once(format!("{HEADER}\n")).chain(lines).collect()
}

/// Imports `input` from standard input.
fn import(data_dir: &Path, input: &[u8], flags: &[&str]) -> Output {
    let mut command = parlour(data_dir, &[&["import", "-", "--json"], flags].concat());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A refused import may end before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn summary(output: &Output) -> (Option<i32>, Value) {
    let summary = serde_json::from_slice(&output.stdout);
    (output.status.code(), summary.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))))
}

fn counted(imported: u64, known: u64, refused: u64) -> Value {
    json!({ "imported": imported, "known": known, "refused": refused })
}

fn small_community() -> Vec<Value> {
    let mut lines = vec![user(1), user(2), user(3)];
    lines.push(json!({ "type": "follow", "follower": 2, "followed": 1 }));
    lines.push(json!({ "type": "thread", "id": 3, "participants": [2, 1], "created_at": "2020-01-01T09:00:00+01:00" }));
    lines.extend((1..=30).map(|n| message(&format!("m{n}"), 1 + n % 2, 2 - n % 2, n, &format!("<line> {n}"))));
    lines
}

#[both_databases]
async fn history_reads_back_in_order_with_its_times_and_authors_beside_a_running_server() {
    let server = TestServer::start().await;
    let output = import(&server.data_dir(), file(&small_community()).as_bytes(), &[]);
    assert_eq!(summary(&output), (Some(0), counted(35, 0, 0)));
    let ann = server.sign_in(1, "user1");
    let page = ann.get("/api/v2/pm/?thread=3&limit=100").await.expect(200);
    assert_eq!(texts(&page), (1..=30).map(|n| format!("&lt;line&gt; {n}")).collect::<Vec<_>>());
    assert_eq!(page["results"][6]["created_at"], "2020-01-01T10:00:07.500000+00:00");
    assert_eq!(page["results"][6]["sender_id"], 2);
    let inbox = ann.inbox().await;
    let row = &inbox["results"][0];
    assert_eq!((&row["thread_status"], &row["unread_count"]), (&json!("seen"), &json!(0)), "history counts as seen");
    assert_eq!((&row["sender"]["id"], &row["created_at"]), (&json!(2), &json!("2020-01-01T08:00:00.000000+00:00")));

    let bob = server.sign_in(2, "user2");
    ann.send(&bob, "and now live").await;
    let page = bob.get("/api/v2/pm/?thread=3&limit=2").await.expect(200);
    assert_eq!(texts(&page), ["&lt;line&gt; 30", "and now live"]);
    assert!(ids(&page)[0] < ids(&page)[1]);
}

#[both_databases]
async fn a_second_import_changes_nothing_and_a_longer_one_adds_the_rest() {
    let server = TestServer::start().await;
    let mut lines = small_community();
    import(&server.data_dir(), file(&lines).as_bytes(), &[]);
    let output = import(&server.data_dir(), file(&lines).as_bytes(), &[]);
    assert_eq!(summary(&output), (Some(0), counted(0, 35, 0)));
    lines.push(message("m31", 1, 2, 40, "later"));
    let output = import(&server.data_dir(), file(&lines).as_bytes(), &[]);
    assert_eq!(summary(&output), (Some(0), counted(1, 35, 0)));
    let page = server.sign_in(2, "user2").get("/api/v2/pm/?user=1").await.expect(200);
    assert_eq!((page["count"].as_i64(), *texts(&page).last().unwrap()), (Some(31), "later"));
}

#[both_databases]
async fn gzip_and_plain_files_are_taken_alike() {
    let folder = tempfile::tempdir().unwrap();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(file(&small_community()).as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    assert_eq!(summary(&import(folder.path(), &packed, &[])), (Some(0), counted(35, 0, 0)));
    let path = folder.path().join("plain.ndjson");
    std::fs::write(&path, file(&small_community())).unwrap();
    let output = parlour(folder.path(), &["import", path.to_str().unwrap(), "--json"]).output().unwrap();
    assert_eq!(summary(&output), (Some(0), counted(0, 35, 0)));
}

#[both_databases]
async fn a_wrong_line_is_named_by_number_and_field_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let wrong: Vec<(Value, &str)> = vec![
        (json!({ "type": "message", "ext_id": "x" }), "sender: This field is required."),
        (message("x", 1, 2, 0, "  "), "text: This field may not be blank."),
        (message("x", 1, 2, 0, "a\0b"), "text: Null characters"),
        (message("x", 1, 2, 0, &"y".repeat(10_001)), "text: At most 10000 characters."),
        (message("x", 1, 9, 0, "hi"), "receiver: There is no user 9."),
        (message("x", 1, 1, 0, "hi"), "receiver: Nobody writes to themselves."),
        (message("", 1, 2, 0, "hi"), "ext_id: Must be 1 to 255 characters."),
        (
            json!({ "type": "message", "ext_id": "x", "sender": 1, "receiver": 2, "created_at": "2999-01-01T00:00:00Z", "text": "hi" }),
            "created_at: Must not be in the future.",
        ),
        (
            json!({ "type": "message", "ext_id": "x", "sender": 1, "receiver": 2, "created_at": "soon", "text": "hi" }),
            "created_at: It must be a date",
        ),
        (
            json!({ "type": "message", "ext_id": "x", "sender": "secret words", "receiver": 2, "created_at": "2020-01-01T00:00:00Z", "text": "hi" }),
            "sender: It has the wrong type",
        ),
        (
            json!({ "type": "message", "id": 9_007_199_254_740_991_i64, "ext_id": "x", "sender": 1, "receiver": 2, "created_at": "2020-01-01T00:00:00Z", "text": "hi" }),
            "id: Must lie below",
        ),
        (json!({ "type": "user", "id": 0, "username": "x" }), "id: Must be an integer"),
        (json!({ "type": "user", "id": 5 }), "username: A new user needs a username."),
        (json!({ "type": "user", "id": 5, "username": "x", "nickname": "y" }), "nickname: There is no such field."),
        (json!({ "type": "follow", "follower": 1, "followed": 9 }), "followed: There is no user 9."),
        (json!({ "type": "thread", "participants": [1, 1], "created_at": "2020-01-01T00:00:00Z" }), "participants: "),
        (json!({ "type": "poem" }), "type: Must be"),
        (json!([1]), "An object is required."),
    ];
    let mut lines = vec![user(1), user(2)];
    lines.extend(wrong.iter().map(|(line, _)| line.clone()));
    lines.push(message("good", 1, 2, 0, "hi"));
    let twice = "{\"type\":\"follow\",\"follower\":1,\"follower\":2,\"followed\":1}\n";
    let output = import(folder.path(), (file(&lines) + twice).as_bytes(), &[]);
    assert_eq!(summary(&output), (Some(3), counted(3, 0, wrong.len() as u64 + 1)));
    let errors = String::from_utf8(output.stderr).unwrap();
    for (index, (line, expected)) in wrong.iter().enumerate() {
        let begin = format!("line {}: {expected}", index + 4);
        assert!(errors.contains(&begin), "{begin:?} for {line} in {errors}");
    }
    assert!(errors.contains("A key is given twice"), "{errors}");
    assert!(!errors.contains("secret words"), "what a line holds is not repeated");
}

#[both_databases]
async fn a_file_that_is_no_import_is_refused_at_its_first_line() {
    let folder = tempfile::tempdir().unwrap();
    for (input, expected) in [
        (r#"{"type":"user","id":1,"username":"x"}"#, "line 1: must be"),
        (r#"{"type":"parlour","version":2}"#, "line 1: version: This release reads version 1."),
        ("hello", "line 1: "),
    ] {
        let output = import(folder.path(), input.as_bytes(), &[]);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains(expected), "{expected}");
    }
}

#[both_databases]
async fn a_strict_import_stops_at_the_first_refused_line_and_keeps_nothing_of_its_batch() {
    let folder = tempfile::tempdir().unwrap();
    let lines =
        [user(1), user(2), message("a", 1, 2, 0, "hi"), message("b", 1, 2, 0, " "), message("c", 1, 2, 0, "ho")];
    let output = import(folder.path(), file(&lines).as_bytes(), &["--strict"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("line 5: text: This field may not be blank."));
    let users = parlour(folder.path(), &["user", "list"]).output().unwrap();
    assert_eq!(users.stdout, b"", "one transaction, taken back as a whole");
}

#[both_databases]
async fn every_field_of_a_user_comes_through() {
    let server = TestServer::start().await;
    let full = json!({
        "type": "user", "id": 5, "username": "eve", "real_name": "Eve E.", "ext_id": "e-5", "status": "a", "role": "editor",
        "community_badge": true, "avatar": "https://example.org/a.png", "email": "eve@example.org", "email_isvalid": true,
        "date_joined": "2019-08-24T14:15:22+00:00", "bio": "b", "location": "l", "location_lat_lng": "1,2",
        "position_lat_lng": "3,4", "description": "d", "website": "https://example.org", "date_of_birth": "1990-12-31",
        "gender": "Female", "cover": "https://example.org/c.png", "tags": ["x", "y"], "reputation": 12, "reg_approved": true,
        "company_name": "c", "company_role": "r", "posts_counter": 1, "discussions_counter": 2, "statuses_counter": 3,
        "polls_counter": 4, "categories_counter": 5,
    });
    assert_eq!(
        summary(&import(&server.data_dir(), file(std::slice::from_ref(&full)).as_bytes(), &[])),
        (Some(0), counted(1, 0, 0))
    );
    let me = server.sign_in(5, "eve").get("/api/v2/user/me/").await.expect(200);
    for (field, value) in full.as_object().unwrap() {
        let expected = if field == "date_joined" { json!("2019-08-24T14:15:22.000000+00:00") } else { value.clone() };
        if field != "type" {
            assert_eq!(me[field], expected, "{field}");
        }
    }
}

#[both_databases]
async fn what_is_unread_in_a_living_thread_stays_unread_and_the_past_is_refused() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    ann.send(&bob, "live and unread").await;
    server.advance(std::time::Duration::from_secs(3600));
    let outcomes = import_past(&server, &[("old", 1, -7200), ("from ann", 1, -20), ("from ann again", 1, -19)]).await;
    assert!(matches!(&outcomes[0], Outcome::Refused(problem) if problem.field == "created_at"), "{outcomes:?}");
    let row = bob.inbox().await["results"][0].clone();
    assert_eq!((&row["unread_count"], &row["headline"]), (&json!(3), &json!("from ann again")));
    assert_eq!(ann.inbox().await["results"][0]["unread_count"], 0);
    // All of it counts as notifications. A list shows what happened now, and so reads no more than that.
    let unseen = async || bob.get("/api/v2/user/me/").await.expect(200)["unseen_interactions_counter"].clone();
    assert_eq!(unseen().await, 3);
    let list = bob.get("/api/v2/notification/").await.expect(200);
    let listed = list["results"].as_array().unwrap().iter().flat_map(|row| row["aggregated"].as_array().unwrap());
    let listed: Vec<&Value> = listed.map(|item| &item["message"]["message"]).collect();
    assert_eq!(listed, ["live and unread"]);
    assert_eq!(unseen().await, 2);

    // Whoever wrote has seen what stands before.
    import_past(&server, &[("from bob", 2, -18), ("last of ann", 1, -17)]).await;
    assert_eq!((&bob.inbox().await["results"][0]["unread_count"], &unseen().await), (&json!(1), &json!(1)));
    bob.thread_with(&ann, "").await;
    assert_eq!(unseen().await, 0);
}

/// Imports messages between members 1 and 2 by the server's own clock: text, sender, and when, in seconds from now.
async fn import_past(server: &TestServer, messages: &[(&str, i64, i64)]) -> Vec<Outcome> {
    let records = messages.iter().map(|(text, sender, seconds)| Record::Message {
        id: None,
        ext_id: (*text).to_owned(),
        sender: user_id(*sender),
        receiver: user_id(3 - sender),
        created_at: server.now().plus_micros(seconds * 1_000_000),
        text: (*text).to_owned(),
        file: None,
        marks: Marks::default(),
    });
    import_batch(&server.app.core, records.collect(), OnRefusal::GoOn).await.unwrap()
}

#[both_databases]
async fn a_thread_that_a_member_deleted_returns_with_what_is_imported_later_alone() {
    let server = TestServer::start().await;
    import(&server.data_dir(), file(&small_community()).as_bytes(), &[]);
    let ann = server.sign_in(1, "user1");
    ann.delete("/api/v2/pm/?thread=3").await.expect(204);
    import(&server.data_dir(), file(&[message("m31", 2, 1, 31, "later")]).as_bytes(), &[]);
    assert_eq!(texts(&ann.get("/api/v2/pm/?thread=3").await.expect(200)), ["later"]);
    let all = server.sign_in(2, "user2").get("/api/v2/pm/?thread=3").await.expect(200);
    assert_eq!(all["count"], 31);
}

#[both_databases]
async fn ids_brought_along_are_kept_and_must_be_free_and_grow() {
    let folder = tempfile::tempdir().unwrap();
    let with_id = |id: i64, ext_id: &str, second: i64| {
        let mut line = message(ext_id, 1, 2, second, "hi");
        line["id"] = json!(id);
        line
    };
    let thread = |id: i64, pair: [i64; 2]| json!({ "type": "thread", "id": id, "participants": pair, "created_at": "2020-01-01T00:00:00Z" });
    let lines = [user(1), user(2), user(3), thread(3, [1, 2]), with_id(10, "a", 1), with_id(12, "b", 2)];
    assert_eq!(summary(&import(folder.path(), file(&lines).as_bytes(), &[])), (Some(0), counted(6, 0, 0)));
    let wrong = [with_id(11, "c", 3), with_id(12, "d", 3), with_id(3, "e", 3), thread(10, [1, 3]), thread(4, [2, 1])];
    let output = import(folder.path(), file(&wrong).as_bytes(), &[]);
    assert_eq!(summary(&output), (Some(3), counted(0, 0, 5)));
    let errors = String::from_utf8(output.stderr).unwrap();
    for expected in [
        "line 2: id: Ids must grow",
        "line 3: id: Another",
        "line 4: id: Another",
        "line 5: id: Another",
        "line 6: id: These two",
    ] {
        assert!(errors.contains(expected), "{expected} in {errors}");
    }
}

#[both_databases]
async fn blank_lines_before_the_header_do_not_replace_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = import(folder.path(), format!("\n\n{}\n", user(1)).as_bytes(), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("line 3: must be"));
    let output = import(folder.path(), format!("\n{HEADER}\n{}\n", user(1)).as_bytes(), &[]);
    assert_eq!(summary(&output), (Some(0), counted(1, 0, 0)));
}
