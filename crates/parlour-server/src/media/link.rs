//! Links that open a file for whoever has them, for a while: no page can send a token along with a picture (contract §0.3 no. 20).
//!
//! A link says who may see what until when, and is signed. It does not say that the file is still to be seen: that is asked when it is
//! opened. So that browsers cache, the link to a file stays the same for half of its life, its window.

use crate::config::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use parlour_types::model::{FileLink, LinkSubject, Purpose};
use parlour_types::{FileUuid, MessageId, Timestamp, UserId};
use sha2::Sha256;
use std::time::Duration;

/// What the key of links is derived with, so that no link is ever a token nor a token a link.
const KEY_LABEL: &[u8] = b"parlour media links 1";

/// Bytes of the signature.
const SIGNATURE: usize = 16;

/// Bytes of a token at the most, in base64.
const MAX_TOKEN: usize = 64;

/// Signs and verifies links.
pub struct MediaLinks {
    /// The first signs; all of them verify, so that a secret can be replaced without every picture going blank.
    keys: Vec<Hmac<Sha256>>,
    /// Seconds that a link stays the same.
    window: i64,
}

/// What a good link says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenedLink {
    /// What it opens, for whom.
    pub link: FileLink,
    /// When it ceases to.
    pub expires_at: Timestamp,
}

impl MediaLinks {
    /// `secrets` are those of the tokens: the first signs, all verify. A link is valid for `lifetime` at the most and half of it at least.
    #[must_use]
    pub fn new(secrets: &[Secret], lifetime: Duration) -> Self {
        let key = |secret: &Secret| {
            let derived = keyed(secret.expose().as_bytes()).chain_update(KEY_LABEL).finalize().into_bytes();
            keyed(&derived)
        };
        // As with tokens: a secret shorter than the configuration allows must not verify anything.
        let long = secrets.iter().filter(|secret| secret.expose().len() >= crate::auth::MIN_SECRET_BYTES);
        let window = i64::try_from(lifetime.as_secs() / 2).unwrap_or(i64::MAX);
        Self { keys: long.map(key).collect(), window: window.clamp(1, i64::from(u32::MAX)) }
    }

    /// The token of a link: the last segment of its address.
    #[must_use]
    pub fn sign(&self, link: &FileLink, now: Timestamp) -> String {
        let mut bytes = Vec::with_capacity(MAX_TOKEN);
        write(link, self.expiry(now), &mut bytes);
        if let Some(key) = self.keys.first() {
            let signature = key.clone().chain_update(&bytes).finalize().into_bytes();
            bytes.extend_from_slice(&signature[..SIGNATURE]);
        }
        BASE64.encode(bytes)
    }

    /// What a token opens; `None` unless it was signed here and has not expired.
    #[must_use]
    pub fn verify(&self, token: &str, now: Timestamp) -> Option<OpenedLink> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let bytes = BASE64.decode(token).ok()?;
        let (said, signature) = bytes.split_at_checked(bytes.len().checked_sub(SIGNATURE)?)?;
        // In constant time, as hmac promises.
        let is_signed = |key: &Hmac<Sha256>| key.clone().chain_update(said).verify_truncated_left(signature).is_ok();
        if !self.keys.iter().any(is_signed) {
            return None;
        }
        let (link, expiry) = read(said)?;
        let expires_at = Timestamp::from_micros(i64::from(expiry) * 1_000_000);
        (now < expires_at).then_some(OpenedLink { link, expires_at })
    }

    /// When a link made now expires: at the end of the window after this one.
    fn expiry(&self, now: Timestamp) -> u32 {
        let window = now.as_seconds().div_euclid(self.window);
        let expiry = window.saturating_add(2).saturating_mul(self.window);
        u32::try_from(expiry.max(0)).unwrap_or(u32::MAX)
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

/// Kind, expiry, viewer and subject, each of the length that its kind gives it, so that no two links have the same bytes.
fn write(link: &FileLink, expiry: u32, bytes: &mut Vec<u8>) {
    let kind = match (link.subject, link.purpose) {
        (LinkSubject::Message(_), Purpose::File) => 1,
        (LinkSubject::Message(_), Purpose::Thumbnail) => 2,
        (LinkSubject::Upload(_), Purpose::File) => 3,
        (LinkSubject::Upload(_), Purpose::Thumbnail) => 4,
    };
    bytes.push(kind);
    bytes.extend_from_slice(&expiry.to_be_bytes());
    bytes.extend_from_slice(&id_bytes(link.viewer.get()));
    match link.subject {
        LinkSubject::Message(id) => bytes.extend_from_slice(&id_bytes(id.get())),
        LinkSubject::Upload(uuid) => bytes.extend_from_slice(uuid.as_bytes()),
    }
}

fn read(said: &[u8]) -> Option<(FileLink, u32)> {
    let (kind, rest) = said.split_first()?;
    let (expiry, rest) = rest.split_first_chunk()?;
    let (viewer, subject) = rest.split_first_chunk()?;
    let message = || Some(LinkSubject::Message(MessageId::new(id_of(subject.try_into().ok()?))?));
    let upload = || Some(LinkSubject::Upload(FileUuid::from_bytes(subject.try_into().ok()?)));
    let (subject, purpose) = match kind {
        1 => (message()?, Purpose::File),
        2 => (message()?, Purpose::Thumbnail),
        3 => (upload()?, Purpose::File),
        4 => (upload()?, Purpose::Thumbnail),
        _ => return None,
    };
    let viewer = UserId::new(id_of(*viewer))?;
    Some((FileLink { viewer, subject, purpose }, u32::from_be_bytes(*expiry)))
}

/// An id has 53 bits: the first byte of eight is nought.
fn id_bytes(id: i64) -> [u8; 7] {
    let [_, bytes @ ..] = id.to_be_bytes();
    bytes
}

fn id_of([a, b, c, d, e, f, g]: [u8; 7]) -> i64 {
    i64::from_be_bytes([0, a, b, c, d, e, f, g])
}

#[cfg(test)]
mod tests {
    use super::*;
    use parlour_types::id::MAX_ID;
    use proptest::prelude::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_123_456);

    fn secret(text: &str) -> Secret {
        Secret::new(text.repeat(32))
    }

    fn links() -> MediaLinks {
        MediaLinks::new(&[secret("a"), secret("b")], DAY)
    }

    fn any_link() -> impl Strategy<Value = FileLink> {
        let subject = prop_oneof![
            (1..=MAX_ID).prop_map(|id| LinkSubject::Message(MessageId::new(id).unwrap())),
            any::<[u8; 16]>().prop_map(|bytes| LinkSubject::Upload(FileUuid::from_bytes(bytes))),
        ];
        let purpose = prop_oneof![Just(Purpose::File), Just(Purpose::Thumbnail)];
        let viewer = (1..=MAX_ID).prop_map(|id| UserId::new(id).unwrap());
        (viewer, subject, purpose).prop_map(|(viewer, subject, purpose)| FileLink { viewer, subject, purpose })
    }

    proptest! {
        #[test]
        fn a_link_opens_what_it_was_made_for(link in any_link(), other in any_link()) {
            let token = links().sign(&link, NOW);
            prop_assert_eq!(links().verify(&token, NOW).map(|opened| opened.link), Some(link));
            prop_assert_eq!(links().sign(&other, NOW) == token, other == link);
        }

        #[test]
        fn no_changed_link_opens_anything(link in any_link(), position in any::<prop::sample::Index>(), bit in 0..8_u32) {
            let token = links().sign(&link, NOW);
            let mut bytes = BASE64.decode(&token).unwrap();
            let at = position.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert_eq!(links().verify(&BASE64.encode(&bytes), NOW), None);
            let mut text = token.clone().into_bytes();
            text[position.index(token.len())] ^= 1_u8 << bit;
            prop_assert_eq!(links().verify(&String::from_utf8_lossy(&text), NOW), None);
            prop_assert_eq!(links().verify(&token[..position.index(token.len())], NOW), None);
            for longer in [format!("{token}A"), format!("{token}="), format!("{token}AAAA"), format!(" {token}")] {
                prop_assert_eq!(links().verify(&longer, NOW), None);
            }
        }

        #[test]
        fn a_link_stays_the_same_for_a_window_and_lives_for_one_or_two(
            link in any_link(),
            lifetime in 2_u64..10_000_000,
            second in 0_i64..4_000_000_000,
            micros in 0_i64..1_000_000,
        ) {
            let links = MediaLinks::new(&[secret("a")], Duration::from_secs(lifetime));
            let window = i64::try_from(lifetime / 2).unwrap();
            let now = Timestamp::from_micros(second * 1_000_000 + micros);
            let token = links.sign(&link, now);
            let expires_at = links.verify(&token, now).unwrap().expires_at;
            let left = expires_at.as_micros() - now.as_micros();
            prop_assert!(left > window * 1_000_000 && left <= 2 * window * 1_000_000);
            let start = Timestamp::from_micros(second.div_euclid(window) * window * 1_000_000);
            prop_assert_eq!(&links.sign(&link, start), &token);
            prop_assert_eq!(&links.sign(&link, start.plus_micros(window * 1_000_000 - 1)), &token);
            prop_assert_ne!(&links.sign(&link, start.plus_micros(window * 1_000_000)), &token);
            prop_assert!(links.verify(&token, expires_at.plus_micros(-1)).is_some());
            prop_assert!(links.verify(&token, expires_at).is_none());
        }

        #[test]
        fn any_text_is_survived(token in "[A-Za-z0-9_=-]{0,80}|.{0,80}") {
            prop_assert_eq!(links().verify(&token, NOW), None);
        }
    }

    #[test]
    fn previous_secrets_verify_and_others_do_not() {
        let link = FileLink {
            viewer: UserId::new(7).unwrap(),
            subject: LinkSubject::Message(MessageId::new(MAX_ID).unwrap()),
            purpose: Purpose::Thumbnail,
        };
        let before = MediaLinks::new(&[secret("b")], DAY).sign(&link, NOW);
        assert_eq!(links().verify(&before, NOW).map(|opened| opened.link), Some(link));
        assert_ne!(before, links().sign(&link, NOW));
        let foreign = MediaLinks::new(&[secret("c")], DAY).sign(&link, NOW);
        assert_eq!(links().verify(&foreign, NOW), None);
        // Nobody's secret is the empty one.
        let none = MediaLinks::new(&[Secret::default()], DAY);
        assert_eq!(none.verify(&none.sign(&link, NOW), NOW), None);
    }

    #[test]
    fn a_link_has_the_form_that_others_rely_on() {
        let link = FileLink {
            viewer: UserId::new(258).unwrap(),
            subject: LinkSubject::Upload(FileUuid::from_bytes([9; 16])),
            purpose: Purpose::File,
        };
        let token = MediaLinks::new(&[secret("a")], DAY).sign(&link, NOW);
        let bytes = BASE64.decode(&token).unwrap();
        assert_eq!((bytes.len(), token.len()), (44, 59));
        assert_eq!(bytes[..1], [3]);
        // Windows of 12 hours since 1970: the one of this moment is the 41,666th.
        assert_eq!(bytes[1..5], (41_668_u32 * 43_200).to_be_bytes());
        assert_eq!(bytes[5..12], [0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(bytes[12..28], [9; 16]);
    }
}
