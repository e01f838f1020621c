//! PNG: a list of chunks with checksums. Kept are those that are needed to show the image; a chunk that is unknown and may be left out is.

use crate::input::Input;
use crate::{ImageShape, Limits, MediaError, orientation};
use image::metadata::Orientation;
use std::io::{BufRead, Seek, Write};

const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1A\n";

/// Copies what is needed to show the image, and checks the sums of that.
pub(crate) fn rewrite<R: BufRead + Seek, W: Write>(
    from: &mut R,
    to: &mut W,
    limits: &Limits,
) -> Result<ImageShape, MediaError> {
    let mut input = Input::from_start(from)?;
    if input.array()? != SIGNATURE {
        return Err(MediaError::Broken("it does not begin as a PNG"));
    }
    to.write_all(&SIGNATURE)?;
    let mut copy =
        Copy { input, to, limits, size: (0, 0), frames_announced: 1, frames: 0, has_pixels: false, orientation: None };
    copy.header()?;
    while copy.chunk()? {}
    if !copy.has_pixels {
        return Err(MediaError::Broken("it has no pixels"));
    }
    let (width, height) = copy.size;
    let orientation = copy.orientation.unwrap_or(Orientation::NoTransforms);
    Ok(ImageShape { width, height, frames: copy.frames.max(copy.frames_announced), orientation })
}

struct Copy<'a, R, W> {
    input: Input<'a, R>,
    to: &'a mut W,
    limits: &'a Limits,
    size: (u32, u32),
    frames_announced: u32,
    frames: u32,
    has_pixels: bool,
    orientation: Option<Orientation>,
}

impl<R: BufRead + Seek, W: Write> Copy<'_, R, W> {
    fn header(&mut self) -> Result<(), MediaError> {
        let (length, name) = self.chunk_start()?;
        if (length, &name) != (13, b"IHDR") {
            return Err(MediaError::Broken("its size is missing"));
        }
        let header = self.keep_small::<13>(name)?;
        self.size = (be32(&header, 0), be32(&header, 4));
        self.limits.check_size(self.size.0, self.size.1)
    }

    fn chunk_start(&mut self) -> Result<(u32, [u8; 4]), MediaError> {
        let length = u32::from_be_bytes(self.input.array()?);
        if length > i32::MAX as u32 {
            return Err(MediaError::Broken("a chunk is too long"));
        }
        Ok((length, self.input.array()?))
    }

    /// Copies a chunk or leaves it out. False at the last one.
    fn chunk(&mut self) -> Result<bool, MediaError> {
        let (length, name) = self.chunk_start()?;
        match (&name, length) {
            (b"IEND", 0) => {
                self.keep_small::<0>(name)?;
                return Ok(false);
            }
            (b"acTL", 8) => {
                let control = self.keep_small::<8>(name)?;
                self.frames_announced = be32(&control, 0).max(1);
                self.limits.check_frames(self.frames_announced)?;
            }
            (b"fcTL", 26) => {
                let control = self.keep_small::<26>(name)?;
                self.frame(&control)?;
            }
            (b"IEND" | b"IHDR" | b"acTL" | b"fcTL", _) => {
                return Err(MediaError::Broken("a chunk has a wrong length or place"));
            }
            (b"eXIf", _) => self.exif(length)?,
            (b"PLTE" | b"IDAT" | b"fdAT", _) | (b"tRNS" | b"gAMA" | b"cHRM" | b"sRGB" | b"iCCP" | b"cICP", _) => {
                self.has_pixels |= &name == b"IDAT";
                self.keep(length, name)?;
            }
            (b"sBIT" | b"bKGD" | b"pHYs" | b"hIST" | b"sPLT" | b"mDCV" | b"mDCv" | b"cLLI" | b"cLLi", _) => {
                self.keep(length, name)?;
            }
            _ if name[0].is_ascii_lowercase() => self.input.skip(u64::from(length) + 4)?,
            _ => return Err(MediaError::Broken("it has an unknown chunk")),
        }
        Ok(true)
    }

    fn frame(&mut self, control: &[u8; 26]) -> Result<(), MediaError> {
        let end = |size: usize, offset: usize| be32(control, size).checked_add(be32(control, offset));
        let fits = |end: Option<u32>, whole: u32| end.is_some_and(|end| end <= whole);
        if !fits(end(4, 12), self.size.0) || !fits(end(8, 16), self.size.1) {
            return Err(MediaError::Broken("a frame is outside of the image"));
        }
        self.limits.check_size(be32(control, 4), be32(control, 8))?;
        self.frames += 1;
        self.limits.check_frames(self.frames)
    }

    fn keep_small<const N: usize>(&mut self, name: [u8; 4]) -> Result<[u8; N], MediaError> {
        let payload = self.input.array::<N>()?;
        let sum = u32::from_be_bytes(self.input.array()?);
        if sum != checksum(name, &payload) {
            return Err(MediaError::Broken("a checksum is wrong"));
        }
        self.write(name, &payload)?;
        Ok(payload)
    }

    fn keep(&mut self, length: u32, name: [u8; 4]) -> Result<(), MediaError> {
        self.to.write_all(&length.to_be_bytes())?;
        self.to.write_all(&name)?;
        let mut sum = crc32fast::Hasher::new();
        sum.update(&name);
        self.input.pass(u64::from(length), |bytes| {
            sum.update(bytes);
            self.to.write_all(bytes)
        })?;
        let sum = sum.finalize().to_be_bytes();
        if self.input.array()? != sum {
            return Err(MediaError::Broken("a checksum is wrong"));
        }
        Ok(self.to.write_all(&sum)?)
    }

    fn write(&mut self, name: [u8; 4], payload: &[u8]) -> Result<(), MediaError> {
        let length = u32::try_from(payload.len()).map_err(|_| MediaError::Broken("a chunk is too long"))?;
        self.to.write_all(&length.to_be_bytes())?;
        self.to.write_all(&name)?;
        self.to.write_all(payload)?;
        Ok(self.to.write_all(&checksum(name, payload).to_be_bytes())?)
    }

    fn exif(&mut self, length: u32) -> Result<(), MediaError> {
        let read = u64::from(length).min(orientation::EXIF_READ);
        let mut exif = Vec::new();
        self.input.copy(read, &mut exif)?;
        self.input.skip(u64::from(length) - read + 4)?;
        if self.orientation.is_none() {
            self.orientation = orientation::read(&exif);
            if let Some(orientation) = self.orientation {
                self.write(*b"eXIf", &orientation::write(orientation))?;
            }
        }
        Ok(())
    }
}

fn checksum(name: [u8; 4], payload: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&name);
    sum.update(payload);
    sum.finalize()
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}
