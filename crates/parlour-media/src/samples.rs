//! Small valid files for tests and the demo, made by code: each full of what must not be published, marked with [`CANARY`].

use crate::orientation;
use image::codecs::gif::{GifEncoder, Repeat};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::metadata::Orientation;
use image::{Delay, Frame, ImageError, Rgb, RgbImage, Rgba, RgbaImage};

/// Stands in every piece of metadata of every sample.
pub const CANARY: &[u8] = b"CANARY 51.4778 N";

/// Width of every sample, before its orientation is applied.
pub const WIDTH: u32 = 48;

/// Height of every sample, before its orientation is applied.
pub const HEIGHT: u32 = 32;

/// A picture in which every corner has a colour of its own: red, green, blue and white, from the left to the right and from the top to
/// the bottom.
#[must_use]
pub fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| match (x < width / 2, y < height / 2) {
        (true, true) => Rgb([220, 20, 20]),
        (false, true) => Rgb([20, 200, 20]),
        (true, false) => Rgb([20, 20, 220]),
        (false, false) => Rgb([240, 240, 240]),
    })
}

fn see_through(width: u32, height: u32) -> RgbaImage {
    RgbaImage::from_fn(width, height, |x, y| Rgba([200, 90, 10, if (x + y) % 16 < 8 { 255 } else { 40 }]))
}

/// What a camera writes: its maker, the orientation (1 to 8) and the place, as TIFF.
#[must_use]
pub fn exif(orientation: u8) -> Vec<u8> {
    let directory = |entries: &[(u16, u16, u32, [u8; 4])]| {
        let mut bytes = (entries.len() as u16).to_le_bytes().to_vec();
        for (tag, kind, count, value) in entries {
            bytes.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
            bytes.extend(count.to_le_bytes());
            bytes.extend(value);
        }
        bytes.extend([0; 4]);
        bytes
    };
    let (texts, place) = (8 + 42_u32, 8 + 42 + CANARY.len() as u32);
    let mut exif = b"II\x2A\0\x08\0\0\0".to_vec();
    exif.extend(directory(&[
        (0x010F, 2, CANARY.len() as u32, texts.to_le_bytes()),
        (0x0112, 3, 1, [orientation, 0, 0, 0]),
        (0x8825, 4, 1, place.to_le_bytes()),
    ]));
    exif.extend(CANARY);
    let degrees = place + 6 + 2 * 12;
    exif.extend(directory(&[(1, 2, 2, *b"N\0\0\0"), (2, 5, 3, degrees.to_le_bytes())]));
    for number in [51_u32, 1, 28, 1, 40, 1] {
        exif.extend(number.to_le_bytes());
    }
    exif.extend(CANARY);
    exif
}

/// What [`exif`] is reduced to.
#[must_use]
pub fn stripped_exif(orientation: u8) -> Option<Vec<u8>> {
    let orientation = Orientation::from_exif(orientation).filter(|value| *value != Orientation::NoTransforms);
    orientation.map(|orientation| orientation::write(orientation).to_vec())
}

/// A photograph with EXIF (place, orientation), XMP, IPTC, a comment and bytes behind its end.
///
/// # Errors
/// Never, unless the encoder is broken; so for all samples.
pub fn jpeg(orientation: u8) -> Result<Vec<u8>, ImageError> {
    let mut plain = Vec::new();
    picture(WIDTH, HEIGHT).write_with_encoder(JpegEncoder::new_with_quality(&mut plain, 90))?;
    let segment = |marker: u8, parts: &[&[u8]]| {
        let payload = parts.concat();
        [&[0xFF, marker][..], &(payload.len() as u16 + 2).to_be_bytes(), &payload].concat()
    };
    // Behind the first segment, which is JFIF's.
    let behind_first = 4 + usize::from(u16::from_be_bytes([plain[4], plain[5]]));
    Ok([
        &plain[..behind_first],
        &segment(0xE1, &[b"Exif\0\0", &exif(orientation)]),
        &segment(0xE1, &[b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>", CANARY]),
        &segment(0xE2, &[b"MPF\0", CANARY]),
        &segment(0xED, &[b"Photoshop 3.0\0", CANARY]),
        &segment(0xE9, &[CANARY]),
        &segment(0xFE, &[b"<script>", CANARY]),
        &plain[behind_first..],
        CANARY,
    ]
    .concat())
}

/// A progressive picture of 16 by 16 pixels in grey: six scans with restarts, and a comment between them.
#[must_use]
pub fn jpeg_progressive() -> Vec<u8> {
    let comment = [b"\xFF\xFE", &(CANARY.len() as u16 + 2).to_be_bytes()[..], CANARY].concat();
    let (start, rest) = PROGRESSIVE.split_at(SECOND_TABLE);
    [start, &comment, rest].concat()
}

/// Where the tables between the first two scans begin.
const SECOND_TABLE: usize = 152;

const PROGRESSIVE: &[u8; 346] = b"\
    \xFF\xD8\xFF\xE0\x00\x10\x4A\x46\x49\x46\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xFF\xDB\x00\x43\
    \x00\x28\x1C\x1E\x23\x1E\x19\x28\x23\x21\x23\x2D\x2B\x28\x30\x3C\x64\x41\x3C\x37\x37\x3C\x7B\x58\
    \x5D\x49\x64\x91\x80\x99\x96\x8F\x80\x8C\x8A\xA0\xB4\xE6\xC3\xA0\xAA\xDA\xAD\x8A\x8C\xC8\xFF\xCB\
    \xDA\xEE\xF5\xFF\xFF\xFF\x9B\xC1\xFF\xFF\xFF\xFA\xFF\xE6\xFD\xFF\xF8\xFF\xC2\x00\x0B\x08\x00\x10\
    \x00\x10\x01\x01\x11\x00\xFF\xC4\x00\x16\x00\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\
    \x00\x00\x00\x03\x01\x04\xFF\xDD\x00\x04\x00\x01\xFF\xDA\x00\x08\x01\x01\x00\x00\x00\x01\x0F\xFF\
    \xD0\x5F\xFF\xD1\xD3\xFF\xD2\xBF\xFF\xC4\x00\x16\x10\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\
    \x00\x00\x00\x00\x00\x00\x01\x02\xFF\xDA\x00\x08\x01\x01\x00\x01\x05\x02\xCB\xFF\xD0\xCB\xFF\xD1\
    \xAF\xFF\xD2\xAF\xFF\xC4\x00\x14\x10\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\
    \x00\x00\xFF\xDA\x00\x08\x01\x01\x00\x06\x3F\x02\x7F\xFF\xD0\x7F\xFF\xD1\x7F\xFF\xD2\x7F\xFF\xC4\
    \x00\x14\x10\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xFF\xDA\x00\x08\
    \x01\x01\x00\x01\x3F\x21\x7F\xFF\xD0\x7F\xFF\xD1\x7F\xFF\xD2\x7F\xFF\xDA\x00\x08\x01\x01\x00\x00\
    \x00\x10\x7F\xFF\xD0\xFF\x00\xFF\xD1\x7F\xFF\xD2\x7F\xFF\xC4\x00\x15\x10\x01\x01\x00\x00\x00\x00\
    \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x41\xFF\xDA\x00\x08\x01\x01\x00\x01\x3F\x10\x87\xFF\
    \xD0\x87\xFF\xD1\x7F\xFF\xD2\x7F\xFF\xD9";

/// A picture, partly transparent if asked, with texts, a time, EXIF, a private chunk and bytes behind its end.
///
/// # Errors
/// As [`jpeg`].
pub fn png(orientation: u8, transparent: bool) -> Result<Vec<u8>, ImageError> {
    let mut plain = Vec::new();
    if transparent {
        see_through(WIDTH, HEIGHT).write_with_encoder(PngEncoder::new(&mut plain))?;
    } else {
        picture(WIDTH, HEIGHT).write_with_encoder(PngEncoder::new(&mut plain))?;
    }
    // Behind the signature and the header.
    let (start, rest) = plain.split_at(8 + 25);
    Ok([
        start,
        &png_chunk(*b"eXIf", &exif(orientation)),
        &png_chunk(*b"tEXt", &[b"Comment\0", CANARY].concat()),
        &png_chunk(*b"zTXt", &[b"Author\0\0", CANARY].concat()),
        &png_chunk(*b"iTXt", &[b"XML:com.adobe.xmp\0\0\0\0\0", CANARY].concat()),
        &png_chunk(*b"tIME", &[7, 232, 1, 2, 3, 4, 5]),
        &png_chunk(*b"prVt", CANARY),
        &png_chunk(*b"pHYs", &[0, 0, 11, 19, 0, 0, 11, 19, 1]),
        rest,
        CANARY,
    ]
    .concat())
}

/// A chunk of a PNG, with its checksum.
#[must_use]
pub fn png_chunk(name: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let sum = crc32fast::hash(&[&name[..], payload].concat());
    [&(payload.len() as u32).to_be_bytes()[..], &name, payload, &sum.to_be_bytes()].concat()
}

/// An animation that is repeated for ever, with comments, XMP and bytes behind its end.
///
/// # Errors
/// As [`jpeg`].
pub fn gif(frames: u32) -> Result<Vec<u8>, ImageError> {
    let mut plain = Vec::new();
    let mut encoder = GifEncoder::new(&mut plain);
    encoder.set_repeat(Repeat::Infinite)?;
    for number in 0..frames {
        let mut image = RgbaImage::from_pixel(WIDTH, HEIGHT, Rgba([30, 30, 30, 255]));
        image.put_pixel(number % WIDTH, number / WIDTH % HEIGHT, Rgba([250, 200, 0, 255]));
        encoder.encode_frame(Frame::from_parts(image, 0, 0, Delay::from_numer_denom_ms(100, 1)))?;
    }
    drop(encoder);
    let block = |start: &[u8], parts: &[u8]| [start, &[parts.len() as u8], parts, &[0]].concat();
    // Behind the screen and its table of colours.
    let colors = if plain[10] & 0x80 == 0 { 0 } else { 6 << (plain[10] & 7) };
    let (start, rest) = plain.split_at(13 + colors);
    let rest = rest.strip_suffix(b"\x3B").unwrap_or(rest);
    Ok([
        start,
        &block(b"\x21\xFE", CANARY),
        &block(b"\x21\xFF\x0BXMP DataXMP", CANARY),
        rest,
        &block(b"\x21\xFE", &[b"<script>", CANARY].concat()),
        b"\x3B",
        CANARY,
    ]
    .concat())
}

/// A lossless picture in the simple format, with a chunk that nobody knows.
///
/// # Errors
/// As [`jpeg`].
pub fn webp() -> Result<Vec<u8>, ImageError> {
    Ok(riff(&[&webp_bitstream()?, &webp_chunk(*b"prVt", CANARY)]))
}

/// A lossless picture in the extended format, with EXIF, XMP and a chunk that nobody knows.
///
/// # Errors
/// As [`jpeg`].
pub fn webp_extended(orientation: u8) -> Result<Vec<u8>, ImageError> {
    Ok(riff(&[
        &webp_header(0x08 | 0x04),
        &webp_bitstream()?,
        &webp_chunk(*b"EXIF", &exif(orientation)),
        &webp_chunk(*b"XMP ", CANARY),
        &webp_chunk(*b"prVt", CANARY),
    ]))
}

/// A lossless animation with XMP, and a chunk that nobody knows in each frame.
///
/// # Errors
/// As [`jpeg`].
pub fn webp_animated(frames: u32) -> Result<Vec<u8>, ImageError> {
    let position_and_size = [&[0; 6][..], &le24(WIDTH - 1), &le24(HEIGHT - 1), &le24(100), &[0]].concat();
    let frame = [&position_and_size[..], &webp_bitstream()?, &webp_chunk(*b"prVt", CANARY)].concat();
    let frames = webp_chunk(*b"ANMF", &frame).repeat(frames as usize);
    let animation = webp_chunk(*b"ANIM", &[0; 6]);
    Ok(riff(&[&webp_header(0x02 | 0x04), &animation, &frames, &webp_chunk(*b"XMP ", CANARY)]))
}

/// A lossy picture of one pixel.
#[must_use]
pub fn webp_lossy() -> Vec<u8> {
    let bitstream = b"\x30\x01\x00\x9D\x01\x2A\x01\x00\x01\x00\x0E\xC0\xFE\x25\xA4\x00\x03\x70\x00\x00\x00\x00";
    riff(&[&webp_chunk(*b"VP8 ", bitstream)])
}

fn webp_bitstream() -> Result<Vec<u8>, ImageError> {
    let mut plain = Vec::new();
    picture(WIDTH, HEIGHT).write_with_encoder(WebPEncoder::new_lossless(&mut plain))?;
    Ok(plain.split_off(12))
}

fn webp_header(flags: u8) -> Vec<u8> {
    webp_chunk(*b"VP8X", &[&[flags, 0, 0, 0][..], &le24(WIDTH - 1), &le24(HEIGHT - 1)].concat())
}

fn le24(number: u32) -> [u8; 3] {
    let [a, b, c, _] = number.to_le_bytes();
    [a, b, c]
}

/// A chunk of a WebP, made even.
#[must_use]
pub fn webp_chunk(name: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let padding = &[0][..payload.len() % 2];
    [&name[..], &(payload.len() as u32).to_le_bytes(), payload, padding].concat()
}

fn riff(chunks: &[&[u8]]) -> Vec<u8> {
    let chunks = [b"WEBP", chunks.concat().as_slice()].concat();
    [b"RIFF", &(chunks.len() as u32).to_le_bytes()[..], &chunks].concat()
}
