//! Metadata goes, pixels and orientation stay.

use crate::common::{self, decode, shape, strip};
use image::AnimationDecoder as _;
use image::codecs::gif::GifDecoder;
use image::codecs::webp::WebPDecoder;
use parlour_media::{Orientation, samples};
use std::io::Cursor;

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn every_trace_is_gone_and_every_pixel_stays() {
    for (name, mimetype, bytes) in common::samples() {
        let stripped = strip(&bytes, mimetype).unwrap();
        for trace in [samples::CANARY, b"XMP", b"Photoshop", b"MPF", b"prVt", b"tIME", b"tEXt", b"<script"] {
            assert!(!has(&stripped, trace), "{name} still says {:?}", String::from_utf8_lossy(trace));
        }
        assert_eq!(decode(&bytes, mimetype), decode(&stripped, mimetype), "{name}");
        assert_eq!(shape(&bytes, mimetype).unwrap(), shape(&stripped, mimetype).unwrap(), "{name}");
        assert_eq!(strip(&stripped, mimetype).unwrap(), stripped, "{name} is stripped once");
        assert_eq!(common::sniff(&stripped), mimetype, "{name}");
    }
}

#[test]
fn the_orientation_is_all_that_stays_of_exif() {
    for orientation in 1..=8 {
        let expected = Orientation::from_exif(orientation).unwrap();
        let files = [
            ("image/jpeg", samples::jpeg(orientation).unwrap()),
            ("image/png", samples::png(orientation, false).unwrap()),
            ("image/webp", samples::webp_extended(orientation).unwrap()),
        ];
        for (mimetype, bytes) in files {
            assert_eq!(shape(&bytes, mimetype).unwrap().orientation, expected, "{mimetype} {orientation}");
            let stripped = strip(&bytes, mimetype).unwrap();
            assert_eq!(shape(&stripped, mimetype).unwrap().orientation, expected, "{mimetype} {orientation}");
            assert_eq!(common::decoder_orientation(&stripped, mimetype), expected, "{mimetype} {orientation}");
            match samples::stripped_exif(orientation) {
                Some(exif) => assert!(has(&stripped, &exif)),
                None => assert!(!has(&stripped, b"Exif") && !has(&stripped, b"eXIf") && !has(&stripped, b"EXIF")),
            }
        }
    }
}

#[test]
fn animations_keep_their_frames_and_how_often_they_repeat() {
    let gif = samples::gif(7).unwrap();
    let stripped = strip(&gif, "image/gif").unwrap();
    let frames = |bytes: &[u8]| {
        let frames = GifDecoder::new(Cursor::new(bytes)).unwrap().into_frames().collect_frames().unwrap();
        frames.into_iter().map(|frame| (frame.delay(), frame.into_buffer())).collect::<Vec<_>>()
    };
    assert_eq!(frames(&stripped).len(), 7);
    assert_eq!(frames(&gif), frames(&stripped));
    assert!(has(&stripped, b"\x21\xFF\x0BNETSCAPE2.0\x03\x01\0\0\0"));

    let webp = samples::webp_animated(5).unwrap();
    let stripped = strip(&webp, "image/webp").unwrap();
    let frames = |bytes: &[u8]| {
        let frames = WebPDecoder::new(Cursor::new(bytes)).unwrap().into_frames().collect_frames().unwrap();
        frames.into_iter().map(|frame| (frame.delay(), frame.into_buffer())).collect::<Vec<_>>()
    };
    assert_eq!(frames(&stripped).len(), 5);
    assert_eq!(frames(&webp), frames(&stripped));
}

#[test]
fn sizes_and_flags_of_a_webp_are_right_again() {
    let stripped = strip(&samples::webp_extended(1).unwrap(), "image/webp").unwrap();
    assert_eq!(u32::from_le_bytes(stripped[4..8].try_into().unwrap()) as usize, stripped.len() - 8);
    assert_eq!(stripped[20], 0, "no EXIF, no XMP");
    let stripped = strip(&samples::webp_extended(6).unwrap(), "image/webp").unwrap();
    assert_eq!(u32::from_le_bytes(stripped[4..8].try_into().unwrap()) as usize, stripped.len() - 8);
    assert_eq!(stripped[20], 0x08, "EXIF alone");
}
