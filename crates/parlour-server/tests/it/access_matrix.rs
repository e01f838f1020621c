//! Who may do what: every operation of the OpenAPI document, for everybody there is, with the exact status.

use parlour_testkit::{Answer, TestServer, Visitor, both_databases};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

use super::bad_input::assert_error_shape;

/// Who asks. Ann (1) and Bob (2) have a thread, in which Ann wrote a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    /// Nobody: no credentials.
    Anonymous,
    /// Cid (3), who is not in the thread.
    Stranger,
    /// Ann, who has deleted the thread for herself.
    Former,
    /// Ann, who wrote the message.
    Member,
    /// Bob, who got it.
    Receiver,
    /// Ann, blocked by the community.
    Blocked,
    /// Ann, with a token of yesterday.
    Expired,
    /// Ann, whose account is deleted.
    Deleted,
    /// The community's backend.
    Admin,
}

const ROLES: [Role; 9] = [
    Role::Anonymous,
    Role::Stranger,
    Role::Former,
    Role::Member,
    Role::Receiver,
    Role::Blocked,
    Role::Expired,
    Role::Deleted,
    Role::Admin,
];

/// What each operation answers to each of [`ROLES`], in that order.
#[rustfmt::skip]
const EXPECTED: &[(&str, [u16; 9])] = &[
    //                    anonym. stranger former member receiver blocked expired deleted admin
    ("get_thread",        [401,   404,     200,   200,   200,     200,    401,    401,    401]),
    ("send_message",      [401,   403,     201,   201,   201,     403,    401,    401,    401]),
    ("delete_thread",     [401,   404,     204,   204,   204,     204,    401,    401,    401]),
    ("search_recipients", [401,   200,     200,   200,   200,     200,    401,    401,    401]),
    ("upload_media",      [401,   200,     200,   200,   200,     403,    401,    401,    401]),
    ("get_message",       [401,   404,     404,   200,   200,     200,    401,    401,    401]),
    ("delete_message",    [401,   404,     404,   204,   403,     204,    401,    401,    401]),
    ("count_unread",      [401,   200,     200,   200,   200,     200,    401,    401,    401]),
    ("list_notifications", [401,  200,     200,   200,   200,     200,    401,    401,    401]),
    ("read_notifications", [401,  204,     204,   204,   204,     204,    401,    401,    401]),
    ("count_unseen_notifications", [401, 200, 200, 200,  200,     200,    401,    401,    401]),
    ("get_me",            [401,   200,     200,   200,   200,     200,    401,    401,    401]),
    ("list_hidden_ids",   [401,   200,     200,   200,   200,     200,    401,    401,    401]),
    ("get_user",          [401,   200,     200,   200,   200,     200,    401,    401,    401]),
    ("get_settings",      [401,   403,     200,   200,   403,     200,    401,    401,    401]),
    ("change_settings",   [401,   403,     200,   200,   403,     200,    401,    401,    401]),
    ("toggle_follow",     [401,   204,     204,   204,   204,     403,    401,    401,    401]),
    ("is_followed",       [401,   200,     200,   200,   200,     200,    401,    401,    401]),
    ("is_follower",       [401,   200,     200,   200,   200,     200,    401,    401,    401]),
    ("list_followers",    [401,   200,     200,   200,   200,     200,    401,    401,    401]),
    ("list_followings",   [401,   200,     200,   200,   200,     200,    401,    401,    401]),
    ("toggle_hide",       [401,   204,     204,   204,   204,     204,    401,    401,    401]),
    ("is_hidden",         [401,   200,     200,   200,   200,     200,    401,    401,    401]),
    ("mark_seen",         [401,   404,     204,   204,   204,     204,    401,    401,    401]),
    ("get_receipts",      [401,   404,     200,   200,   200,     200,    401,    401,    401]),
    ("send_typing",       [401,   404,     204,   204,   204,     403,    401,    401,    401]),
    ("get_presence",      [401,   200,     200,   200,   200,     200,    401,    401,    401]),
    ("list_events",       [401,   200,     200,   200,   200,     200,    401,    401,    401]),
    ("stream_events",     [401,   200,     200,   200,   200,     200,    401,    401,    401]),
    ("is_hidden_by", [401, 200, 200, 200, 200, 200, 401, 401, 401]),
    ("get_connection_status", [401, 200, 200, 200, 200, 200, 401, 401, 401]),
    ("get_connection_statuses", [401, 200, 200, 200, 200, 200, 401, 401, 401]),
    ("is_connection", [401, 200, 200, 200, 200, 200, 401, 401, 401]),
    ("list_incubators", [401, 200, 200, 200, 200, 200, 401, 401, 401]),
    ("list_banners", [401, 200, 200, 200, 200, 200, 401, 401, 401]),
    ("count_unseen_banners", [401, 200, 200, 200, 200, 200, 401, 401, 401]),
    ("count_undisposed_banners", [401, 200, 200, 200, 200, 200, 401, 401, 401]),
    ("list_user_categories", [401, 200, 200, 200, 200, 200, 401, 401, 401]),
    ("list_user_groups", [401, 200, 200, 200, 200, 200, 401, 401, 401]),
    ("list_user_events", [401, 200, 200, 200, 200, 200, 401, 401, 401]),
    ("list_user_courses", [401, 200, 200, 200, 200, 200, 401, 401, 401]),
    ("read_banners", [401, 204, 204, 204, 204, 204, 401, 401, 401]),
    ("dispose_banners", [401, 204, 204, 204, 204, 204, 401, 401, 401]),
    // There are no connections here.
    ("request_connection", [401, 403, 403, 403, 403, 403, 401, 401, 401]),
    ("accept_connection", [401, 403, 403, 403, 403, 403, 401, 401, 401]),
    ("reject_connection", [401, 403, 403, 403, 403, 403, 401, 401, 401]),
    ("cancel_reject_connection", [401, 403, 403, 403, 403, 403, 401, 401, 401]),
    ("cancel_request_connection", [401, 403, 403, 403, 403, 403, 401, 401, 401]),
    ("remove_connection", [401, 403, 403, 403, 403, 403, 401, 401, 401]),
    // Open to everybody, whatever they come with.
    ("list_preferences", [200, 200, 200, 200, 200, 200, 200, 200, 200]),
    ("list_features", [200, 200, 200, 200, 200, 200, 200, 200, 200]),
    ("list_reactions", [200, 200, 200, 200, 200, 200, 200, 200, 200]),
    ("upsert_users",      [401,   401,     401,   401,   401,     401,    401,    401,    200]),
    ("upsert_follows",    [401,   401,     401,   401,   401,     401,    401,    401,    200]),
    // Each with a link of their own to the message's file, if they ever had one, and with the credentials that they have.
    ("get_file",          [404,   404,     404,   200,   200,     200,    200,    404,    404]),
    ("verify_token",      [200,   200,     200,   200,   200,     200,    200,    200,    200]),
    ("get_openapi",       [200,   200,     200,   200,   200,     200,    200,    200,    200]),
    ("healthz",           [200,   200,     200,   200,   200,     200,    200,    200,    200]),
    ("readyz",            [200,   200,     200,   200,   200,     200,    200,    200,    200]),
];

/// An operation of the document.
struct Operation {
    id: String,
    method: Method,
    path: String,
    about: Value,
}

impl Operation {
    fn takes_body(&self) -> bool {
        self.about.get("requestBody").is_some()
    }

    /// Asserts that the document knows the answer's status, that an error has the error shape, and that a 204 has no body.
    #[track_caller]
    fn documents(&self, answer: &Answer, about: &str) {
        let status = answer.status.as_u16();
        let documented = &self.about["responses"][status.to_string()];
        assert!(documented.is_object(), "{} does not document {status} ({about}): {}", self.id, answer.text);
        if status >= 400 {
            assert_error_shape(answer);
            let schema = &documented["content"]["application/json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Error", "{} documents {status} as an error", self.id);
        }
        if status == 204 {
            assert!(answer.text.is_empty(), "{} answered 204 with {}", self.id, answer.text);
            assert!(documented.get("content").is_none(), "{} documents a body for 204", self.id);
        }
    }
}

/// What the link to a message's file ends with.
fn last_segment(message: &Value) -> String {
    let link = message["file"]["url"].as_str().expect("a link");
    link.rsplit('/').next().expect("a token").to_owned()
}

async fn operations(server: &TestServer) -> Vec<Operation> {
    let document = server.visitor().get("/api/v2/openapi.json").await.expect(200);
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, about) in item.as_object().expect("a path's operations") {
            let Ok(method) = Method::from_bytes(method.to_uppercase().as_bytes()) else { continue };
            let Some(id) = about["operationId"].as_str() else { continue };
            operations.push(Operation { id: id.to_owned(), method, path: path.clone(), about: about.clone() });
        }
    }
    operations
}

/// A server with the thread, seen by one role.
struct World {
    server: TestServer,
    caller: Visitor,
    /// The other one, from the caller's place.
    other: i64,
    message: i64,
    thread: i64,
    /// What the caller's link to the message's file ends with.
    link: String,
}

impl World {
    async fn seen_by(role: Role) -> Self {
        let server = TestServer::start().await;
        let (ann, bob) = server.ann_and_bob().await;
        let cid = server.member(3, "cid").await;
        let uuid = ann.upload("plan.txt", "text/plain", b"between two").await;
        let body = json!({ "recipients": [2], "message": "between two", "file_uuid": uuid });
        let sent = ann.post("/api/v2/pm/", body).await.expect(201)[0].clone();
        let id = |name: &str| sent[name].as_i64().expect("an id");
        let (message, thread) = (id("id"), id("thread_id"));
        let set_status = async |status: &str| server.upsert(json!({ "id": 1, "status": status })).await;
        let caller = match role {
            Role::Anonymous => server.visitor(),
            Role::Stranger => (*cid).clone(),
            Role::Member => (*ann).clone(),
            Role::Receiver => (*bob).clone(),
            Role::Admin => server.backend(),
            Role::Former => {
                ann.delete(&format!("/api/v2/pm/?thread={thread}")).await.expect(204);
                (*ann).clone()
            }
            Role::Blocked => {
                set_status("b").await;
                (*ann).clone()
            }
            Role::Deleted => {
                set_status("d").await;
                (*ann).clone()
            }
            Role::Expired => {
                server.advance(Duration::from_secs(7200));
                (*ann).clone()
            }
        };
        let other = if role == Role::Receiver { 1 } else { 2 };
        let link = match role {
            Role::Anonymous | Role::Stranger | Role::Admin => "made-up".to_owned(),
            Role::Receiver => last_segment(&bob.get(&format!("/api/v2/pm/{message}/")).await.expect(200)),
            _ => last_segment(&sent),
        };
        Self { server, caller, other, message, thread, link }
    }

    /// Asks for an operation, well formed.
    async fn ask(&self, operation: &Operation) -> Answer {
        let (own, other, thread) = (1, self.other, self.thread);
        let id = match operation.path.as_str() {
            path if path.starts_with("/api/v2/pm/") => self.message,
            path if path.ends_with("/settings/") => own,
            _ => other,
        };
        let query = match operation.id.as_str() {
            "get_presence" => format!("?users={other}"),
            "get_thread" | "delete_thread" | "get_receipts" => format!("?thread={thread}"),
            "search_recipients" => "?user=b".into(),
            _ => String::new(),
        };
        let path = operation.path.replace("{id}", &id.to_string()).replace("{token}", &self.link) + &query;
        if operation.id == "upload_media" {
            return self.caller.try_upload("own.txt", "text/plain", b"own").await;
        }
        let request = self.caller.request(operation.method.clone(), &path);
        let request = match self.body(operation) {
            Some(body) => request.json(&body),
            None => request,
        };
        answer_to(&self.caller, operation, request).await
    }

    fn body(&self, operation: &Operation) -> Option<Value> {
        let body = match operation.id.as_str() {
            "send_message" => json!({ "recipients": [self.other], "message": "hello", "file_uuid": null }),
            "read_notifications" => json!({ "sids": [self.message.to_string()] }),
            "change_settings" => json!({ "qa_frequency": 1 }),
            "upsert_users" => json!({ "users": [{ "id": 9, "username": "new" }] }),
            "upsert_follows" => json!({ "follows": [{ "follower": 3, "followed": 1 }] }),
            "mark_seen" | "send_typing" => json!({ "thread": self.thread }),
            "verify_token" => json!({ "token": self.server.token(1) }),
            "get_connection_statuses" => json!({ "users": [self.other] }),
            _ => {
                assert!(!operation.takes_body(), "{} takes a body that this test does not know", operation.id);
                return None;
            }
        };
        Some(body)
    }
}

#[both_databases]
async fn the_table_and_the_document_list_the_same_operations() {
    let server = TestServer::start().await;
    let documented: BTreeSet<String> = operations(&server).await.into_iter().map(|operation| operation.id).collect();
    let expected: BTreeSet<String> = EXPECTED.iter().map(|(id, _)| (*id).to_owned()).collect();
    assert_eq!(documented, expected);
    assert_eq!(EXPECTED.len(), expected.len(), "an operation stands in the table twice");
}

#[both_databases]
async fn everybody_may_do_exactly_what_the_table_says() {
    let server = TestServer::start().await;
    let operations = operations(&server).await;
    for (place, role) in ROLES.into_iter().enumerate() {
        // What only asks leaves the world as it is for the next one that asks.
        let world = World::seen_by(role).await;
        for operation in &operations {
            let Some((_, row)) = EXPECTED.iter().find(|(id, _)| *id == operation.id) else {
                panic!("{} has no row in the table", operation.id);
            };
            let status = row[place];
            let answer = if operation.method == Method::GET {
                world.ask(operation).await
            } else {
                World::seen_by(role).await.ask(operation).await
            };
            assert_eq!(answer.status.as_u16(), status, "{} as {role:?} answered {}", operation.id, answer.text);
            operation.documents(&answer, &format!("{role:?}"));
        }
    }
}

#[both_databases]
async fn who_is_refused_sees_nothing_of_the_thread_and_changes_nothing() {
    let server = TestServer::start().await;
    let operations = operations(&server).await;
    for role in [Role::Anonymous, Role::Stranger, Role::Expired, Role::Deleted, Role::Admin] {
        let world = World::seen_by(role).await;
        let of_messages = |path: &str| path.starts_with("/api/v2/pm/") || path.starts_with("/api/v2/notification/");
        for operation in operations.iter().filter(|operation| of_messages(&operation.path)) {
            let answer = world.ask(operation).await;
            assert!(!answer.text.contains("between two"), "{} as {role:?} answered {}", operation.id, answer.text);
        }
        let bob = world.server.sign_in(2, "bob");
        let inbox = bob.inbox().await;
        assert_eq!(inbox["count"], 1, "{role:?}");
        assert_eq!(inbox["results"][0]["thread_status"], "new", "{role:?} marked nothing as seen");
        let unseen = bob.get("/api/v2/notification/unseen/count/").await.expect(200);
        assert_eq!(unseen["count"], 1, "{role:?} marked nothing as read");
        let page = bob.get(&format!("/api/v2/pm/?thread={}", world.thread)).await.expect(200);
        assert_eq!((page["count"].clone(), page["results"][0]["message"].clone()), (json!(1), json!("between two")));
    }
}

#[both_databases]
async fn a_security_requirement_is_documented_where_there_is_one() {
    let server = TestServer::start().await;
    for operation in operations(&server).await {
        let (_, row) = EXPECTED.iter().find(|(id, _)| *id == operation.id).unwrap();
        let security = operation.about.get("security").cloned().unwrap_or(json!([]));
        let expected = match (row[0], row[8]) {
            (401, 200) => json!([{ "admin_key": [] }]),
            (401, _) => json!([{ "token": [] }]),
            _ => json!([]),
        };
        assert_eq!(security, expected, "{}", operation.id);
        assert_eq!(
            operation.path.contains("{id}"),
            operation.about["parameters"][0]["name"] == "id",
            "{}",
            operation.id
        );
    }
}

/// The answer to a request; of a stream, which has no end, its head alone.
async fn answer_to(caller: &Visitor, operation: &Operation, request: RequestBuilder) -> Answer {
    if operation.id != "stream_events" {
        return caller.send_request(request).await;
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = if status == 200 { String::new() } else { response.text().await.unwrap() };
    Answer { status, headers, text, asked: operation.id.clone() }
}

/// Requests that are wrong in a way that any operation may meet.
async fn wrong_requests(world: &World, operation: &Operation) -> Vec<(&'static str, Answer)> {
    let path = |id: &str| operation.path.replace("{id}", id);
    let request = |id: &str, query: &str| world.caller.request(operation.method.clone(), &(path(id) + query));
    let mut answers = Vec::new();
    let mut ask = async |about, request| answers.push((about, answer_to(&world.caller, operation, request).await));
    if operation.path.contains("{id}") {
        ask("no integer", request("abc", "")).await;
        ask("unknown", request("777", "")).await;
        ask("unknown, hide", request("777", "?hide=1")).await;
        ask("oneself", request("1", "")).await;
    }
    ask("wrong window", request("1", "?limit=abc&offset=-1&cursor=x&thread=abc&user=%FF&hide=%FF")).await;
    ask("repeated", request("1", "?limit=1&limit=1&user=1&user=1")).await;
    ask("group", request("1", "?group=1")).await;
    ask("no selector", request("1", "")).await;
    if operation.takes_body() {
        let typed = |content_type: &str, body: String| request("1", "").header("content-type", content_type).body(body);
        ask("empty object", typed("application/json", "{}".into())).await;
        ask("no object", typed("application/json", "[]".into())).await;
        ask("broken", typed("application/json", "{".into())).await;
        ask("other type", typed("text/plain", "x".into())).await;
        ask("too large", typed("application/json", " ".repeat(2 << 20))).await;
        let twice = typed("application/json", r#"{"recipients":[2],"message":"x"}"#.into());
        ask("wrong key", twice.header("idempotency-key", "ä")).await;
    }
    answers
}

#[both_databases]
async fn every_refusal_that_an_operation_answers_is_documented() {
    let server = TestServer::start().await;
    for operation in operations(&server).await {
        for role in [Role::Member, Role::Admin, Role::Anonymous] {
            let world = World::seen_by(role).await;
            for (about, answer) in wrong_requests(&world, &operation).await {
                assert!(answer.status.as_u16() < 500, "{} ({about}) answered {}", operation.id, answer.text);
                operation.documents(&answer, about);
            }
        }
    }
}

#[both_databases]
async fn a_key_used_again_for_something_else_is_documented() {
    let world = World::seen_by(Role::Member).await;
    let operations = operations(&world.server).await;
    let send = operations.iter().find(|operation| operation.id == "send_message").unwrap();
    for (text, status) in [("first", 201), ("second", 422)] {
        let body = json!({ "recipients": [2], "message": text });
        let request = world.caller.request(Method::POST, "/api/v2/pm/").header("idempotency-key", "k").json(&body);
        let answer = world.caller.send_request(request).await;
        assert_eq!(answer.status.as_u16(), status);
        send.documents(&answer, text);
    }
}
