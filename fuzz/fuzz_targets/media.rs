//! A file of any kind: an image that is taken is the same image without its metadata, and a refusal repeats nothing of the file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use parlour_fuzz::CANARY;
use parlour_media::{ImageShape, Limits, MediaError, inspect, sniff, strip_metadata, thumbnail};
use std::io::{self, Cursor, Read, Seek, SeekFrom};

const LIMITS: Limits = Limits { max_pixels: 20_000, max_frames: 20, thumbnail_side: 16 };

fuzz_target!(|data: &[u8]| {
    let Some((operation, bytes)) = data.split_first() else { return };
    let mimetype = sniff(&mut Cursor::new(bytes)).expect("memory can be read");
    match operation % 4 {
        0 => {
            let slowly = sniff(&mut OneByOne(Cursor::new(bytes))).expect("memory can be read");
            assert_eq!(mimetype, slowly, "the type does not depend on how a file is read");
        }
        1 => check_strip(bytes, mimetype),
        2 => check_thumbnail(bytes, mimetype),
        _ => ["image/jpeg", "image/png", "image/gif", "image/webp"].iter().for_each(|other| check_strip(bytes, other)),
    }
});

/// Gives away a byte at a time.
struct OneByOne<'a>(Cursor<&'a [u8]>);

impl Read for OneByOne<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(1);
        self.0.read(&mut buffer[..length])
    }
}

impl Seek for OneByOne<'_> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.0.seek(position)
    }
}

/// Asserts that what is stripped is an image of the same shape with nothing more to strip.
fn check_strip(bytes: &[u8], mimetype: &str) {
    let shape = shape(bytes, mimetype);
    let Some(stripped) = strip(bytes, mimetype) else {
        assert_eq!(shape, None, "what cannot be copied cannot be inspected");
        return;
    };
    assert_eq!(sniff(&mut Cursor::new(&stripped)).expect("memory can be read"), mimetype);
    assert_eq!(self::shape(&stripped, mimetype), shape);
    assert_eq!(strip(&stripped, mimetype).as_ref(), Some(&stripped));
}

/// Asserts that a thumbnail is small, an image, and the same whether its image was stripped before or not; but for JPEG, whose decoder
/// guesses at pixels that are broken, by whatever stands next to them.
fn check_thumbnail(bytes: &[u8], mimetype: &str) {
    let Some(small) = make_thumbnail(bytes, mimetype) else { return };
    assert!(shape(bytes, mimetype).is_some(), "nothing is decoded that was not inspected");
    let stripped = strip(bytes, mimetype).expect("what has a thumbnail can be copied");
    let again = make_thumbnail(&stripped, mimetype);
    assert!(again == Some(small) || mimetype == "image/jpeg", "an image looks the same without metadata");
}

fn make_thumbnail(bytes: &[u8], mimetype: &str) -> Option<Vec<u8>> {
    let mut written = Cursor::new(Vec::new());
    let made = thumbnail(&mut Cursor::new(bytes), mimetype, &LIMITS, &mut written).map_err(check_refusal).ok()?;
    assert!((1..=16).contains(&made.width) && (1..=16).contains(&made.height));
    let written = written.into_inner();
    let shape = shape(&written, made.mimetype).expect("a thumbnail is an image");
    assert_eq!((shape.width, shape.height), (made.width, made.height));
    Some(written)
}

fn shape(bytes: &[u8], mimetype: &str) -> Option<ImageShape> {
    let shape = inspect(&mut Cursor::new(bytes), mimetype, &LIMITS).map_err(check_refusal).ok()?;
    assert!(shape.width > 0 && shape.height > 0 && (1..=LIMITS.max_frames).contains(&shape.frames));
    assert!(u64::from(shape.width) * u64::from(shape.height) <= LIMITS.max_pixels);
    Some(shape)
}

fn strip(bytes: &[u8], mimetype: &str) -> Option<Vec<u8>> {
    let mut stripped = Vec::new();
    strip_metadata(&mut Cursor::new(bytes), &mut stripped, mimetype).map_err(check_refusal).ok()?;
    Some(stripped)
}

fn check_refusal(error: MediaError) {
    assert!(!matches!(error, MediaError::Io(_)), "memory can be read and written");
    assert!(!error.to_string().contains(CANARY));
}
