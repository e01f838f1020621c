//! JPEG: a list of segments, the last of them followed by the scans. Nothing is kept of an application's segment but what changes how the
//! image looks, and nothing that follows the first end of an image.

use crate::input::Input;
use crate::{ImageShape, Limits, MediaError, orientation};
use image::metadata::Orientation;
use std::io::{self, BufRead, Seek, Write};

const START_OF_IMAGE: u8 = 0xD8;
const END_OF_IMAGE: u8 = 0xD9;
const START_OF_SCAN: u8 = 0xDA;

/// Copies what is needed to show the image.
pub(crate) fn rewrite<R: BufRead + Seek, W: Write>(
    from: &mut R,
    to: &mut W,
    limits: &Limits,
) -> Result<ImageShape, MediaError> {
    let mut input = Input::from_start(from)?;
    if input.array()? != [0xFF, START_OF_IMAGE] {
        return Err(MediaError::Broken("it does not begin as a JPEG"));
    }
    to.write_all(&[0xFF, START_OF_IMAGE])?;
    let mut copy = Copy { input, to, limits, size: None, orientation: None, scanned: false };
    let mut marker = copy.next_marker()?;
    while marker != END_OF_IMAGE {
        marker = copy.segment(marker)?;
    }
    let Copy { size: Some((width, height)), scanned: true, orientation, .. } = copy else {
        return Err(MediaError::Broken("it has no pixels"));
    };
    to.write_all(&[0xFF, END_OF_IMAGE])?;
    Ok(ImageShape { width, height, frames: 1, orientation: orientation.unwrap_or(Orientation::NoTransforms) })
}

struct Copy<'a, R, W> {
    input: Input<'a, R>,
    to: &'a mut W,
    limits: &'a Limits,
    size: Option<(u32, u32)>,
    orientation: Option<Orientation>,
    scanned: bool,
}

impl<R: BufRead + Seek, W: Write> Copy<'_, R, W> {
    /// Reads over whatever stands between segments: nothing but fill bytes, though some cameras leave more in front of the first scan.
    fn next_marker(&mut self) -> Result<u8, MediaError> {
        loop {
            let mut stray = 0;
            self.input.pass_until(0xFF, |bytes| {
                stray += bytes.len();
                Ok(())
            })?;
            let marker = self.after_fill()?;
            match (marker, stray) {
                (0x00, _) | (_, 1..) if self.scanned => {
                    return Err(MediaError::Broken("it has bytes between its scans"));
                }
                (0x00, _) => {}
                _ => return Ok(marker),
            }
        }
    }

    /// The first byte that is not `FF`.
    fn after_fill(&mut self) -> io::Result<u8> {
        loop {
            match self.input.byte()? {
                0xFF => {}
                byte => return Ok(byte),
            }
        }
    }

    /// Copies or leaves out what begins with this marker, and reads the next one.
    fn segment(&mut self, marker: u8) -> Result<u8, MediaError> {
        match marker {
            // TEM and RST, which stand alone and mean nothing here.
            0x01 | 0xD0..=0xD7 if !self.scanned => return self.next_marker(),
            0x01..=0xBF | 0xD0..=START_OF_IMAGE | 0xDE | 0xDF => {
                return Err(MediaError::Broken("it has an unknown segment"));
            }
            _ => {}
        }
        let length = u16::from_be_bytes(self.input.array()?);
        let length = length.checked_sub(2).ok_or(MediaError::Broken("a segment has no length"))?;
        let payload = self.input.bytes(usize::from(length))?;
        match marker {
            START_OF_SCAN => {
                if self.size.is_none() {
                    return Err(MediaError::Broken("its size is missing"));
                }
                self.scanned = true;
                self.write(marker, &payload)?;
                return self.scan();
            }
            // DHT, DAC, DQT, DNL, DRI.
            0xC4 | 0xCC | 0xDB..=0xDD => self.write(marker, &payload)?,
            0xC0..=0xCF => self.frame(marker, &payload)?,
            0xE0..=0xEF if !self.scanned => self.application(marker, &payload)?,
            _ => {}
        }
        self.next_marker()
    }

    fn write(&mut self, marker: u8, payload: &[u8]) -> Result<(), MediaError> {
        let length = u16::try_from(payload.len() + 2).map_err(|_| MediaError::Broken("a segment is too long"))?;
        self.to.write_all(&[0xFF, marker])?;
        self.to.write_all(&length.to_be_bytes())?;
        Ok(self.to.write_all(payload)?)
    }

    fn frame(&mut self, marker: u8, payload: &[u8]) -> Result<(), MediaError> {
        let [_, height_high, height_low, width_high, width_low, components, rest @ ..] = payload else {
            return Err(MediaError::Broken("its size is missing"));
        };
        if rest.len() != 3 * usize::from(*components) {
            return Err(MediaError::Broken("its components are missing"));
        }
        let width = u32::from(u16::from_be_bytes([*width_high, *width_low]));
        let height = u32::from(u16::from_be_bytes([*height_high, *height_low]));
        self.limits.check_size(width, height)?;
        if self.size.replace((width, height)).is_some() {
            return Err(MediaError::Broken("it has two sizes"));
        }
        self.write(marker, payload)
    }

    /// Keeps the colours (JFIF, an ICC profile, Adobe's transform) and, of EXIF, the orientation. JFIF loses its preview.
    fn application(&mut self, marker: u8, payload: &[u8]) -> Result<(), MediaError> {
        match (marker, payload) {
            (0xE0, [b'J', b'F', b'I', b'F', 0, _, _, _, _, _, _, _, _, _, ..]) => {
                self.write(marker, &[&payload[..12], &[0, 0]].concat())
            }
            (0xE1, [b'E', b'x', b'i', b'f', 0, _, exif @ ..]) if self.orientation.is_none() => {
                self.orientation = orientation::read(exif);
                let Some(orientation) = self.orientation else { return Ok(()) };
                self.write(marker, &[&b"Exif\0\0"[..], &orientation::write(orientation)].concat())
            }
            (0xE2, _) if payload.starts_with(b"ICC_PROFILE\0") => self.write(marker, payload),
            (0xEE, _) if payload.starts_with(b"Adobe") && payload.len() >= 12 => self.write(marker, &payload[..12]),
            _ => Ok(()),
        }
    }

    /// Copies entropy-coded data, where `FF` is followed by 0 or a restart, up to the next marker.
    fn scan(&mut self) -> Result<u8, MediaError> {
        loop {
            let to = &mut *self.to;
            self.input.pass_until(0xFF, |bytes| to.write_all(bytes))?;
            match self.after_fill()? {
                byte @ (0x00 | 0xD0..=0xD7) => self.to.write_all(&[0xFF, byte])?,
                marker => return Ok(marker),
            }
        }
    }
}
