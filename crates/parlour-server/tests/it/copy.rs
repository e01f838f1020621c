//! `parlour copy`: the same community on another database, whole or not to be opened.

mod place;

use crate::cli::{Background, parlour};
use parlour_testkit::{Answer, Member, TestServer};
use place::{Place, everything};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// The exit code, what was printed, and what went wrong.
fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let nowhere = tempfile::tempdir().unwrap();
    let output = parlour(nowhere.path(), arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[track_caller]
fn done(arguments: &[&str]) -> String {
    let (code, printed, error) = run(arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {printed}{error}");
    printed
}

#[track_caller]
fn refused(arguments: &[&str], reason: &str) {
    let (code, _, error) = run(arguments);
    assert_eq!(code, Some(1), "{arguments:?}: {error}");
    assert!(error.contains(reason), "{arguments:?}: {error}");
}

#[track_caller]
fn copy(from: &Place, to: &Place) -> Value {
    let printed = done(&["copy", "--from", &from.address(), "--to", &to.address(), "--json"]);
    serde_json::from_str(&printed).unwrap()
}

#[track_caller]
fn copy_refused(from: &Place, to: &Place, reason: &str) {
    refused(&["copy", "--from", &from.address(), "--to", &to.address()], reason);
}

#[track_caller]
fn export(place: &Place) -> String {
    done(&["export", "-", "--database", &place.address()])
}

fn keyed(member: &Member) -> impl Future<Output = Answer> {
    let body = json!({ "recipients": [2, 3], "message": "once, and never again" });
    let request = member.request(reqwest::Method::POST, "/api/v2/pm/").header("Idempotency-Key", "key/1~of-Ann");
    let member = member.clone();
    async move { member.send_request(request.json(&body)).await }
}

/// `count` messages of Ann's (1) to Bob (2), imported into a database, after whatever is in it.
fn import(to: &Place, count: usize) {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = vec![json!({ "type": "parlour", "version": 1 })];
    lines.extend([(1, "ann"), (2, "bob")].map(|(id, name)| json!({ "type": "user", "id": id, "username": name })));
    lines.extend((0..count).map(|n| {
        json!({ "type": "message", "ext_id": format!("x-{n:06}"), "sender": 1, "receiver": 2,
            "created_at": "2020-01-01T10:00:00Z", "text": format!("{n} 𝕆𝕕𝕕 \u{202e}text\u{301} \"\\\t\u{1} 'x' \u{fffd}") })
    }));
    let file = folder.path().join("import.ndjson");
    std::fs::write(&file, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    done(&["import", file.to_str().unwrap(), "--database", &to.address()]);
}

/// A community of everything that there is, and what a keyed send in it was answered.
async fn community() -> (TestServer, Place, String) {
    let mut server = TestServer::start().await;
    let place = Place::file(server.data_dir().join("parlour.db"));
    import(&place, 30);
    let (ann, bob) = server.ann_and_bob().await;
    let carla = server.member(3, "Carla \u{1f469}\u{200d}\u{1f680} Ångström").await;
    let dan = server.member(4, "dan").await;
    server.befriend(&[&ann, &bob, &carla, &dan]).await;
    server.upsert(json!({ "id": 3, "username": "Carla", "ext_id": "Ω-3", "bio": "ﷺ \u{7f} \u{2028}" })).await;
    let ids = ann.send_many(&bob, 8).await;
    for id in [ids[2], ids[5]] {
        ann.delete_message(&json!(id)).await;
    }
    server.advance(Duration::from_secs(120));
    ann.delete_message(&json!(ids[0])).await;
    let first = keyed(&ann).await;
    assert_eq!(first.status, 201, "{}", first.text);
    bob.send(&carla, "before it is cleared").await;
    carla.delete("/api/v2/pm/?user=2").await.expect(204);
    bob.send_many(&carla, 3).await;
    dan.send(&ann, "from somebody who leaves").await;
    carla.post("/api/v2/user/4/hide/", json!({})).await;
    bob.patch("/api/v2/user/2/settings/", json!({ "qa_frequency": -1 })).await.expect(200);
    bob.get("/api/v2/pm/?user=1").await.expect(200);
    let plan = ann.upload("plan \u{202f}für Öl.txt", "text/plain", b"water the beans").await;
    ann.send_file(&bob, &plan).await;
    ann.try_chunk(None, (0, 2), ("later.txt", "text/plain", b"the first half")).await.expect(200);
    server.upsert(json!({ "id": 4, "username": "dan", "status": "d" })).await;
    server.stop().await;
    (server, place, first.text)
}

#[tokio::test]
async fn everything_goes_to_postgresql_and_comes_back_and_a_keyed_send_is_known_there() {
    let (_server, file, first) = community().await;
    let folder = tempfile::tempdir().unwrap();
    let (database, back) = (Place::server(), Place::file(folder.path().join("back.db")));
    let (exported, before) = (export(&file), everything(&folder_file(&file)));
    let copied = copy(&file, &database);
    let counted = |table: &str| before.iter().filter(|line| line.starts_with(&format!("{table}: "))).count();
    for (table, rows) in copied["tables"].as_object().unwrap() {
        assert_eq!(rows, counted(table), "{table}: {copied}");
        assert!(*rows != 0, "there is something in {table}");
    }
    assert_eq!((&copied["rows"], &copied["copied_rows"]), (&json!(before.len()), &json!(before.len())));
    copy(&database, &back);
    assert_eq!(everything(&folder_file(&back)), before, "each row of each table");
    for place in [&database, &back] {
        assert_eq!(export(place), exported);
        done(&["doctor", "--without-objects", "--database", &place.address()]);
        let address = place.address();
        let server = TestServer::with(|config| {
            config.storage.database = address;
            config.postgres.connections = 4;
        });
        let mut server = server.await;
        let (ann, bob) = (server.sign_in(1, "ann"), server.sign_in(2, "bob"));
        let repeat = keyed(&ann).await;
        assert_eq!((&repeat.text, repeat.header("idempotency-replayed")), (&first, "true"));
        let newest = ann.send(&bob, "life goes on").await;
        let page = bob.thread_with(&ann, "&limit=2").await;
        assert_eq!(page["results"][1]["id"], newest["id"], "{page}");
        server.stop().await;
        done(&["doctor", "--without-objects", "--database", &place.address()]);
    }
}

fn folder_file(place: &Place) -> std::path::PathBuf {
    match place {
        Place::File(path) => path.clone(),
        Place::Server(_) => panic!("no file"),
    }
}

#[test]
fn the_same_kind_of_database_is_copied_as_well_and_the_password_stays_out_of_the_address() {
    let folder = tempfile::tempdir().unwrap();
    let (file, other) = (Place::file(folder.path().join("one.db")), Place::file(folder.path().join("other.db")));
    let (database, second) = (Place::server(), Place::server());
    import(&file, 500);
    copy(&file, &other);
    copy(&file, &database);
    let (scheme, rest) =
        second.address().split_once("://").map(|(scheme, rest)| (scheme.to_owned(), rest.to_owned())).unwrap();
    let (credentials, host) = rest.rsplit_once('@').unwrap();
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let decoded = percent_encoding::percent_decode_str(password).decode_utf8().unwrap();
    let secret = folder.path().join("password");
    std::fs::write(&secret, format!("{decoded}\n")).unwrap();
    let to = format!("{scheme}://{host}");
    let mut command = parlour(folder.path(), &["copy", "--from", &database.address(), "--to", &to]);
    command.env("PARLOUR_COPY_TO_USER", user).env("PARLOUR_COPY_TO_PASSWORD_FILE", &secret);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for place in [&other, &database, &second] {
        assert_eq!(export(place), export(&file));
    }
}

#[test]
fn what_cannot_be_copied_is_refused_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (file, other) = (Place::file(folder.path().join("one.db")), Place::file(folder.path().join("other.db")));
    let (database, empty) = (Place::server(), Place::server());
    import(&file, 5);
    import(&other, 7);
    import(&database, 9);
    let before = [&file, &other, &database].map(export);
    copy_refused(&file, &other, "is not empty");
    copy_refused(&file, &database, "is not empty");
    copy_refused(&database, &file, "is not empty");
    copy_refused(&file, &file, "cannot be copied onto itself");
    copy_refused(&database, &database, "is not empty");
    copy_refused(&empty, &other, "there is no database of Parlour's at");
    let nothing = Place::file(folder.path().join("nothing.db"));
    copy_refused(&nothing, &empty, "there is no database of Parlour's at");
    copy_refused(&file, &Place::file(folder.path().join("no/folder.db")), "No such file");
    assert!(!folder_file(&nothing).exists(), "a source is not made");
    refused(&["copy", "--from", "mysql://x", "--to", "sqlite:y"], "it must be sqlite:PATH or postgres://");
    assert_eq!([&file, &other, &database].map(export), before);
    file.execute("pragma user_version = 1");
    copy_refused(&file, &empty, "run `parlour migrate` on it first");
}

/// Makes a target refuse the row `x-000003` of the last table, and takes that back.
fn stop_at_the_last_table(target: &Place) {
    done(&["migrate", "--database", &target.address()]);
    target.execute(match target {
        Place::File(_) => {
            "create trigger stop before insert on imported_messages when new.ext_id = 'x-000003'
             begin select raise(abort, 'stop'); end"
        }
        Place::Server(_) => "alter table imported_messages add constraint stop check (ext_id <> 'x-000003')",
    });
}

fn let_it_pass(target: &Place) {
    target.execute(match target {
        Place::File(_) => "drop trigger stop",
        Place::Server(_) => "alter table imported_messages drop constraint stop",
    });
}

#[test]
fn half_a_copy_cannot_be_used_goes_on_where_it_stopped_and_what_changed_meanwhile_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (file, other) = (Place::file(folder.path().join("one.db")), Place::file(folder.path().join("other.db")));
    import(&file, 50);
    import(&other, 50);
    let changes: [(&Place, &str, Option<&str>); 4] = [
        (&file, "", None),
        (&file, "update users set version = version + 1 where id = 2", Some("table users of the source has changed")),
        (&file, "delete from messages where seq = 50", Some("table messages of the source has changed")),
        (&other, "", Some("holds an unfinished copy of")),
    ];
    for target in 0..2 {
        for (number, (source, change, reason)) in changes.into_iter().enumerate() {
            let target = place_number(folder.path(), target, number);
            stop_at_the_last_table(&target);
            let before = folder.path().join("before.db");
            std::fs::copy(folder_file(&file), &before).unwrap();
            copy_refused(&file, &target, "the target refuses rows of table imported_messages");
            let_it_pass(&target);
            for command in [&["serve"][..], &["doctor"], &["export", "-"], &["user", "list"], &["migrate"]] {
                refused(&[command, &["--database", &target.address()]].concat(), "holds an unfinished copy");
            }
            copy_refused(&target, &Place::file(folder.path().join("further.db")), "holds an unfinished copy");
            file.execute(change);
            if let Some(reason) = reason {
                copy_refused(source, &target, reason);
                refused(&["export", "-", "--database", &target.address()], "holds an unfinished copy");
            } else {
                let copied = copy(source, &target);
                assert_eq!((&copied["resumed"], &copied["copied_rows"]), (&json!(true), &json!(50)), "{copied}");
                assert_eq!(export(&target), export(&file));
                done(&["doctor", "--database", &target.address()]);
            }
            std::fs::copy(&before, folder_file(&file)).unwrap();
        }
    }
}

fn place_number(folder: &Path, kind: usize, number: usize) -> Place {
    if kind == 0 { Place::file(folder.join(format!("target-{number}.db"))) } else { Place::server() }
}

#[test]
fn a_row_altered_in_the_target_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let file = Place::file(folder.path().join("one.db"));
    import(&file, 50);
    let changes = [
        ("update messages set text = text || ' ' where seq = 7", "messages"),
        ("update inbox set created_at = created_at + 1 where user_id = 2", "inbox"),
        ("update users set ext_id = '' where id = 1", "users"),
        ("delete from mailboxes where user_id = 1", "mailboxes"),
        ("insert into hides (user_id, hidden_id, created_at) values (1, 2, 0)", "hides"),
        ("update counters set value = value + 1", "counters"),
    ];
    for target in 0..2 {
        for (number, (change, table)) in changes.into_iter().enumerate() {
            let target = place_number(folder.path(), target, number);
            stop_at_the_last_table(&target);
            copy_refused(&file, &target, "the target refuses rows of table imported_messages");
            let_it_pass(&target);
            target.execute(change);
            for _ in 0..2 {
                copy_refused(&file, &target, &format!("table {table} of the target does not hold what was copied"));
            }
        }
    }
}

/// `parlour copy`, with nothing to see of it.
fn background(from: &Place, to: &Place) -> Background {
    let nowhere = tempfile::tempdir().unwrap();
    let mut command = parlour(nowhere.path(), &["copy", "--from", &from.address(), "--to", &to.address()]);
    Background::new(command.stdout(Stdio::null()).stderr(Stdio::null()))
}

#[test]
fn a_copy_killed_at_any_moment_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = Place::file(folder.path().join("one.db"));
    import(&file, 40_000);
    let exported = export(&file);
    for target in [Place::server(), Place::file(folder.path().join("target.db"))] {
        let (mut unfinished, mut round) = (0, 0);
        while unfinished < 5 {
            round += 1;
            let mut copying = background(&file, &target);
            // Not a wait for anything: the moments of the kills are spread over the work.
            std::thread::sleep(Duration::from_millis(round * 20));
            copying.kill();
            let (code, users, error) = run(&["user", "list", "--database", &target.address()]);
            if code == Some(0) {
                assert!(users.is_empty(), "not begun yet, or else done {unfinished} kills after it began");
            } else {
                assert!(error.contains("holds an unfinished copy"), "{error}");
                unfinished += 1;
            }
        }
        assert_eq!(copy(&file, &target)["resumed"], true);
        assert_eq!(export(&target), exported);
        done(&["doctor", "--database", &target.address()]);
    }
}

#[test]
fn of_two_copies_into_the_same_target_one_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = Place::file(folder.path().join("one.db"));
    import(&file, 40_000);
    let exported = export(&file);
    for target in [Place::server(), Place::file(folder.path().join("target.db"))] {
        let mut copying = [(); 2].map(|()| background(&file, &target));
        let succeeded = copying.each_mut().map(|copy| copy.wait().success());
        assert!(succeeded.contains(&true) && succeeded.contains(&false), "{succeeded:?}");
        assert_eq!(export(&target), exported);
        done(&["doctor", "--database", &target.address()]);
    }
}

#[tokio::test]
async fn a_target_that_a_server_has_open_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = Place::file(folder.path().join("one.db"));
    import(&file, 5);
    for target in [Place::server(), Place::file(folder.path().join("target.db"))] {
        let address = target.address();
        let server = TestServer::with(|config| {
            config.storage.database = address;
            config.postgres.connections = 4;
        });
        let mut server = server.await;
        copy_refused(&file, &target, "is in use: stop the server first");
        server.member(9, "still here").await;
        server.stop().await;
        drop(server);
        copy_refused(&file, &target, "is not empty");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_written_to_the_source_during_the_copy_is_noticed() {
    let mut server = TestServer::start().await;
    let file = Place::file(server.data_dir().join("parlour.db"));
    import(&file, 40_000);
    let (ann, bob) = server.ann_and_bob().await;
    let sending = tokio::spawn(async move {
        loop {
            ann.send(&bob, "nobody told me").await;
        }
    });
    let target = Place::server();
    copy_refused(&file, &target, "of the source has changed since it was copied: stop the server");
    sending.abort();
    server.stop().await;
    refused(&["serve", "--database", &target.address()], "holds an unfinished copy");
}
