//! Files made to hurt: bombs, broken ends, and whatever chance comes up with. Each is refused at once, without a panic.

use crate::common::{self, LIMITS, shape, strip, thumbnail};
use parlour_media::samples::{self as made, png_chunk, webp_chunk};
use parlour_media::{Limits, MediaError};
use proptest::prelude::*;
use std::time::{Duration, Instant};

/// What a single file may take, in a build without optimisation on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    let chunks = [b"WEBP".to_vec(), chunks.concat()].concat();
    [b"RIFF".to_vec(), (chunks.len() as u32).to_le_bytes().to_vec(), chunks].concat()
}

fn png(parts: &[Vec<u8>]) -> Vec<u8> {
    [b"\x89PNG\r\n\x1A\n".to_vec(), parts.concat(), png_chunk(*b"IEND", b"")].concat()
}

fn png_header(width: u32, height: u32) -> Vec<u8> {
    png_chunk(*b"IHDR", &[&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat())
}

#[test]
fn bombs_of_pixels_are_seen_before_decoding() {
    let mut jpeg = made::jpeg(1).unwrap();
    let frame = jpeg.windows(4).position(|part| part == b"\xFF\xC0\0\x11").unwrap();
    jpeg[frame + 5..frame + 9].fill(0xFF);
    let mut lossless = made::webp().unwrap();
    lossless[21..25].copy_from_slice(&0x0FFF_FFFF_u32.to_le_bytes());
    let mut lossy = made::webp_lossy();
    lossy[26..30].fill(0xFF);
    let mut extended = made::webp_extended(1).unwrap();
    extended[24..30].copy_from_slice(&[0xFF, 0xFF, 0, 0xFF, 0xFF, 0]);
    let mut gif_screen = made::gif(1).unwrap();
    gif_screen[6..10].fill(0xFF);
    let mut gif_frame = strip(&made::gif(1).unwrap(), "image/gif").unwrap();
    let image = gif_frame.windows(5).position(|part| part == b"\x2C\0\0\0\0").unwrap();
    gif_frame[image + 5..image + 9].fill(0xFF);
    let bombs = [
        ("image/png", png(&[png_header(60_000, 60_000), png_chunk(*b"IDAT", b"x")])),
        ("image/jpeg", jpeg),
        ("image/webp", lossless),
        ("image/webp", lossy),
        ("image/webp", extended),
        ("image/gif", gif_screen),
        ("image/gif", gif_frame),
    ];
    for (index, (mimetype, bytes)) in bombs.into_iter().enumerate() {
        let start = Instant::now();
        let refusals = [shape(&bytes, mimetype).map(drop), thumbnail(&bytes, mimetype, &LIMITS).map(drop)];
        for refusal in refusals {
            let refusal = refusal.unwrap_err();
            assert!(
                matches!(refusal, MediaError::TooManyPixels { limit: 50_000_000 }),
                "{index} {mimetype}: {refusal}"
            );
        }
        assert!(start.elapsed() < PATIENCE);
    }
}

#[test]
fn bombs_of_frames_are_seen_before_decoding() {
    let few = Limits { max_frames: 3, ..LIMITS };
    let control = png_chunk(*b"fcTL", &[&[0; 4][..], &1_u32.to_be_bytes(), &1_u32.to_be_bytes(), &[0; 14]].concat());
    let announced = png_chunk(*b"acTL", &[&10_000_u32.to_be_bytes()[..], &[0; 4]].concat());
    let pixels = png_chunk(*b"IDAT", b"x");
    let bombs = [
        ("image/gif", made::gif(10_000).unwrap()),
        ("image/webp", made::webp_animated(10_000).unwrap()),
        ("image/png", png(&[png_header(1, 1), announced, pixels.clone()])),
        ("image/png", png(&[png_header(1, 1), pixels, control.repeat(10_000)])),
    ];
    for (mimetype, bytes) in bombs {
        for limits in [LIMITS, few] {
            let start = Instant::now();
            let refusal = thumbnail(&bytes, mimetype, &limits).unwrap_err();
            assert!(matches!(refusal, MediaError::TooManyFrames { limit } if limit == limits.max_frames), "{refusal}");
            assert!(start.elapsed() < PATIENCE);
        }
    }
    let four = Limits { max_frames: 4, ..LIMITS };
    for (mimetype, bytes) in [("image/gif", made::gif(4).unwrap()), ("image/webp", made::webp_animated(4).unwrap())] {
        assert!(thumbnail(&bytes, mimetype, &few).is_err());
        assert_eq!(parlour_media::inspect(&mut std::io::Cursor::new(&bytes), mimetype, &four).unwrap().frames, 4);
    }
}

#[test]
fn a_frame_may_not_be_larger_than_its_image_says() {
    let header = |side: u8| webp_chunk(*b"VP8X", &[0, 0, 0, 0, side, 0, 0, side, 0, 0]);
    let bitstream = made::webp_lossy().split_off(12);
    assert!(shape(&riff(&[header(0), bitstream.clone()]), "image/webp").is_ok());
    assert!(matches!(shape(&riff(&[header(9), bitstream]), "image/webp"), Err(MediaError::Broken(_))));
    let control = [&[0; 4][..], &9_u32.to_be_bytes(), &1_u32.to_be_bytes(), &[0; 14]].concat();
    let file = png(&[png_header(1, 1), png_chunk(*b"IDAT", b"x"), png_chunk(*b"fcTL", &control)]);
    assert!(matches!(shape(&file, "image/png"), Err(MediaError::Broken(_))));
}

#[test]
fn no_end_is_missing_unnoticed() {
    for (name, mimetype, bytes) in common::samples() {
        let whole = strip(&bytes, mimetype).unwrap();
        let cuts = (0..50).map(|part| whole.len() * part / 50).chain([whole.len() - 1]);
        for cut in cuts {
            let bytes = &whole[..cut];
            assert!(matches!(shape(bytes, mimetype), Err(MediaError::Broken(_))), "{name} cut at {cut}");
            assert!(matches!(strip(bytes, mimetype), Err(MediaError::Broken(_))), "{name} cut at {cut}");
            assert!(matches!(thumbnail(bytes, mimetype, &LIMITS), Err(MediaError::Broken(_))), "{name} cut at {cut}");
        }
    }
}

#[test]
fn a_wrong_checksum_is_noticed() {
    let mut bytes = made::png(1, false).unwrap();
    let pixels = bytes.windows(4).position(|part| part == b"IDAT").unwrap();
    bytes[pixels + 10] ^= 1;
    assert!(matches!(strip(&bytes, "image/png"), Err(MediaError::Broken(_))));
}

#[test]
fn no_error_repeats_the_file() {
    for (_, mimetype, bytes) in common::samples() {
        for cut in 0..bytes.len() {
            for refusal in [shape(&bytes[..cut], mimetype).map(drop), strip(&bytes[..cut], mimetype).map(drop)] {
                let said = refusal.map_or_else(|error| format!("{error} {error:?}"), |()| String::new());
                assert!(!said.contains("CANARY"), "{said}");
            }
        }
    }
}

/// What must hold of any bytes.
fn check(bytes: &[u8]) {
    let limits = Limits { max_pixels: 100_000, max_frames: 20, thumbnail_side: 16 };
    let start = Instant::now();
    let mimetype = common::sniff(bytes);
    let shape = shape(bytes, mimetype);
    if let Ok(stripped) = strip(bytes, mimetype) {
        assert_eq!(common::sniff(&stripped), mimetype);
        assert_eq!(strip(&stripped, mimetype).unwrap(), stripped);
        match (shape, common::shape(&stripped, mimetype)) {
            (Ok(before), Ok(after)) => assert_eq!(before, after),
            (before, after) => assert_eq!(before.is_ok(), after.is_ok()),
        }
    }
    if let Ok((thumbnail, _)) = thumbnail(bytes, mimetype, &limits) {
        assert!(thumbnail.width.max(thumbnail.height) <= 16);
    }
    assert!(start.elapsed() < PATIENCE);
}

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((0..4_u8, any::<prop::sample::Index>(), any::<u8>()), 1..8);
    (prop::sample::select(common::samples()), edits).prop_map(|((_, _, mut bytes), edits)| {
        for (kind, place, byte) in edits {
            let at = place.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => bytes.truncate(at.max(1)),
            }
        }
        bytes
    })
}

fn signed() -> impl Strategy<Value = Vec<u8>> {
    let signatures: Vec<Vec<u8>> = vec![
        b"\xFF\xD8\xFF".to_vec(),
        b"\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR".to_vec(),
        b"GIF89a".to_vec(),
        b"RIFF\xFF\0\0\0WEBPVP8X".to_vec(),
        b"PK\x03\x04".to_vec(),
        b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec(),
        b"\0\0\0\x18ftyp".to_vec(),
        b"<!".to_vec(),
        b"\xFF\xFE<\0".to_vec(),
        Vec::new(),
    ];
    let rest = prop::collection::vec(any::<u8>(), 0..2000);
    (prop::sample::select(signatures), rest).prop_map(|(start, rest)| [start, rest].concat())
}

proptest! {
    #[test]
    fn any_bytes_are_taken_or_refused(bytes in signed()) {
        check(&bytes);
    }

    #[test]
    fn any_change_is_taken_or_refused(bytes in mutated()) {
        check(&bytes);
    }
}
