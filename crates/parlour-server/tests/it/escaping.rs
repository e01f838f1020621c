//! What members type cannot run in another member's page: every text comes back inert wherever the official page inserts it as HTML, and
//! unescapes to what was typed. Inert is what a browser's own parser says: text and nothing but text.

mod payloads;

use html5ever::tendril::TendrilSink as _;
use html5ever::tokenizer::TokenizerOpts;
use html5ever::{ParseOpts, QualName, local_name, ns, parse_fragment};
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use parlour_testkit::{Answer, Backend, Member, TestServer, backend, both_databases};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use reqwest::Method;
use serde_json::{Value, json};

const PM: &str = "/api/v2/pm/";

/// Random texts sent.
const TEXTS: usize = 10_000;

/// Pairs of members who write at the same time.
const PAIRS: usize = 20;

/// What a text is made of: what HTML gives a meaning, whole and in halves.
const MARKUP: [&str; 48] = [
    "<",
    ">",
    "\"",
    "'",
    "&",
    ";",
    "`",
    "=",
    "/",
    "\\",
    "</",
    "/>",
    "<!",
    "<!--",
    "-->",
    "--!>",
    "<![CDATA[",
    "]]>",
    "<?",
    "?>",
    "<script>",
    "</script>",
    "<img src=x onerror=",
    "<svg/onload=",
    "</textarea>",
    "</title>",
    "<b",
    "javascript:",
    "&amp;",
    "&lt;",
    "&lt",
    "&gt;",
    "&quot;",
    "&#39;",
    "&#x27;",
    "&apos;",
    "&#60;",
    "&#x3c",
    "&#0;",
    "&#",
    "&#x",
    "&#1114112;",
    "&amp;lt;",
    "&amp;amp;",
    "&NotEqualTilde;",
    "&notit;",
    "\r\n",
    "\r",
];

/// Ranges that texts are drawn from beside any character: C0, C1, marks of direction and width, non-characters, and one range a plane.
const RANGES: [(char, char); 14] = [
    ('\u{1}', '\u{1f}'),
    ('\u{7f}', '\u{9f}'),
    ('\u{ad}', '\u{ad}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{fdd0}', '\u{fdef}'),
    ('\u{fe00}', '\u{feff}'),
    ('\u{fff0}', '\u{ffff}'),
    ('\u{1f300}', '\u{1faff}'),
    ('\u{20000}', '\u{2ffff}'),
    ('\u{30000}', '\u{3ffff}'),
    ('\u{e0000}', '\u{e01ef}'),
    ('\u{f0000}', '\u{10ffff}'),
];

fn random_texts(count: usize) -> Vec<String> {
    let ranges = prop::sample::select(&RANGES[..]).prop_flat_map(|(first, last)| prop::char::range(first, last));
    let piece = prop_oneof![
        3 => prop::sample::select(&MARKUP[..]).prop_map(str::to_owned),
        1 => ranges.prop_map(String::from),
        1 => any::<char>().prop_map(String::from),
        1 => "[ -~]{1,8}",
    ];
    // The long ones are cut in their headline, be it in the middle of what looks like an entity.
    let length = prop_oneof![8 => 1..40_usize, 2 => 40..200_usize];
    let text =
        length.prop_flat_map(move |length| prop::collection::vec(piece.clone(), length)).prop_map(|text| text.concat());
    let text = text.prop_filter("can be sent", |text| !text.contains('\0') && !text.trim().is_empty());
    let mut runner = TestRunner::default();
    (0..count).map(|_| text.new_tree(&mut runner).unwrap().current()).collect()
}

#[both_databases(flavor = "multi_thread")]
async fn random_texts_come_back_inert_and_unchanged() {
    let server = TestServer::start().await;
    // What escapes them is the same; what is left to show is that PostgreSQL keeps every character.
    let count = if backend() == Backend::Postgres { TEXTS / 5 } else { TEXTS };
    let texts = random_texts(count);
    let mut pairs = Vec::new();
    for (index, texts) in texts.chunks(count / PAIRS).enumerate() {
        let (ann, bob) = pair(&server, index).await;
        let texts = texts.to_vec();
        pairs.push(tokio::spawn(async move { send_and_look(&ann, &bob, &texts).await }));
    }
    for pair in pairs {
        pair.await.unwrap();
    }
}

#[both_databases(flavor = "multi_thread")]
async fn known_payloads_come_back_inert_and_unchanged() {
    let server = TestServer::start().await;
    let (ann, bob) = pair(&server, 0).await;
    let (refused, texts): (Vec<String>, Vec<String>) =
        payloads::all().into_iter().partition(|text| text.contains('\0') || text.trim().is_empty());
    assert!(texts.len() >= 200, "{}", texts.len());
    for text in refused {
        let answer = ann.try_send(&bob, &text).await;
        assert!(!answer.text.contains(&text) || text.trim().is_empty());
        assert_eq!(answer.status, 400, "{text:?}");
        cannot_be_sniffed(&answer);
    }
    send_and_look(&ann, &bob, &texts).await;
}

/// A text that is taken back leaves nothing of itself; what stands in for it is the operator's, and as inert.
#[both_databases]
async fn what_stands_in_for_a_text_taken_back_is_escaped_too() {
    let stand_in = "<i onmouseover='alert(1)'>gone & forgotten</i>";
    let server = TestServer::with(|config| config.messages.hidden_text = stand_in.into()).await;
    let (ann, bob) = server.ann_and_bob().await;
    let sent = ann.send(&bob, "<script>alert(1)</script>").await;
    server.advance(std::time::Duration::from_secs(61));
    ann.delete_message(&sent["id"]).await;
    look(&bob.thread_with(&ann, "").await["results"][0], stand_in);
    look(&bob.inbox().await["results"][0], stand_in);
    look(&bob.get(&format!("{PM}{}/", sent["id"])).await.expect(200), stand_in);
}

/// Whatever of a request stands in an answer, no browser takes the answer for a page.
#[both_databases]
async fn what_a_request_says_comes_back_as_json_that_cannot_be_sniffed() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    for payload in
        ["<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "'-alert(1)-'", "<!DOCTYPE html><html><body>"]
    {
        let query: String = form(payload);
        for path in [
            format!("{PM}?thread={query}"),
            format!("{PM}?user={query}"),
            format!("{PM}?limit={query}"),
            format!("{PM}?cursor={query}"),
            format!("{PM}?thread={query}&thread={query}"),
            format!("{PM}search/?user={query}&limit={query}"),
            format!("{PM}{query}/"),
            format!("/api/v2/user/{query}/"),
            format!("/api/{query}"),
            format!("/{query}"),
            format!("/docs/{query}"),
            format!("{PM}search/?user={query}"),
        ] {
            cannot_be_sniffed(&ann.get(&path).await);
            cannot_be_sniffed(&server.visitor().get(&path).await);
        }
        let bodies = [
            json!({ payload: 1, "recipients": payload }),
            json!({ "recipients": [bob.id], "message": { payload: payload } }),
            json!({ "file_uuid": payload }),
            json!(payload),
        ];
        for body in bodies {
            cannot_be_sniffed(&ann.post(PM, body).await);
        }
        let repeated = format!("{{{0}:1,{0}:2}}", json!(payload));
        cannot_be_sniffed(&ann.post_raw(PM, "application/json", repeated).await);
        cannot_be_sniffed(
            &ann.post_raw(PM, "application/x-www-form-urlencoded", format!("{query}=%ff&recipients={query}")).await,
        );
        cannot_be_sniffed(&ann.post_raw(PM, "text/html", payload).await);
        cannot_be_sniffed(&server.backend().post("/api/v2/admin/users/", json!({ payload: [] })).await);
        cannot_be_sniffed(
            &server.backend().post("/api/v2/admin/users/", json!({ "users": [{ payload: payload }] })).await,
        );
        cannot_be_sniffed(&server.visitor().post("/api/v2/jwt/verify_token/", json!({ "token": payload })).await);
        let keyed = ann.request(Method::POST, PM).header("idempotency-key", format!("a {payload}")).json(&json!({}));
        cannot_be_sniffed(&ann.send_request(keyed).await);
    }
}

#[track_caller]
fn cannot_be_sniffed(answer: &Answer) {
    assert_eq!(answer.header("content-type"), "application/json", "{}", answer.asked);
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{}", answer.asked);
    // What is JSON throughout is no page, even where a browser is told otherwise.
    assert!(answer.json().is_object(), "{}", answer.asked);
}

/// Percent-encodes all but letters and digits.
fn form(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Two members who may write to each other.
async fn pair(server: &TestServer, index: usize) -> (Member, Member) {
    let id = 2 * i64::try_from(index).unwrap() + 1;
    let ann = server.member(id, &format!("ann{index}")).await;
    let bob = server.member(id + 1, &format!("bob{index}")).await;
    server.befriend(&[&ann, &bob]).await;
    (ann, bob)
}

/// Sends every text and looks at it wherever it stands: in the answer, in that of a repeat, by itself, in both lists of conversations,
/// and at last in the thread.
async fn send_and_look(ann: &Member, bob: &Member, texts: &[String]) {
    for (index, text) in texts.iter().enumerate() {
        let body = json!({ "recipients": [bob.id], "message": text });
        let send = || ann.request(Method::POST, PM).header("idempotency-key", format!("text-{index}")).json(&body);
        let sent = ann.send_request(send()).await.expect(201);
        look(&sent[0], text);
        let repeated = ann.send_request(send()).await;
        assert_eq!(repeated.header("idempotency-replayed"), "true");
        look(&repeated.expect(201)[0], text);
        look(&bob.get(&format!("{PM}{}/", sent[0]["id"])).await.expect(200), text);
        for member in [ann, bob] {
            look(&member.get(&format!("{PM}?limit=1")).await.expect(200)["results"][0], text);
        }
    }
    for (member, other) in [(ann, bob), (bob, ann)] {
        let mut older = texts;
        let mut next = Some(format!("{PM}?user={}&limit=100", other.id));
        while let Some(url) = next {
            let page = member.get(&url).await.expect(200);
            let rows = page["results"].as_array().unwrap();
            let (rest, expected) = older.split_at(older.len() - rows.len());
            rows.iter().zip(expected).for_each(|(row, text)| look(row, text));
            older = rest;
            next = page["next"].as_str().map(str::to_owned);
        }
        assert!(older.is_empty(), "every text stands in the thread");
    }
}

/// Asserts that a row shows `text` and nothing else, in full and cut.
#[track_caller]
fn look(row: &Value, text: &str) {
    let headline =
        if text.chars().count() > 150 { text.chars().take(149).chain(['…']).collect() } else { text.to_owned() };
    for (field, typed) in [("message", text), ("headline", &*headline)] {
        let html = row[field].as_str().unwrap();
        assert_eq!(unescape(html), typed, "{field} of {row}");
        assert_eq!(text_alone(html).as_deref(), Some(&*with_one_line_end(typed)), "{field} {html:?} is not text alone");
    }
}

fn unescape(html: &str) -> String {
    html.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&")
}

/// A parser makes every end of a line the same.
fn with_one_line_end(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// The text that `html` is, inserted into a page's element and into its attributes; `None` if anything but text comes of it.
fn text_alone(html: &str) -> Option<String> {
    let inserted = parse(html);
    let text = text_of(&body(&inserted))?;
    let around = parse(&format!("<p title=\"{html}\" class='{html}'>{html}</p>"));
    let body = body(&around);
    let children = body.children.borrow();
    let [paragraph] = &children[..] else { return None };
    let NodeData::Element { attrs, .. } = &paragraph.data else { return None };
    let attributes = attrs.borrow();
    let quoted = attributes.len() == 2 && attributes.iter().all(|attribute| *attribute.value == *text);
    (quoted && text_of(paragraph)? == text).then_some(text)
}

/// What `html` becomes inside a `<div>`.
fn parse(html: &str) -> RcDom {
    // A page has its byte order mark long before what is inserted into it.
    let tokenizer = TokenizerOpts { discard_bom: false, ..TokenizerOpts::default() };
    let options = ParseOpts { tokenizer, ..ParseOpts::default() };
    let div = QualName::new(None, ns!(html), local_name!("div"));
    parse_fragment(RcDom::default(), options, div, Vec::new(), true).one(html)
}

/// The element that stands for the one inserted into.
fn body(page: &RcDom) -> Handle {
    page.document.children.borrow()[0].clone()
}

/// The text in `node`, if there is nothing but text.
fn text_of(node: &Handle) -> Option<String> {
    let mut all = String::new();
    for child in node.children.borrow().iter() {
        let NodeData::Text { contents } = &child.data else { return None };
        all.push_str(&contents.borrow());
    }
    Some(all)
}

#[test]
fn the_parser_sees_what_is_not_inert() {
    assert_eq!(text_alone("plain &amp; &lt;b&gt;"), Some("plain & <b>".into()));
    for html in ["<b>x</b>", "<!-- x -->", "x<br", "<svg onload=alert(1)>", "</p><p>", "\" onclick=\"x", "' onclick='x"]
    {
        assert_eq!(text_alone(html), None, "{html}");
    }
}
