//! GIF: a screen, then blocks, each a list of sub-blocks of at most 255 bytes. Kept are images, what controls them, and how often an
//! animation is repeated, which is an application's extension.

use crate::input::Input;
use crate::{ImageShape, Limits, MediaError};
use image::metadata::Orientation;
use std::io::{BufRead, Seek, Write};

const EXTENSION: u8 = 0x21;
const IMAGE: u8 = 0x2C;
const TRAILER: u8 = 0x3B;
const GRAPHIC_CONTROL: u8 = 0xF9;
const APPLICATION: u8 = 0xFF;

/// Copies what is needed to show the image.
pub(crate) fn rewrite<R: BufRead + Seek, W: Write>(
    from: &mut R,
    to: &mut W,
    limits: &Limits,
) -> Result<ImageShape, MediaError> {
    let mut input = Input::from_start(from)?;
    let header = input.array::<13>()?;
    if !matches!(&header[..6], b"GIF87a" | b"GIF89a") {
        return Err(MediaError::Broken("it does not begin as a GIF"));
    }
    let (width, height) = (le16(&header, 6), le16(&header, 8));
    limits.check_size(width, height)?;
    to.write_all(&header)?;
    input.copy(color_table(header[10]), to)?;
    let mut copy = Copy { input, to, limits, frames: 0 };
    while copy.block()? {}
    if copy.frames == 0 {
        return Err(MediaError::Broken("it has no pixels"));
    }
    Ok(ImageShape { width, height, frames: copy.frames, orientation: Orientation::NoTransforms })
}

/// Bytes of the table of colours that these flags announce.
fn color_table(flags: u8) -> u64 {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

fn le16(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

struct Copy<'a, R, W> {
    input: Input<'a, R>,
    to: &'a mut W,
    limits: &'a Limits,
    frames: u32,
}

impl<R: BufRead + Seek, W: Write> Copy<'_, R, W> {
    /// Copies a block or leaves it out. False at the last one.
    fn block(&mut self) -> Result<bool, MediaError> {
        match self.input.byte()? {
            // An empty sub-block too many, as some writers have it.
            0 => {}
            IMAGE => self.image()?,
            EXTENSION => match self.input.byte()? {
                GRAPHIC_CONTROL => self.graphic_control()?,
                APPLICATION => self.application()?,
                _ => while self.sub_block()?.is_some() {},
            },
            TRAILER => {
                self.to.write_all(&[TRAILER])?;
                return Ok(false);
            }
            _ => return Err(MediaError::Broken("it has an unknown block")),
        }
        Ok(true)
    }

    fn image(&mut self) -> Result<(), MediaError> {
        let descriptor = self.input.array::<9>()?;
        self.limits.check_size(le16(&descriptor, 4), le16(&descriptor, 6))?;
        self.frames += 1;
        self.limits.check_frames(self.frames)?;
        self.to.write_all(&[IMAGE])?;
        self.to.write_all(&descriptor)?;
        // The table, and how many bits a code has.
        self.input.copy(color_table(descriptor[8]) + 1, self.to)?;
        loop {
            let length = self.input.byte()?;
            self.to.write_all(&[length])?;
            if length == 0 {
                return Ok(());
            }
            self.input.copy(u64::from(length), self.to)?;
        }
    }

    fn graphic_control(&mut self) -> Result<(), MediaError> {
        let [4, control @ .., 0] = self.input.array::<6>()? else {
            return Err(MediaError::Broken("a block has a wrong length"));
        };
        self.to.write_all(&[EXTENSION, GRAPHIC_CONTROL, 4])?;
        self.to.write_all(&control)?;
        Ok(self.to.write_all(&[0])?)
    }

    /// Keeps how often an animation is repeated.
    fn application(&mut self) -> Result<(), MediaError> {
        let name = self.sub_block()?;
        let Some(name) = name else { return Ok(()) };
        let repeats = matches!(name.as_slice(), b"NETSCAPE2.0" | b"ANIMEXTS1.0");
        while let Some(block) = self.sub_block()? {
            if let ([1, low, high], true) = (block.as_slice(), repeats) {
                self.to.write_all(&[EXTENSION, APPLICATION, 11])?;
                self.to.write_all(&name)?;
                self.to.write_all(&[3, 1, *low, *high, 0])?;
            }
        }
        Ok(())
    }

    /// The next sub-block, or nothing at the end of their list.
    fn sub_block(&mut self) -> Result<Option<Vec<u8>>, MediaError> {
        match self.input.byte()? {
            0 => Ok(None),
            length => Ok(Some(self.input.bytes(usize::from(length))?)),
        }
    }
}
