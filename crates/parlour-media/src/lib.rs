//! What a file *is*, from its bytes: its type, its metadata and how to be rid of it, its thumbnail.
//!
//! A file comes from a stranger. So:
//!
//! - Its name and the type that it claims to have are not asked. [`sniff`] reads the bytes.
//! - Structure is read before pixels: [`inspect`] walks a whole image without decoding anything, and refuses what is too big, breaks off
//!   or contradicts itself. Nothing is decoded that was not inspected.
//! - [`strip_metadata`] copies an image and leaves out what nobody needs to see it. It does not know what to remove, but what to
//!   keep; whatever is new or unknown is gone. Pixels stay as they are, bit for bit.
//! - Memory is constant, but for [`thumbnail`], which needs the pixels.
//! - An error says what is wrong, never what the file says.
//!
//! Every function starts at the file's beginning and leaves it at any position.
//!
//! What must never be added: a decision by file name, extension or header; anything that goes to the network, runs another program or
//! reads a second file; a format whose decoder is not memory-safe; whatever interprets SVG, HTML, PDF or an office document; an
//! allow-list (that is core's); HTTP, SQL, async or a clock.

mod error;
mod gif;
mod input;
mod jpeg;
mod kind;
mod orientation;
mod png;
mod rewrite;
#[cfg(feature = "samples")]
pub mod samples;
mod sniff;
mod thumbnail;
mod webp;

pub use error::MediaError;
pub use image::metadata::Orientation;
pub use kind::{extension, is_image};
pub use rewrite::{ImageShape, inspect, strip_metadata};
pub use sniff::sniff;
pub use thumbnail::{Thumbnail, thumbnail};

/// How much of an image is too much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Pixels of an image, and of each of its frames: width times height. [`thumbnail`] may need up to 12 bytes of memory for each.
    pub max_pixels: u64,
    /// Frames of an animation.
    pub max_frames: u32,
    /// The longer side of a thumbnail, in pixels; at least 1.
    pub thumbnail_side: u32,
}

impl Limits {
    /// Refuses an image, or a frame, of no pixels or too many.
    fn check_size(&self, width: u32, height: u32) -> Result<(), MediaError> {
        if width == 0 || height == 0 {
            return Err(MediaError::Broken("it has no pixels"));
        }
        if u64::from(width) * u64::from(height) > self.max_pixels {
            return Err(MediaError::TooManyPixels { limit: self.max_pixels });
        }
        Ok(())
    }

    fn check_frames(&self, frames: u32) -> Result<(), MediaError> {
        if frames > self.max_frames {
            return Err(MediaError::TooManyFrames { limit: self.max_frames });
        }
        Ok(())
    }
}
