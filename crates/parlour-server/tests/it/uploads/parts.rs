//! Files in parts: in any order, again, at once, resumed; and what is said of them must be true.

use super::{PATIENCE, PDF, ann_and_bob, assert_names, fewer_on_postgres, pdf, stored, url, wait_for_stored};
use md5::{Digest as _, Md5};
use parlour_testkit::{Form, Member, TestServer, UPLOAD, both_databases};
use serde_json::json;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A file cut into parts, sent under one uuid.
struct Cut {
    uuid: String,
    parts: Vec<Vec<u8>>,
}

impl Cut {
    /// Cuts a file of `bytes` into `count` parts and sends the first, which gives it its uuid.
    async fn begin(member: &Member, bytes: &[u8], count: usize) -> Self {
        let parts: Vec<Vec<u8>> = bytes.chunks(bytes.len().div_ceil(count)).map(<[u8]>::to_vec).collect();
        assert_eq!(parts.len(), count);
        let answer = member.try_chunk(None, (0, count), ("a.pdf", PDF, &parts[0])).await.expect(200);
        Self { uuid: url(&answer, "file_uuid").to_owned(), parts }
    }

    async fn send(&self, member: &Member, index: usize) {
        let part = ("a.pdf", PDF, &*self.parts[index]);
        let answer = member.try_chunk(Some(&self.uuid), (index, self.parts.len()), part).await.expect(200);
        assert_eq!(answer["file_uuid"], self.uuid);
    }

    /// Finishes the file and reads it back.
    async fn done(&self, member: &Member) -> Vec<u8> {
        let done = member.try_done(&self.uuid, "a.pdf", self.parts.len()).await.expect(200);
        assert_eq!(done["file_uuid"], self.uuid);
        member.download(url(&done, "file_url")).await.expect(200).to_vec()
    }
}

/// Every order of the numbers below `count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(count - 1);
    shorter
        .into_iter()
        .flat_map(|order| {
            (0..count).map(move |place| {
                let mut order = order.clone();
                order.insert(place, count - 1);
                order
            })
        })
        .collect()
}

#[both_databases]
async fn five_parts_make_the_same_file_in_every_order() {
    let (_server, ann, _) = ann_and_bob().await;
    let bytes = pdf(5_000);
    let all = orders(5);
    assert_eq!(all.len(), 120);
    for order in all.iter().step_by(fewer_on_postgres(1, 12)) {
        let cut = Cut::begin(&ann, &bytes, 5).await;
        for index in order {
            // The first part comes a second time.
            cut.send(&ann, *index).await;
        }
        assert_eq!(cut.done(&ann).await, bytes, "{order:?}");
    }
}

#[both_databases]
async fn many_parts_make_the_same_file_in_any_order_and_with_repeats() {
    let (server, ann, _) = ann_and_bob().await;
    let mut random = fastrand::Rng::with_seed(1);
    for round in 0..fewer_on_postgres(12, 3) {
        let count = if round == 0 { 64 } else { random.usize(2..=64) };
        let bytes = pdf(count * random.usize(20..2_000) + 20);
        let count = bytes.len().div_ceil(bytes.len().div_ceil(count));
        let cut = Cut::begin(&ann, &bytes, count).await;
        let mut order: Vec<usize> = (1..count).collect();
        order.extend((0..count / 4).map(|_| random.usize(..count)));
        random.shuffle(&mut order);
        for index in order {
            cut.send(&ann, index).await;
        }
        assert_eq!(cut.done(&ann).await, bytes);
        wait_for_stored(&server, round + 1, "the parts of a whole file are gone").await;
    }
}

#[both_databases]
async fn a_part_that_is_sent_again_counts_as_it_came_last() {
    let (server, ann, _) = ann_and_bob().await;
    let bytes = pdf(3_000);
    let cut = Cut::begin(&ann, &bytes, 3).await;
    cut.send(&ann, 2).await;
    for wrong in [pdf(10), pdf(5_000)] {
        ann.try_chunk(Some(&cut.uuid), (1, 3), ("a.pdf", PDF, &wrong)).await.expect(200);
    }
    cut.send(&ann, 1).await;
    assert_eq!(stored(&server).len(), 3, "what was sent before is gone");
    assert_eq!(cut.done(&ann).await, bytes);
}

#[tokio::test]
async fn parts_that_come_at_once_make_the_same_file() {
    let (_server, ann, _) = ann_and_bob().await;
    let bytes = pdf(400_000);
    let cut = std::sync::Arc::new(Cut::begin(&ann, &bytes, 16).await);
    let mut sending = tokio::task::JoinSet::new();
    for index in 0..32 {
        let (cut, ann) = (cut.clone(), ann.clone());
        sending.spawn(async move { cut.send(&ann, index % 16).await });
    }
    sending.join_all().await;
    assert_eq!(cut.done(&ann).await, bytes);
}

#[both_databases]
async fn an_upload_goes_on_after_a_restart_of_the_server() {
    let (mut server, ann, _) = ann_and_bob().await;
    let bytes = pdf(4_000);
    let cut = Cut::begin(&ann, &bytes, 4).await;
    cut.send(&ann, 3).await;
    server.restart().await;
    let ann = server.sign_in(1, "ann");
    cut.send(&ann, 1).await;
    server.restart().await;
    let ann = server.sign_in(1, "ann");
    cut.send(&ann, 2).await;
    assert_eq!(cut.done(&ann).await, bytes);
    server.restart().await;
    let ann = server.sign_in(1, "ann");
    assert_eq!(cut.done(&ann).await, bytes);
}

#[both_databases]
async fn a_file_keeps_the_name_of_its_parts_unless_done_gives_another() {
    let (_server, ann, bob) = ann_and_bob().await;
    let bytes = pdf(3_000);
    // The hosted product's documentation calls `filename` required. Here it may be missing.
    for (given, expected) in [(None, "a.pdf"), (Some(""), "a.pdf"), (Some("b.pdf"), "b.pdf")] {
        let cut = Cut::begin(&ann, &bytes, 3).await;
        cut.send(&ann, 1).await;
        cut.send(&ann, 2).await;
        let done = Form::new().field("uuid", &cut.uuid).field("totalparts", 3);
        let done = match given {
            Some(filename) => done.field("filename", filename),
            None => done,
        };
        assert_eq!(ann.post_form("?done", done).await.expect(200)["file_uuid"], cut.uuid);
        let file = ann.send_file(&bob, &cut.uuid).await["file"].clone();
        assert_eq!((&file["uuid"], &file["filename"]), (&json!(cut.uuid), &json!(expected)), "{given:?}");
    }
}

#[both_databases]
async fn done_may_be_said_in_every_encoding() {
    let (_server, ann, bob) = ann_and_bob().await;
    let bytes = pdf(3_000);
    let multipart = Form::content_type();
    for encoding in [&*multipart, "application/x-www-form-urlencoded", "application/json"] {
        let cut = Cut::begin(&ann, &bytes, 3).await;
        cut.send(&ann, 1).await;
        cut.send(&ann, 2).await;
        let uuid = &cut.uuid;
        let body = match encoding {
            "application/x-www-form-urlencoded" => format!("uuid={uuid}&filename=b.pdf&totalparts=3").into_bytes(),
            "application/json" => {
                json!({ "uuid": uuid, "filename": "b.pdf", "totalparts": 3 }).to_string().into_bytes()
            }
            _ => Form::new().field("uuid", uuid).field("filename", "b.pdf").field("totalparts", 3).finish(),
        };
        let done = ann.post_raw(&format!("{UPLOAD}?done"), encoding, body).await.expect(200);
        assert_eq!(done["file_uuid"], *uuid, "{encoding}");
        assert_eq!(ann.download(url(&done, "file_url")).await.expect(200), bytes, "{encoding}");
        assert_eq!(ann.send_file(&bob, uuid).await["file"]["filename"], "b.pdf", "{encoding}");
    }
}

/// Sends the first `sent` bytes of a request with this form, and breaks off.
async fn break_off(server: &TestServer, member: &Member, form: Form, sent: usize) {
    let body = form.finish();
    let head = format!(
        "POST {UPLOAD} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
        member.token().unwrap(),
        Form::content_type(),
        body.len()
    );
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body[..sent]).await.unwrap();
    stream.shutdown().await.unwrap();
    // Whatever is answered, if anything: it has been dealt with.
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the server closes");
    assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
}

#[both_databases]
async fn an_upload_goes_on_after_a_connection_that_broke_in_the_middle_of_a_part() {
    let (server, ann, _) = ann_and_bob().await;
    let bytes = pdf(600_000);
    let cut = Cut::begin(&ann, &bytes, 3).await;
    let form = || {
        Form::new().field("partindex", 1).field("totalparts", 3).field("uuid", &cut.uuid).file(
            "a.pdf",
            PDF,
            &cut.parts[1],
        )
    };
    let length = form().finish().len();
    for sent in [0, 1, 60, 400, length / 2, length - 60, length - 4] {
        break_off(&server, &ann, form(), sent).await;
    }
    assert_eq!(stored(&server).len(), 1, "half a part is none");
    assert_names(&ann.try_done(&cut.uuid, "a.pdf", 3).await, "totalparts", "invalid|conflict", "parts are missing");
    cut.send(&ann, 1).await;
    cut.send(&ann, 2).await;
    assert_eq!(cut.done(&ann).await, bytes);
}

#[both_databases]
async fn finishing_twice_and_at_once_makes_one_file() {
    let (server, ann, _) = ann_and_bob().await;
    for _ in 0..fewer_on_postgres(5, 2) {
        let before = stored(&server).len();
        let bytes = pdf(100_000);
        let cut = Cut::begin(&ann, &bytes, 4).await;
        for index in 1..4 {
            cut.send(&ann, index).await;
        }
        let done = async || ann.try_done(&cut.uuid, "a.pdf", 4).await.expect(200);
        let finished = tokio::join!(done(), done(), done(), done(), done(), done());
        for one in [finished.0, finished.1, finished.2, finished.3, finished.4, finished.5] {
            assert_eq!(one["file_uuid"], cut.uuid);
            assert_eq!(ann.download(url(&one, "file_url")).await.expect(200), bytes);
        }
        wait_for_stored(&server, before + 1, "one file").await;
        let late = ann.try_chunk(Some(&cut.uuid), (1, 4), ("a.pdf", PDF, b"late")).await;
        assert_names(&late, "uuid", "conflict|does_not_exist|invalid", "a part of a whole file");
        assert_eq!(cut.done(&ann).await, bytes);
    }
}

fn md5_of(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[both_databases]
async fn a_checksum_and_sizes_that_are_true_are_taken() {
    let (_server, ann, bob) = ann_and_bob().await;
    let bytes = pdf(9_000);
    let claims = || Form::new().field("md5", md5_of(&bytes)).field("totalfilesize", 9_000).field("duration", 12);
    let whole = ann.post_form("", claims().field("filetype", PDF).file("a.pdf", PDF, &bytes)).await.expect(200);
    let sent = ann.send_file(&bob, url(&whole, "file_uuid")).await;
    assert_eq!(sent["file"]["duration"], 12);
    let upper = Form::new().field("md5", md5_of(&bytes).to_uppercase()).file("a.pdf", PDF, &bytes);
    ann.post_form("", upper).await.expect(200);

    let cut = Cut::begin(&ann, &bytes, 3).await;
    for index in 1..3 {
        let form = Form::new().field("partindex", index).field("totalparts", 3).field("uuid", &cut.uuid);
        let form = form.field("partbyteoffset", index * 3_000).field("chunksize", 3_000).field("totalfilesize", 9_000);
        ann.post_form("", form.file("a.pdf", PDF, &cut.parts[index])).await.expect(200);
    }
    let done = claims().field("uuid", &cut.uuid).field("filename", "a.pdf").field("totalparts", 3);
    ann.post_form("?done", done).await.expect(200);
    assert_eq!(cut.done(&ann).await, bytes);
    let picture = super::photo();
    let form =
        Form::new().field("parentuuid", &cut.uuid).field("md5", md5_of(&picture)).field("totalfilesize", picture.len());
    ann.post_form("", form.file("a.png", "image/png", &picture)).await.expect(200);
}

#[both_databases]
async fn an_upload_whose_end_is_refused_can_be_put_right() {
    let (server, ann, _) = ann_and_bob().await;
    let bytes = pdf(3_000);
    let cut = Cut::begin(&ann, &bytes, 3).await;
    let done = |name: &str, value: &str| {
        let form = Form::new().field("uuid", &cut.uuid).field("filename", "a.pdf");
        let form = if name == "totalparts" { form } else { form.field("totalparts", 3) };
        if name.is_empty() { form } else { form.field(name, value) }
    };
    assert_names(
        &ann.post_form("?done", done("", "")).await,
        "totalparts",
        "invalid|conflict",
        "two parts are missing",
    );
    cut.send(&ann, 1).await;
    cut.send(&ann, 2).await;
    for (field, value, codes) in [
        ("totalparts", "2", "invalid|conflict"),
        ("totalparts", "4", "invalid|conflict"),
        ("totalfilesize", "2999", "invalid|conflict"),
        ("totalfilesize", "3001", "invalid|conflict"),
        ("md5", "d41d8cd98f00b204e9800998ecf8427e", "md5_mismatch"),
    ] {
        assert_names(&ann.post_form("?done", done(field, value)).await, field, codes, value);
    }
    assert_eq!(stored(&server).len(), 3, "the parts are still there, and no file");
    assert_eq!(cut.done(&ann).await, bytes);
    let thread = ann.post("/api/v2/pm/", json!({ "recipients": [2], "message": "", "file_uuid": cut.uuid })).await;
    thread.expect(201);
}

#[both_databases]
async fn a_file_is_sent_when_it_is_whole_and_not_before() {
    let (_server, ann, bob) = ann_and_bob().await;
    let bytes = pdf(3_000);
    let cut = Cut::begin(&ann, &bytes, 3).await;
    assert_names(&ann.try_send_file(&bob, &cut.uuid).await, "file_uuid", "does_not_exist|conflict", "not whole");
    let thumbnail = ann.try_thumbnail(&cut.uuid, "a.png", "image/png", &super::photo()).await;
    assert_names(&thumbnail, "parentuuid", "does_not_exist|conflict", "not whole");
    assert_eq!(bob.inbox().await["count"], 0);
    cut.send(&ann, 1).await;
    cut.send(&ann, 2).await;
    cut.done(&ann).await;
    ann.send_file(&bob, &cut.uuid).await;
}

#[tokio::test]
async fn ten_mebibytes_arrive_as_the_official_uploader_sends_them() {
    let (_server, ann, bob) = ann_and_bob().await;
    let bytes = pdf((10 << 20) - 1);
    let started = Instant::now();
    let uuid = ann.upload_in_parts("film.pdf", PDF, &bytes).await;
    assert!(started.elapsed() < PATIENCE);
    let sent = ann.send_file(&bob, &uuid).await;
    assert_eq!(bob.download(url(&sent["file"], "url")).await.expect(200), bytes);
}
