//! A query string: numbers lie in their ranges, texts are what the standard's decoder reads, and all of it can be written again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use parlour_fuzz::check_refusal;
use parlour_server::fuzzing;
use parlour_types::id::MAX_ID;

/// Names read as whole numbers, each with its smallest value.
const NUMBERS: [(&str, i64); 5] = [("limit", 1), ("offset", 0), ("thread", 1), ("user", 1), ("before_message", 1)];

/// Names read as text.
const TEXTS: [&str; 2] = ["term", "cursor"];

#[derive(PartialEq, Eq, Debug)]
struct Read {
    numbers: [Option<i64>; NUMBERS.len()],
    texts: [Option<String>; TEXTS.len()],
    hide: bool,
}

fn read(text: &str) -> Option<Read> {
    let mut query = fuzzing::query(text);
    let read = Read {
        numbers: NUMBERS.map(|(name, min)| query.int(name, min)),
        texts: TEXTS.map(|name| query.text(name)),
        hide: query.flag("hide"),
    };
    query.finish().map_err(check_refusal).is_ok().then_some(read)
}

/// The values that count for `name`.
fn given<'a>(text: &'a str, name: &str) -> Vec<std::borrow::Cow<'a, str>> {
    let pairs = form_urlencoded::parse(text.as_bytes()).filter(|(key, _)| key == name);
    pairs.map(|(_, value)| value).filter(|value| !matches!(&**value, "" | "undefined" | "null")).collect()
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(read_once) = read(text) else { return };
    let mut again = form_urlencoded::Serializer::new(String::new());
    for ((name, min), value) in NUMBERS.into_iter().zip(read_once.numbers) {
        let given = given(text, name);
        assert!(given.len() <= 1, "of two values for {name}, none may win");
        assert_eq!(value, given.first().map(|value| value.parse().expect("an accepted number is a number")));
        if let Some(value) = value {
            assert!((min..=MAX_ID).contains(&value), "{name}: {value}");
            again.append_pair(name, &value.to_string());
        }
    }
    for (name, value) in TEXTS.into_iter().zip(&read_once.texts) {
        assert_eq!(value.as_deref(), given(text, name).first().map(|value| &**value));
        if let Some(value) = value {
            again.append_pair(name, value);
        }
    }
    again.append_pair("hide", if read_once.hide { "1" } else { "0" });
    assert_eq!(read(&again.finish()), Some(read_once));
});
