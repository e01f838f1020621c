//! A JSON body: what is accepted is what `serde_json` reads, and reads the same in every content type.

#![no_main]

use libfuzzer_sys::fuzz_target;
use parlour_fuzz::Fields;
use serde_json::{Map, Value};

fuzz_target!(|data: &[u8]| {
    let Some(fields) = Fields::read("application/json", data) else { return };
    let oracle: Map<String, Value> =
        if data.is_empty() { Map::new() } else { serde_json::from_slice(data).expect("what is accepted is an object") };
    assert_eq!(fields.message.as_deref(), oracle.get("message").and_then(Value::as_str));
    if let Some(Value::Array(items)) = oracle.get("recipients") {
        assert!(fields.recipients.len() >= items.len(), "no recipient may be lost");
    }
    fields.survive_every_content_type();
});
