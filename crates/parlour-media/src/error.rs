//! Why a file is refused, in words that hold nothing of the file.

use std::io;

/// Why an image cannot be taken as it is.
#[derive(thiserror::Error, Debug)]
pub enum MediaError {
    /// The file cannot be read, or the copy cannot be written. Not the sender's fault.
    #[error("a file cannot be read or written: {0}")]
    Io(io::Error),
    /// The file is not what its first bytes promise: it breaks off, contradicts itself or cannot be decoded.
    #[error("the image is broken: {0}")]
    Broken(&'static str),
    /// Width times height, of the image or of one frame.
    #[error("the image has more than {limit} pixels")]
    TooManyPixels {
        /// [`crate::Limits::max_pixels`].
        limit: u64,
    },
    /// An animation that is too long.
    #[error("the image has more than {limit} frames")]
    TooManyFrames {
        /// [`crate::Limits::max_frames`].
        limit: u32,
    },
    /// Not one of image/jpeg, image/png, image/gif and image/webp.
    #[error("the file is no image")]
    NotAnImage,
}

impl From<io::Error> for MediaError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Broken("it breaks off"),
            _ => Self::Io(error),
        }
    }
}
