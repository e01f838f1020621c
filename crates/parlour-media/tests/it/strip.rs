//! Metadata goes, pixels and orientation stay.

use crate::common::{self, decode, shape, strip};
use image::AnimationDecoder as _;
use image::codecs::gif::GifDecoder;
use image::codecs::webp::WebPDecoder;
use parlour_media::samples::{png_chunk, webp_chunk};
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

/// The head of a profile for this kind of channels, which is all that is read of it here.
fn profile(channels: &[u8; 4]) -> Vec<u8> {
    let mut profile = vec![0; 132];
    profile[3] = 132;
    profile[16..20].copy_from_slice(channels);
    profile
}

#[test]
fn colours_stay_in_the_image_and_in_its_thumbnail() {
    let jpeg = |profile: &[u8]| {
        let profile = [b"ICC_PROFILE\0\x01\x01", profile].concat();
        let segment = [b"\xFF\xE2", &(profile.len() as u16 + 2).to_be_bytes()[..], &profile].concat();
        [b"\xFF\xD8", &segment[..], &samples::jpeg(1).unwrap()[2..]].concat()
    };
    for (channels, kept_in_thumbnail) in [(b"RGB ", true), (b"CMYK", false)] {
        let profile = profile(channels);
        let stripped = strip(&jpeg(&profile), "image/jpeg").unwrap();
        assert!(has(&stripped, &profile));
        let mut thumbnail = Cursor::new(Vec::new());
        let written =
            parlour_media::thumbnail(&mut Cursor::new(stripped), "image/jpeg", &common::LIMITS, &mut thumbnail);
        written.unwrap();
        assert_eq!(has(thumbnail.get_ref(), &profile), kept_in_thumbnail);
    }
    let mut webp = samples::webp_extended(1).unwrap();
    webp.splice(30..30, webp_chunk(*b"ICCP", &profile(b"RGB ")));
    let length = webp.len() as u32 - 8;
    webp[4..8].copy_from_slice(&length.to_le_bytes());
    let stripped = strip(&webp, "image/webp").unwrap();
    assert!(has(&stripped, &profile(b"RGB ")));
    assert_eq!(stripped[20], 0x20, "a profile, and nothing else");
    let mut png = samples::png(1, false).unwrap();
    png.splice(33..33, png_chunk(*b"gAMA", &[0, 0, 0xB1, 0x8F]));
    assert!(has(&strip(&png, "image/png").unwrap(), b"gAMA"));
}

#[test]
fn a_preview_inside_of_a_jpeg_is_gone() {
    let jpeg = samples::jpeg(1).unwrap();
    let preview = [b"\xFF\xE0\0\x1CJFIF\0\x01\x02\0\0\x01\0\x01\x02\x02", &samples::CANARY[..12]].concat();
    let extension = [b"\xFF\xE0\0\x14JFXX\0\x10", &samples::CANARY[..12]].concat();
    let jpeg = [b"\xFF\xD8", &preview[..], &extension, &jpeg[20..]].concat();
    let stripped = strip(&jpeg, "image/jpeg").unwrap();
    assert!(!has(&stripped, &samples::CANARY[..12]));
    assert!(stripped.starts_with(b"\xFF\xD8\xFF\xE0\0\x10JFIF\0\x01\x02\0\0\x01\0\x01\0\0"));
    assert_eq!(decode(&jpeg, "image/jpeg"), decode(&stripped, "image/jpeg"));
}
