//! Bad uploads: each is a 4xx in the error shape that names the field, in time, and leaves nothing behind.

use super::{PDF, ann_and_bob, assert_names, assert_nothing_is_stored, pdf, photo, stored, url};
use crate::bad_input::assert_error_shape;
use parlour_testkit::{Answer, Form, Member, UPLOAD, both_databases};
use serde_json::json;
use std::time::{Duration, Instant};

/// How long a refusal may take.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Posts a form and asserts that the answer comes at once.
pub(super) async fn post(member: &Member, query: &str, form: Form) -> Answer {
    let started = Instant::now();
    let answer = member.post_form(query, form).await;
    // A debug build on a busy machine is ten times slower than what members meet.
    assert!(started.elapsed() < 10 * AT_ONCE, "{} took {:?}", answer.asked, started.elapsed());
    answer
}

fn file(form: Form) -> Form {
    form.file("a.pdf", PDF, &pdf(1_000))
}

#[both_databases]
async fn what_is_said_of_a_whole_file_must_be_true() {
    let (server, ann, _) = ann_and_bob().await;
    let form = |name: &str, value: &str| file(Form::new().field(name, value));
    for (name, value, codes) in [
        ("md5", "d41d8cd98f00b204e9800998ecf8427e", "md5_mismatch"),
        ("qqmd5", "d41d8cd98f00b204e9800998ecf8427e", "md5_mismatch"),
        ("md5", "d41d8cd9", "invalid"),
        ("md5", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "invalid"),
        ("md5", "d41d8cd98f00b204e9800998ecf8427e0", "invalid"),
        ("md5", "ëëëëëëëëëëëëëëëë", "invalid"),
        ("totalfilesize", "999", "invalid"),
        ("totalfilesize", "1001", "invalid|file_too_large"),
        ("totalfilesize", "0", "invalid"),
        ("totalfilesize", "-1", "out_of_range|invalid"),
        ("totalfilesize", "x", "invalid"),
        ("totalfilesize", "9223372036854775808", "out_of_range|invalid"),
        ("chunksize", "999", "invalid"),
        ("partbyteoffset", "-1", "out_of_range|invalid"),
        ("duration", "-1", "out_of_range|invalid"),
        ("duration", "long", "invalid"),
        ("parentuuid", "x", "does_not_exist|invalid"),
        ("parentuuid", "00000000-0000-4000-8000-000000000000", "does_not_exist"),
    ] {
        let field = name.trim_start_matches("qq");
        assert_names(&post(&ann, "", form(name, value)).await, field, codes, &format!("{name}={value}"));
    }
    for range in ["bytes 0-999/2000", "bytes 0-1/1000", "bytes 500-1499/1500"] {
        let request = ann.request(reqwest::Method::POST, UPLOAD).header("content-type", Form::content_type());
        let request = request.header("content-range", range).body(file(Form::new()).finish());
        let answer = ann.send_request(request).await;
        assert_eq!(answer.status, 400, "{range}: {}", answer.text);
        assert_error_shape(&answer);
    }
    assert_nothing_is_stored(&server, "refused uploads");
}

#[both_databases]
async fn what_is_said_of_a_part_must_be_possible() {
    let (server, ann, _) = ann_and_bob().await;
    let part =
        |fields: &[(&str, &str)]| file(fields.iter().fold(Form::new(), |form, (name, value)| form.field(name, value)));
    let nobody = "00000000-0000-4000-8000-000000000000";
    for (fields, field) in [
        (&[("partindex", "0")][..], "totalparts"),
        (&[("totalparts", "2")], "partindex"),
        (&[("partindex", "2"), ("totalparts", "2"), ("uuid", nobody)], "partindex"),
        (&[("partindex", "-1"), ("totalparts", "2"), ("uuid", nobody)], "partindex"),
        (&[("partindex", "9007199254740992"), ("totalparts", "2"), ("uuid", nobody)], "partindex"),
        (&[("partindex", "x"), ("totalparts", "2")], "partindex"),
        (&[("partindex", "0"), ("totalparts", "0")], "totalparts"),
        (&[("partindex", "0"), ("totalparts", "-5")], "totalparts"),
        (&[("partindex", "0"), ("totalparts", "1000000000")], "totalparts"),
        (&[("partindex", "0"), ("totalparts", "two")], "totalparts"),
        (&[("partindex", "1"), ("totalparts", "2")], "uuid"),
        (&[("partindex", "1"), ("totalparts", "2"), ("uuid", "")], "uuid"),
        (&[("partindex", "1"), ("totalparts", "2"), ("uuid", nobody)], "uuid"),
        (&[("partindex", "1"), ("totalparts", "2"), ("uuid", "../../etc/passwd")], "uuid"),
        (&[("partindex", "0"), ("totalparts", "2"), ("chunksize", "1001")], "chunksize"),
        (&[("partindex", "0"), ("totalparts", "2"), ("chunksize", "0")], "chunksize"),
        (&[("partindex", "0"), ("totalparts", "2"), ("totalfilesize", "999")], "totalfilesize"),
        (&[("partindex", "0"), ("totalparts", "2"), ("partbyteoffset", "-1")], "partbyteoffset"),
        (&[("partindex", "0"), ("totalparts", "2"), ("totalfilesize", "99999999999")], "file|totalfilesize"),
        (&[("partindex", "0"), ("totalparts", "2"), ("partbyteoffset", "9007199254740991")], "file|partbyteoffset"),
    ] {
        let answer = post(&ann, "", part(fields)).await;
        assert_eq!(answer.status, 400, "{fields:?}: {}", answer.text);
        assert_error_shape(&answer);
        let body = answer.json();
        let named = body["errors"][0]["field"].as_str().unwrap_or_default();
        assert!(field.split('|').any(|field| field == named), "{fields:?}: {body}");
    }
    assert_nothing_is_stored(&server, "refused parts");
}

/// A part that says otherwise than those before it, or covers what another covers.
#[both_databases]
async fn parts_that_contradict_each_other_make_no_file() {
    let (server, ann, bob) = ann_and_bob().await;
    let bytes = pdf(3_000);
    let begin = async |fields: &[(&str, &str)]| {
        let form = Form::new().field("partindex", 0).field("totalparts", 3);
        let form = fields.iter().fold(form, |form, (name, value)| form.field(name, value));
        let answer = ann.post_form("", form.file("a.pdf", PDF, &bytes[..1_000])).await.expect(200);
        url(&answer, "file_uuid").to_owned()
    };
    let next = |uuid: &str, index: usize, total: usize, fields: &[(&str, &str)]| {
        let form = Form::new().field("partindex", index).field("totalparts", total).field("uuid", uuid);
        let form = fields.iter().fold(form, |form, (name, value)| form.field(name, value));
        form.file("a.pdf", PDF, &bytes[1_000 * index..1_000 * (index + 1)])
    };
    // Another number of parts, another size.
    let uuid = begin(&[("totalfilesize", "3000")]).await;
    assert_names(&post(&ann, "", next(&uuid, 1, 2, &[])).await, "totalparts", "conflict|invalid", "another number");
    let other_size = next(&uuid, 1, 3, &[("totalfilesize", "4000")]);
    assert_names(&post(&ann, "", other_size).await, "totalfilesize", "conflict|invalid", "another size");
    assert_eq!(stored(&server).len(), 1, "nothing came to the first part");

    // Overlapping, with a hole, beyond the end: whether the part or the end is refused.
    for (about, one, two) in [
        ("overlapping", "500", "2000"),
        ("all at the start", "0", "0"),
        ("a hole", "1000", "2500"),
        ("the wrong way round", "2000", "1000"),
        ("far behind", "1000", "5000000"),
    ] {
        let uuid = begin(&[("partbyteoffset", "0")]).await;
        let first = post(&ann, "", next(&uuid, 1, 3, &[("partbyteoffset", one)])).await;
        let second = post(&ann, "", next(&uuid, 2, 3, &[("partbyteoffset", two)])).await;
        if first.status == 200 && second.status == 200 {
            let done = ann.try_done(&uuid, "a.pdf", 3).await;
            assert_names(&done, "partbyteoffset", "invalid|conflict", about);
        } else {
            for refused in [first, second].iter().filter(|answer| answer.status != 200) {
                assert_names(refused, "partbyteoffset", "invalid|conflict", about);
            }
        }
        assert_names(&ann.try_send_file(&bob, &uuid).await, "file_uuid", "does_not_exist|conflict", about);
    }
    // A size that the parts together do not have.
    let uuid = begin(&[("totalfilesize", "3001")]).await;
    for index in 1..3 {
        post(&ann, "", next(&uuid, index, 3, &[])).await.expect(200);
    }
    assert_names(&ann.try_done(&uuid, "a.pdf", 3).await, "totalfilesize", "invalid|conflict", "a byte is missing");
    assert_eq!(bob.inbox().await["count"], 0);
    server.advance(Duration::from_secs(25 * 3600));
    super::wait_for_stored(&server, 0, "parts of files that never were").await;
}

#[both_databases]
async fn nobody_gets_at_the_files_of_others() {
    let (server, ann, bob) = ann_and_bob().await;
    let whole = ann.upload("a.pdf", PDF, &pdf(1_000)).await;
    let begun = ann.try_chunk(None, (0, 2), ("b.pdf", PDF, &pdf(1_000))).await.expect(200);
    let begun = url(&begun, "file_uuid").to_owned();
    let thumbnail = ann.upload_thumbnail(&whole, "a.png", "image/png", &photo()).await;
    let before = stored(&server);
    for uuid in [&whole, &begun, &thumbnail] {
        let part = bob.try_chunk(Some(uuid), (1, 2), ("b.pdf", PDF, b"bob's")).await;
        assert_names(&part, "uuid", "does_not_exist", "a part");
        assert_names(&bob.try_done(uuid, "b.pdf", 2).await, "uuid", "does_not_exist", "done");
        let picture = bob.try_thumbnail(uuid, "b.png", "image/png", &photo()).await;
        assert_names(&picture, "parentuuid", "does_not_exist", "a picture");
        assert_names(&bob.try_send_file(&ann, uuid).await, "file_uuid", "does_not_exist", "a message");
    }
    // Nor does a file that one was sent become one's own.
    ann.send_file(&bob, &thumbnail).await;
    assert_names(&bob.try_send_file(&ann, &whole).await, "file_uuid", "does_not_exist", "passed on");
    assert_eq!(stored(&server), before);
    let answer = server.visitor().try_upload("a.pdf", PDF, &pdf(10)).await;
    answer.refused(401, "not_authenticated");
    server.upsert(json!({ "id": 1, "status": "b" })).await;
    ann.try_upload("a.pdf", PDF, &pdf(10)).await.refused(403, "permission_denied");
    ann.try_chunk(Some(&begun), (1, 2), ("b.pdf", PDF, b"end")).await.refused(403, "permission_denied");
    assert_eq!(stored(&server), before);
}

#[both_databases]
async fn no_uuid_is_a_path() {
    let (server, ann, bob) = ann_and_bob().await;
    let uuid = ann.upload("a.pdf", PDF, &pdf(1_000)).await;
    let before = stored(&server);
    let none = uuid.replace('-', "");
    for wrong in [
        "null",
        "undefined",
        "..",
        "../../../etc/passwd",
        "..\\..\\x",
        "/etc/passwd",
        "%2e%2e%2f",
        "0",
        "-1",
        "1 or 1=1",
        "' or ''='",
        "x",
        "00000000-0000-0000-0000-00000000000",
        "00000000-0000-0000-0000-0000000000000",
        "zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz",
        "{00000000-0000-4000-8000-000000000000}",
        "urn:uuid:00000000-0000-4000-8000-000000000000",
        &none,
        &format!("{uuid}\n"),
        &format!(" {uuid}"),
        &format!("{uuid}/../x"),
        &"a".repeat(5_000),
        "ä",
        "🙂",
    ] {
        let about = &wrong.chars().take(60).collect::<String>();
        let done = Form::new().field("uuid", wrong).field("filename", "a.pdf").field("totalparts", 1);
        assert_names(&post(&ann, "?done", done).await, "uuid", "does_not_exist|required|invalid", about);
        let part = Form::new().field("partindex", 1).field("totalparts", 2).field("uuid", wrong);
        assert_names(&post(&ann, "", file(part)).await, "uuid", "does_not_exist|required|invalid", about);
        if !["null", "undefined"].contains(&wrong) {
            let picture = Form::new().file("a.png", "image/png", &photo()).field("parentuuid", wrong);
            assert_names(&post(&ann, "", picture).await, "parentuuid", "does_not_exist|invalid", about);
        }
        let sent = ann.try_send_file(&bob, wrong).await;
        assert_eq!(sent.status, 400, "{about}: {}", sent.text);
        assert_error_shape(&sent);
    }
    assert_eq!(stored(&server), before);
    assert_eq!(bob.inbox().await["count"], 0);
    // In upper case it is the same.
    assert_eq!(ann.send_file(&bob, &uuid.to_uppercase()).await["file"]["uuid"], uuid);
}

/// The page posts an empty file like any other, and then `done` for a uuid that it never got.
#[both_databases]
async fn an_empty_file_is_none() {
    let (server, ann, _) = ann_and_bob().await;
    let codes = "required|blank|invalid|broken_file";
    assert_names(&post(&ann, "", Form::new().file("a.pdf", PDF, b"")).await, "file", codes, "whole");
    let part = Form::new().field("partindex", 0).field("totalparts", 1).file("a.pdf", PDF, b"");
    assert_names(&post(&ann, "", part).await, "file", codes, "a part");
    let done = Form::new().field("uuid", "null").field("filename", "a.pdf").field("totalparts", 1);
    assert_names(&post(&ann, "?done", done).await, "uuid", "required|does_not_exist|invalid", "done");
    assert_names(&post(&ann, "?done", Form::new()).await, "uuid", "required", "done without anything");
    assert_names(&post(&ann, "", Form::new()).await, "file", "required", "a form without anything");
    assert_names(&post(&ann, "", Form::new().field("file", "")).await, "file", codes, "a file of no name and no bytes");
    let uuid = ann.upload("a.pdf", PDF, &pdf(100)).await;
    let picture = Form::new().file("a.png", "image/png", b"").field("parentuuid", &uuid);
    assert_names(&post(&ann, "", picture).await, "file", codes, "a picture");
    assert_eq!(stored(&server).len(), 1);
}

/// What careless clients send: the SDK in node makes JSON of a form.
#[both_databases]
async fn a_body_of_another_kind_carries_no_file() {
    let (server, ann, _) = ann_and_bob().await;
    for body in [
        json!({ "file": {} }),
        json!({ "file": {}, "partindex": 0, "totalparts": 3 }),
        json!({}),
        json!({ "file": "text" }),
    ] {
        assert_names(&ann.post(UPLOAD, body.clone()).await, "file", "required|invalid", &body.to_string());
    }
    let picture = json!({ "file": {}, "parentuuid": "00000000-0000-4000-8000-000000000000" });
    let answer = ann.post(UPLOAD, picture).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    let form = ann.post_raw(UPLOAD, "application/x-www-form-urlencoded", "file=abc").await;
    assert_names(&form, "file", "required|invalid", "urlencoded");
    for (content_type, body, status) in [
        ("text/plain", &b"abc"[..], 415),
        ("application/octet-stream", b"abc", 415),
        ("image/png", b"abc", 415),
        ("application/json", b"{", 400),
        ("application/json", b"[]", 400),
        ("multipart/form-data", b"abc", 400),
        ("multipart/form-data; boundary=x", b"abc", 400),
        ("multipart/form-data; boundary=x", b"--x\r\n", 400),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\r\n%PDF-1.7",
            400,
        ),
        ("multipart/mixed; boundary=x", b"--x--\r\n", 415),
    ] {
        let answer = ann.post_raw(UPLOAD, content_type, body).await;
        assert_eq!(answer.status, status, "{content_type}: {}", answer.text);
        assert_error_shape(&answer);
    }
    for method in [reqwest::Method::GET, reqwest::Method::PUT, reqwest::Method::DELETE, reqwest::Method::PATCH] {
        let answer = ann.send_request(ann.request(method.clone(), UPLOAD)).await;
        assert_eq!(answer.status, 405, "{method}: {}", answer.text);
    }
    assert_nothing_is_stored(&server, "bodies without a file");
}

#[both_databases]
async fn a_form_is_refused_when_it_says_a_thing_twice_or_too_much() {
    let (server, ann, _) = ann_and_bob().await;
    let twice = Form::new().file("a.pdf", PDF, &pdf(10)).file("b.pdf", PDF, &pdf(10));
    assert_names(&post(&ann, "", twice).await, "file", "repeated", "two files");
    let both = Form::new().file("a.pdf", PDF, &pdf(10)).file_as("qqfile", "b.pdf", PDF, &pdf(10));
    assert_names(&post(&ann, "", both).await, "file", "repeated", "two files under both names");
    let index = Form::new().field("partindex", 0).field("partindex", 1).field("totalparts", 2);
    assert_names(&post(&ann, "", file(index)).await, "partindex", "repeated", "two indexes");
    let long = file(Form::new().field("filename", "x".repeat(100_000)));
    let answer = post(&ann, "", long).await;
    assert!([400, 413].contains(&answer.status.as_u16()), "{}", answer.text);
    let many = file((0..2_000).fold(Form::new(), |form, number| form.field(&format!("x{number}"), "y")));
    let answer = post(&ann, "", many).await;
    assert!([400, 413].contains(&answer.status.as_u16()), "{}", answer.text);
    assert_nothing_is_stored(&server, "forms that say too much");
}
