//! The files of messages in backups.

use super::{done, refused, run};
use crate::cli::parlour;
use crate::doctor::files::{picture, walk};
use parlour_testkit::{Member, S3Server, TestServer};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A server on which Ann has sent Bob a picture and a text, whose names are answered.
async fn community() -> (TestServer, Member, Member, [String; 2]) {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    let picture = ann.upload("garden.jpg", "image/jpeg", &picture()).await;
    let text = ann.upload("notes.txt", "text/plain", b"what was said").await;
    for uuid in [&picture, &text] {
        ann.send_file(&bob, uuid).await;
    }
    (server, ann, bob, [picture, text])
}

/// Every file below a folder, with its bytes.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let below = |path: &Path| path.strip_prefix(folder).unwrap().to_owned();
    walk(folder).iter().map(|path| (below(path), std::fs::read(path).unwrap())).collect()
}

/// The files that Bob sees in the thread with Ann, from a server on this data directory.
async fn shown(data: &Path) -> Vec<(Value, Option<Vec<u8>>)> {
    let data = data.to_owned();
    let server = TestServer::with(|config| config.storage.data_dir = data).await;
    let bob = server.sign_in(2, "bob");
    let page = bob.thread_with(&server.sign_in(1, "ann"), "").await;
    let mut shown = Vec::new();
    for row in page["results"].as_array().unwrap() {
        let bytes = match row["file"]["url"].as_str() {
            Some(url) => {
                // Links name the server that made them, and its port is another one by now.
                let path = url.find("/media/").map(|at| &url[at..]).unwrap();
                Some(bob.download(path).await.expect(200).to_vec())
            }
            None => None,
        };
        shown.push((row["file"]["filename"].clone(), bytes));
    }
    shown
}

#[tokio::test]
async fn a_backup_beside_a_running_server_brings_files_back_and_a_second_one_copies_what_is_new() {
    let (server, ann, bob, _) = community().await;
    let folder = tempfile::tempdir().unwrap();
    let (file, files) = (folder.path().join("backup.db"), folder.path().join("backup.db.files"));
    let made = done(&server.data_dir(), &["backup", file.to_str().unwrap()]);
    assert_eq!(
        (&made["files"], &made["files_copied"], &made["files_lost"]),
        (&json!(3), &json!(3), &json!(0)),
        "{made}"
    );
    assert_eq!(contents(&files), contents(&server.data_dir().join("files")));
    let late = ann.upload("late.txt", "text/plain", b"afterwards").await;
    ann.send_file(&bob, &late).await;
    let made = done(&server.data_dir(), &["backup", file.to_str().unwrap(), "--force"]);
    assert_eq!((&made["files"], &made["files_copied"]), (&json!(4), &json!(1)), "{made}");

    let data = folder.path().join("data");
    let restored = done(&data, &["restore", file.to_str().unwrap()]);
    assert_eq!(
        (&restored["files"], &restored["files_copied"], &restored["messages"]),
        (&json!(4), &json!(4), &json!(3))
    );
    assert_eq!(contents(&data.join("files")), contents(&files));
    assert_eq!(done(&data, &["doctor"])["checked"]["objects"], 4);
    let names: Vec<_> = shown(&data).await;
    assert_eq!(names[1], (json!("notes.txt"), Some(b"what was said".to_vec())));
    assert_eq!(names[2], (json!("late.txt"), Some(b"afterwards".to_vec())));
    // What the backup is made of is left alone by those who restore it.
    std::fs::remove_dir_all(data.join("files")).unwrap();
    assert_eq!(contents(&files).len(), 4);
}

#[tokio::test]
async fn a_file_that_went_meanwhile_is_lost_in_the_backup_and_the_backup_is_sound() {
    let (server, _, _, [_, text]) = community().await;
    std::fs::remove_file(server.data_dir().join("files").join(&text[..2]).join(&text)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.db");
    let made = done(&server.data_dir(), &["backup", file.to_str().unwrap()]);
    assert_eq!((&made["files"], &made["files_lost"]), (&json!(2), &json!(1)), "{made}");
    let data = folder.path().join("data");
    done(&data, &["restore", file.to_str().unwrap()]);
    done(&data, &["doctor"]);
    let shown = shown(&data).await;
    assert_eq!(shown[1], (json!("notes.txt"), None), "it is still seen that there was one");
    assert!(shown[0].1.is_some());
}

#[tokio::test]
async fn a_backup_whose_files_are_missing_is_refused_unless_told_to_do_without() {
    let (server, _, _, [_, text]) = community().await;
    let folder = tempfile::tempdir().unwrap();
    let (file, files) = (folder.path().join("backup.db"), folder.path().join("backup.db.files"));
    let (name, data) = (file.to_str().unwrap(), folder.path().join("data"));
    let made = done(&server.data_dir(), &["backup", name, "--without-files"]);
    assert_eq!((&made["files"], files.exists()), (&Value::Null, false));
    refused(
        &data,
        &["restore", name],
        "3 files of its messages are not there; --without-files restores it all the same",
    );
    assert!(!data.join("parlour.db").exists());
    // Where everything is in its place already, nothing is missing.
    let moved = folder.path().join("moved");
    for (name, bytes) in contents(&server.data_dir().join("files")) {
        let to = moved.join("files").join(name);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(to, bytes).unwrap();
    }
    assert_eq!(done(&moved, &["restore", name])["files_copied"], 0);

    done(&server.data_dir(), &["backup", name, "--force"]);
    std::fs::remove_file(files.join(&text[..2]).join(&text)).unwrap();
    refused(&data, &["restore", name], "1 files of its messages are not there");
    let restored = done(&data, &["restore", name, "--without-files"]);
    assert_eq!((&restored["files"], &restored["files_lost"]), (&json!(2), &json!(1)));
    done(&data, &["doctor"]);
    assert_eq!(shown(&data).await[1], (json!("notes.txt"), None));
}

/// A command on a data directory whose files are in a bucket.
fn in_bucket<'a>(command: &'a mut Command, s3: &S3Server) -> &'a mut Command {
    command
        .env("PARLOUR_FILES_STORE", format!("s3://{}/kept", S3Server::BUCKET))
        .env("PARLOUR_S3_ENDPOINT", &s3.endpoint)
        .env("PARLOUR_S3_ACCESS_KEY_ID", s3.access_key_id)
        .env("PARLOUR_S3_SECRET_ACCESS_KEY", s3.secret_access_key)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_goes_from_a_folder_to_a_bucket_and_back() {
    let (server, ..) = community().await;
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first.db"), folder.path().join("second.db"));
    done(&server.data_dir(), &["backup", first.to_str().unwrap()]);
    let (s3, data) = (S3Server::start().await, folder.path().join("data"));
    for arguments in [["restore", first.to_str().unwrap()], ["backup", second.to_str().unwrap()]] {
        let mut command = parlour(&data, &arguments);
        let output = tokio::task::block_in_place(|| in_bucket(&mut command, &s3).output().unwrap());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(s3.objects().len() >= 3, "{:?}", s3.objects());
    assert!(!data.join("files").exists());
    let beside = |name: &str| contents(&folder.path().join(name));
    assert_eq!(beside("second.db.files"), beside("first.db.files"));
    let mut command = parlour(&data, &["doctor", "--json"]);
    let output = tokio::task::block_in_place(|| in_bucket(&mut command, &s3).output().unwrap());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["sound"], &report["checked"]["objects"]), (&json!(true), &json!(3)), "{report}");
    assert_eq!(run(&data, &["doctor", "--without-objects"]).0, Some(0));
}
