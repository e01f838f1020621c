//! One walk over an image's structure, with two uses: with a copy it removes metadata, without one it inspects.

use crate::{Limits, MediaError, gif, jpeg, png, webp};
use image::metadata::Orientation;
use std::io::{self, BufRead, BufWriter, Seek, Write};

/// What an image's structure says of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImageShape {
    /// Pixels, as stored: before [`Self::orientation`] is applied.
    pub width: u32,
    /// Pixels, as stored: before [`Self::orientation`] is applied.
    pub height: u32,
    /// At least 1.
    pub frames: u32,
    /// How a viewer has to turn it.
    pub orientation: Orientation,
}

/// No limits: for a copy, which keeps no pixels.
const UNLIMITED: Limits = Limits { max_pixels: u64::MAX, max_frames: u32::MAX, thumbnail_side: u32::MAX };

/// Walks through an image's structure, to its end, and checks it against `limits`, without decoding anything: dimensions of the image and
/// of each frame against `max_pixels`, the number of frames against `max_frames`. Frames are not added up: what decodes here decodes
/// only the first.
///
/// `mimetype` is what [`sniff`](crate::sniff) says.
///
/// # Errors
/// [`MediaError::NotAnImage`] for a type other than JPEG, PNG, GIF and WebP; [`MediaError::Broken`] if the structure breaks off or
/// contradicts itself; too many pixels or frames.
pub fn inspect<R: BufRead + Seek>(file: &mut R, mimetype: &str, limits: &Limits) -> Result<ImageShape, MediaError> {
    rewrite(file, &mut io::sink(), mimetype, limits)
}

/// Copies an image without metadata: no EXIF, XMP, IPTC, comments, texts, times, embedded previews, nor anything behind its end. Kept is
/// what is needed to show it: pixels as they are, colours, animation, resolution, and the orientation, as EXIF with this one
/// tag if it is not the normal one. What was stripped before comes out as it is.
///
/// # Errors
/// As [`inspect`], but for the limits. What was written then is no image.
pub fn strip_metadata<R: BufRead + Seek, W: Write>(from: &mut R, to: &mut W, mimetype: &str) -> Result<(), MediaError> {
    let mut to = BufWriter::new(to);
    rewrite(from, &mut to, mimetype, &UNLIMITED)?;
    Ok(to.flush()?)
}

fn rewrite<R: BufRead + Seek, W: Write>(
    from: &mut R,
    to: &mut W,
    mimetype: &str,
    limits: &Limits,
) -> Result<ImageShape, MediaError> {
    match mimetype {
        "image/jpeg" => jpeg::rewrite(from, to, limits),
        "image/png" => png::rewrite(from, to, limits),
        "image/gif" => gif::rewrite(from, to, limits),
        "image/webp" => webp::rewrite(from, to, limits),
        _ => Err(MediaError::NotAnImage),
    }
}
