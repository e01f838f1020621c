//! Tokens: verified once, then found by their bytes until they expire (contract §1.2).

mod hs256;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use parlour_core::directory::Provision;
use parlour_types::{Timestamp, UserId};
use quick_cache::sync::Cache;
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;
use subtle::ConstantTimeEq;

use crate::config::{ProvisionMode, Secret};

/// A longer token is refused unread.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Verified tokens remembered at the most.
const REMEMBERED_TOKENS: usize = 50_000;

/// Bytes that a shared secret must have at least.
pub const MIN_SECRET_BYTES: usize = 32;

/// Verifies and issues tokens.
pub struct Auth {
    /// The first signs; all of them verify, so that a secret can be replaced without a logout storm.
    keys: Vec<DecodingKey>,
    signing: EncodingKey,
    admin_key: Secret,
    provision: ProvisionMode,
    verified: Cache<Box<str>, Verified>,
}

/// What a good token says.
#[derive(Clone, Debug)]
pub struct Claims {
    /// Whom it names.
    pub user_id: UserId,
    username: Option<String>,
    ext_id: Option<String>,
}

impl Claims {
    /// What is needed to create the user on first sight.
    #[must_use]
    pub fn as_provision(&self) -> Provision {
        Provision { user_id: self.user_id, username: self.username.clone(), ext_id: self.ext_id.clone() }
    }
}

#[derive(Clone)]
struct Verified {
    claims: Claims,
    expires: i64,
}

/// A token that this server does not accept. Why not is nobody's business but the log's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadToken;

/// The claims of a token that `parlour token` issues, like those of the official SDK's generator.
#[derive(Serialize)]
struct Issued {
    token_type: &'static str,
    user_id: UserId,
    jti: String,
    iat: i64,
    exp: i64,
}

impl Auth {
    /// `secrets` is not empty: the first signs, all verify.
    #[must_use]
    pub fn new(secrets: &[Secret], admin_key: Secret, provision: ProvisionMode) -> Self {
        hs256::install();
        let signing = secrets.first().map_or(&[][..], |secret| secret.expose().as_bytes());
        Self {
            // A key shorter than the configuration allows never gets here; if it did, it must not verify anything.
            keys: secrets
                .iter()
                .filter(|secret| secret.expose().len() >= MIN_SECRET_BYTES)
                .map(|secret| DecodingKey::from_secret(secret.expose().as_bytes()))
                .collect(),
            signing: EncodingKey::from_secret(signing),
            admin_key,
            provision,
            verified: Cache::new(REMEMBERED_TOKENS),
        }
    }

    /// Whether an unknown user of a good token is created.
    #[must_use]
    pub fn provisions(&self) -> bool {
        self.provision == ProvisionMode::OnFirstSight
    }

    /// Whether `key` is the admin key.
    #[must_use]
    pub fn is_admin_key(&self, key: &str) -> bool {
        key.as_bytes().ct_eq(self.admin_key.expose().as_bytes()).into()
    }

    /// Verifies signature, `exp`, `nbf`, `token_type` and `user_id` of an access token.
    ///
    /// # Errors
    /// [`BadToken`], whatever is wrong.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, BadToken> {
        if let Some(known) = self.verified.get(token) {
            return if now.as_seconds() < known.expires { Ok(known.claims) } else { Err(BadToken) };
        }
        let (claims, expires) = self.verify_signature(token, now)?;
        if claims.get("token_type").and_then(Value::as_str) != Some("access") {
            return Err(BadToken);
        }
        let user_id = claims.get("user_id").and_then(Value::as_i64).and_then(UserId::new).ok_or(BadToken)?;
        let text = |name| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        let ext_id = match claims.get("ext_id") {
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => text("ext_id"),
        };
        let claims = Claims { user_id, username: text("username"), ext_id };
        self.verified.insert(token.into(), Verified { claims: claims.clone(), expires });
        Ok(claims)
    }

    /// Verifies signature and times alone, as `POST /api/v2/jwt/verify_token/` promises.
    ///
    /// # Errors
    /// [`BadToken`], whatever is wrong.
    pub fn verify_only(&self, token: &str, now: Timestamp) -> Result<(), BadToken> {
        self.verify_signature(token, now).map(drop)
    }

    fn verify_signature(&self, token: &str, now: Timestamp) -> Result<(serde_json::Map<String, Value>, i64), BadToken> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(BadToken);
        }
        let mut validation = Validation::new(Algorithm::HS256);
        // Times are checked below, against the server's own clock, without leeway, and with the right JSON type.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let decode = |key| jsonwebtoken::decode::<serde_json::Map<String, Value>>(token, key, &validation).ok();
        let claims = self.keys.iter().find_map(decode).ok_or(BadToken)?.claims;
        let expires = numeric_date(claims.get("exp")).ok_or(BadToken)?;
        let starts = claims.get("nbf").map_or(Some(i64::MIN), |nbf| numeric_date(Some(nbf))).ok_or(BadToken)?;
        let valid = now.as_seconds() < expires && starts <= now.as_seconds();
        if valid { Ok((claims, expires)) } else { Err(BadToken) }
    }

    /// Issues a token for `user`.
    #[must_use]
    pub fn issue(&self, user: UserId, now: Timestamp, ttl: Duration) -> String {
        let seconds = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
        let claims = Issued {
            token_type: "access",
            user_id: user,
            jti: (now.as_micros() / 1000).to_string(),
            iat: now.as_seconds(),
            exp: now.as_seconds().saturating_add(seconds),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
            .expect("plain claims and an HMAC key always make a token")
    }
}

/// Whole seconds of a NumericDate, which may have a fraction.
fn numeric_date(value: Option<&Value>) -> Option<i64> {
    let number = value?.as_number()?;
    match number.as_i64() {
        Some(seconds) => Some(seconds),
        // A fraction, or a number past 64 bits: as far as a NumericDate goes, the nearest whole second decides.
        None => number.as_f64().filter(|seconds| seconds.is_finite()).map(|seconds| seconds as i64),
    }
}
