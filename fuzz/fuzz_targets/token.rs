//! A token: none verifies that the key did not sign, none with another algorithm, none without the claims that the API asks for.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use libfuzzer_sys::fuzz_target;
use parlour_server::Auth;
use parlour_server::config::{ProvisionMode, Secret};
use parlour_types::id::MAX_ID;
use parlour_types::{Timestamp, UserId};
use serde_json::{Map, Value};
use sha2::Sha256;
use std::sync::LazyLock;
use std::time::Duration;

const KEY: &str = "the-token-secret-of-every-fuzz-target";
const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

static AUTH: LazyLock<Auth> = LazyLock::new(|| {
    let admin_key = Secret::new("the-admin-key-of-every-fuzz-target-here".into());
    Auth::new(&[Secret::new(KEY.into())], admin_key, ProvisionMode::Never)
});

static ISSUED: LazyLock<String> = LazyLock::new(|| {
    let user = UserId::new(7).expect("7 is an id");
    AUTH.issue(user, NOW, Duration::from_secs(60))
});

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    match mode % 3 {
        0 => std::str::from_utf8(data).into_iter().for_each(check),
        1 => check_changed(data),
        _ => check(&signed(data)),
    }
});

/// Asserts of any text that it verifies only if it is a good token by an independent reading.
fn check(token: &str) {
    let claims = AUTH.verify(token, NOW);
    if AUTH.verify_only(token, NOW).is_err() {
        assert!(claims.is_err(), "an access token is a token");
        return;
    }
    let payload = payload(token).expect("a token that verifies is signed with the key by HS256");
    let exp = payload["exp"].as_f64().expect("a token that verifies has an end");
    assert!(exp > NOW.as_seconds() as f64, "a token ends");
    if let Some(nbf) = payload.get("nbf") {
        assert!(nbf.as_f64().expect("a beginning is a number") < NOW.as_seconds() as f64 + 1.0, "a token begins");
    }
    if let Ok(claims) = claims {
        assert_eq!(payload["token_type"], "access");
        assert_eq!(payload["user_id"], claims.user_id.get());
        assert!((1..=MAX_ID).contains(&claims.user_id.get()));
        // Found again by its bytes.
        assert_eq!(AUTH.verify(token, NOW).map(|again| again.user_id), Ok(claims.user_id));
        let later = NOW.plus_micros(i64::MAX);
        let ended = exp < later.as_seconds() as f64;
        assert!(AUTH.verify(token, later).is_err() || !ended, "a token ends, remembered or not");
    }
}

/// The claims, if the token has three parts, the right signature and the right algorithm.
fn payload(token: &str) -> Option<Map<String, Value>> {
    let (message, signature) = token.rsplit_once('.')?;
    mac(message.as_bytes()).verify_slice(&BASE64.decode(signature).ok()?).ok()?;
    let (header, payload) = message.split_once('.')?;
    let header: Map<String, Value> = serde_json::from_slice(&BASE64.decode(header).ok()?).ok()?;
    if header.get("alg")? != "HS256" {
        return None;
    }
    serde_json::from_slice(&BASE64.decode(payload).ok()?).ok()
}

fn mac(message: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).expect("a key of any length").chain_update(message)
}

/// Asserts that a good token with any change is refused. `edits` are triples: what to do, where, with which byte.
fn check_changed(edits: &[u8]) {
    let mut token = ISSUED.clone().into_bytes();
    for edit in edits.chunks_exact(3) {
        let at = usize::from(edit[1]) % (token.len() + 1);
        match edit[0] % 3 {
            0 if at < token.len() => token[at] = edit[2],
            1 if at < token.len() => drop(token.remove(at)),
            _ => token.insert(at, edit[2]),
        }
    }
    let Ok(token) = String::from_utf8(token) else { return };
    assert_eq!(AUTH.verify(&token, NOW).is_ok(), token == *ISSUED);
    assert_eq!(AUTH.verify_only(&token, NOW).is_ok(), token == *ISSUED);
}

/// A header and claims of any content, parted by a line's end, under a good signature.
fn signed(data: &[u8]) -> String {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let claims = data.get(end + 1..).unwrap_or_default();
    let message = format!("{}.{}", BASE64.encode(&data[..end]), BASE64.encode(claims));
    let signature = mac(message.as_bytes()).finalize().into_bytes();
    format!("{message}.{}", BASE64.encode(signature))
}
