//! What is stored of files, in the database and beside it.

use super::{corrupt, doctor};
use image::{ImageFormat, Rgb, RgbImage};
use parlour_testkit::{Backend, Member, TestServer, backend, both_databases};
use serde_json::{Value, json};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A picture that is larger than its thumbnail.
pub(crate) fn picture() -> Vec<u8> {
    let image = RgbImage::from_fn(900, 300, |x, y| Rgb([x as u8, y as u8, 90]));
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}

/// Ann, who has sent Bob a picture and a text, has taken back a third file and has not sent a fourth.
struct Community {
    server: TestServer,
    ann: Member,
    bob: Member,
    picture: String,
    text: String,
    unsent: String,
}

impl Community {
    async fn start() -> Self {
        let server = TestServer::start().await;
        let (ann, bob) = server.ann_and_bob().await;
        let picture = ann.upload("garden.jpg", "image/jpeg", &picture()).await;
        ann.send_file(&bob, &picture).await;
        let hidden = ann.upload("wrong.txt", "text/plain", b"the wrong one").await;
        let hidden = ann.send_file(&bob, &hidden).await;
        server.advance(Duration::from_secs(120));
        ann.delete_message(&hidden["id"]).await;
        let text = ann.upload("notes.txt", "text/plain", b"what was said").await;
        ann.send_file(&bob, &text).await;
        let unsent = ann.upload("unsent.txt", "text/plain", b"not yet").await;
        bob.thread_with(&ann, "").await;
        Self { server, ann, bob, picture, text, unsent }
    }

    fn data(&self) -> PathBuf {
        self.server.data_dir()
    }

    fn object(&self, uuid: &str) -> PathBuf {
        self.data().join("files").join(&uuid[..2]).join(uuid)
    }

    /// What both see, once everything has been read.
    async fn seen(&self) -> String {
        let mut answers = Vec::new();
        for (member, other) in [(&self.ann, 2), (&self.bob, 1)] {
            answers.push(member.get("/api/v2/pm/").await.text);
            answers.push(member.get(&format!("/api/v2/pm/?user={other}")).await.text);
        }
        answers.join("\n")
    }

    /// The file of the message that shows `uuid`, as Bob sees it.
    async fn shown(&self, uuid: &str) -> Value {
        let page = self.bob.thread_with(&self.ann, "").await;
        let rows = page["results"].as_array().unwrap().clone();
        rows.into_iter().map(|row| row["file"].clone()).find(|file| file["uuid"] == uuid).unwrap()
    }
}

/// A uuid as SQL.
fn blob(uuid: &str) -> String {
    let digits = uuid.replace('-', "");
    if backend() == Backend::Postgres { format!("'\\x{digits}'::bytea") } else { format!("x'{digits}'") }
}

/// Names what is wrong, repairs it, and finds everything sound.
#[track_caller]
fn named_and_healed(data: &Path, what: &str) {
    let (code, report) = doctor(data, &[]);
    let problem = report["problems"].as_array().unwrap().iter().find(|problem| problem["what"] == what);
    let problem = problem.unwrap_or_else(|| panic!("{what} is named: {report}"));
    assert_eq!((code, &problem["repairable"]), (Some(4), &json!(true)), "{report}");
    let (code, report) = doctor(data, &["--repair"]);
    assert_eq!((code, &report["sound"]), (Some(0), &json!(true)), "{what}: {report}");
    assert_eq!(doctor(data, &[]).0, Some(0), "{what}");
}

#[both_databases]
async fn rows_of_files_are_brought_in_line_with_what_they_follow_from() {
    let community = Community::start().await;
    let data = community.data();
    let (code, report) = doctor(&data, &[]);
    assert_eq!((code, &report["problems"]), (Some(0), &json!([])), "{report}");
    // The picture of the picture is one; what was taken back goes with the next round.
    let checked = &report["checked"];
    assert_eq!((&checked["files"], &checked["foreign_objects"]), (&json!(5), &json!(0)), "{report}");
    assert!(checked["objects"].as_u64().unwrap() >= 4, "{report}");
    let right = community.seen().await;
    let [picture, text, unsent] = [&community.picture, &community.text, &community.unsent].map(|uuid| blob(uuid));
    let nobody = blob("00000000-0000-4000-8000-000000000000");
    for (sql, what) in [
        (format!("update files set attached_count = 5 where uuid = {picture}"), "files.attached_count"),
        (format!("update files set attached_count = 1 where uuid = {unsent}"), "files.attached_count"),
        (format!("update files set attached_count = 0 where uuid = {text}"), "files.attached_count"),
        (format!("update files set state = 2 where uuid = {picture}"), "files.state"),
        (format!("update files set state = 0 where uuid = {text}"), "files.state"),
        (format!("update files set expires_at = 5000000000000000 where uuid = {text}"), "files.expires_at"),
        (format!("update files set expires_at = 5000000000000000 where parent_uuid = {picture}"), "files.expires_at"),
        (format!("update files set thumbnail_uuid = {nobody} where uuid = {picture}"), "files.thumbnail_uuid"),
        (format!("update files set thumbnail_uuid = {picture} where uuid = {picture}"), "files.thumbnail_uuid"),
        ("update file_usage set bytes = bytes - 1".into(), "file_usage.bytes"),
        ("update file_usage set files = 0".into(), "file_usage.files"),
        ("delete from file_usage".into(), "file_usage.files"),
        (format!("insert into file_parts values (1, {text}, 0, 1, null, 7, 1)"), "file_parts.uuid"),
        (format!("insert into file_parts values (1, {nobody}, 0, 1, null, 7, 1)"), "file_parts.uuid"),
        ("update inbox set file_name = 'another.txt'".into(), "inbox.file_name"),
        ("update inbox set file_name = null".into(), "inbox.file_name"),
        (format!("update messages set file_uuid = {text} where status = 1"), "messages.file_uuid"),
        // Last, as what nothing lets go is due at once.
        (format!("update files set expires_at = null where uuid = {unsent}"), "files.expires_at"),
    ] {
        corrupt(&data, &sql);
        named_and_healed(&data, what);
        assert_eq!(community.seen().await, right, "{sql}");
    }
}

#[both_databases]
async fn a_file_without_a_row_is_still_shown_and_found_again() {
    let community = Community::start().await;
    let (data, text) = (community.data(), &community.text);
    for (row, what) in [(&community.picture, "messages.file_uuid"), (text, "messages.file_uuid")] {
        corrupt(&data, &format!("delete from files where uuid = {}", blob(row)));
        named_and_healed(&data, what);
    }
    let found = community.shown(text).await;
    assert_eq!((&found["filename"], &found["filesize"]), (&json!("notes.txt"), &json!(13)), "its inbox knew the name");
    let url = found["url"].as_str().unwrap();
    assert_eq!(community.bob.download(url).await.expect(200), b"what was said");
    assert!(community.shown(&community.picture).await["url"].is_string());
}

#[both_databases]
async fn a_file_without_an_object_is_shown_as_lost_until_it_is_back() {
    let community = Community::start().await;
    let (data, right) = (community.data(), community.seen().await);
    let object = community.object(&community.text);
    let bytes = std::fs::read(&object).unwrap();
    for damage in [None, Some(&bytes[..5])] {
        std::fs::remove_file(&object).unwrap();
        damage.iter().for_each(|bytes| std::fs::write(&object, bytes).unwrap());
        assert_eq!(doctor(&data, &["--without-objects"]).0, Some(0));
        named_and_healed(&data, "files.object");
        let shown = community.shown(&community.text).await;
        assert_eq!((&shown["filename"], &shown["url"]), (&json!("notes.txt"), &Value::Null));
        std::fs::write(&object, &bytes).unwrap();
        named_and_healed(&data, "files.lost");
        assert_eq!(community.seen().await, right);
    }
    // One that no message shows is let go.
    std::fs::remove_file(community.object(&community.unsent)).unwrap();
    named_and_healed(&data, "files.object");
    community.ann.try_send_file(&community.bob, &community.unsent).await.refused_field("file_uuid", "does_not_exist");
}

#[both_databases]
async fn a_picture_without_an_object_gives_way_to_its_file() {
    let community = Community::start().await;
    let thumbnail = |file: &Value| file["thumbnail"].as_str().unwrap().to_owned();
    let before = thumbnail(&community.shown(&community.picture).await);
    let small = community.bob.download(&before).await.expect(200).to_vec();
    let files = walk(&community.data().join("files"));
    let object = files.iter().find(|path| std::fs::read(path).unwrap() == small).unwrap();
    std::fs::remove_file(object).unwrap();
    named_and_healed(&community.data(), "files.object");
    let after = thumbnail(&community.shown(&community.picture).await);
    let image = community.bob.download(&after).await.expect(200).to_vec();
    assert_eq!(image, std::fs::read(community.object(&community.picture)).unwrap());
}

/// Every file below a folder.
pub(crate) fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn plant(root: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

#[both_databases]
async fn what_no_row_knows_is_deleted_and_what_is_not_parlours_is_left_alone() {
    let community = Community::start().await;
    let (data, root) = (community.data(), community.data().join("files"));
    let right = walk(&root);
    let foreign = plant(&root, "readme.txt", b"somebody's");
    assert_eq!(doctor(&data, &["--repair"]).1["checked"]["foreign_objects"], 1);
    let uuid = "0a000000-0000-4000-8000-000000000000";
    for name in [format!("0a/{uuid}"), format!("parts/{uuid}/0-1"), format!("parts/{}/0-1", community.text)] {
        let planted = plant(&root, &name, b"nobody's");
        named_and_healed(&data, "objects.unknown");
        assert!(!planted.exists());
    }
    let old = plant(&root, &format!("0a/{uuid}#1"), b"half");
    let yesterday = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    std::fs::File::options().write(true).open(&old).unwrap().set_modified(yesterday).unwrap();
    let new = plant(&root, &format!("0a/{uuid}#2"), b"on its way");
    named_and_healed(&data, "objects.leftover");
    assert!(!old.exists() && new.exists() && foreign.exists());
    for kept in [new, foreign] {
        std::fs::remove_file(kept).unwrap();
    }
    assert_eq!(walk(&root), right);
}

#[tokio::test]
async fn a_place_that_seems_to_be_somebody_elses_is_not_touched() {
    let mut community = Community::start().await;
    for number in 0..10 {
        let name = format!("{number}.txt");
        let uuid = community.ann.upload(&name, "text/plain", name.as_bytes()).await;
        community.ann.send_file(&community.bob, &uuid).await;
    }
    community.server.stop().await;
    let data = community.data();
    let (own, kept) = (data.join("files"), data.join("kept"));
    std::fs::rename(&own, &kept).unwrap();
    let stranger = "0b000000-0000-4000-8000-00000000000";
    let theirs: Vec<_> = (0..10).map(|n| plant(&own, &format!("0b/{stranger}{n}"), b"theirs")).collect();
    for flags in [&[][..], &["--repair"]] {
        let (code, report) = doctor(&data, flags);
        let place = report["problems"].as_array().unwrap().iter().filter(|problem| problem["what"] == "objects.place");
        assert_eq!((code, place.count()), (Some(4), 2), "{report}");
        assert!(theirs.iter().all(|path| path.exists()));
    }
    std::fs::remove_dir_all(&own).unwrap();
    std::fs::rename(&kept, &own).unwrap();
    assert_eq!(doctor(&data, &[]).0, Some(0), "and nothing was marked as lost");
}
