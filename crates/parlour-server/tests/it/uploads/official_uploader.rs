//! The official uploader, byte for byte: its parts, their order, their headers (contract §2.8, "What the UI actually does"), and what its
//! clients did before 2023.

use super::{PDF, ann_and_bob, newest_file, pdf, photo, url};
use parlour_testkit::{Answer, Form, Member, PART_BYTES, TestServer, UPLOAD, both_databases};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Asserts an answer that the uploader can use, with exactly these fields.
#[track_caller]
fn usable(answer: &Answer, fields: &[&str]) -> Value {
    let body = answer.expect(200);
    assert!(answer.header("content-type").contains("json"), "{}", answer.header("content-type"));
    let found: BTreeSet<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(found, fields.iter().copied().collect(), "{body}");
    body
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// What the page does with a file that fits into one part, up to the message; answers the file's uuid and the message.
async fn attach(ann: &Member, bob: &Member, (filename, mimetype, bytes): (&str, &str, &[u8])) -> (String, Value) {
    let form = Form::new().file(filename, mimetype, bytes);
    let part = usable(&ann.post_form_in_range(form, 0, bytes.len(), bytes.len()).await, &["file_url", "file_uuid"]);
    let uuid = text(&part["file_uuid"]);

    // As often as one likes.
    for _ in 0..2 {
        let done = Form::new().field("uuid", &uuid).field("filename", filename).field("totalparts", 1);
        let done = usable(&ann.post_form("?done", done).await, &["file_url", "file_uuid"]);
        assert_eq!(done["file_uuid"], uuid);
    }

    let thumbnail = Form::new().file("undefined", "image/png", &photo()).field("parentuuid", &uuid);
    let fields = ["file_url", "file_uuid", "parent_file_uuid"];
    let thumbnail = usable(&ann.post_form("", thumbnail).await, &fields);
    assert_eq!(thumbnail["parent_file_uuid"], uuid);
    assert_ne!(thumbnail["file_uuid"], uuid);
    let preview = ann.download(url(&thumbnail, "file_url")).await;
    assert!(!preview.expect(200).is_empty() && preview.header("content-type").starts_with("image/"));

    let body = json!({ "recipients": [bob.id], "message": "", "file_uuid": thumbnail["file_uuid"] });
    let sent = ann.post("/api/v2/pm/", body).await.expect(201);
    assert_eq!(sent.as_array().unwrap().len(), 1);
    (uuid, sent[0].clone())
}

#[both_databases]
async fn b18_a_file_of_one_part_goes_all_the_way_to_the_message() {
    let (_server, ann, bob) = ann_and_bob().await;
    let bytes = pdf(13_721);
    let (uuid, sent) = attach(&ann, &bob, ("plan.pdf", PDF, &bytes)).await;
    let file = &sent["file"];
    let keys: BTreeSet<&str> = file.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["duration", "filename", "filesize", "mimetype", "thumbnail", "url", "uuid"];
    assert_eq!(keys, expected.into_iter().collect());
    assert_eq!((&file["uuid"], &file["filename"]), (&json!(uuid), &json!("plan.pdf")));
    assert_eq!((&file["filesize"], &file["mimetype"]), (&json!(13_721), &json!(PDF)));
    assert_eq!(file["duration"], Value::Null);
    assert_eq!(
        (&sent["message"], &sent["headline"], &sent["status"]),
        (&json!(""), &json!("plan.pdf"), &json!("created"))
    );

    let seen = newest_file(&bob, &ann).await;
    for (reader, file) in [(&ann, file), (&bob, &seen)] {
        assert_eq!(reader.download(url(file, "url")).await.expect(200), bytes);
        let thumbnail = reader.download(url(file, "thumbnail")).await;
        assert!(!thumbnail.expect(200).is_empty() && thumbnail.header("content-type").starts_with("image/"));
    }
    let single = bob.get(&format!("/api/v2/pm/{}/", sent["id"])).await.expect(200);
    assert_eq!(single["file"], seen, "a message shows the same links wherever one viewer meets it");
    let inbox = bob.inbox().await;
    assert_eq!((&inbox["results"][0]["headline"], &inbox["results"][0]["message"]), (&json!("plan.pdf"), &json!("")));
}

#[both_databases]
async fn b19_a_file_of_three_parts_has_one_uuid_from_its_first_byte_to_the_message() {
    let (_server, ann, bob) = ann_and_bob().await;
    let bytes = pdf(2 * PART_BYTES + 100_000);
    let mut uuid = None;
    for (index, part) in bytes.chunks(PART_BYTES).enumerate() {
        // In this order; the first has no uuid.
        let form = Form::new().field("partindex", index).field("totalparts", 3);
        let form = match &uuid {
            None => form,
            Some(uuid) => form.field("uuid", uuid),
        };
        let form = form.file("film.pdf", PDF, part);
        let answer = ann.post_form_in_range(form, index * PART_BYTES, part.len(), bytes.len()).await;
        let answer = usable(&answer, &["file_uuid"]);
        let found = text(&answer["file_uuid"]);
        assert_eq!(*uuid.get_or_insert_with(|| found.clone()), found);
    }
    let uuid = uuid.unwrap();
    for query in ["?done", "?done/", "?done=", "?done=1", "?x=1&done"] {
        let done = Form::new().field("uuid", &uuid).field("filename", "film.pdf").field("totalparts", 3);
        let done = usable(&ann.post_form(query, done).await, &["file_url", "file_uuid"]);
        assert_eq!(done["file_uuid"], uuid, "{query}");
        assert_eq!(ann.download(url(&done, "file_url")).await.expect(200), bytes, "{query}");
    }
    let thumbnail = ann.upload_thumbnail(&uuid, "film.pdf.jpeg", "image/jpeg", &photo()).await;
    assert_eq!(ann.send_file(&bob, &thumbnail).await["file"]["uuid"], uuid);
    assert_eq!(bob.download(url(&newest_file(&bob, &ann).await, "url")).await.expect(200), bytes);
}

#[both_databases]
async fn b20_the_older_names_of_the_fields_do_the_same() {
    let (_server, ann, bob) = ann_and_bob().await;
    // One part.
    let bytes = pdf(5_000);
    let form = Form::new().field("qqfilename", "old.pdf").field("qqtotalfilesize", 5_000);
    let form = form.field("qqfiletype", PDF).file_as("qqfile", "blob", PDF, &bytes);
    let whole = usable(&ann.post_form("", form).await, &["file_url", "file_uuid"]);
    let uuid = text(&whole["file_uuid"]);
    let done = Form::new().field("qquuid", &uuid).field("qqfilename", "old.pdf").field("qqtotalparts", 1);
    assert_eq!(usable(&ann.post_form("?done", done).await, &["file_url", "file_uuid"])["file_uuid"], uuid);
    let thumbnail = Form::new().field("qqparentuuid", &uuid).file_as("qqfile", "old.jpeg", "image/jpeg", &photo());
    let thumbnail = usable(&ann.post_form("", thumbnail).await, &["file_url", "file_uuid", "parent_file_uuid"]);
    let sent = ann.send_file(&bob, &text(&thumbnail["file_uuid"])).await;
    assert_eq!((&sent["file"]["uuid"], &sent["file"]["filename"]), (&json!(uuid), &json!("old.pdf")));

    // Three, as Fine Uploader sends them.
    let bytes = pdf(3_000);
    let mut uuid = None;
    for (index, part) in bytes.chunks(1_000).enumerate() {
        let mut form = Form::new().field("qqpartindex", index).field("qqtotalparts", 3);
        form =
            form.field("qqpartbyteoffset", index * 1_000).field("qqchunksize", 1_000).field("qqtotalfilesize", 3_000);
        if let Some(uuid) = &uuid {
            form = form.field("qquuid", uuid);
        }
        let answer = ann.post_form("", form.file_as("qqfile", "blob", PDF, part)).await.expect(200);
        uuid = Some(text(&answer["file_uuid"]));
    }
    let uuid = uuid.unwrap();
    let done = Form::new().field("qquuid", &uuid).field("qqfilename", "three.pdf").field("qqtotalparts", 3);
    ann.post_form("?done/", done.field("qqduration", 7)).await.expect(200);
    let file = ann.send_file(&bob, &uuid).await["file"].clone();
    assert_eq!(
        (&file["filename"], &file["filesize"], &file["duration"]),
        (&json!("three.pdf"), &json!(3_000), &json!(7))
    );
    assert_eq!(bob.download(url(&newest_file(&bob, &ann).await, "url")).await.expect(200), bytes);
}

#[tokio::test]
async fn todays_names_win_over_the_older_ones() {
    let (_server, ann, bob) = ann_and_bob().await;
    let form = Form::new().field("qqfilename", "older.pdf").field("filename", "today.pdf");
    let answer = ann.post_form("", form.file("part.pdf", PDF, &pdf(100))).await.expect(200);
    assert_eq!(ann.send_file(&bob, url(&answer, "file_uuid")).await["file"]["filename"], "today.pdf");
}

#[tokio::test]
async fn b21_a_link_is_read_by_a_page_of_another_origin_without_a_token() {
    let (_server, ann, bob) = ann_and_bob().await;
    let bytes = pdf(10_000);
    let (_, sent) = attach(&ann, &bob, ("plan.pdf", PDF, &bytes)).await;
    let own = ann.upload("again.pdf", PDF, &bytes).await;
    let done = ann.try_done(&own, "again.pdf", 1).await.expect(200);
    let picture = url(&sent["file"], "thumbnail");
    let shown = bob.download(picture).await.expect(200).to_vec();
    for (link, bytes) in [(url(&sent["file"], "url"), &bytes), (url(&done, "file_url"), &bytes), (picture, &shown)] {
        let whole = bob.download_with(link, &[("origin", "https://app.example")]).await;
        assert_eq!(whole.expect(200), bytes);
        assert_eq!(whole.header("access-control-allow-origin"), "*");
        let range = [("origin", "https://app.example"), ("range", "bytes=100-199")];
        let part = bob.download_with(link, &range).await;
        assert_eq!(part.expect(206), &bytes[100..200]);
        assert_eq!(part.header("content-range"), format!("bytes 100-199/{}", bytes.len()));
        assert_eq!(part.header("access-control-allow-origin"), "*");
        // What pdf.js reads of an answer across origins.
        let exposed = part.header("access-control-expose-headers").to_ascii_lowercase();
        for header in ["accept-ranges", "content-range"] {
            assert!(exposed == "*" || exposed.contains(header), "{header} is hidden from pages: {exposed}");
        }
        let asks = [
            ("origin", "https://app.example"),
            ("access-control-request-method", "GET"),
            ("access-control-request-headers", "range"),
        ];
        let preflight = bob.fetch(Method::OPTIONS, link, &asks).await;
        assert!(preflight.status.is_success(), "{}", preflight.status);
        assert!(preflight.header("access-control-allow-headers").to_ascii_lowercase().contains("range"));
    }
}

#[tokio::test]
async fn b22_the_preflight_of_an_upload_allows_what_the_uploader_sends() {
    let server = TestServer::start().await;
    for path in [UPLOAD, "/api/v2/pm/upload/?done", "//api/v2/pm/upload/", "/api/v2/pm/upload"] {
        let request = server.visitor().request(Method::OPTIONS, path);
        let request = request.header("origin", "https://app.example").header("access-control-request-method", "POST");
        let request = request.header("access-control-request-headers", "authorization,content-range");
        let answer = server.visitor().send_request(request).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.status);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        let allowed = answer.header("access-control-allow-headers").to_ascii_lowercase();
        assert!(allowed.contains("authorization") && allowed.contains("content-range"), "{path}: {allowed}");
        assert!(answer.header("access-control-allow-methods").contains("POST"), "{path}");
    }
}

/// The page makes a JPEG of every image and keeps the name, and its pictures of other files are named as JavaScript has it.
#[both_databases]
async fn a_file_is_what_its_bytes_are_whatever_its_name_and_header_say() {
    let (_server, ann, bob) = ann_and_bob().await;
    let jpeg = parlour_media::samples::jpeg(1).unwrap();
    let text = "Zwei Zeilen,\nschön 🙂\n".as_bytes();
    for (filename, claimed, bytes, mimetype) in [
        ("photo.png", "image/jpeg", &jpeg[..], "image/jpeg"),
        ("photo.png", "image/png", &jpeg, "image/jpeg"),
        ("photo.exe", "application/octet-stream", &jpeg, "image/jpeg"),
        ("notes.pdf", PDF, text, "text/plain"),
        ("undefined", "", text, "text/plain"),
    ] {
        let (_, sent) = attach(&ann, &bob, (filename, claimed, bytes)).await;
        assert_eq!((&sent["file"]["filename"], &sent["file"]["mimetype"]), (&json!(filename), &json!(mimetype)));
        let download = bob.download(url(&newest_file(&bob, &ann).await, "url")).await;
        assert!(!download.expect(200).is_empty() && download.header("content-type").starts_with(mimetype));
    }
}

#[both_databases]
async fn an_image_without_a_thumbnail_of_its_senders_gets_one() {
    let (_server, ann, bob) = ann_and_bob().await;
    use parlour_media::samples::{gif, jpeg, png, webp};
    for (filename, mimetype, bytes) in [
        ("a.jpg", "image/jpeg", jpeg(6).unwrap()),
        ("a.png", "image/png", png(1, true).unwrap()),
        ("a.gif", "image/gif", gif(3).unwrap()),
        ("a.webp", "image/webp", webp().unwrap()),
    ] {
        let uuid = ann.upload(filename, mimetype, &bytes).await;
        let file = ann.send_file(&bob, &uuid).await["file"].clone();
        assert_eq!((&file["uuid"], &file["mimetype"]), (&json!(uuid), &json!(mimetype)));
        let thumbnail = bob.download(url(&newest_file(&bob, &ann).await, "thumbnail")).await;
        assert!(!thumbnail.expect(200).is_empty(), "{filename}");
        assert!(thumbnail.header("content-type").starts_with("image/"), "{filename}");
    }
    // Whoever is no image has none, until its sender sends one.
    let uuid = ann.upload("a.pdf", PDF, &pdf(100)).await;
    assert_eq!(ann.send_file(&bob, &uuid).await["file"]["thumbnail"], Value::Null);
    ann.upload_thumbnail(&uuid, "a.jpeg", "image/jpeg", &photo()).await;
    assert!(newest_file(&bob, &ann).await["thumbnail"].is_string(), "also of a file that was sent before");
}

#[both_databases]
async fn a_picture_of_the_senders_is_made_small_and_says_nothing_of_the_camera() {
    use parlour_media::samples::{CANARY, jpeg};
    let (_server, ann, bob) = ann_and_bob().await;
    let (small, large) = (jpeg(6).unwrap(), crate::doctor::files::picture());
    let tells = |bytes: &[u8]| bytes.windows(CANARY.len()).any(|window| window == CANARY);
    assert!(tells(&small), "the sample has a camera's data");
    for (filename, mimetype, bytes, picture, size) in [
        ("plan.pdf", PDF, &pdf(100), &small, (32, 48)),
        // Of an image, the page sends the image itself once more.
        ("small.jpg", "image/jpeg", &small, &small, (32, 48)),
        ("large.jpg", "image/jpeg", &large, &large, (640, 213)),
    ] {
        let uuid = ann.upload(filename, mimetype, bytes).await;
        let thumbnail = ann.try_thumbnail(&uuid, filename, "image/jpeg", picture).await.expect(200);
        let preview = ann.download(url(&thumbnail, "file_url")).await;
        ann.send_file(&bob, url(&thumbnail, "file_uuid")).await;
        let file = newest_file(&bob, &ann).await;
        assert_eq!(file["uuid"], uuid);
        let received = bob.download(url(&file, "thumbnail")).await;
        for shown in [&preview, &received] {
            assert!(!tells(shown.expect(200)), "{filename}");
            let shown = image::load_from_memory(&shown.bytes).unwrap();
            assert_eq!((shown.width(), shown.height()), size, "{filename}, the way the camera was held");
        }
    }
}

#[both_databases]
async fn what_a_camera_writes_into_a_photo_is_not_passed_on() {
    let (_server, ann, bob) = ann_and_bob().await;
    let bytes = parlour_media::samples::jpeg(6).unwrap();
    let camera = parlour_media::samples::exif(6);
    let holds = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
    assert!(holds(&bytes, &camera), "the sample has a camera's data");
    let uuid = ann.upload("a.jpg", "image/jpeg", &bytes).await;
    ann.send_file(&bob, &uuid).await;
    let file = newest_file(&bob, &ann).await;
    let stored = bob.download(url(&file, "url")).await;
    assert!(!holds(stored.expect(200), &camera[16..]));
    assert_eq!(file["filesize"], stored.bytes.len(), "the size is that of what is stored");
    assert!(!holds(bob.download(url(&file, "thumbnail")).await.expect(200), &camera[16..]));
}

#[both_databases]
async fn one_file_goes_to_several_and_again_and_with_a_text() {
    let (server, ann, bob) = ann_and_bob().await;
    let cid = server.member(3, "cid").await;
    server.befriend(&[&ann, &cid]).await;
    let bytes = pdf(2_000);
    let uuid = ann.upload("a.pdf", PDF, &bytes).await;
    let both = json!({ "recipients": [3, 2], "message": "see <b>this</b>", "file_uuid": uuid });
    let request = ann.request(Method::POST, "/api/v2/pm/").header("idempotency-key", "once").json(&both);
    let sent = ann.send_request(request.try_clone().unwrap()).await.expect(201);
    assert_eq!(ann.send_request(request).await.expect(201), sent, "a repeat is the same message");
    ann.send_file(&bob, &uuid).await;
    for (reader, count) in [(&bob, 2), (&cid, 1)] {
        let page = reader.thread_with(&ann, "").await;
        let rows = page["results"].as_array().unwrap();
        assert_eq!(rows.len(), count);
        assert_eq!(rows[0]["message"], "see &lt;b&gt;this&lt;/b&gt;");
        for row in rows {
            assert_eq!(row["file"]["uuid"], uuid);
            assert_eq!(reader.download(url(&row["file"], "url")).await.expect(200), bytes);
        }
    }
    let conversation = &cid.inbox().await["results"][0];
    assert_eq!(conversation["headline"], "see &lt;b&gt;this&lt;/b&gt;", "a text goes before a name");
}
