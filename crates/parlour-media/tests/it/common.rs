//! What the tests share: the samples, and short ways to do with bytes in memory what the crate does with files.

use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, ImageDecoder as _, ImageFormat};
use parlour_media::{ImageShape, Limits, MediaError, Orientation, Thumbnail, samples};
use std::io::Cursor;

/// Limits as a server has them.
pub const LIMITS: Limits = Limits { max_pixels: 50_000_000, max_frames: 1000, thumbnail_side: 640 };

/// Every sample, with a name for messages.
pub fn samples() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    vec![
        ("a photograph", "image/jpeg", samples::jpeg(6).unwrap()),
        ("an upright photograph", "image/jpeg", samples::jpeg(1).unwrap()),
        ("a progressive photograph", "image/jpeg", samples::jpeg_progressive()),
        ("a PNG", "image/png", samples::png(3, false).unwrap()),
        ("a transparent PNG", "image/png", samples::png(1, true).unwrap()),
        ("an animated GIF", "image/gif", samples::gif(5).unwrap()),
        ("a simple WebP", "image/webp", samples::webp().unwrap()),
        ("a lossy WebP", "image/webp", samples::webp_lossy()),
        ("an extended WebP", "image/webp", samples::webp_extended(8).unwrap()),
        ("an animated WebP", "image/webp", samples::webp_animated(4).unwrap()),
    ]
}

pub fn sniff(bytes: &[u8]) -> &'static str {
    parlour_media::sniff(&mut Cursor::new(bytes)).unwrap()
}

pub fn shape(bytes: &[u8], mimetype: &str) -> Result<ImageShape, MediaError> {
    parlour_media::inspect(&mut Cursor::new(bytes), mimetype, &LIMITS)
}

pub fn strip(bytes: &[u8], mimetype: &str) -> Result<Vec<u8>, MediaError> {
    let mut stripped = Vec::new();
    parlour_media::strip_metadata(&mut Cursor::new(bytes), &mut stripped, mimetype)?;
    Ok(stripped)
}

pub fn thumbnail(bytes: &[u8], mimetype: &str, limits: &Limits) -> Result<(Thumbnail, DynamicImage), MediaError> {
    let mut written = Cursor::new(Vec::new());
    let thumbnail = parlour_media::thumbnail(&mut Cursor::new(bytes), mimetype, limits, &mut written)?;
    let image = decode(written.get_ref(), thumbnail.mimetype);
    assert_eq!((thumbnail.width, thumbnail.height), (image.width(), image.height()));
    assert_eq!(sniff(written.get_ref()), thumbnail.mimetype);
    Ok((thumbnail, image))
}

pub fn decode(bytes: &[u8], mimetype: &str) -> DynamicImage {
    image::load_from_memory_with_format(bytes, ImageFormat::from_mime_type(mimetype).unwrap()).unwrap()
}

/// The orientation as a decoder reads it.
pub fn decoder_orientation(bytes: &[u8], mimetype: &str) -> Orientation {
    let file = Cursor::new(bytes);
    match mimetype {
        "image/jpeg" => JpegDecoder::new(file).unwrap().orientation(),
        "image/png" => PngDecoder::new(file).unwrap().orientation(),
        _ => WebPDecoder::new(file).unwrap().orientation(),
    }
    .unwrap()
}
