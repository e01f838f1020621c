//! A cursor: one that is accepted prints back to the same text, and counts with its own offset alone.

#![no_main]

use libfuzzer_sys::fuzz_target;
use parlour_server::fuzzing::cursor;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let offset = text.split('.').next().and_then(|offset| offset.parse().ok()).unwrap_or(0);
    let printed = [
        cursor::<1>(text, offset).map(|[after]| format!("{offset}.{after}")),
        cursor::<2>(text, offset).map(|[at, thread]| format!("{offset}.{at}.{thread}")),
    ];
    assert!(printed.iter().flatten().count() <= 1, "a cursor belongs to one kind of list");
    printed.iter().flatten().for_each(|printed| assert_eq!(printed, text));
    for other in
        [offset.wrapping_add(1), offset.wrapping_neg().wrapping_sub(1), 0].into_iter().filter(|other| *other != offset)
    {
        assert_eq!(cursor::<1>(text, other), None);
        assert_eq!(cursor::<2>(text, other), None);
    }
});
