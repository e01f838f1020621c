//! The same for files: their names, their bytes, the links to them.

use super::{CANARIES, PM, Said, Visitor, assert_free_of};
use parlour_testkit::{Form, UPLOAD};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Stands in the names of files. In upper case, as nothing but names is.
pub(super) const NAME: &str = "CANARYINNAME";
/// Stands in files.
pub(super) const CONTENT: &str = "CANARYINFILE";
/// Stands in the names and the bytes of files that are refused.
pub(super) const REFUSED: &str = "CANARYINREFUSEDFILE";

async fn post(visitor: &Visitor, query: &str, form: Form) -> Said {
    visitor.ask(Method::POST, &format!("{UPLOAD}{query}"), &Form::content_type(), form.finish()).await
}

fn file(form: Form) -> Form {
    form.file(&format!("{NAME}.txt"), "text/plain", CONTENT.as_bytes())
}

/// The path of an address, and what of it lets its holder in.
fn path_and_token(address: &Value) -> (String, String) {
    let address = address.as_str().expect("an address");
    let at = address.find("/media/").expect("a link to a file");
    let token = address.rsplit('/').next().expect("a token").to_owned();
    (address[at..].to_owned(), token)
}

/// Uploads, sends, opens and deletes a file, and asserts that Cid is told nothing. Answers all tokens of links.
pub(super) async fn only_the_two_see_their_files(ann: &Visitor, bob: &Visitor, cid: &Visitor) -> Vec<String> {
    let whole = post(ann, "", file(Form::new())).await;
    let uuid = whole.body["file_uuid"].as_str().expect("a uuid").to_owned();
    let done = Form::new().field("uuid", &uuid).field("filename", format!("{NAME}.txt")).field("totalparts", 1);
    assert_eq!(post(ann, "?done", done).await.status, StatusCode::OK);
    let part = post(ann, "", file(Form::new().field("partindex", 0).field("totalparts", 2))).await;
    assert_eq!(part.status, StatusCode::OK, "{}", part.whole);
    let sent = ann.post(PM, json!({ "recipients": [2], "message": "", "file_uuid": uuid })).await;
    assert_eq!(sent.status, StatusCode::CREATED, "{}", sent.whole);
    let seen = bob.get(&format!("{PM}?user=1&limit=1")).await;
    assert!(seen.whole.contains(NAME));
    let links = [&whole.body["file_url"], &sent.body[0]["file"]["url"], &seen.body["results"][0]["file"]["url"]];
    let links = links.map(path_and_token);
    for (path, _) in &links {
        assert!(bob.get(path).await.whole.contains(CONTENT));
        let tampered = format!("{path}A");
        for method in [Method::GET, Method::HEAD, Method::POST] {
            let said = bob.ask(method, &tampered, "text/plain", "").await;
            assert!(said.status.is_client_error());
            let tokens: Vec<&str> = links.iter().map(|(_, token)| token.as_str()).collect();
            assert_free_of(&said.whole, &[&tokens[..], &[NAME, CONTENT]].concat(), "a refused link");
        }
    }
    let message = &sent.body[0]["id"];
    for said in [
        cid.get(PM).await,
        cid.get(&format!("{PM}?user=1")).await,
        cid.get(&format!("{PM}{message}/")).await,
        cid.post(PM, json!({ "recipients": [1], "message": "", "file_uuid": uuid })).await,
        post(cid, "?done", Form::new().field("uuid", &uuid).field("filename", "x")).await,
        post(cid, "", Form::new().file("x.png", "image/png", b"x").field("parentuuid", &uuid)).await,
    ] {
        assert_free_of(&said.whole, &[NAME, CONTENT, &uuid], "an answer to Cid");
    }
    assert_eq!(ann.delete(&format!("{PM}{message}/")).await.status, StatusCode::NO_CONTENT);
    for (path, _) in &links[1..] {
        let said = bob.get(path).await;
        assert_eq!(said.status, StatusCode::NOT_FOUND);
        assert_free_of(&said.whole, &[NAME, CONTENT], "a link whose message is deleted");
    }
    links.into_iter().map(|(_, token)| token).collect()
}

/// Uploads that are refused, each with the canary in its name and its bytes.
pub(super) async fn refused_uploads_say_nothing(ann: &Visitor) {
    let named = |form: Form, bytes: &[u8]| form.file(&format!("{REFUSED}.svg"), "image/svg+xml", bytes);
    let svg = format!("<svg>{REFUSED}</svg>").into_bytes();
    let broken = [&b"\x89PNG\r\n\x1a\n"[..], REFUSED.as_bytes()].concat();
    let text = REFUSED.as_bytes();
    let nobody = "00000000-0000-4000-8000-000000000000";
    for (query, form) in [
        ("", named(Form::new(), &svg)),
        ("", named(Form::new(), &broken)),
        ("", named(Form::new(), b"")),
        ("", named(Form::new().field("md5", "0".repeat(32)), text)),
        ("", named(Form::new().field("md5", REFUSED), text)),
        ("", named(Form::new().field("uuid", REFUSED), text)),
        ("", named(Form::new().field("totalparts", REFUSED), text)),
        ("", named(Form::new().field("partindex", 1).field("totalparts", 2).field("uuid", nobody), text)),
        ("", named(Form::new().field("parentuuid", nobody), text)),
        ("", named(named(Form::new(), text), text)),
        ("?done", Form::new().field("uuid", nobody).field("filename", REFUSED)),
        ("?done", Form::new().field("uuid", REFUSED).field("filename", REFUSED)),
    ] {
        let said = post(ann, query, form).await;
        assert!(said.status.is_client_error(), "{}", said.whole);
        assert_free_of(&said.whole, &[REFUSED], "a refused upload");
        assert_free_of(&said.whole, &CANARIES, "a refused upload");
    }
    let half = named(Form::new(), text).finish();
    let said = ann.ask(Method::POST, UPLOAD, &Form::content_type(), half[..half.len() - 20].to_vec()).await;
    assert!(said.status.is_client_error(), "{}", said.whole);
    assert_free_of(&said.whole, &[REFUSED], "a form that breaks off");
    let said = ann.ask(Method::POST, UPLOAD, "application/json", format!(r#"{{"file":"{REFUSED}"}}"#)).await;
    assert!(said.status.is_client_error(), "{}", said.whole);
    assert_free_of(&said.whole, &[REFUSED], "JSON instead of a form");
}
