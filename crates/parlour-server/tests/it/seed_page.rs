//! The page from which everything grew, "Get a Thread": its request as it stands there, its parameters and its example's fields.

use crate::appendix_b::rewritten_next;
use parlour_testkit::{TestServer, both_databases, ids, texts};
use serde_json::{Value, json};
use std::time::Duration;

/// Imports a thread with the id of the seed page's example, 3, between Ann and Bob, with messages 101 to 125.
async fn server_with_thread_3() -> TestServer {
    let server = TestServer::start().await;
    server.ann_and_bob().await;
    import_thread_3(&server).await;
    server
}

async fn import_thread_3(server: &TestServer) {
    use parlour_core::import::{Marks, OnRefusal, Record, import_batch};
    use parlour_types::{MessageId, ThreadId};
    let (ann, bob) = (parlour_testkit::user_id(1), parlour_testkit::user_id(2));
    let at = |n: i64| server.now().plus_micros((n - 10_000) * 1_000_000);
    let mut records = vec![Record::Thread { id: ThreadId::new(3), participants: [ann, bob], created_at: at(0) }];
    records.extend((1..=25).map(|n| {
        let (sender, receiver) = if n % 2 == 0 { (ann, bob) } else { (bob, ann) };
        let (id, ext_id, text) = (MessageId::new(100 + n), format!("m{n}"), format!("message {n}"));
        Record::Message { id, ext_id, sender, receiver, created_at: at(n), text, file: None, marks: Marks::default() }
    }));
    import_batch(&server.app.core, records, OnRefusal::Stop).await.unwrap();
}

#[both_databases]
async fn the_request_of_the_page_answers_as_the_page_says() {
    let server = server_with_thread_3().await;
    let ann = server.sign_in(1, "ann");
    // curl -X GET /api/v2/pm/?thread=3 -H 'Accept: application/json' -H 'Authorization: Bearer {access_token}'
    let request = ann.request(reqwest::Method::GET, "/api/v2/pm/?thread=3").header("Accept", "application/json");
    let answer = ann.send_request(request).await;
    let page = answer.expect(200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(page["count"], 25);
    assert_eq!(page["next"], server.url("/api/v2/pm/?limit=20&offset=20&thread=3"));
    assert_eq!(page["previous"], Value::Null);
    assert_eq!(ids(&page), (106..=125).collect::<Vec<_>>());
    let row = &page["results"][0];
    assert!(row["id"].is_i64() && row["headline"].is_string());
    assert!(row["sender"].is_object() && row["receiver"].is_object(), "sender and receiver are objects");
    assert!(is_time(&row["created_at"]) && is_time(&row["last_message_at"]));
    assert_eq!(row["thread_status"], "seen");
}

fn is_time(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() == "2019-08-24T14:15:22.000000+00:00".len() && text.ends_with("+00:00") && text.as_bytes()[10] == b'T'
}

#[both_databases]
async fn the_page_needs_authentication() {
    let server = server_with_thread_3().await;
    let answer = server.visitor().get("/api/v2/pm/?thread=3").await;
    answer.refused(401, "not_authenticated");
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"api\"");
}

#[both_databases]
async fn every_parameter_of_the_page_does_what_its_row_says() {
    let server = server_with_thread_3().await;
    let ann = server.sign_in(1, "ann");
    let page = async |query: &str| {
        let page = ann.get(&format!("/api/v2/pm/?{query}")).await.expect(200);
        (page["count"].as_i64().unwrap(), ids(&page), page["next"].is_string(), page["previous"].is_string())
    };
    let span = |from: i64, to: i64| (from..=to).collect::<Vec<_>>();
    assert_eq!(page("user=2&limit=100").await, (25, span(101, 125), false, false));
    assert_eq!(page("thread=3&limit=10").await, (25, span(116, 125), true, false));
    assert_eq!(page("thread=3&limit=10&offset=10").await, (25, span(106, 115), true, true));
    assert_eq!(page("thread=3&limit=10&offset=20").await, (25, span(101, 105), false, true));
    assert_eq!(page("thread=3&before_message=116&limit=10").await, (15, span(106, 115), true, false));
    assert_eq!(page("thread=3&before_message=106&limit=10").await, (5, span(101, 105), false, false));
    assert_eq!(page("thread=3&from_message=120").await, (6, span(120, 125), false, false));
    assert_eq!(page("thread=3&from_message=120&limit=3").await, (6, span(123, 125), true, false));
    assert_eq!(page("thread=3&from_message=120&before_message=123").await, (3, span(120, 122), false, false));
    assert_eq!(page("thread=3&before_message=116&limit=5&offset=5").await, (15, span(106, 110), true, true));
    assert_eq!(page("thread=3&limit=25").await, (25, span(101, 125), false, false));
    assert_eq!(page("thread=3&offset=25").await, (25, vec![], false, true));
    assert_eq!(page("thread=3&offset=9007199254740991").await, (25, vec![], false, true));
    assert_eq!(page("thread=3&before_message=101").await, (0, vec![], false, false));
    assert_eq!(page("thread=3&from_message=9007199254740991").await, (0, vec![], false, false));
    assert_eq!(page("thread=3&before_message=9007199254740991&limit=1").await, (25, vec![125], true, false));
    assert_eq!(page("thread=3&user=undefined&limit=1").await, (25, vec![125], true, false));
    assert_eq!(page("thread=3&limit=1000").await, (25, span(101, 125), false, false));
}

#[both_databases]
async fn the_links_of_a_range_stay_inside_it() {
    let server = server_with_thread_3().await;
    let ann = server.sign_in(1, "ann");
    for (range, limit, rows) in [
        ("from_message=120", 3, 120..126),
        ("before_message=116", 5, 101..116),
        ("before_message=116&from_message=105", 5, 105..116),
    ] {
        for selector in ["thread=3", "user=2"] {
            let first = format!("/api/v2/pm/?{range}&limit={limit}&{selector}");
            let mut page = ann.get(&first).await.expect(200);
            let link = server.url(&format!("/api/v2/pm/?{range}&limit={limit}&offset={limit}&{selector}"));
            assert_eq!(page["next"], link);
            assert_eq!(ann.get(&link).await.expect(200)["previous"], server.url(&first));
            let mut seen = ids(&page);
            while let Some(next) = page["next"].as_str() {
                page = ann.get(next).await.expect(200);
                seen = [ids(&page), seen].concat();
            }
            assert_eq!(seen, rows.clone().collect::<Vec<i64>>(), "{range}, to its end");
        }
    }
    // As the page goes on: by its first message instead of by offset.
    let first = ann.get("/api/v2/pm/?thread=3&from_message=120&limit=3").await.expect(200);
    let rest = ann.get(&rewritten_next(&first)).await.expect(200);
    assert_eq!((ids(&rest), &rest["count"], &rest["next"]), (vec![120, 121, 122], &json!(3), &Value::Null));
}

#[both_databases]
async fn previous_leads_back_to_the_newest() {
    let server = server_with_thread_3().await;
    let ann = server.sign_in(1, "ann");
    let newest = ann.get("/api/v2/pm/?thread=3&limit=10").await.expect(200);
    let second = ann.get("/api/v2/pm/?thread=3&limit=10&offset=10").await.expect(200);
    let to_newest = server.url("/api/v2/pm/?limit=10&thread=3");
    assert_eq!(second["previous"], to_newest, "an offset of 0 is not said");
    assert_eq!(ann.get(&to_newest).await.expect(200), newest);
    // Where the pages do not begin at a multiple of their length, the newest one overlaps.
    let oldest = ann.get("/api/v2/pm/?thread=3&limit=10&offset=15").await.expect(200);
    let to_middle = server.url("/api/v2/pm/?limit=10&offset=5&thread=3");
    assert_eq!((ids(&oldest), &oldest["previous"]), ((101..=110).collect::<Vec<_>>(), &json!(to_middle)));
    let middle = ann.get(&to_middle).await.expect(200);
    assert_eq!((ids(&middle), &middle["previous"]), ((111..=120).collect::<Vec<_>>(), &json!(to_newest)));
}

#[both_databases]
async fn a_thread_reads_the_same_at_any_depth() {
    let server = server_with_thread_3().await;
    let bob = server.sign_in(2, "bob");
    let mut seen = Vec::new();
    let mut next = Some("/api/v2/pm/?thread=3&limit=4".to_owned());
    while let Some(url) = next {
        let page = bob.get(&url).await.expect(200);
        let mut rows: Vec<String> = texts(&page).into_iter().map(str::to_owned).collect();
        assert!(!rows.is_empty(), "a next link never leads to an empty page");
        rows.extend(seen);
        seen = rows;
        next = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!(seen, (1..=25).map(|n| format!("message {n}")).collect::<Vec<_>>());
}

#[both_databases]
async fn a_message_sent_and_deleted_meanwhile_moves_the_positions_and_never_the_rows() {
    let server = server_with_thread_3().await;
    let (ann, bob) = (server.sign_in(1, "ann"), server.sign_in(2, "bob"));
    let sent = ann.send(&bob, "a slip").await;
    server.advance(Duration::from_secs(5));
    bob.send(&ann, "an answer").await;
    ann.delete_message(&sent["id"]).await;
    let page = ann.get("/api/v2/pm/?thread=3&limit=3").await.expect(200);
    assert_eq!(texts(&page), ["message 24", "message 25", "an answer"]);
    assert_eq!(page["count"], 26);
    let older = ann.get(&format!("/api/v2/pm/?thread=3&limit=2&before_message={}", sent["id"])).await.expect(200);
    assert_eq!(texts(&older), ["message 24", "message 25"], "a deleted id still says where to read on");
}

#[both_databases]
async fn the_schema_of_every_field_is_in_the_openapi_document() {
    let server = TestServer::start().await;
    let document = server.visitor().get("/api/v2/openapi.json").await.expect(200);
    let operation = &document["paths"]["/api/v2/pm/"]["get"];
    let parameters: Vec<&str> = operation["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|parameter| parameter["name"].as_str().unwrap())
        .collect();
    for name in ["thread", "user", "before_message", "from_message", "limit", "offset"] {
        assert!(parameters.contains(&name), "{name} is documented");
    }
    let row = &document["components"]["schemas"]["Message"]["properties"];
    for field in ["id", "headline", "sender", "receiver", "created_at", "last_message_at", "thread_status"] {
        assert!(row[field].is_object(), "{field} is documented");
    }
    assert_eq!(operation["security"], json!([{ "token": [] }]));
}
