//! What poses as an image, breaks off, or would fill the memory: refused by its bytes, whatever it says it is.

use super::bad_input::post;
use super::{PDF, ann_and_bob, assert_names, pdf, stored, url};
use parlour_media::samples;
use parlour_testkit::{Form, both_databases};
use std::time::Duration;

/// Documents that a browser would run, under names and types of images.
#[both_databases]
async fn markup_that_poses_as_an_image_is_not_taken() {
    let (server, ann, _) = ann_and_bob().await;
    let svg = r#"<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>"#;
    let utf16: Vec<u8> = [0xFF, 0xFE].into_iter().chain(svg.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    for bytes in [
        svg.as_bytes().to_vec(),
        format!("<?xml version=\"1.0\"?>\n<!-- x -->\n{svg}").into_bytes(),
        format!("\u{feff}  \r\n{svg}").into_bytes(),
        format!("<!DOCTYPE svg>{svg}").into_bytes(),
        utf16,
        b"<html><script>alert(1)</script></html>".to_vec(),
        b"<!doctype html><p>".to_vec(),
        b"  <script>alert(1)</script>".to_vec(),
        b"<!-- x --><HTML>".to_vec(),
        b"<?php echo 1;".to_vec(),
        b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec(),
        b"MZ\x90\0\x03\0\0\0".to_vec(),
        vec![0; 1_000],
        vec![0xAA; 1_000],
    ] {
        let about = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        for (filename, claimed) in [("a.png", "image/png"), ("a.svg", "image/svg+xml"), ("a.jpg", "image/jpeg")] {
            let answer = post(&ann, "", Form::new().file(filename, claimed, &bytes)).await;
            assert_names(&answer, "file", "unsupported_type|broken_file", &about);
        }
    }
    let uuid = ann.upload("a.pdf", PDF, &pdf(100)).await;
    for bytes in [svg.as_bytes(), b"<html>", &pdf(100)] {
        let picture = Form::new().file("a.png", "image/png", bytes).field("parentuuid", &uuid);
        assert_names(&post(&ann, "", picture).await, "file", "unsupported_type|broken_file", "a picture");
    }
    assert_eq!(stored(&server).len(), 1, "the one PDF");
}

/// A PNG that says it is so large.
fn png_of(width: u32, height: u32) -> Vec<u8> {
    let size = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, &vec![0; 1 << 20]).unwrap();
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        samples::png_chunk(*b"IHDR", &size),
        samples::png_chunk(*b"IDAT", &encoder.finish().unwrap()),
        samples::png_chunk(*b"IEND", b""),
    ]
    .concat()
}

/// The dimensions of a GIF's screen and first frame, changed.
fn gif_of(width: u16, height: u16) -> Vec<u8> {
    let mut gif = samples::gif(1).unwrap();
    gif[6..8].copy_from_slice(&width.to_le_bytes());
    gif[8..10].copy_from_slice(&height.to_le_bytes());
    gif
}

#[both_databases]
async fn images_that_would_fill_the_memory_are_refused_before_they_are_decoded() {
    let (server, ann, _) = ann_and_bob().await;
    let uuid = ann.upload("a.pdf", PDF, &pdf(100)).await;
    for (about, bytes) in [
        ("a wide PNG", png_of(100_000, 100_000)),
        ("a PNG of the largest size", png_of(0x7FFF_FFFF, 0x7FFF_FFFF)),
        ("a long PNG", png_of(1, 0x7FFF_FFFF)),
        ("a large GIF", gif_of(65_535, 65_535)),
        ("too many frames", samples::gif(1_100).unwrap()),
    ] {
        let codes = "file_too_large|broken_file";
        let memory = resident_mib();
        let whole = post(&ann, "", Form::new().file("a.png", "image/png", &bytes)).await;
        assert_names(&whole, "file", codes, about);
        let picture = Form::new().file("a.png", "image/png", &bytes).field("parentuuid", &uuid);
        assert_names(&post(&ann, "", picture).await, "file", codes, about);
        // Other tests run in this process, so this bounds only the worst.
        assert!(resident_mib() < memory + 1_500.0, "{about}: {memory} MiB became {}", resident_mib());
    }
    let empty = post(&ann, "", Form::new().file("a.png", "image/png", &png_of(0, 5))).await;
    assert_names(&empty, "file", "broken_file", "an image without pixels");
    assert_eq!(stored(&server).len(), 1, "the one PDF");
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or_default() / 1_024.0
}

#[both_databases]
async fn images_that_break_off_are_not_taken() {
    let (server, ann, _) = ann_and_bob().await;
    let uuid = ann.upload("a.pdf", PDF, &pdf(100)).await;
    for (kind, bytes, end) in [
        ("image/jpeg", samples::jpeg(1).unwrap(), &b"\xFF\xD9"[..]),
        ("image/png", samples::png(1, false).unwrap(), b"IEND"),
        ("image/gif", samples::gif(3).unwrap(), b"\0;"),
        ("image/webp", samples::webp().unwrap(), b""),
    ] {
        // The samples carry something behind their ends, which an image may.
        let end = bytes.windows(end.len().max(1)).rposition(|window| window == end).unwrap_or(bytes.len() - 1);
        for length in [end / 4, end / 2, end - 1, end] {
            let about = format!("{length} of {} bytes of {kind}", bytes.len());
            let whole = post(&ann, "", Form::new().file("a", kind, &bytes[..length])).await;
            assert_names(&whole, "file", "broken_file", &about);
            let picture = Form::new().file("a", kind, &bytes[..length]).field("parentuuid", &uuid);
            assert_names(&post(&ann, "", picture).await, "file", "broken_file", &about);
        }
        ann.upload("a", kind, &bytes).await;
    }
    // In parts as well as whole: what is refused at the end leaves its parts until they expire.
    let bytes = samples::png(1, false).unwrap();
    let end = bytes.windows(4).rposition(|window| window == b"IEND").unwrap();
    let half = end / 2;
    let first = ann.try_chunk(None, (0, 2), ("a.png", "image/png", &bytes[..half])).await.expect(200);
    let second = url(&first, "file_uuid").to_owned();
    ann.try_chunk(Some(&second), (1, 2), ("a.png", "image/png", &bytes[half..end])).await.expect(200);
    assert_names(&ann.try_done(&second, "a.png", 2).await, "file", "broken_file", "in parts");
    server.advance(Duration::from_secs(25 * 3600));
    super::wait_for_stored(&server, 0, "nothing of it was sent").await;
}
