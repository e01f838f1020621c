//! Links to files: who may open them, how, and until when.

use super::{PDF, ann_and_bob, newest_file, pdf, photo, url};
use parlour_testkit::{Download, Member, TestServer, both_databases};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A file with a thumbnail that Ann sent to Bob.
struct Sent {
    message: Value,
    bytes: Vec<u8>,
    /// Its links as Ann and as Bob see them.
    anns: [String; 2],
    bobs: [String; 2],
}

fn links(file: &Value) -> [String; 2] {
    [url(file, "url").to_owned(), url(file, "thumbnail").to_owned()]
}

impl Sent {
    async fn from(ann: &Member, bob: &Member) -> Self {
        let bytes = pdf(10_000);
        let uuid = ann.upload("plan.pdf", PDF, &bytes).await;
        let thumbnail = ann.upload_thumbnail(&uuid, "plan.jpeg", "image/jpeg", &photo()).await;
        let message = ann.send_file(bob, &thumbnail).await;
        let anns = links(&message["file"]);
        let bobs = links(&newest_file(bob, ann).await);
        Self { message, bytes, anns, bobs }
    }
}

async fn statuses(reader: &Member, links: &[String]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for link in links {
        statuses.push(reader.download(link).await.status.as_u16());
    }
    statuses
}

/// What a refused link says, as text.
#[track_caller]
fn refusal(download: &Download) -> Value {
    let body: Value = serde_json::from_slice(download.expect(404)).unwrap();
    assert_eq!(body["errors"][0]["code"], "not_found", "{body}");
    assert!(body["detail"].is_string());
    body
}

#[both_databases]
async fn a_link_answers_ranges_conditions_and_heads() {
    let (_server, ann, bob) = ann_and_bob().await;
    let sent = Sent::from(&ann, &bob).await;
    let link = &sent.bobs[0];
    let whole = bob.download(link).await;
    assert_eq!(whole.expect(200), sent.bytes);
    assert_eq!((whole.header("content-type"), whole.header("content-length")), (PDF, "10000"));
    assert_eq!(whole.header("accept-ranges"), "bytes");
    let head = bob.fetch(Method::HEAD, link, &[]).await;
    assert_eq!((head.expect(200), head.header("content-length")), (&b""[..], "10000"));

    for (range, expected) in [
        ("bytes=0-0", 0..1),
        ("bytes=0-99", 0..100),
        ("bytes=9999-", 9_999..10_000),
        ("bytes=9000-", 9_000..10_000),
        ("bytes=-1", 9_999..10_000),
        ("bytes=-99999", 0..10_000),
        ("bytes=5000-99999999", 5_000..10_000),
    ] {
        let part = bob.download_with(link, &[("range", range)]).await;
        assert_eq!(part.expect(206), &sent.bytes[expected.clone()], "{range}");
        let said = format!("bytes {}-{}/10000", expected.start, expected.end - 1);
        assert_eq!(part.header("content-range"), said, "{range}");
        assert_eq!(part.header("content-length"), expected.len().to_string(), "{range}");
    }
    for range in ["bytes=10000-", "bytes=10000-10001", "bytes=99999999999999999999-", "bytes=-0"] {
        let refused = bob.download_with(link, &[("range", range)]).await;
        assert_eq!(refused.status, 416, "{range}");
        assert_eq!(refused.header("content-range"), "bytes */10000", "{range}");
    }
    for ignored in ["bytes=5-3", "bytes=a-b", "lines=0-5", "bytes", "bytes=", "bytes=0-0,5-9"] {
        let status = bob.download_with(link, &[("range", ignored)]).await.status.as_u16();
        assert!([200, 206, 416].contains(&status), "{ignored}: {status}");
    }

    let etag = whole.header("etag").to_owned();
    assert!(etag.starts_with('"'), "{etag}");
    for known in [etag.clone(), format!("\"x\", {etag}"), format!("W/{etag}"), "*".to_owned()] {
        let unchanged = bob.download_with(link, &[("if-none-match", &known)]).await;
        assert_eq!(unchanged.expect(304), b"", "{known}");
    }
    assert_eq!(bob.download_with(link, &[("if-none-match", "\"other\"")]).await.status, 200);
    let resumed = [("range", "bytes=1-1"), ("if-range", &*etag)];
    assert_eq!(bob.download_with(link, &resumed).await.expect(206), &sent.bytes[1..2]);
    let changed = [("range", "bytes=1-1"), ("if-range", "\"other\"")];
    assert_eq!(bob.download_with(link, &changed).await.expect(200), sent.bytes);
    let thumbnail = bob.download(&sent.bobs[1]).await;
    assert_ne!(thumbnail.header("etag"), etag, "the file and its picture are told apart");
}

#[tokio::test]
async fn no_file_can_act_in_the_page_of_the_community() {
    let (_server, ann, bob) = ann_and_bob().await;
    let script = b"function x() { alert(1) }\n// <script>alert(1)</script>\n";
    for (name, bytes) in [("x.js", &script[..]), ("x.pdf", &pdf(100)), ("x.png", &photo())] {
        let uuid = ann.upload(name, "text/html", bytes).await;
        let file = ann.send_file(&bob, &uuid).await["file"].clone();
        let download = bob.download(url(&file, "url")).await;
        assert_eq!(download.header("x-content-type-options"), "nosniff", "{name}");
        let policy = download.header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{name}: {policy}");
        assert!(policy.contains("sandbox") || name == "x.pdf", "{name}: {policy}");
        let kind = download.header("content-type");
        assert!(!kind.contains("html") && !kind.contains("script") && !kind.contains("xml"), "{name}: {kind}");
        let disposition = download.header("content-disposition");
        assert!(disposition.starts_with("attachment") || name != "x.js", "{name}: {disposition}");
    }
}

#[both_databases]
async fn a_link_stops_at_once_when_its_message_is_deleted() {
    let (server, ann, bob) = ann_and_bob().await;
    let sent = Sent::from(&ann, &bob).await;
    for (reader, links) in [(&ann, &sent.anns), (&bob, &sent.bobs)] {
        assert_eq!(statuses(reader, links).await, [200, 200]);
    }
    server.advance(MINUTE - Duration::from_secs(1));
    ann.delete_message(&sent.message["id"]).await;
    for (reader, links) in [(&ann, &sent.anns), (&bob, &sent.bobs)] {
        assert_eq!(statuses(reader, links).await, [404, 404]);
    }
}

#[both_databases]
async fn a_link_stops_at_once_when_its_message_is_hidden() {
    let (server, ann, bob) = ann_and_bob().await;
    let sent = Sent::from(&ann, &bob).await;
    server.advance(MINUTE);
    ann.delete_message(&sent.message["id"]).await;
    let row = &bob.thread_with(&ann, "").await["results"][0];
    assert_eq!((&row["status"], &row["file"]), (&json!("hidden"), &Value::Null));
    for (reader, links) in [(&ann, &sent.anns), (&bob, &sent.bobs)] {
        assert_eq!(statuses(reader, links).await, [404, 404]);
    }
}

#[both_databases]
async fn a_link_stops_for_whoever_deletes_the_thread_and_for_nobody_else() {
    let (_server, ann, bob) = ann_and_bob().await;
    let sent = Sent::from(&ann, &bob).await;
    assert_ne!(sent.anns, sent.bobs, "each viewer has links of their own");
    bob.delete("/api/v2/pm/?user=1").await.expect(204);
    assert_eq!(statuses(&bob, &sent.bobs).await, [404, 404]);
    assert_eq!(statuses(&ann, &sent.anns).await, [200, 200]);
    // A later message brings the thread back, and not what was deleted of it.
    ann.send(&bob, "are you there?").await;
    assert_eq!(statuses(&bob, &sent.bobs).await, [404, 404]);
    ann.delete("/api/v2/pm/?user=2").await.expect(204);
    assert_eq!(statuses(&ann, &sent.anns).await, [404, 404]);
}

#[both_databases]
async fn a_link_stops_when_its_viewers_account_is_deleted() {
    let (server, ann, bob) = ann_and_bob().await;
    let sent = Sent::from(&ann, &bob).await;
    server.upsert(json!({ "id": 2, "status": "d" })).await;
    assert_eq!(statuses(&bob, &sent.bobs).await, [404, 404]);
    assert_eq!(statuses(&ann, &sent.anns).await, [200, 200]);
}

#[both_databases]
async fn a_link_is_the_same_within_its_window_and_ends_with_its_life() {
    let (server, ann, bob) = ann_and_bob().await;
    let sent = Sent::from(&ann, &bob).await;
    let again = links(&newest_file(&bob, &ann).await);
    assert_eq!(again, sent.bobs, "a browser finds what it has kept");
    // Windows are half as long as links live: whatever was made at any moment lives on for half a life, and never for more than a whole one.
    server.advance(DAY / 2 - Duration::from_secs(1));
    assert_eq!(statuses(&bob, &sent.bobs).await, [200, 200]);
    server.advance(DAY / 2 + Duration::from_secs(1));
    assert_eq!(statuses(&bob, &sent.bobs).await, [404, 404]);
    // A page has fresh ones; the token is of two hours.
    let (ann, bob) = (server.sign_in(1, "ann"), server.sign_in(2, "bob"));
    let fresh = links(&newest_file(&bob, &ann).await);
    assert_ne!(fresh, sent.bobs);
    assert_eq!(bob.download(&fresh[0]).await.expect(200), sent.bytes);
    assert_eq!(statuses(&bob, &fresh[1..]).await, [200]);
}

#[both_databases]
async fn links_begin_with_the_public_address_and_open_below_its_path() {
    let server = TestServer::with(|config| config.server.public_url = "https://example.org/chat".into()).await;
    let (ann, bob) = server.ann_and_bob().await;
    let sent = Sent::from(&ann, &bob).await;
    let whole = ann.try_upload("own.pdf", PDF, &sent.bytes).await.expect(200);
    let uuid = url(&whole, "file_uuid");
    let done = ann.try_done(uuid, "own.pdf", 1).await.expect(200);
    let picture = ann.try_thumbnail(uuid, "own.png", "image/png", &photo()).await.expect(200);
    let own = [&whole, &done, &picture].map(|answer| url(answer, "file_url").to_owned());
    let links = sent.anns.iter().chain(&sent.bobs).chain(&own);
    // Of each side the file and its picture, then those of the three answers.
    for (link, is_picture) in links.zip([false, true, false, true, false, false, true]) {
        let path = link.strip_prefix("https://example.org/chat").unwrap_or_else(|| panic!("{link}"));
        assert!(path.starts_with("/media/pm/"), "{link}");
        // A proxy may take the path off, or leave it.
        for path in [path.to_owned(), format!("/chat{path}")] {
            let opened = bob.download(&path).await;
            let kind = opened.header("content-type");
            if is_picture {
                assert!(!opened.expect(200).is_empty() && kind.starts_with("image/"), "{path}: {kind}");
            } else {
                assert_eq!((opened.expect(200), kind), (&*sent.bytes, PDF), "{path}");
            }
        }
    }
}

#[both_databases]
async fn a_link_with_any_character_changed_opens_nothing() {
    let (_server, ann, bob) = ann_and_bob().await;
    let sent = Sent::from(&ann, &bob).await;
    let upload = ann.try_upload("own.pdf", PDF, &pdf(100)).await.expect(200);
    let own = url(&upload, "file_url").to_owned();
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut random = fastrand::Rng::with_seed(2);
    let revoked = refusal(&bob.download(&format!("{}x", sent.bobs[0])).await);
    for link in [&sent.bobs[0], &sent.bobs[1], &own] {
        assert_eq!(bob.download(link).await.status, 200);
        let start = link.rfind('/').unwrap() + 1;
        for at in start..link.len() {
            let is_last = at + 1 == link.len();
            // Of the last character some bits stand for nothing.
            let tried: Vec<u8> =
                if is_last { alphabet.to_vec() } else { (0..3).map(|_| alphabet[random.usize(..64)]).collect() };
            for character in tried.into_iter().chain(*b"+.~") {
                let mut changed = link.clone().into_bytes();
                if changed[at] == character {
                    continue;
                }
                changed[at] = character;
                let changed = String::from_utf8(changed).unwrap();
                assert_eq!(refusal(&bob.download(&changed).await), revoked, "all refusals are alike: {changed}");
            }
        }
        for token in ["", "A", "%00", "..", "%2e%2e%2fparlour.db", "=", &"A".repeat(10_000)] {
            let status = bob.download(&format!("{}{token}", &link[..start])).await.status.as_u16();
            assert!([400, 404, 414, 431].contains(&status), "{}: {status}", token.len());
        }
        assert_eq!(refusal(&bob.download(&format!("{link}=")).await), revoked);
        assert_eq!(refusal(&bob.download(&link[..link.len() - 1]).await), revoked);
    }
}

#[both_databases]
async fn refused_links_do_not_tell_why() {
    let (server, ann, bob) = ann_and_bob().await;
    let (gone, expired) = (Sent::from(&ann, &bob).await, Sent::from(&ann, &bob).await);
    ann.delete_message(&gone.message["id"]).await;
    let nonsense = format!("{}x", expired.bobs[0]);
    let revoked = refusal(&bob.download(&gone.bobs[0]).await);
    assert_eq!(refusal(&bob.download(&nonsense).await), revoked);
    server.advance(2 * DAY);
    assert_eq!(refusal(&bob.download(&expired.bobs[0]).await), revoked);
}

#[both_databases]
async fn links_survive_a_restart_and_a_change_of_the_secret() {
    let (mut server, ann, bob) = ann_and_bob().await;
    let sent = Sent::from(&ann, &bob).await;
    let token = sent.bobs[0].rsplit('/').next().unwrap().to_owned();
    let open = async |server: &TestServer| server.visitor().download(&server.url(&format!("/media/pm/{token}"))).await;
    server.restart().await;
    assert_eq!(open(&server).await.expect(200), sent.bytes);
    let secret = |text: &str| parlour_server::config::Secret::new(text.into());
    server
        .restart_with(|config| {
            config.auth.jwt_previous_secrets = vec![secret(parlour_testkit::JWT_SECRET)];
            config.auth.jwt_secret = secret("another-secret-that-has-enough-bytes-in-it");
        })
        .await;
    assert_eq!(open(&server).await.expect(200), sent.bytes);
    server.restart_with(|config| config.auth.jwt_previous_secrets.clear()).await;
    assert_eq!(open(&server).await.status, 404);
}

#[tokio::test]
async fn only_get_and_head_are_for_links() {
    let (_server, ann, bob) = ann_and_bob().await;
    let sent = Sent::from(&ann, &bob).await;
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        assert_eq!(bob.fetch(method.clone(), &sent.bobs[0], &[]).await.status, 405, "{method}");
    }
    // Credentials, good or bad, make no difference.
    for credentials in ["Bearer nonsense", "Basic eDp5"] {
        assert_eq!(bob.download_with(&sent.bobs[0], &[("authorization", credentials)]).await.expect(200), sent.bytes);
    }
}
