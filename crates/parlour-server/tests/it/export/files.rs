//! Files in an export: their lines, their contents beside it, and what an import makes of both.

use super::{export, import, import_with, run};
use crate::cli::Demo;
use parlour_testkit::{Member, TestServer, both_databases};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const TEXT: &str = "7b0e7cf4-0d4f-4f0c-9a39-0c5e3f1f5a01";
const PHOTO: &str = "7b0e7cf4-0d4f-4f0c-9a39-0c5e3f1f5a02";
const SMALL: &str = "7b0e7cf4-0d4f-4f0c-9a39-0c5e3f1f5a03";

/// An export with the contents of its files, by name.
fn export_with_files(data: &Path) -> (String, BTreeMap<String, Vec<u8>>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let contents = folder.path().join("contents");
    let output = run(data, &["export", "-", "--files", contents.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read =
        |entry: std::fs::DirEntry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap());
    let found = std::fs::read_dir(&contents).unwrap().map(|entry| read(entry.unwrap())).collect();
    (String::from_utf8(output.stdout).unwrap(), found, folder)
}

#[track_caller]
fn sound(data: &Path) {
    let doctor = run(data, &["doctor"]);
    assert!(doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));
}

/// Brings a community over, twice, and finds the same bytes there.
#[track_caller]
fn survives(data: &Path) -> (String, BTreeMap<String, Vec<u8>>) {
    let (exported, contents, folder) = export_with_files(data);
    assert_eq!(export(data), exported, "the same lines without --files");
    let files = folder.path().join("contents");
    let files = ["--files", files.to_str().unwrap()];
    let fresh = tempfile::tempdir().unwrap();
    let lines = exported.lines().count() - 1;
    let (code, summary, refused) = import_with(fresh.path(), &exported, &files);
    assert_eq!((code, &summary), (Some(0), &json!({ "imported": lines, "known": 0, "refused": 0 })), "{refused}");
    let known = json!({ "imported": 0, "known": lines, "refused": 0 });
    for data in [fresh.path(), data] {
        let (code, summary, refused) = import(data, &exported);
        assert_eq!((code, &summary), (Some(0), &known), "{refused}");
        let (again, same, _) = export_with_files(data);
        assert_eq!(again, exported);
        assert!(same == contents, "the same contents");
        sound(data);
    }
    (exported, contents)
}

fn lines_of(exported: &str, kind: &str) -> Vec<Value> {
    let lines = exported.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["type"] == kind).collect()
}

/// The demo keeps a database of its own, in a file.
#[tokio::test]
async fn the_demo_survives_the_round_trip_and_knows_its_own_export() {
    let folder = tempfile::tempdir().unwrap();
    drop(Demo::start(folder.path()));
    let (exported, contents) = survives(folder.path());
    let files = lines_of(&exported, "file");
    let pictures = files.iter().filter(|file| !file["thumbnail"].is_null()).count();
    assert_eq!((files.len(), contents.len()), (3, 3 + pictures));
    let output = run(folder.path(), &["export", "-"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("the contents of 3 files were left out; --files FOLDER"), "{said}");
}

/// What a member sees of a thread, and the bytes behind its links.
async fn seen(server: &TestServer, member: &Member, other: i64) -> Vec<(Value, Vec<Vec<u8>>)> {
    let page = member.get(&format!("/api/v2/pm/?user={other}")).await.expect(200);
    let mut seen = Vec::new();
    for row in page["results"].as_array().unwrap() {
        let mut row = row.clone();
        let mut bytes = Vec::new();
        for link in ["url", "thumbnail"] {
            if let Some(url) = row["file"][link].as_str() {
                bytes.push(server.visitor().download(url).await.expect(200).to_vec());
                row["file"][link] = json!("a link");
            }
        }
        seen.push((row, bytes));
    }
    seen
}

#[both_databases]
async fn files_that_members_sent_are_opened_where_they_were_brought_to() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let notes = ann.upload("notes <1>.txt", "text/plain", b"what was said").await;
    ann.send_file(&bob, &notes).await;
    ann.send_file(&bob, &notes).await;
    let photo = bob.upload("garden.png", "image/png", &parlour_media::samples::png(1, false).unwrap()).await;
    bob.post("/api/v2/pm/", json!({ "recipients": [1], "message": "look", "file_uuid": photo })).await.expect(201);
    let wrong = ann.upload("wrong.txt", "text/plain", b"the wrong one").await;
    let taken_back = ann.send_file(&bob, &wrong).await;
    server.advance(Duration::from_secs(120));
    ann.delete_message(&taken_back["id"]).await;
    ann.upload("unsent.txt", "text/plain", b"not yet").await;

    let (exported, contents, folder) = export_with_files(&server.data_dir());
    assert_eq!(lines_of(&exported, "file").len(), 2, "what no message shows is left out: {exported}");
    assert_eq!(contents[&notes], b"what was said");
    let shown: Vec<Value> = lines_of(&exported, "message").iter().map(|line| line["file"].clone()).collect();
    assert_eq!(shown, [json!(notes), json!(notes), json!(photo), Value::Null]);

    let second = TestServer::start().await;
    let files = folder.path().join("contents");
    let (code, _, refused) = import_with(&second.data_dir(), &exported, &["--files", files.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{refused}");
    second.advance(Duration::from_micros((server.now().as_micros() - second.now().as_micros()).unsigned_abs()));
    let elsewhere = second.sign_in(2, "bob");
    assert_eq!(elsewhere.inbox().await["results"][0]["headline"], bob.inbox().await["results"][0]["headline"]);
    assert_eq!(seen(&second, &elsewhere, 1).await, seen(&server, &bob, 1).await);
    survives(&server.data_dir());
}

#[both_databases]
async fn a_file_whose_content_is_gone_is_brought_over_as_lost() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let notes = ann.upload("notes.txt", "text/plain", b"what was said").await;
    ann.send_file(&bob, &notes).await;
    std::fs::remove_file(server.data_dir().join("files").join(&notes[..2]).join(&notes)).unwrap();
    let (exported, contents, _) = export_with_files(&server.data_dir());
    assert_eq!((&lines_of(&exported, "file")[0]["lost"], contents.len()), (&json!(true), 0));
    run(&server.data_dir(), &["doctor", "--repair"]);
    let (lost, _) = survives(&server.data_dir());
    assert_eq!(lost, exported);
}

fn head() -> String {
    let people = [1, 2].map(|id| json!({ "type": "user", "id": id, "username": format!("user{id}") }).to_string());
    format!("{{\"type\":\"parlour\",\"version\":1}}\n{}\n", people.join("\n"))
}

fn file(uuid: &str, change: Value) -> Value {
    let mut line =
        json!({ "type": "file", "owner": 1, "uuid": uuid, "filename": "a.txt", "created_at": "2020-01-01T10:00:00Z" });
    line.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    line
}

fn message(ext_id: &str, change: Value) -> Value {
    let mut line = json!({ "type": "message", "ext_id": ext_id, "sender": 1, "receiver": 2, "created_at": "2020-01-01T10:00:01Z" });
    line.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    line
}

fn contents() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(TEXT), "what was said").unwrap();
    std::fs::write(folder.path().join(PHOTO), parlour_media::samples::png(1, false).unwrap()).unwrap();
    std::fs::write(folder.path().join(SMALL), "no picture").unwrap();
    folder
}

#[both_databases]
async fn a_file_that_cannot_be_taken_is_named_with_its_reason() {
    let (data, contents) = (tempfile::tempdir().unwrap(), contents());
    let missing = "7b0e7cf4-0d4f-4f0c-9a39-0c5e3f1f5a09";
    std::fs::write(contents.path().join("7b0e7cf4-0d4f-4f0c-9a39-0c5e3f1f5a08"), "<html><script></script></html>")
        .unwrap();
    let wrong = [
        (file(missing, json!({})), "uuid: Its content cannot be read from the folder of --files"),
        (file(TEXT, json!({ "owner": 9 })), "owner: There is no user 9."),
        (file(TEXT, json!({ "size": 12 })), "size: The content has 13 bytes."),
        (file(TEXT, json!({ "mimetype": "image/png" })), "mimetype: By its bytes the content is text/plain."),
        (file(TEXT, json!({ "filename": "/" })), "filename: "),
        (file(TEXT, json!({ "created_at": "2999-01-01T10:00:00Z" })), "created_at: Must not be in the future."),
        (file(TEXT, json!({ "thumbnail": { "uuid": missing } })), "thumbnail.uuid: Its content cannot be read"),
        (file(TEXT, json!({ "thumbnail": { "uuid": TEXT } })), "thumbnail.uuid: Another file has this name."),
        (file(TEXT, json!({ "thumbnail": { "uuid": SMALL } })), "thumbnail.mimetype: A thumbnail must be"),
        (file(TEXT, json!({ "lost": true, "mimetype": "text/html" })), "mimetype: Files of this type are not taken"),
        (file("7b0e7cf4-0d4f-4f0c-9a39-0c5e3f1f5a08", json!({})), "mimetype: Files of this type are not taken"),
        (file("../../etc/passwd", json!({})), "uuid: "),
        (message("m", json!({ "file": TEXT })), "file: Its sender has no such file."),
        (message("m", json!({ "file": TEXT, "status": "hidden" })), "file: A message that was taken back has no file."),
    ];
    let files = ["--files", contents.path().to_str().unwrap()];
    for (line, reason) in wrong {
        let (code, summary, refused) = import_with(data.path(), &format!("{}{line}\n", head()), &files);
        assert_eq!((code, &summary["refused"]), (Some(3), &json!(1)), "{line}");
        assert!(refused.contains(&format!("line 4: {reason}")), "{reason} in {refused}");
    }
    let (code, _, refused) = import(data.path(), &format!("{}{}\n", head(), file(TEXT, json!({}))));
    assert!(code == Some(3) && refused.contains("uuid: Its content is needed: --files names the folder"), "{refused}");
    sound(data.path());
}

#[both_databases]
async fn a_file_is_its_owners_and_needs_nothing_but_its_content() {
    let (data, contents) = (tempfile::tempdir().unwrap(), contents());
    let files = ["--files", contents.path().to_str().unwrap()];
    let lines = [
        file(TEXT, json!({})),
        file(PHOTO, json!({ "filename": "a.png", "duration": 3 })),
        file(TEXT, json!({ "owner": 2 })),
        message("stolen", json!({ "sender": 2, "receiver": 1, "file": TEXT })),
        message("own", json!({ "file": TEXT })),
        message("own too", json!({ "file": PHOTO, "text": "look" })),
    ];
    let text = head() + &lines.map(|line| format!("{line}\n")).concat();
    let (code, summary, refused) = import_with(data.path(), &text, &files);
    assert_eq!((code, &summary), (Some(3), &json!({ "imported": 6, "known": 0, "refused": 2 })), "{refused}");
    assert!(refused.contains("line 6: uuid: Another file has this name."), "{refused}");
    assert!(refused.contains("line 7: file: Its sender has no such file."), "{refused}");
    let (exported, _) = survives(data.path());
    let described = lines_of(&exported, "file");
    assert_eq!((&described[0]["size"], &described[0]["mimetype"]), (&json!(13), &json!("text/plain")));
    assert!(described[1]["thumbnail"]["uuid"].is_string(), "an image gets a picture: {exported}");
}
