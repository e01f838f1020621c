//! A small picture of an image. The only place that decodes.

use crate::{ImageShape, Limits, MediaError, inspect};
use image::codecs::gif::GifDecoder;
use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::codecs::png::{PngDecoder, PngEncoder};
use image::codecs::webp::WebPDecoder;
use image::imageops::FilterType;
use image::{ColorType, DynamicImage, ImageDecoder, ImageError};
use std::io::{BufRead, Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// JPEG's quality, of 100.
const QUALITY: u8 = 80;

/// The longest colour profile that a thumbnail takes over. Cameras' are shorter, printers' are not.
const MAX_PROFILE: usize = 16 * 1024;

/// What [`thumbnail`] wrote.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Thumbnail {
    /// image/jpeg, or image/png when something of it is transparent.
    pub mimetype: &'static str,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// Writes a thumbnail of an image, of an animation's first frame: turned as its orientation says, fitted into a square of
/// `thumbnail_side`, never made larger. It carries no metadata but a colour profile.
///
/// The image is [inspected](inspect) first. Memory: at most 12 bytes a pixel, and the file itself if it is a JPEG.
///
/// # Errors
/// As [`inspect`]; [`MediaError::Broken`] also for what its decoder refuses.
pub fn thumbnail<R: BufRead + Seek, W: Write + Seek>(
    from: &mut R,
    mimetype: &str,
    limits: &Limits,
    to: &mut W,
) -> Result<Thumbnail, MediaError> {
    let shape = inspect(from, mimetype, limits)?;
    from.rewind()?;
    // Whatever a decoder trips over is the file's fault.
    let decoded = catch_unwind(AssertUnwindSafe(|| decode(from, mimetype, limits)));
    let (image, profile) = decoded.map_err(|_| MediaError::Broken("it cannot be decoded"))??;
    let image = fit(image, &shape, limits.thumbnail_side.max(1));
    encode(&image, profile, to)
}

fn decode<R: BufRead + Seek>(
    from: &mut R,
    mimetype: &str,
    limits: &Limits,
) -> Result<(DynamicImage, Option<Vec<u8>>), MediaError> {
    let mut allowed = image::Limits::default();
    // Four channels of 16 bits, and what a decoder needs beside the pixels.
    allowed.max_alloc = Some(limits.max_pixels.saturating_mul(8).saturating_add(64 << 20));
    match mimetype {
        "image/jpeg" => pixels(JpegDecoder::new(from).map_err(refused)?, allowed),
        "image/png" => pixels(PngDecoder::with_limits(from, allowed.clone()).map_err(refused)?, allowed),
        "image/gif" => pixels(GifDecoder::new(from).map_err(refused)?, allowed),
        "image/webp" => pixels(WebPDecoder::new(from).map_err(refused)?, allowed),
        _ => Err(MediaError::NotAnImage),
    }
}

fn pixels(
    mut decoder: impl ImageDecoder,
    mut allowed: image::Limits,
) -> Result<(DynamicImage, Option<Vec<u8>>), MediaError> {
    decoder.set_limits(allowed.clone()).map_err(refused)?;
    allowed.reserve(decoder.total_bytes()).map_err(refused)?;
    let has_colors =
        matches!(decoder.color_type(), ColorType::Rgb8 | ColorType::Rgba8 | ColorType::Rgb16 | ColorType::Rgba16);
    let profile = decoder.icc_profile().unwrap_or(None);
    // A profile for other channels than these, as of CMYK, would be a lie.
    let profile = profile.filter(|profile| {
        has_colors && profile.len() <= MAX_PROFILE && profile.get(16..20) == Some(b"RGB ".as_slice())
    });
    Ok((DynamicImage::from_decoder(decoder).map_err(refused)?, profile))
}

/// A decoder's own words may repeat the file: they are dropped.
fn refused(error: ImageError) -> MediaError {
    match error {
        ImageError::IoError(error) => match MediaError::from(error) {
            // A decoder that reads from a piece of the file in memory has no other kind of error for a piece that makes no sense.
            MediaError::Io(error) if error.raw_os_error().is_none() => MediaError::Broken("it cannot be decoded"),
            error => error,
        },
        ImageError::Limits(_) => MediaError::Broken("it needs too much memory"),
        _ => MediaError::Broken("it cannot be decoded"),
    }
}

/// Scales down, then turns: turning a few pixels is cheaper.
fn fit(image: DynamicImage, shape: &ImageShape, side: u32) -> DynamicImage {
    let (width, height) = (image.width(), image.height());
    let longer = width.max(height);
    let mut small = if longer <= side {
        image
    } else {
        let scaled = |length: u32| {
            let scaled = (u64::from(length) * u64::from(side) + u64::from(longer) / 2) / u64::from(longer);
            u32::try_from(scaled).unwrap_or(side).max(1)
        };
        let (to_width, to_height) = (scaled(width), scaled(height));
        // Roughly and fast to twice the size, then well.
        let near = (to_width.saturating_mul(2).min(width), to_height.saturating_mul(2).min(height));
        let image = if near == (width, height) { image } else { image.thumbnail_exact(near.0, near.1) };
        image.resize_exact(to_width, to_height, FilterType::Triangle)
    };
    small.apply_orientation(shape.orientation);
    small
}

fn encode<W: Write + Seek>(
    image: &DynamicImage,
    profile: Option<Vec<u8>>,
    to: &mut W,
) -> Result<Thumbnail, MediaError> {
    let (width, height) = (image.width(), image.height());
    let transparent = image.color().has_alpha() && image.to_rgba8().pixels().any(|pixel| pixel.0[3] != u8::MAX);
    let (mimetype, written) = if transparent {
        let mut encoder = PngEncoder::new(to);
        set_profile(&mut encoder, profile);
        ("image/png", image.to_rgba8().write_with_encoder(encoder))
    } else {
        let mut encoder = JpegEncoder::new_with_quality(to, QUALITY);
        set_profile(&mut encoder, profile);
        ("image/jpeg", image.to_rgb8().write_with_encoder(encoder))
    };
    match written {
        Ok(()) => Ok(Thumbnail { mimetype, width, height }),
        Err(ImageError::IoError(error)) => Err(MediaError::Io(error)),
        Err(_) => Err(MediaError::Broken("its thumbnail cannot be written")),
    }
}

fn set_profile(encoder: &mut impl image::ImageEncoder, profile: Option<Vec<u8>>) {
    // Both encoders can; one that could not would write duller colours.
    let _unsupported = profile.map(|profile| encoder.set_icc_profile(profile));
}
