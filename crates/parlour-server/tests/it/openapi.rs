//! The OpenAPI document says what is answered. That every answer keeps to it is for Schemathesis; here stands what it once found.

use parlour_testkit::{TestServer, both_databases};
use parlour_types::ErrorCode;
use serde_json::{Value, json};

async fn schema(server: &TestServer, name: &str) -> Value {
    let document = server.visitor().get("/api/v2/openapi.json").await.expect(200);
    document["components"]["schemas"][name].clone()
}

#[both_databases]
async fn error_codes_are_documented_as_they_are_sent() {
    let server = TestServer::start().await;
    let sent: Vec<Value> = ErrorCode::ALL.iter().map(|code| json!(code)).collect();
    let documented = schema(&server, "ErrorCode").await;
    assert_eq!(documented["enum"], json!(sent));
    let refused = server.visitor().get("/api/v2/user/me/").await.expect(401);
    assert!(documented["enum"].as_array().unwrap().contains(&refused["errors"][0]["code"]));
}

#[both_databases]
async fn an_empty_page_may_be_both_of_two_documented_kinds() {
    let server = TestServer::start().await;
    let (ann, _) = server.ann_and_bob().await;
    assert_eq!(ann.inbox().await["results"], json!([]));
    let documented = schema(&server, "ThreadOrSnippets").await;
    assert_eq!(documented["anyOf"].as_array().unwrap().len(), 2, "{documented}");
    assert_eq!(documented["oneOf"], Value::Null);
}
