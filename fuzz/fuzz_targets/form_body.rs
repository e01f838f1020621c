//! A form, urlencoded and multipart: what is accepted is what the standard's decoder reads, and reads the same in every content type.

#![no_main]

use libfuzzer_sys::fuzz_target;
use parlour_fuzz::{Fields, MULTIPART};

fuzz_target!(|data: &[u8]| {
    if let Some(fields) = Fields::read("application/x-www-form-urlencoded", data) {
        let mut messages = form_urlencoded::parse(data).filter(|(name, _)| name == "message").map(|(_, value)| value);
        assert_eq!(fields.message.as_deref(), messages.next().as_deref());
        assert_eq!(messages.next(), None, "of two texts, none may win");
        let ids = form_urlencoded::parse(data).filter(|(name, value)| name == "recipients" && !value.is_empty());
        assert!(fields.recipients.len() >= ids.filter(|(_, value)| !value.trim_start().starts_with('[')).count());
        fields.survive_every_content_type();
    }
    if let Some(fields) = Fields::read(MULTIPART, data) {
        fields.survive_every_content_type();
    }
});
