//! Bad input: every one is a 4xx in the error shape that names the field, and changes nothing.

use parlour_testkit::{Answer, Member, TestServer, Visitor, both_databases};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const PM: &str = "/api/v2/pm/";
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=cut";
const TWO_TO_THE_53: i64 = 1 << 53;

/// Ann (1) and Bob (2), who follow each other, and Cid (3), a member of no thread.
struct World {
    server: TestServer,
    ann: Member,
    bob: Member,
    cid: Member,
}

impl World {
    async fn new() -> Self {
        let server = TestServer::start().await;
        let (ann, bob) = server.ann_and_bob().await;
        let cid = server.member(3, "cid").await;
        Self { server, ann, bob, cid }
    }

    /// Asserts that nobody ever wrote to Bob.
    async fn nothing_was_sent(&self) {
        for member in [&self.ann, &self.bob, &self.cid] {
            assert_eq!(member.inbox().await["count"], 0, "{} has a conversation after refused sends", member.username);
        }
    }
}

/// Asserts the one error shape: `errors` holds fields with messages, or a message; `detail` is the first message.
#[track_caller]
pub(crate) fn assert_error_shape(answer: &Answer) {
    let body = answer.json();
    let is_message = |item: &Value| {
        let text = |name: &str| item[name].as_str().is_some_and(|text| !text.is_empty());
        text("code") && text("message") && item.as_object().is_some_and(|item| item.len() == 2)
    };
    let is_item = |item: &Value| match item.get("field") {
        None => is_message(item),
        Some(field) => {
            let messages = item["messages"].as_array().is_some_and(|all| !all.is_empty() && all.iter().all(is_message));
            field.is_string() && messages && item.as_object().is_some_and(|item| item.len() == 2)
        }
    };
    let errors = body["errors"].as_array().unwrap_or_else(|| panic!("{} answered {body}", answer.asked));
    assert!(!errors.is_empty() && errors.iter().all(is_item), "{} answered {body}", answer.asked);
    let first = errors[0].get("message").unwrap_or(&errors[0]["messages"][0]["message"]);
    assert_eq!(&body["detail"], first, "{} answered {body}", answer.asked);
    assert_eq!(answer.header("content-type"), JSON, "{} answered {body}", answer.asked);
}

/// Asserts a 400 in the error shape that names `field`, with a code of `codes`, which are separated by bars.
#[track_caller]
pub(crate) fn assert_names(answer: &Answer, field: &str, codes: &str, about: &str) {
    let text: String = answer.text.chars().take(300).collect();
    assert_eq!(answer.status.as_u16(), 400, "{about}: {} answered {text}", answer.asked);
    assert_error_shape(answer);
    let body = answer.json();
    let of_field = body["errors"].as_array().into_iter().flatten().find(|error| error["field"] == field);
    let error = of_field.unwrap_or_else(|| panic!("{about}: {} does not name {field}: {text}", answer.asked));
    let code = error["messages"][0]["code"].as_str().unwrap_or_default();
    assert!(codes.split('|').any(|known| known == code), "{about}: {code} is none of {codes}: {text}");
}

/// Asserts a refusal as a whole in the error shape.
#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str, about: &str) {
    let text: String = answer.text.chars().take(300).collect();
    assert_eq!(answer.status.as_u16(), status, "{about}: {} answered {text}", answer.asked);
    assert_error_shape(answer);
    assert_eq!(answer.json()["errors"][0]["code"], code, "{about}: {} answered {text}", answer.asked);
}

// ---- Query strings ----

/// Texts that are no integer from 1 to 2^53 − 1, as they stand in an address, with the code that each gets.
fn bad_ids() -> Vec<(String, &'static str)> {
    let invalid = [
        "abc",
        "1.5",
        "1.0",
        "1e3",
        "%EF%BC%90",
        "%D9%A3",
        "%FF",
        "1%FF",
        "%00",
        "1%00",
        "%",
        "%2",
        "%zz",
        "0x10",
        "1_000",
        "1,000",
        "%201",
        "1%20",
        "1%0A",
        "--1",
        "%2B",
        "-",
        "true",
        "NaN",
        "Infinity",
        "[1]",
        "'1'",
        "1;drop",
        "None",
        "UNDEFINED",
    ];
    let out_of_range = ["-1", "-9007199254740993", "-9223372036854775809", "9007199254740992", "9223372036854775807"];
    let beyond_64_bits = ["9223372036854775808", "18446744073709551615", "18446744073709551616"];
    let mut all: Vec<_> = invalid.iter().map(|text| ((*text).to_owned(), "invalid")).collect();
    all.extend(out_of_range.iter().chain(&beyond_64_bits).map(|text| ((*text).to_owned(), "out_of_range")));
    all.push(("9".repeat(100), "out_of_range"));
    all.push((format!("-{}", "9".repeat(100)), "out_of_range"));
    all
}

/// Each parameter of a list, with what must stand beside it.
const INTEGER_PARAMETERS: [(&str, &str); 7] = [
    ("thread", ""),
    ("user", ""),
    ("group", ""),
    ("before_message", "user=2&"),
    ("from_message", "user=2&"),
    ("limit", ""),
    ("offset", ""),
];

#[both_databases]
async fn every_integer_of_the_query_is_refused_by_name_unless_it_is_one() {
    let world = World::new().await;
    for (name, beside) in INTEGER_PARAMETERS {
        for (value, code) in bad_ids() {
            let answer = world.ann.get(&format!("{PM}?{beside}{name}={value}")).await;
            assert_names(&answer, name, code, name);
        }
        let zero = world.ann.get(&format!("{PM}?{beside}{name}=0")).await;
        match name {
            "offset" => drop(zero.expect(200)),
            _ => assert_names(&zero, name, "out_of_range", name),
        }
    }
}

#[both_databases]
async fn a_repeated_parameter_is_refused_by_name() {
    let world = World::new().await;
    for (name, beside) in INTEGER_PARAMETERS {
        for pair in [("1", "2"), ("1", "1"), ("1", "abc"), ("abc", "1")] {
            let answer = world.ann.get(&format!("{PM}?{beside}{name}={}&{name}={}", pair.0, pair.1)).await;
            assert_names(&answer, name, "repeated", name);
        }
        let escaped = format!("%{:02X}{}", name.as_bytes()[0], &name[1..]);
        let answer = world.ann.get(&format!("{PM}?{beside}{name}=1&{escaped}=1")).await;
        assert_names(&answer, name, "repeated", "the same name, written differently");
    }
    for query in ["cursor=0.1.1&cursor=0.1.1", "offset=0&cursor=x&cursor=y"] {
        assert_names(&world.ann.get(&format!("{PM}?{query}")).await, "cursor", "repeated", query);
    }
    let answer = world.ann.get("/api/v2/pm/search/?user=a&user=b").await;
    assert_names(&answer, "user", "repeated", "search");
}

#[both_databases]
async fn deleting_a_thread_reads_its_selectors_as_strictly() {
    let world = World::new().await;
    world.ann.send(&world.bob, "still here").await;
    for name in ["thread", "user", "group"] {
        for (value, code) in bad_ids() {
            assert_names(&world.ann.delete(&format!("{PM}?{name}={value}")).await, name, code, name);
        }
        assert_names(&world.ann.delete(&format!("{PM}?{name}=0")).await, name, "out_of_range", name);
        assert_names(&world.ann.delete(&format!("{PM}?{name}=2&{name}=2")).await, name, "repeated", name);
    }
    for query in ["", "?", "?user=undefined", "?thread=&user=null", "?limit=3"] {
        assert_names(&world.ann.delete(&format!("{PM}{query}")).await, "thread", "required", query);
    }
    assert_eq!(world.ann.inbox().await["count"], 1, "no thread was deleted");
}

#[both_databases]
async fn the_first_selector_counts_when_deleting_too() {
    let world = World::new().await;
    let (ann, bob, cid) = (&world.ann, &world.bob, &world.cid);
    world.server.befriend(&[ann, cid]).await;
    let with_bob = ann.send(bob, "hello").await["thread_id"].clone();
    let with_cid = ann.send(cid, "hello").await["thread_id"].clone();
    for query in [
        format!("thread={with_bob}&user=3"),
        format!("user=3&thread={with_bob}"),
        format!("thread={with_bob}&group=1"),
        format!("group=1&user=3&thread={with_bob}"),
        "user=2&group=1".to_owned(),
        "group=1&user=2".to_owned(),
    ] {
        ann.send(bob, "hello again").await;
        assert_eq!(ann.inbox().await["count"], 2);
        ann.delete(&format!("{PM}?{query}")).await.expect(204);
        let left = ann.inbox().await;
        assert_eq!((&left["count"], &left["results"][0]["id"]), (&json!(1), &with_cid), "{query}");
    }
    // Where the first one names nothing, no other one stands in for it.
    ann.send(bob, "hello again").await;
    for query in ["thread=404&user=2", "thread=404&group=1", "user=404&group=1"] {
        ann.delete(&format!("{PM}?{query}")).await.refused(404, "not_found");
    }
    assert_eq!(ann.inbox().await["count"], 2, "no thread was deleted");
}

#[both_databases]
async fn all_that_is_wrong_with_a_query_is_said_at_once() {
    let world = World::new().await;
    let answer =
        world.ann.get(&format!("{PM}?thread=x&user=0&before_message=-1&from_message=1.5&limit=0&offset=z")).await;
    for name in ["thread", "user", "before_message", "from_message", "limit", "offset"] {
        assert_names(&answer, name, "invalid|out_of_range", name);
    }
}

#[both_databases]
async fn bounds_of_a_thread_need_a_thread() {
    let world = World::new().await;
    for name in ["before_message", "from_message"] {
        for beside in ["", "&limit=3", "&thread=undefined", "&user="] {
            let answer = world.ann.get(&format!("{PM}?{name}=5{beside}")).await;
            assert_names(&answer, name, "invalid", name);
        }
    }
    let both = world.ann.get(&format!("{PM}?before_message=5&from_message=1")).await;
    assert_names(&both, "before_message", "invalid", "both");
    assert_names(&both, "from_message", "invalid", "both");
}

#[both_databases]
async fn a_made_up_cursor_is_refused() {
    let world = World::new().await;
    world.bob.send(&world.ann, "a conversation").await;
    let garbage = [
        "x",
        "0",
        "0.",
        "0.1",
        "0.1.",
        "0.1.1.1",
        "1.1.1",
        "0.1.0",
        "0.1.-1",
        "0.1.9007199254740992",
        "0.1.x",
        ".0.1.1",
        "0.9223372036854775808.1",
        "0.1.5,2",
        "%00",
        "0.1.1%00",
        "%EF%BC%90.1.1",
        "0 1 1",
        "-1.1.1",
    ];
    for cursor in garbage {
        let answer = world.ann.get(&format!("{PM}?cursor={cursor}")).await;
        assert_names(&answer, "cursor", "invalid", cursor);
    }
    assert_names(&world.ann.get(&format!("{PM}?cursor=%FF")).await, "cursor", "invalid", "broken UTF-8");
    assert_names(&world.ann.get(&format!("{PM}?offset=20&cursor=0.1.1")).await, "cursor", "invalid", "another offset");
    for side in ["followers", "followings"] {
        for cursor in ["x", "0", "0.x", "0.1.1", "1.1", "%00", "%FF", "0.99999999999999999999"] {
            let answer = world.ann.get(&format!("/api/v2/user/1/{side}/?cursor={cursor}")).await;
            assert_names(&answer, "cursor", "invalid", cursor);
        }
    }
}

#[both_databases]
async fn a_well_formed_cursor_of_extreme_numbers_is_no_fault_of_the_server() {
    let world = World::new().await;
    for at in [i64::MIN, -1, 0, i64::MAX] {
        let answer = world.ann.get(&format!("{PM}?cursor=0.{at}.{}", TWO_TO_THE_53 - 1)).await;
        assert!(answer.status.as_u16() < 500, "{} answered {}", answer.asked, answer.text);
        let answer = world.ann.get(&format!("/api/v2/user/1/followers/?cursor=0.{at}")).await;
        assert!(answer.status.as_u16() < 500, "{} answered {}", answer.asked, answer.text);
    }
}

#[both_databases]
async fn limits_are_capped_and_extreme_offsets_answer_nothing() {
    let world = World::new().await;
    world.bob.send_many(&world.ann, 101).await;
    let rows = |page: Value| page["results"].as_array().unwrap().len();
    for limit in ["101", "1000", "9007199254740991"] {
        let page = world.ann.get(&format!("{PM}?user=2&limit={limit}")).await.expect(200);
        assert_eq!(page["next"], world.server.url("/api/v2/pm/?limit=100&offset=100&user=2"));
        assert_eq!(rows(page), 100);
        world.ann.get(&format!("{PM}?limit={limit}&offset=9007199254740991")).await.expect(200);
        world.ann.get(&format!("/api/v2/pm/search/?user=b&limit={limit}&offset=9007199254740991")).await.expect(200);
        world.ann.get(&format!("/api/v2/user/1/followers/?limit={limit}&offset=9007199254740991")).await.expect(200);
    }
    for offset in ["102", "9007199254740991"] {
        let page = world.ann.get(&format!("{PM}?user=2&offset={offset}")).await.expect(200);
        assert_eq!((page["next"].clone(), page["count"].clone()), (Value::Null, json!(101)));
        assert_eq!(rows(page), 0);
    }
}

#[both_databases]
async fn every_list_reads_its_window_as_strictly() {
    let world = World::new().await;
    for list in ["/api/v2/pm/search/?user=b&", "/api/v2/user/1/followers/?", "/api/v2/user/1/followings/?"] {
        for name in ["limit", "offset"] {
            for (value, code) in bad_ids() {
                assert_names(&world.ann.get(&format!("{list}{name}={value}")).await, name, code, list);
            }
            assert_names(&world.ann.get(&format!("{list}{name}=1&{name}=1")).await, name, "repeated", list);
        }
        assert_names(&world.ann.get(&format!("{list}limit=0")).await, "limit", "out_of_range", list);
        world.ann.get(&format!("{list}offset=0")).await.expect(200);
    }
    assert_names(&world.ann.get("/api/v2/pm/search/?user=%FF").await, "user", "invalid", "broken UTF-8");
}

#[both_databases]
async fn no_search_term_is_a_fault_of_the_server() {
    let world = World::new().await;
    let long = "x".repeat(20_000);
    for term in ["%00", "%25", "_", "%5C", "'", "\"", "*", "%F0%9F%98%80", "%CC%81", "(", "a%20OR%201=1", &long] {
        let answer = world.ann.get(&format!("/api/v2/pm/search/?user={term}")).await;
        assert_eq!(answer.expect(200)["count"], 0, "{term} is in no name");
    }
}

#[both_databases]
async fn groups_are_off() {
    let world = World::new().await;
    world.ann.get(&format!("{PM}?group=1")).await.refused(403, "permission_denied");
    world.ann.delete(&format!("{PM}?group=1")).await.refused(403, "permission_denied");
    for body in [json!({ "group": 1, "message": "x" }), json!({ "group": 1, "message": "x", "recipients": [] })] {
        world.ann.post(PM, body).await.refused(403, "permission_denied");
    }
    for (group, code) in [(json!("x"), "invalid"), (json!(1.5), "invalid"), (json!(0), "out_of_range")] {
        let answer = world.ann.post(PM, json!({ "group": group, "message": "x" })).await;
        assert_names(&answer, "group", code, "send to a group");
    }
    let both = world.ann.post(PM, json!({ "group": 1, "recipients": [2], "message": "x" })).await;
    assert_names(&both, "group", "conflict", "both");
    let neither = world.ann.post(PM, json!({ "group": null, "message": "x" })).await;
    assert_names(&neither, "recipients", "required", "neither");
    world.nothing_was_sent().await;
}

// ---- Addresses ----

#[both_databases]
async fn every_id_of_an_address_is_refused_by_name_unless_it_is_one() {
    let world = World::new().await;
    let sent = world.ann.send(&world.bob, "still here").await;
    let long = "1".repeat(20_000);
    let ids = [
        ("abc", "invalid"),
        ("1.5", "invalid"),
        ("%00", "invalid"),
        ("1%00", "invalid"),
        ("%EF%BC%91", "invalid"),
        ("1%2F2", "invalid"),
        ("%201", "invalid"),
        ("undefined", "invalid"),
        ("null", "invalid"),
        ("1e3", "invalid"),
        ("-1", "out_of_range"),
        ("0", "out_of_range"),
        ("9007199254740992", "out_of_range"),
        ("9223372036854775808", "out_of_range"),
        ("18446744073709551616", "out_of_range"),
        (&long, "out_of_range"),
    ];
    let addresses = [
        (Method::GET, "/api/v2/pm/{id}/"),
        (Method::DELETE, "/api/v2/pm/{id}/"),
        (Method::DELETE, "/api/v2/pm/{id}/?hide=1"),
        (Method::GET, "/api/v2/user/{id}/"),
        (Method::GET, "/api/v2/user/{id}/settings/"),
        (Method::PATCH, "/api/v2/user/{id}/settings/"),
        (Method::POST, "/api/v2/user/{id}/follow/"),
        (Method::POST, "/api/v2/user/{id}/hide/"),
        (Method::GET, "/api/v2/user/{id}/is_followed/"),
        (Method::GET, "/api/v2/user/{id}/is_follower/"),
        (Method::GET, "/api/v2/user/{id}/is_hidden/"),
        (Method::GET, "/api/v2/user/{id}/followers/"),
        (Method::GET, "/api/v2/user/{id}/followings/"),
    ];
    for (method, address) in addresses {
        for (id, code) in ids {
            let request = world.ann.request(method.clone(), &address.replace("{id}", id));
            assert_names(&world.ann.send_request(request).await, "id", code, address);
        }
    }
    world.bob.get(&format!("{PM}{}/", sent["id"])).await.expect(200);
}

#[both_databases]
async fn an_address_that_is_no_text_leads_nowhere() {
    let world = World::new().await;
    for path in ["/api/v2/pm/%FF/", "/api/v2/user/%C3%28/", "/api/v2/%FF/", "/%FF"] {
        let answer = world.ann.get(path).await;
        assert!([400, 404].contains(&answer.status.as_u16()), "{path} answered {}", answer.status);
        assert_error_shape(&answer);
    }
}

#[both_databases]
async fn what_belongs_to_others_is_not_found() {
    let world = World::new().await;
    let sent = world.ann.send(&world.bob, "between two").await;
    let (message, thread) = (sent["id"].clone(), sent["thread_id"].clone());
    let unknown = 777;
    for path in [format!("{PM}{message}/"), format!("{PM}{thread}/"), format!("{PM}{unknown}/")] {
        world.cid.get(&path).await.refused(404, "not_found");
        world.cid.delete(&path).await.refused(404, "not_found");
        world.cid.delete(&format!("{path}?hide=1")).await.refused(404, "not_found");
    }
    for query in [format!("thread={thread}"), format!("thread={message}"), "thread=777".into(), "user=777".into()] {
        world.cid.get(&format!("{PM}?{query}")).await.refused(404, "not_found");
        world.cid.delete(&format!("{PM}?{query}")).await.refused(404, "not_found");
    }
    world.bob.delete(&format!("{PM}{message}/")).await.refused(403, "permission_denied");
    world.ann.get(&format!("{PM}{thread}/")).await.refused(404, "not_found");
    world.ann.get(&format!("{PM}?thread={message}")).await.refused(404, "not_found");
    for member in [&world.ann, &world.bob] {
        assert_eq!(member.inbox().await["count"], 1, "the thread is still there for {}", member.username);
    }
    world.bob.get(&format!("{PM}{message}/")).await.expect(200);
}

#[both_databases]
async fn oneself_the_deleted_and_the_unknown_as_the_other_one() {
    let world = World::new().await;
    world.server.upsert(json!({ "id": 4, "username": "dan", "status": "d" })).await;
    for user in [1, 3, 4] {
        let page = world.ann.get(&format!("{PM}?user={user}")).await.expect(200);
        assert_eq!(page, json!({ "count": 0, "next": null, "previous": null, "results": [] }));
        assert_eq!(world.ann.delete(&format!("{PM}?user={user}")).await.expect(204), Value::Null);
    }
    assert_eq!(world.ann.get("/api/v2/user/4/").await.expect(200)["deleted"], true);
    world.ann.get("/api/v2/user/777/").await.refused(404, "not_found");
    for action in ["follow", "hide"] {
        assert_names(&world.ann.post(&format!("/api/v2/user/1/{action}/"), json!({})).await, "id", "invalid", action);
        world.ann.post(&format!("/api/v2/user/777/{action}/"), json!({})).await.refused(404, "not_found");
    }
    for question in ["is_followed", "is_follower", "is_hidden", "followers", "followings"] {
        world.ann.get(&format!("/api/v2/user/777/{question}/")).await.refused(404, "not_found");
    }
    world.nothing_was_sent().await;
}

// ---- Sending ----

#[both_databases]
async fn a_text_that_cannot_be_sent_is_refused_by_name() {
    let world = World::new().await;
    let texts = [
        (Value::Null, "required"),
        (json!(""), "required"),
        (json!(" "), "blank"),
        (json!("\t\r\n \u{a0}\u{3000}\u{2028}"), "blank"),
        (json!("a\0b"), "invalid"),
        (json!("\0"), "invalid"),
        (json!("x".repeat(10_001)), "max_length"),
        (json!("é".repeat(10_001)), "max_length"),
        (json!("😀".repeat(10_001)), "max_length"),
        (json!(5), "invalid"),
        (json!(1.0), "invalid"),
        (json!(1e300), "invalid"),
        (json!(true), "invalid"),
        (json!({}), "invalid"),
        (json!({ "text": "x" }), "invalid"),
        (json!([]), "invalid"),
        (json!(["x"]), "invalid"),
    ];
    for (text, code) in texts {
        let about: String = text.to_string().chars().take(40).collect();
        let answer = world.ann.post(PM, json!({ "recipients": [2], "message": text })).await;
        assert_names(&answer, "message", code, &about);
    }
    let answer = world.ann.post(PM, json!({ "recipients": [2] })).await;
    assert_names(&answer, "message", "required", "no message");
    let form = world.ann.post_raw(PM, FORM, "recipients=2&message=%00").await;
    assert_names(&form, "message", "invalid", "NUL in a form");
    world.nothing_was_sent().await;
}

#[both_databases]
async fn the_longest_text_counts_in_characters() {
    let world = World::new().await;
    for text in ["x", "é", "😀", "<"] {
        let text = text.repeat(10_000);
        let sent = world.ann.send(&world.bob, &text).await;
        assert_eq!(sent["message"], text.replace('<', "&lt;"));
    }
}

#[both_databases]
async fn recipients_that_are_none_are_refused_by_name() {
    let world = World::new().await;
    world.server.upsert(json!({ "id": 4, "username": "dan", "status": "d" })).await;
    world.server.upsert(json!({ "id": 5, "username": "eve", "status": "u" })).await;
    let hundred_and_one: Vec<i64> = (1_000..1_101).collect();
    let recipients = [
        (Value::Null, "required"),
        (json!([]), "required"),
        (json!([null]), "required|invalid"),
        (json!(""), "required|invalid"),
        (json!(777), "does_not_exist"),
        (json!([2, 777]), "does_not_exist"),
        (json!(1), "invalid"),
        (json!([2, 1]), "invalid"),
        (json!([4]), "does_not_exist"),
        (json!([2, 5]), "does_not_exist"),
        (json!(hundred_and_one), "too_many"),
        (json!("x"), "invalid"),
        (json!(["x"]), "invalid"),
        (json!("2,3"), "invalid"),
        (json!(true), "invalid"),
        (json!([2, false]), "invalid"),
        (json!({}), "invalid"),
        (json!([{ "id": 2 }]), "invalid"),
        (json!([[2]]), "invalid"),
        (json!([[]]), "invalid"),
        (json!(2.0), "invalid"),
        (json!([2.5]), "invalid"),
        (json!(1e300), "invalid|out_of_range"),
        (json!(0), "out_of_range"),
        (json!([-2]), "out_of_range"),
        (json!(TWO_TO_THE_53), "out_of_range"),
        (json!(i64::MIN), "out_of_range"),
        (json!(u64::MAX), "out_of_range"),
        (json!("9".repeat(100)), "out_of_range"),
        (json!("2\0"), "invalid"),
    ];
    for (given, code) in recipients {
        let about: String = given.to_string().chars().take(40).collect();
        let answer = world.ann.post(PM, json!({ "recipients": given, "message": "x" })).await;
        assert_names(&answer, "recipients", code, &about);
    }
    assert_names(&world.ann.post(PM, json!({ "message": "x" })).await, "recipients", "required", "none");
    world.nothing_was_sent().await;
}

#[both_databases]
async fn recipients_of_forms_are_refused_by_name() {
    let world = World::new().await;
    let forms = [
        ("message=x", "required"),
        ("message=x&recipients=", "required"),
        ("message=x&recipients=abc", "invalid"),
        ("message=x&recipients=2&recipients=abc", "invalid"),
        ("message=x&recipients[]=2&recipients[]=1.5", "invalid"),
        ("message=x&recipients[0]=0", "out_of_range"),
        ("message=x&recipients=[2", "invalid"),
        ("message=x&recipients=[2]x", "invalid"),
        ("message=x&recipients=[[2]]", "invalid"),
        ("message=x&recipients=[]", "required"),
        ("message=x&recipients=2&recipients[]=%FF", "invalid"),
        ("message=x&recipients=%00", "invalid"),
        ("message=x&recipients=18446744073709551616", "out_of_range"),
    ];
    for (form, code) in forms {
        let answer = world.ann.post_raw(PM, FORM, form).await;
        let field = if form.contains("%FF") { "recipients[]" } else { "recipients" };
        assert_names(&answer, field, code, form);
    }
    let deep = format!("message=x&recipients={}", "[".repeat(10_000));
    assert_names(&world.ann.post_raw(PM, FORM, deep).await, "recipients", "invalid", "deep nesting");
    world.nothing_was_sent().await;
}

#[both_databases]
async fn numbers_beyond_json_s_own_bounds_are_refused_by_name() {
    let world = World::new().await;
    let digits = "9".repeat(400);
    for number in ["1e400", "-1e400", "9007199254740993", "9223372036854775808", "18446744073709551616", &digits] {
        for (field, rest) in [("recipients", r#","message":"x""#), ("message", r#","recipients":[2]"#)] {
            let answer = world.ann.post_raw(PM, JSON, format!(r#"{{"{field}":{number}{rest}}}"#)).await;
            assert_names(&answer, field, "invalid|out_of_range|parse_error", number);
        }
    }
    for number in ["01", "+1", "1.", ".5", "0x10", "NaN", "Infinity", "1e", "--1"] {
        let answer = world.ann.post_raw(PM, JSON, format!(r#"{{"message":"x","recipients":[{number}]}}"#)).await;
        assert_names(&answer, "recipients", "parse_error", number);
    }
    world.nothing_was_sent().await;
}

#[both_databases]
async fn an_attachment_that_is_none_is_refused_by_name() {
    let world = World::new().await;
    let files = [
        (json!("5ffbebd3-60a7-4b35-ba39-74e7021b0e44"), "does_not_exist"),
        (json!("x"), "does_not_exist"),
        (json!(" "), "does_not_exist|invalid"),
        (json!("../../etc/passwd"), "does_not_exist|invalid"),
        (json!("\0"), "does_not_exist|invalid"),
        (json!(5), "invalid"),
        (json!(1.0), "invalid"),
        (json!(true), "invalid"),
        (json!({ "uuid": "x" }), "invalid"),
        (json!([]), "invalid"),
        (json!([["x"]]), "invalid"),
    ];
    for (file, code) in files {
        let answer = world.ann.post(PM, json!({ "recipients": [2], "message": "x", "file_uuid": file })).await;
        assert_names(&answer, "file_uuid", code, &file.to_string());
    }
    let answer = world.ann.post(PM, json!({ "recipients": [2], "message": "", "file_uuid": null })).await;
    assert_names(&answer, "message", "required", "neither text nor file");
    world.nothing_was_sent().await;
}

#[both_databases]
async fn all_that_is_wrong_with_a_body_is_said_at_once() {
    let world = World::new().await;
    let answer = world.ann.post(PM, json!({ "recipients": "x", "message": 5, "file_uuid": [], "group": {} })).await;
    for field in ["recipients", "message", "file_uuid", "group"] {
        assert_names(&answer, field, "invalid", field);
    }
    let answer = world.ann.post(PM, json!({})).await;
    for field in ["recipients", "message"] {
        assert_names(&answer, field, "required", field);
    }
    world.nothing_was_sent().await;
}

#[both_databases]
async fn one_refused_recipient_refuses_the_whole_send() {
    let world = World::new().await;
    for recipients in [json!([2, 3]), json!([3, 2])] {
        let answer = world.ann.post(PM, json!({ "recipients": recipients, "message": "x" })).await;
        answer.refused(403, "permission_denied");
    }
    world.nothing_was_sent().await;
}

// ---- Bodies ----

#[both_databases]
async fn text_that_is_not_utf8_is_refused_by_name_in_every_content_type() {
    let world = World::new().await;
    for broken in [&b"\xFF"[..], b"\xC3\x28", b"\xED\xA0\x80", b"\xF4\x90\x80\x80", b"abc\xE2\x82", b"\xC0\x80"] {
        let json = [&br#"{"recipients":[2],"message":""#[..], broken, br#""}"#].concat();
        assert_names(&world.ann.post_raw(PM, JSON, json).await, "message", "parse_error|invalid", "JSON");
        let escaped: String = broken.iter().map(|byte| format!("%{byte:02X}")).collect();
        let form = world.ann.post_raw(PM, FORM, format!("recipients=2&message={escaped}")).await;
        assert_names(&form, "message", "invalid", "urlencoded");
        let raw = world.ann.post_raw(PM, FORM, [b"recipients=2&message=", broken].concat()).await;
        assert_names(&raw, "message", "invalid", "urlencoded, unescaped");
        let parts = [multipart(&[("recipients", b"2"), ("message", broken)]), b"--cut--\r\n".to_vec()].concat();
        assert_names(&world.ann.post_raw(PM, MULTIPART, parts).await, "message", "invalid", "multipart");
    }
    world.nothing_was_sent().await;
}

/// Parts of a multipart body with the boundary `cut`, without its end.
fn multipart(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let part = |(name, value): &(&str, &[u8])| {
        let head = format!("--cut\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        [head.as_bytes(), value, b"\r\n"].concat()
    };
    parts.iter().flat_map(part).collect()
}

#[both_databases]
async fn half_a_surrogate_pair_is_refused_by_name() {
    let world = World::new().await;
    for text in [r"\ud800", r"\udc00", r"\ud800\ud800", r"a\udbffb", r"\ud83d\u0041", r"\ud800\u", r"\uZZZZ", r"\x41"] {
        let answer = world.ann.post_raw(PM, JSON, format!(r#"{{"recipients":[2],"message":"{text}"}}"#)).await;
        assert_names(&answer, "message", "parse_error|invalid", text);
    }
    world.nothing_was_sent().await;
}

#[both_databases]
async fn a_key_given_twice_is_refused_by_name() {
    let world = World::new().await;
    let bodies = [
        ("message", r#"{"recipients":[2],"message":"a","message":"b"}"#),
        ("message", r#"{"recipients":[2],"message":"a","messag\u0065":"a"}"#),
        ("recipients", r#"{"recipients":[2],"recipients":[2],"message":"a"}"#),
        ("recipients", r#"{"recipients":[2],"message":"a","recipients":null}"#),
        ("file_uuid", r#"{"recipients":[2],"message":"a","file_uuid":null,"file_uuid":null}"#),
    ];
    for (field, body) in bodies {
        assert_names(&world.ann.post_raw(PM, JSON, body).await, field, "repeated", body);
    }
    let form = world.ann.post_raw(PM, FORM, "recipients=2&message=a&message=b").await;
    assert_names(&form, "message", "repeated", "urlencoded");
    let parts = [("recipients", &b"2"[..]), ("message", b"a"), ("message", b"b")];
    let parts = [multipart(&parts), b"--cut--\r\n".to_vec()].concat();
    assert_names(&world.ann.post_raw(PM, MULTIPART, parts).await, "message", "repeated", "multipart");
    world.nothing_was_sent().await;
}

#[both_databases]
async fn a_body_that_is_no_json_object_is_refused_as_a_whole() {
    let world = World::new().await;
    let good = r#"{"recipients":[2],"message":"x"}"#;
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bodies: Vec<Vec<u8>> = vec![
        b"[]".into(),
        br#"[{"recipients":[2],"message":"x"}]"#.into(),
        b"\"x\"".into(),
        b"1".into(),
        b"null".into(),
        b"true".into(),
        b" ".into(),
        b"{".into(),
        b"}".into(),
        b"{]".into(),
        b"nul".into(),
        b"recipients=2&message=x".into(),
        b"\xFF\xFE".into(),
        b"\0".into(),
        utf16,
        format!("{good} x").into(),
        format!("{good}{good}").into(),
        format!("{good},").into(),
        format!("{good}\0").into(),
        format!("\u{feff}{good}").into(),
        br#"{"recipients":[2],"message":"x",}"#.into(),
        br#"{"recipients":[2],"message":"x""#.into(),
        br#"{recipients:[2],"message":"x"}"#.into(),
        br#"{"recipients":[2],5:"x"}"#.into(),
        b"{\"recipients\":[2],\"mess\xFFage\":\"x\"}".into(),
        "[".repeat(10_000).into(),
    ];
    for body in bodies {
        let about = String::from_utf8_lossy(&body).chars().take(40).collect::<String>();
        assert_refused(&world.ann.post_raw(PM, JSON, body).await, 400, "parse_error", &about);
    }
    world.nothing_was_sent().await;
}

#[both_databases]
async fn json_broken_inside_a_field_names_the_field() {
    let world = World::new().await;
    let deep_list = format!(r#"{{"recipients":[2],"message":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let deep_object = format!(r#"{{"recipients":[2],"message":{}1{}}}"#, r#"{"a":"#.repeat(10_000), "}".repeat(10_000));
    let bodies = [
        deep_list.as_str(),
        &deep_object,
        r#"{"recipients":[2],"message":}"#,
        r#"{"recipients":[2],"message":'x'}"#,
        "{\"recipients\":[2],\"message\":\"a\nb\"}",
        "{\"recipients\":[2],\"message\":\"a\0b\"}",
        r#"{"recipients":[2],"message":"x"#,
        r#"{"recipients":[2],"message"}"#,
        r#"{"recipients":[2],"message":tru}"#,
    ];
    for body in bodies {
        let about: String = body.chars().take(60).collect();
        assert_names(&world.ann.post_raw(PM, JSON, body).await, "message", "parse_error", &about);
    }
    world.nothing_was_sent().await;
}

#[both_databases]
async fn an_empty_body_lacks_every_field() {
    let world = World::new().await;
    for content_type in [JSON, FORM, MULTIPART] {
        let answer = world.ann.post_raw(PM, content_type, "").await;
        assert_names(&answer, "recipients", "required", content_type);
        assert_names(&answer, "message", "required", content_type);
    }
    let without_type = world.ann.send_request(world.ann.request(Method::POST, PM)).await;
    assert_names(&without_type, "recipients", "required", "no content type");
    for noise in ["&", "&&&", "=", "=x&=y", "x"] {
        assert_names(&world.ann.post_raw(PM, FORM, noise).await, "recipients", "required", noise);
    }
    world.nothing_was_sent().await;
}

#[both_databases]
async fn a_body_of_another_content_type_is_refused() {
    let world = World::new().await;
    let good = r#"{"recipients":[2],"message":"x"}"#;
    let types = [
        "text/plain",
        "text/json",
        "application/xml",
        "application/jsonp",
        "application/json-seq",
        "application/octet-stream",
        "application/vnd.api+json",
        "application/x-www-form-urlencoded2",
        "multipart/mixed; boundary=cut",
        "json",
        "",
        "application/",
        "*/*",
        "application/json2; charset=utf-8",
    ];
    for content_type in types {
        let answer = world.ann.post_raw(PM, content_type, good).await;
        assert_refused(&answer, 415, "unsupported_media_type", content_type);
    }
    let untyped = world.ann.send_request(world.ann.request(Method::POST, PM).body(good)).await;
    assert_refused(&untyped, 415, "unsupported_media_type", "no content type");
    let binary = world.ann.request(Method::POST, PM).header("content-type", &b"application/json\xFF"[..]).body(good);
    assert_refused(&world.ann.send_request(binary).await, 415, "unsupported_media_type", "no text");
    world.nothing_was_sent().await;
}

#[both_databases]
async fn a_content_type_may_have_parameters_and_any_case() {
    let world = World::new().await;
    for content_type in
        ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json ;x=y", "Application/Json;"]
    {
        let body = r#"{"recipients":[2],"message":"x","file_uuid":null,"unknown":1}"#;
        world.ann.post_raw(PM, content_type, body).await.expect(201);
    }
}

#[both_databases]
async fn a_broken_multipart_body_is_refused_as_a_whole() {
    let world = World::new().await;
    let parts = multipart(&[("recipients", b"2"), ("message", b"x")]);
    let whole = [parts.clone(), b"--cut--\r\n".to_vec()].concat();
    for content_type in ["multipart/form-data", "multipart/form-data; boundary", "multipart/form-data; charset=utf-8"] {
        let answer = world.ann.post_raw(PM, content_type, whole.clone()).await;
        assert_refused(&answer, 400, "parse_error", content_type);
    }
    let broken: Vec<Vec<u8>> = vec![
        parts.clone(),
        parts[..parts.len() - 3].to_vec(),
        parts[..20].to_vec(),
        b"--cut".to_vec(),
        b"garbage".to_vec(),
        b"--other\r\n\r\n--other--".to_vec(),
        b"--cut\r\nno header\r\n\r\nx\r\n--cut--\r\n".to_vec(),
        b"--cut\r\nContent-Disposition: form-data; name=\"message\"\r\nx\r\n--cut--\r\n".to_vec(),
    ];
    for body in broken {
        let about = String::from_utf8_lossy(&body).into_owned();
        assert_refused(&world.ann.post_raw(PM, MULTIPART, body).await, 400, "parse_error", &about);
    }
    world.nothing_was_sent().await;
    world.ann.post_raw(PM, MULTIPART, whole).await.expect(201);
}

#[both_databases]
async fn a_body_of_two_mebibytes_is_refused() {
    let world = World::new().await;
    let text = "x".repeat(2 << 20);
    let json = json!({ "recipients": [2], "message": text }).to_string().into_bytes();
    let form = format!("recipients=2&message={text}").into_bytes();
    let parts = multipart(&[("recipients", b"2"), ("message", text.as_bytes())]);
    for (content_type, body) in [(JSON, json), (FORM, form), (MULTIPART, parts)] {
        assert_refused(&world.ann.post_raw(PM, content_type, body).await, 413, "body_too_large", content_type);
    }
    world.nothing_was_sent().await;
}

/// Pieces numbered through, up to nearly a whole body.
fn numbered(piece: impl Fn(usize) -> String) -> String {
    (10_000..75_000).map(piece).collect()
}

/// Asserts that a body within the limit costs time in proportion to its size, however it is made, so that no request keeps the
/// server from others, and that its answer is no larger than the body may be.
async fn is_refused_at_once(sender: &Visitor, path: &str, content_type: &str, body: String) {
    assert!(body.len() < 1 << 20, "the body is within the limit");
    let started = Instant::now();
    let answer = sender.post_raw(path, content_type, body).await;
    let took = started.elapsed();
    assert_eq!(answer.status.as_u16(), 400);
    assert!(took < Duration::from_secs(5), "{} took {took:?}", answer.asked);
    assert!(answer.text.len() < 1 << 20, "{} answered {} bytes", answer.asked, answer.text.len());
}

#[both_databases]
async fn a_body_of_very_many_keys_is_refused_at_once() {
    let server = TestServer::start().await;
    let body = format!("{{{}\"z\":1}}", numbered(|n| format!("\"k{n}\":1,")));
    is_refused_at_once(&server.visitor(), "/api/v2/jwt/verify_token/", JSON, body).await;
}

#[both_databases]
async fn a_body_of_very_many_recipients_is_refused_at_once() {
    let world = World::new().await;
    let body = format!(r#"{{"message":"x","recipients":[{}2]}}"#, numbered(|n| format!("{n},")));
    is_refused_at_once(&world.ann, PM, JSON, body).await;
    world.nothing_was_sent().await;
}

#[both_databases]
async fn a_bulk_body_of_very_many_wrong_rows_is_refused_at_once() {
    let server = TestServer::start().await;
    let body = format!("{{\"users\":[{}1]}}", numbered(|_| "1,".into()));
    is_refused_at_once(&server.backend(), "/api/v2/admin/users/", JSON, body).await;
}

#[both_databases]
async fn a_form_of_very_many_broken_names_is_refused_at_once() {
    let server = TestServer::start().await;
    let body = numbered(|n| format!("k{n}%FF&"));
    is_refused_at_once(&server.visitor(), "/api/v2/jwt/verify_token/", FORM, body).await;
}

#[both_databases]
async fn a_form_of_one_broken_name_very_many_times_is_refused_at_once() {
    let server = TestServer::start().await;
    let body = numbered(|_| "token=%FF&".into());
    is_refused_at_once(&server.visitor(), "/api/v2/jwt/verify_token/", FORM, body).await;
}

// ---- Settings, tokens, the backend ----

#[both_databases]
async fn settings_out_of_range_are_refused_by_name_and_change_nothing() {
    let world = World::new().await;
    let path = "/api/v2/user/1/settings/";
    let before = world.ann.get(path).await.expect(200);
    let switches = [
        "email_notification_not_qa",
        "mobile_notifications_scmty",
        "show_toast_notifications",
        "toast_notifications_emit_sound",
        "share_read_receipts",
        "share_typing",
        "share_presence",
    ];
    let wrong = [json!("abc"), json!(1.5), json!(1.0), json!(true), json!({}), json!([]), json!([1])];
    for field in switches.iter().chain(&["qa_frequency"]) {
        for value in &wrong {
            assert_names(&world.ann.patch(path, json!({ *field: value })).await, field, "invalid", field);
        }
        let below = if *field == "qa_frequency" { -2 } else { -1 };
        for value in [json!(below), json!(2), json!(TWO_TO_THE_53), json!(i64::MIN), json!(u64::MAX)] {
            assert_names(&world.ann.patch(path, json!({ *field: value })).await, field, "out_of_range", field);
        }
    }
    let mixed = json!({ "qa_frequency": 1, "show_toast_notifications": 0, "toast_notifications_emit_sound": 7 });
    assert_names(&world.ann.patch(path, mixed).await, "toast_notifications_emit_sound", "out_of_range", "one of three");
    world.bob.patch(path, json!({ "qa_frequency": 1 })).await.refused(403, "permission_denied");
    world.bob.get(path).await.refused(403, "permission_denied");
    assert_refused(&world.ann.patch(path, json!([])).await, 400, "parse_error", "no object");
    assert_eq!(world.ann.get(path).await.expect(200), before);
    assert_eq!(world.ann.patch(path, json!({ "qa_frequency": null })).await.expect(200), before, "null is absent");
}

#[both_databases]
async fn a_verification_without_a_token_is_refused_by_name() {
    let server = TestServer::start().await;
    let visitor = server.visitor();
    let path = "/api/v2/jwt/verify_token/";
    for (body, code) in [
        (json!({}), "required"),
        (json!({ "token": "" }), "required"),
        (json!({ "token": null }), "required"),
        (json!({ "token": 5 }), "invalid"),
        (json!({ "token": ["x"] }), "invalid"),
        (json!({ "token": {} }), "invalid"),
    ] {
        let about = body.to_string();
        assert_names(&visitor.post(path, body).await, "token", code, &about);
    }
    for (content_type, body) in [(JSON, ""), (FORM, ""), (FORM, "tok=x")] {
        assert_names(&visitor.post_raw(path, content_type, body).await, "token", "required", content_type);
    }
    let twice = visitor.post_raw(path, FORM, "token=a&token=b").await;
    assert_names(&twice, "token", "repeated", "twice");
    assert_refused(&visitor.post(path, json!([])).await, 400, "parse_error", "no object");
    assert_refused(&visitor.post_raw(path, "text/plain", "x").await, 415, "unsupported_media_type", "text");
}

/// Asserts that the backend's bulk requests left nobody but Ann, Bob and Cid behind.
async fn nobody_was_added(world: &World) {
    for id in [50, 51, 52] {
        world.ann.get(&format!("/api/v2/user/{id}/")).await.refused(404, "not_found");
    }
    assert_eq!(world.ann.get("/api/v2/user/2/").await.expect(200)["username"], "bob");
}

#[both_databases]
async fn a_bulk_body_that_is_none_is_refused() {
    let world = World::new().await;
    let backend = world.server.backend();
    for (path, list) in [("/api/v2/admin/users/", "users"), ("/api/v2/admin/follows/", "follows")] {
        for body in [json!({}), json!([]), json!("x"), json!(null), json!(5)] {
            assert_names(&backend.post(path, body).await, list, "required|invalid", path);
        }
        for value in [json!({}), json!(null), json!("x"), json!(5)] {
            assert_names(&backend.post(path, json!({ list: value })).await, list, "invalid|required", path);
        }
        let rows = |count: usize| json!({ list: vec![json!({}); count] });
        let answer = backend.post(path, json!({ list: [], "other": 1 })).await;
        assert_names(&answer, "other", "invalid", path);
        assert!(backend.post(path, rows(1_001)).await.status.as_u16() == 400, "{path}: too many empty rows");
        for raw in ["", "x", "{", "{\"users\":[]", "{} x", "\u{feff}{}", "[[[["] {
            assert_refused(&backend.post_raw(path, JSON, raw).await, 400, "parse_error", raw);
        }
        let deep = format!("{{\"{list}\":{}", "[".repeat(10_000));
        assert_refused(&backend.post_raw(path, JSON, deep).await, 400, "parse_error", "deep nesting");
        for content_type in ["text/plain", FORM, MULTIPART, "application/json-seq", "application/jsonp"] {
            let answer = backend.post_raw(path, content_type, format!("{{\"{list}\":[]}}")).await;
            assert_refused(&answer, 415, "unsupported_media_type", content_type);
        }
        let large = format!("{{\"{list}\":[]{}}}", " ".repeat(2 << 20));
        assert_refused(&backend.post_raw(path, JSON, large).await, 413, "body_too_large", path);
    }
    nobody_was_added(&world).await;
}

#[both_databases]
async fn a_bad_user_of_many_is_refused_by_row_and_field_and_none_is_stored() {
    let world = World::new().await;
    let backend = world.server.backend();
    let cases = [
        (json!({ "username": "x", "id": "abc" }), "id"),
        (json!({ "username": "x", "id": 0 }), "id"),
        (json!({ "username": "x", "id": -1 }), "id"),
        (json!({ "username": "x", "id": TWO_TO_THE_53 }), "id"),
        (json!({ "username": "x", "id": 1.5 }), "id"),
        (json!({ "username": "x" }), "id"),
        (json!({ "id": 51 }), "username"),
        (json!({ "id": 51, "username": "" }), "username"),
        (json!({ "id": 51, "username": " " }), "username"),
        (json!({ "id": 51, "username": 5 }), "username"),
        (json!({ "id": 51, "username": "a\0b" }), "username"),
        (json!({ "id": 51, "username": "x".repeat(151) }), "username"),
        (json!({ "id": 51, "username": "x", "status": "z" }), "status"),
        (json!({ "id": 51, "username": "x", "role": "king" }), "role"),
        (json!({ "id": 51, "username": "x", "nonsense": 1 }), "nonsense"),
        (json!({ "id": 51, "username": "x", "avatar": "javascript:alert(1)" }), "avatar"),
        (json!({ "id": 51, "username": "x", "ext_id": "" }), "ext_id"),
        (json!({ "id": 51, "username": "x", "ext_id": [] }), "ext_id"),
        (json!({ "id": 51, "username": "x", "date_joined": "yesterday" }), "date_joined"),
        (json!({ "id": 51, "username": "x", "tags": "x" }), "tags"),
        (json!({ "id": 51, "username": "x", "deleted": 1 }), "deleted"),
    ];
    for (bad, field) in cases {
        let about = bad.to_string();
        let rows = json!({ "users": [{ "id": 50, "username": "good" }, bad, { "id": 2, "username": "renamed" }] });
        let answer = backend.post("/api/v2/admin/users/", rows).await;
        let codes = "invalid|out_of_range|required|blank|max_length";
        assert_names(&answer, &format!("users[1].{field}"), codes, &about);
    }
    for bad in [json!(5), json!(null), json!([]), json!("x")] {
        let answer =
            backend.post("/api/v2/admin/users/", json!({ "users": [{ "id": 50, "username": "good" }, bad] })).await;
        assert_names(&answer, "users[1]", "invalid", "no object");
    }
    let many: Vec<Value> = (50..1_051).map(|id| json!({ "id": id, "username": "x" })).collect();
    let answer = backend.post("/api/v2/admin/users/", json!({ "users": many })).await;
    assert_names(&answer, "users", "too_many", "1,001 users");
    nobody_was_added(&world).await;
}

#[both_databases]
async fn a_bad_follow_of_many_is_refused_by_row_and_field_and_none_is_stored() {
    let world = World::new().await;
    let backend = world.server.backend();
    let cases = [
        (json!({ "followed": 2 }), "follower"),
        (json!({ "follower": 3 }), "followed"),
        (json!({ "follower": 777, "followed": 2 }), "follower"),
        (json!({ "follower": 3, "followed": 777 }), "followed"),
        (json!({ "follower": 3, "followed": 3 }), "followed"),
        (json!({ "follower": 0, "followed": 2 }), "follower"),
        (json!({ "follower": -1, "followed": 2 }), "follower"),
        (json!({ "follower": 1.5, "followed": 2 }), "follower"),
        (json!({ "follower": TWO_TO_THE_53, "followed": 2 }), "follower"),
        (json!({ "follower": null, "followed": 2 }), "follower"),
        (json!({ "follower": "nobody", "followed": 2 }), "follower"),
        (json!({ "follower": 3, "followed": true }), "followed"),
        (json!({ "follower": 3, "followed": 2, "following": "yes" }), "following"),
        (json!({ "follower": 3, "followed": 2, "since": 1 }), "since"),
        (json!({ "follower": u64::MAX, "followed": 2 }), "follower"),
    ];
    for (bad, field) in cases {
        let about = bad.to_string();
        let rows = json!({ "follows": [{ "follower": 3, "followed": 1 }, bad] });
        let answer = backend.post("/api/v2/admin/follows/", rows).await;
        let codes = "invalid|out_of_range|required|does_not_exist";
        assert_names(&answer, &format!("follows[1].{field}"), codes, &about);
    }
    for bad in [json!(5), json!(null), json!("x")] {
        let answer =
            backend.post("/api/v2/admin/follows/", json!({ "follows": [{ "follower": 3, "followed": 1 }, bad] })).await;
        assert_names(&answer, "follows[1]", "invalid", "no object");
    }
    let many = vec![json!({ "follower": 3, "followed": 1 }); 1_001];
    assert_names(
        &backend.post("/api/v2/admin/follows/", json!({ "follows": many })).await,
        "follows",
        "too_many",
        "many",
    );
    assert_eq!(
        world.cid.get("/api/v2/user/1/is_followed/").await.expect(200)["is_followed"],
        false,
        "nothing was stored"
    );
}

#[both_databases]
async fn a_user_with_the_highest_id_does_not_exhaust_the_ids() {
    let world = World::new().await;
    world.server.upsert(json!({ "id": TWO_TO_THE_53 - 1, "username": "last" })).await;
    world.server.upsert(json!({ "ext_id": "next", "username": "next" })).await;
    let last = world.server.sign_in(TWO_TO_THE_53 - 1, "last");
    world.server.befriend(&[&world.ann, &last]).await;
    world.ann.send(&last, "hello").await;
    assert_eq!(last.inbox().await["count"], 1);
}
