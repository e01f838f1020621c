//! Who is let in: tokens made by hand, one claim or byte wrong at a time.

use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use parlour_server::config::Secret;
use parlour_testkit::{Answer, JWT_SECRET, TestServer, both_databases};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

use super::bad_input::assert_error_shape;

const ME: &str = "/api/v2/user/me/";
const VERIFY: &str = "/api/v2/jwt/verify_token/";
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const OLD_SECRET: &str = "the-token-secret-of-the-year-before-this-one";
const REMOVED_SECRET: &str = "the-token-secret-that-nobody-trusts-any-more";

/// `{"token_type":"access","user_id":1,"exp":4102444800}`, and its true signatures under [`JWT_SECRET`] by algorithm.
const FIXED_CLAIMS: &str = "eyJ0b2tlbl90eXBlIjoiYWNjZXNzIiwidXNlcl9pZCI6MSwiZXhwIjo0MTAyNDQ0ODAwfQ";
const SIGNATURES: [(&str, &str); 3] = [
    ("HS256", "MzOV28PhkCcvhKTVH17Op2BcVY9KXWGkH6v92LEkEDU"),
    ("HS384", "BKriLgoPVATDv7n65CHsXUadIx7EDZkzMkm-n_pwZn-tu4JCoXqqTFQiHeOkV9lq"),
    ("HS512", "Z61pSMw1lGBq9cKJNoUqODwQtdV-e5hUItUYwtA7mQaBCfKEYZe6ssA7coGAQVcgI1Qo2Ie4nMokyBJXWrE4aw"),
];

/// A server whose clock stands still, with Ann (1) on it.
async fn server_with_ann() -> TestServer {
    let server = TestServer::start().await;
    server.member(1, "ann").await;
    server
}

/// The claims of a good token of Ann's.
fn claims(server: &TestServer) -> Value {
    let now = server.now().as_seconds();
    json!({ "token_type": "access", "user_id": 1, "jti": "1763899200000", "iat": now, "exp": now + 3600 })
}

/// The same with one claim changed.
fn claims_with(server: &TestServer, name: &str, value: Value) -> Value {
    let mut claims = claims(server);
    claims[name] = value;
    claims
}

/// The same with one claim missing.
fn claims_without(server: &TestServer, name: &str) -> Value {
    let mut claims = claims(server);
    claims.as_object_mut().expect("claims").remove(name);
    claims
}

fn base64url(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(group >> (18 - 6 * place) & 63) as usize]));
        }
    }
    text
}

/// A token of exactly this header and these claims, signed with HMAC and SHA-256 whatever the header says.
fn sign_raw(header: &str, claims: &str, secret: &str) -> String {
    let message = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
    let key = EncodingKey::from_secret(secret.as_bytes());
    let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).expect("a signature");
    format!("{message}.{signature}")
}

fn sign_with(claims: &Value, secret: &str) -> String {
    sign_raw(r#"{"typ":"JWT","alg":"HS256"}"#, &claims.to_string(), secret)
}

fn sign(claims: &Value) -> String {
    sign_with(claims, JWT_SECRET)
}

#[track_caller]
fn assert_unauthenticated(answer: &Answer, code: &str, about: &str) {
    assert_eq!(answer.status.as_u16(), 401, "{about}: {} answered {}", answer.asked, answer.text);
    assert_error_shape(answer);
    assert_eq!(answer.json()["errors"][0]["code"], code, "{about}: {}", answer.text);
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"api\"", "{about}");
}

async fn refuses(server: &TestServer, token: &str, about: &str) {
    let answer = server.visitor_with(token).get(ME).await;
    assert_unauthenticated(&answer, "token_not_valid", about);
}

async fn accepts(server: &TestServer, token: &str, about: &str) {
    let answer = server.visitor_with(token).get(ME).await;
    assert_eq!(answer.status.as_u16(), 200, "{about}: {}", answer.text);
    assert_eq!(answer.json()["id"], 1, "{about}");
}

#[both_databases]
async fn a_request_without_a_bearer_token_is_not_authenticated() {
    let server = server_with_ann().await;
    let visitor = server.visitor();
    assert_unauthenticated(&visitor.get(ME).await, "not_authenticated", "no header");
    let token = sign(&claims(&server));
    let headers = [
        "",
        " ",
        "Bearer",
        "Basic YW5uOmFubg==",
        &format!("Token {token}"),
        &token,
        &format!("Bearer:{token}"),
        &format!("Bearer={token}"),
        &format!("Bearer\t{token}"),
        &format!("JWT {token}"),
        "null",
        "undefined",
    ];
    for header in headers {
        let answer = visitor.send_request(visitor.request(Method::GET, ME).header("authorization", header)).await;
        assert_unauthenticated(&answer, "not_authenticated", header);
    }
    let binary = visitor.request(Method::GET, ME).header("authorization", &b"Bearer \xFF\xFE"[..]);
    assert_unauthenticated(&visitor.send_request(binary).await, "not_authenticated", "no text");
}

#[both_databases]
async fn the_scheme_may_have_any_case() {
    let server = server_with_ann().await;
    let (visitor, token) = (server.visitor(), sign(&claims(&server)));
    for scheme in ["Bearer", "bearer", "BEARER", "Bearer "] {
        let request = visitor.request(Method::GET, ME).header("authorization", format!("{scheme} {token}"));
        visitor.send_request(request).await.expect(200);
    }
}

#[both_databases]
async fn garbage_is_no_token() {
    let server = server_with_ann().await;
    let good = sign(&claims(&server));
    accepts(&server, &good, "the good one").await;
    let parts: Vec<&str> = good.split('.').collect();
    let garbage = [
        "x",
        ".",
        "..",
        "...",
        "null",
        "undefined",
        "a.b.c",
        "====",
        "eyJhbGciOiJIUzI1NiJ9..",
        &"x".repeat(7_000),
        &format!("{}.{}", parts[0], parts[1]),
        &format!("{}.{}.", parts[0], parts[1]),
        &format!(".{}.{}", parts[1], parts[2]),
        &format!("{}..{}", parts[0], parts[2]),
        &format!("{good}."),
        &format!("{good}.x"),
        &format!("{good}="),
        &format!("{good}A"),
        &format!(".{good}"),
        &good[..good.len() - 1],
        &good[1..],
        &format!("{good} {good}"),
        &good.replace('.', ","),
        &good.to_uppercase(),
        &good.to_lowercase(),
        &format!("{good},{good}"),
        &format!("{good}%00"),
    ];
    for token in garbage {
        refuses(&server, token, token).await;
    }
}

#[both_databases]
async fn a_token_of_more_than_eight_kibibytes_is_refused() {
    let server = server_with_ann().await;
    let padded = |bytes: usize| sign(&claims_with(&server, "padding", json!("x".repeat(bytes))));
    let (small, large) = (padded(5_000), padded(7_000));
    assert!(small.len() < 8 * 1024 && large.len() > 9 * 1024, "{} and {} bytes", small.len(), large.len());
    accepts(&server, &small, "7 KiB").await;
    refuses(&server, &large, "9 KiB").await;
    let answer = server.visitor().post(VERIFY, json!({ "token": large })).await;
    assert_unauthenticated(&answer, "token_not_valid", "verify, 9 KiB");
}

#[both_databases]
async fn a_token_with_any_byte_changed_is_refused() {
    let server = server_with_ann().await;
    let good = sign(&claims(&server));
    accepts(&server, &good, "the good one").await;
    let last = good.len() - 1;
    let value = |symbol: u8| ALPHABET.iter().position(|known| *known == symbol);
    for at in 0..good.len() {
        let byte = good.as_bytes()[at];
        let flipped = [byte ^ 1, byte ^ 2, byte ^ 4, byte ^ 32].into_iter().filter(u8::is_ascii_graphic);
        for other in flipped.chain([b'A', b'_', b'.']).filter(|other| *other != byte) {
            let mut token = good.clone().into_bytes();
            token[at] = other;
            // The last symbol of 32 bytes has two bits that stand for nothing.
            let same_bytes = at == last && value(other).is_some_and(|new| new >> 2 == value(byte).unwrap() >> 2);
            if !same_bytes {
                let token = String::from_utf8(token).unwrap();
                refuses(&server, &token, &format!("byte {at} is {:?}", char::from(other))).await;
            }
        }
    }
}

#[both_databases]
async fn only_hs256_counts() {
    let server = server_with_ann().await;
    let claims = claims(&server);
    for (algorithm, signature) in SIGNATURES {
        let header = base64url(format!(r#"{{"typ":"JWT","alg":"{algorithm}"}}"#).as_bytes());
        let token = format!("{header}.{FIXED_CLAIMS}.{signature}");
        match algorithm {
            "HS256" => accepts(&server, &token, algorithm).await,
            _ => refuses(&server, &token, algorithm).await,
        }
    }
    let text = claims.to_string();
    for algorithm in
        ["none", "None", "NONE", "nOnE", "", "HS384", "HS512", "RS256", "ES256", "EdDSA", "hs256", "HS256 "]
    {
        let header = json!({ "typ": "JWT", "alg": algorithm }).to_string();
        refuses(&server, &sign_raw(&header, &text, JWT_SECRET), algorithm).await;
        let unsigned = format!("{}.{}.", base64url(header.as_bytes()), base64url(text.as_bytes()));
        refuses(&server, &unsigned, algorithm).await;
    }
    for header in
        ["{}", r#"{"typ":"JWT"}"#, r#"{"alg":null}"#, r#"{"alg":5}"#, r#"{"alg":["HS256"]}"#, "[]", "null", "x", ""]
    {
        refuses(&server, &sign_raw(header, &text, JWT_SECRET), header).await;
    }
}

#[both_databases]
async fn the_signature_must_be_of_the_secret() {
    let server = server_with_ann().await;
    let claims = claims(&server);
    let others = ["", "x", REMOVED_SECRET, &JWT_SECRET[1..], &format!("{JWT_SECRET}\n"), &JWT_SECRET.to_uppercase()];
    for secret in others {
        refuses(&server, &sign_with(&claims, secret), secret).await;
    }
    accepts(&server, &sign(&claims), "the secret").await;
}

#[both_databases]
async fn claims_that_are_no_object_are_refused() {
    let server = server_with_ann().await;
    for claims in ["[]", "null", "5", "\"x\"", "", "{", "{}", "{\"exp\":9999999999}", "\u{0}", "[{\"user_id\":1}]"] {
        refuses(&server, &sign_raw(r#"{"typ":"JWT","alg":"HS256"}"#, claims, JWT_SECRET), claims).await;
    }
}

#[both_databases]
async fn a_token_is_good_until_the_second_of_its_expiry() {
    let server = server_with_ann().await;
    let now = server.now().as_seconds();
    for exp in
        [json!(now), json!(now - 1), json!(0), json!(-1), json!(i64::MIN), json!(now as f64 - 0.5), json!(-1e300)]
    {
        refuses(&server, &sign(&claims_with(&server, "exp", exp.clone())), &exp.to_string()).await;
    }
    for exp in [json!(now + 1), json!(now as f64 + 3600.5), json!(i64::MAX), json!(u64::MAX), json!(1e300)] {
        accepts(&server, &sign(&claims_with(&server, "exp", exp.clone())), &exp.to_string()).await;
    }
}

#[both_databases]
async fn an_expiry_that_is_no_number_is_refused() {
    let server = server_with_ann().await;
    refuses(&server, &sign(&claims_without(&server, "exp")), "no exp").await;
    let later = server.now().as_seconds() + 3600;
    for exp in [json!(later.to_string()), json!(null), json!([later]), json!({ "at": later }), json!(true), json!("")] {
        refuses(&server, &sign(&claims_with(&server, "exp", exp.clone())), &exp.to_string()).await;
    }
    let raw = format!(r#"{{"token_type":"access","user_id":1,"exp":{}}}"#, "9".repeat(400));
    refuses(&server, &sign_raw(r#"{"typ":"JWT","alg":"HS256"}"#, &raw, JWT_SECRET), "400 digits").await;
}

#[both_databases]
async fn a_token_is_good_from_the_second_of_its_start() {
    let server = server_with_ann().await;
    let now = server.now().as_seconds();
    for nbf in [json!(now + 1), json!(now + 3600), json!(now as f64 + 3600.5), json!(i64::MAX), json!(1e300)] {
        refuses(&server, &sign(&claims_with(&server, "nbf", nbf.clone())), &nbf.to_string()).await;
    }
    for nbf in [json!("soon"), json!([]), json!(true), json!((now - 5).to_string())] {
        refuses(&server, &sign(&claims_with(&server, "nbf", nbf.clone())), &nbf.to_string()).await;
    }
    for nbf in [json!(now), json!(now - 1), json!(0)] {
        accepts(&server, &sign(&claims_with(&server, "nbf", nbf.clone())), &nbf.to_string()).await;
    }
    let later = sign(&claims_with(&server, "nbf", json!(now + 60)));
    refuses(&server, &later, "not yet").await;
    server.advance(Duration::from_secs(60));
    accepts(&server, &later, "a refusal is not remembered").await;
}

#[both_databases]
async fn a_token_names_its_user_by_an_integer() {
    let server = server_with_ann().await;
    refuses(&server, &sign(&claims_without(&server, "user_id")), "no user_id").await;
    let wrong = [
        json!("1"),
        json!(1.5),
        json!(1.0),
        json!(0),
        json!(-1),
        json!(1_i64 << 53),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(null),
        json!(true),
        json!([1]),
        json!({ "id": 1 }),
        json!(1e300),
        json!(""),
        json!(i64::MIN),
    ];
    for user_id in wrong {
        refuses(&server, &sign(&claims_with(&server, "user_id", user_id.clone())), &user_id.to_string()).await;
    }
}

#[both_databases]
async fn only_an_access_token_is_one() {
    let server = server_with_ann().await;
    refuses(&server, &sign(&claims_without(&server, "token_type")), "no token_type").await;
    for kind in
        [json!("refresh"), json!("Access"), json!("access "), json!(""), json!(5), json!(null), json!(["access"])]
    {
        refuses(&server, &sign(&claims_with(&server, "token_type", kind.clone())), &kind.to_string()).await;
    }
}

#[both_databases]
async fn the_other_claims_may_be_anything() {
    let server = server_with_ann().await;
    let now = server.now().as_seconds();
    let values =
        [json!(null), json!("x"), json!(1_763_899_200_000_i64), json!(1.5), json!([1]), json!({ "a": 1 }), json!(true)];
    for name in ["jti", "ext_id", "iat", "aud", "iss", "username"] {
        accepts(&server, &sign(&claims_without(&server, name)), name).await;
        for value in &values {
            accepts(&server, &sign(&claims_with(&server, name, value.clone())), &format!("{name} {value}")).await;
        }
    }
    for iat in [json!(now + 1_000_000), json!(now * 1000), json!(-1)] {
        accepts(&server, &sign(&claims_with(&server, "iat", iat.clone())), &format!("iat {iat}")).await;
    }
}

#[both_databases]
async fn a_good_token_of_nobody_is_refused() {
    let server = server_with_ann().await;
    let unknown = server.visitor_with(&server.token(777));
    assert_unauthenticated(&unknown.get(ME).await, "authentication_failed", "unknown");
    let send = json!({ "recipients": [1], "message": "x" });
    assert_unauthenticated(&unknown.post("/api/v2/pm/", send.clone()).await, "authentication_failed", "unknown");
    for (id, status) in [(4, "d"), (5, "u")] {
        let member = server.member(id, "gone").await;
        member.get(ME).await.expect(200);
        server.upsert(json!({ "id": id, "status": status })).await;
        assert_unauthenticated(&member.get(ME).await, "authentication_failed", status);
        assert_unauthenticated(&member.get("/api/v2/pm/").await, "authentication_failed", status);
        assert_unauthenticated(&member.post("/api/v2/pm/", send.clone()).await, "authentication_failed", status);
    }
}

#[both_databases]
async fn a_blocked_member_reads_and_does_not_send() {
    let server = TestServer::start().await;
    let (ann, bob) = server.ann_and_bob().await;
    bob.send(&ann, "before").await;
    server.upsert(json!({ "id": 1, "status": "b" })).await;
    assert_eq!(ann.get(ME).await.expect(200)["status"], "b");
    assert_eq!(ann.inbox().await["count"], 1);
    assert_eq!(ann.thread_with(&bob, "").await["count"], 1);
    ann.try_send(&bob, "after").await.refused(403, "permission_denied");
    assert_eq!(bob.thread_with(&ann, "").await["count"], 1, "nothing was sent");
    server.upsert(json!({ "id": 1, "status": "a" })).await;
    ann.send(&bob, "again").await;
}

#[both_databases]
async fn a_token_once_verified_is_refused_after_its_expiry() {
    let server = server_with_ann().await;
    let token = sign(&claims_with(&server, "exp", json!(server.now().as_seconds() + 10)));
    accepts(&server, &token, "fresh").await;
    server.advance(Duration::from_millis(9_999));
    accepts(&server, &token, "in its last second").await;
    server.advance(Duration::from_millis(1));
    refuses(&server, &token, "at its expiry").await;
    let answer = server.visitor().post(VERIFY, json!({ "token": token })).await;
    assert_unauthenticated(&answer, "token_not_valid", "verify");
    server.advance(Duration::from_secs(86_400));
    refuses(&server, &token, "a day later").await;
}

#[both_databases]
async fn tokens_of_a_previous_secret_are_good_until_it_is_removed() {
    let secret = |text: &str| Secret::new(text.into());
    let server =
        TestServer::with(|config| config.auth.jwt_previous_secrets = vec![secret("x"), secret(OLD_SECRET)]).await;
    server.member(1, "ann").await;
    let claims = claims(&server);
    accepts(&server, &sign(&claims), "the secret").await;
    accepts(&server, &sign_with(&claims, OLD_SECRET), "the previous one").await;
    refuses(&server, &sign_with(&claims, REMOVED_SECRET), "a removed one").await;
    let verified = server.visitor().post(VERIFY, json!({ "token": sign_with(&claims, OLD_SECRET) })).await;
    assert_eq!(verified.expect(200), json!({}));

    let later = server_with_ann().await;
    refuses(&later, &sign_with(&claims, OLD_SECRET), "the previous one, removed").await;
    accepts(&later, &server.token(1), "what the server issues is signed with the first secret").await;
}

#[both_databases]
async fn verification_looks_at_signature_and_expiry_alone() {
    let server = server_with_ann().await;
    let visitor = server.visitor();
    let good = [
        claims(&server),
        claims_without(&server, "token_type"),
        claims_without(&server, "user_id"),
        claims_with(&server, "token_type", json!("refresh")),
        claims_with(&server, "user_id", json!("x")),
        claims_with(&server, "user_id", json!(777)),
        json!({ "exp": server.now().as_seconds() + 1 }),
    ];
    for claims in good {
        assert_eq!(visitor.post(VERIFY, json!({ "token": sign(&claims) })).await.expect(200), json!({}), "{claims}");
        let form =
            visitor.post_raw(VERIFY, "application/x-www-form-urlencoded", format!("token={}", sign(&claims))).await;
        assert_eq!(form.expect(200), json!({}), "{claims}");
    }
    let expired = claims_with(&server, "exp", json!(server.now().as_seconds()));
    let bad = [
        sign(&claims_without(&server, "exp")),
        sign(&expired),
        sign_with(&claims(&server), REMOVED_SECRET),
        "x".into(),
        sign_raw(r#"{"typ":"JWT","alg":"none"}"#, &claims(&server).to_string(), JWT_SECRET),
        " ".into(),
        "\0".into(),
    ];
    for token in bad {
        assert_unauthenticated(&visitor.post(VERIFY, json!({ "token": token })).await, "token_not_valid", &token);
    }
}

#[both_databases]
async fn what_is_public_stays_so_with_bad_credentials() {
    let server = server_with_ann().await;
    let stale = server.visitor_with("stale");
    assert_eq!(stale.post(VERIFY, json!({ "token": server.token(1) })).await.expect(200), json!({}));
    for path in [
        "/healthz",
        "/readyz",
        "/api/v2/openapi.json",
        "/api/v2/dynamic_preference/",
        "/api/v2/feature/",
        "/api/v2/reaction/",
    ] {
        stale.get(path).await.expect(200);
    }
}

#[both_databases]
async fn the_admin_key_and_tokens_open_one_door_each() {
    let server = server_with_ann().await;
    let (backend, ann) = (server.backend(), server.sign_in(1, "ann"));
    for path in ["/api/v2/pm/", ME, "/api/v2/user/1/settings/"] {
        assert_unauthenticated(&backend.get(path).await, "token_not_valid", path);
    }
    for path in ["/api/v2/admin/users/", "/api/v2/admin/follows/"] {
        assert_unauthenticated(&ann.post(path, json!({})).await, "token_not_valid", path);
        assert_unauthenticated(&server.visitor().post(path, json!({})).await, "not_authenticated", path);
        let key = parlour_testkit::ADMIN_KEY;
        for wrong in ["x", &key[1..], &format!("{key}x"), &key.to_uppercase(), JWT_SECRET] {
            assert_unauthenticated(&server.visitor_with(wrong).post(path, json!({})).await, "token_not_valid", wrong);
        }
    }
}
