//! WebP: chunks inside of a RIFF chunk, whose sizes are written before them. So the file is read twice: once to know what will be
//! kept, once to copy that.

use crate::input::Input;
use crate::{ImageShape, Limits, MediaError, orientation};
use image::metadata::Orientation;
use std::io::{BufRead, Seek, Write};

/// Flags of the extended format.
const ANIMATED: u8 = 0x02;
const HAS_EXIF: u8 = 0x08;
const HAS_ALPHA: u8 = 0x10;
const HAS_COLORS: u8 = 0x20;

/// Bytes of a chunk's name and length.
const CHUNK_START: u64 = 8;

/// Bytes of a chunk that says how an image is extended.
const EXTENDED: u64 = 10;

/// Bytes of a frame in front of its own chunks.
const FRAME_START: u64 = 16;

/// Copies what is needed to show the image.
pub(crate) fn rewrite<R: BufRead + Seek, W: Write>(
    from: &mut R,
    to: &mut W,
    limits: &Limits,
) -> Result<ImageShape, MediaError> {
    let mut file = File { input: Input::from_start(from)?, end: 0 };
    let plan = file.plan(limits)?;
    let mut file = File { input: Input::from_start(from)?, end: 0 };
    file.copy(&plan, to)?;
    let orientation = plan.orientation.unwrap_or(Orientation::NoTransforms);
    Ok(ImageShape { width: plan.size.0, height: plan.size.1, frames: plan.frames.max(1), orientation })
}

/// What the first reading found.
#[derive(Default)]
struct Plan {
    size: (u32, u32),
    /// The flags that stay true, if the format is the extended one.
    extended: Option<u8>,
    frames: u32,
    orientation: Option<Orientation>,
    /// Bytes of the chunks that are kept.
    kept: u64,
    has_bitstream: bool,
    has_alpha: bool,
    has_colors: bool,
    has_animation: bool,
}

impl Plan {
    fn animated(&self) -> bool {
        self.extended.is_some_and(|flags| flags & ANIMATED != 0)
    }

    /// Whether a chunk of the file is needed to show the image, but for frames and the extended format's own.
    fn keeps(&self, name: &[u8; 4]) -> bool {
        match name {
            b"VP8 " | b"VP8L" => !self.animated(),
            b"ALPH" => self.extended.is_some() && !self.animated(),
            b"ICCP" => self.extended.is_some(),
            b"ANIM" => self.animated(),
            _ => false,
        }
    }
}

#[derive(Clone, Copy)]
struct Chunk {
    name: [u8; 4],
    length: u64,
}

impl Chunk {
    /// Bytes with name, length and the byte that makes it even.
    fn whole(self) -> u64 {
        CHUNK_START + padded(self.length)
    }
}

fn padded(length: u64) -> u64 {
    length + length % 2
}

fn le24(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], 0])
}

fn once(seen: &mut bool) -> Result<(), MediaError> {
    if std::mem::replace(seen, true) { Err(MediaError::Broken("a chunk is repeated")) } else { Ok(()) }
}

fn write_chunk(to: &mut impl Write, name: &[u8; 4], length: u64) -> Result<(), MediaError> {
    let length = u32::try_from(length).map_err(|_| MediaError::Broken("a chunk is too long"))?;
    to.write_all(name)?;
    Ok(to.write_all(&length.to_le_bytes())?)
}

struct File<'a, R> {
    input: Input<'a, R>,
    /// Where the RIFF chunk ends.
    end: u64,
}

impl<R: BufRead + Seek> File<'_, R> {
    fn riff(&mut self) -> Result<(), MediaError> {
        let [b'R', b'I', b'F', b'F', length @ .., b'W', b'E', b'B', b'P'] = self.input.array::<12>()? else {
            return Err(MediaError::Broken("it does not begin as a WebP"));
        };
        self.end = CHUNK_START + u64::from(u32::from_le_bytes(length));
        Ok(())
    }

    /// The next chunk before `end`, which must be in the file and before `end` as a whole.
    fn next(&mut self, end: u64) -> Result<Option<Chunk>, MediaError> {
        let left = end.saturating_sub(self.input.position());
        if left == 0 {
            return Ok(None);
        }
        if left < CHUNK_START {
            return Err(MediaError::Broken("a chunk breaks off"));
        }
        let name = self.input.array()?;
        let length = u64::from(u32::from_le_bytes(self.input.array()?));
        if length > left - CHUNK_START {
            return Err(MediaError::Broken("a chunk breaks off"));
        }
        Ok(Some(Chunk { name, length }))
    }

    /// Reads over what is left of a chunk of which `read` bytes were read. The byte that makes the last chunk even may be missing.
    fn finish(&mut self, chunk: Chunk, read: u64, end: u64) -> Result<(), MediaError> {
        let here = self.input.position();
        let rest = padded(chunk.length).min(read + end.saturating_sub(here)) - read;
        Ok(self.input.skip(rest)?)
    }

    fn plan(&mut self, limits: &Limits) -> Result<Plan, MediaError> {
        self.riff()?;
        let mut plan = Plan::default();
        let mut first = true;
        while let Some(chunk) = self.next(self.end)? {
            let read = match &chunk.name {
                b"VP8X" if first => self.plan_extended(chunk, &mut plan, limits)?,
                _ if !first && plan.extended.is_none() => 0,
                b"ANMF" if plan.animated() => self.plan_frame(chunk, &mut plan, limits)?,
                b"EXIF" => self.plan_exif(chunk, &mut plan)?,
                name if plan.keeps(name) => {
                    let read = self.plan_kept(chunk, &mut plan, limits)?;
                    plan.kept += chunk.whole();
                    read
                }
                _ if first => return Err(MediaError::Broken("it does not begin as a WebP")),
                _ => 0,
            };
            self.finish(chunk, read, self.end)?;
            first = false;
        }
        let complete = if plan.animated() { plan.has_animation && plan.frames > 0 } else { plan.has_bitstream };
        if !complete {
            return Err(MediaError::Broken("it has no pixels"));
        }
        if let Some(flags) = &mut plan.extended {
            *flags &= ANIMATED | HAS_ALPHA;
            *flags |= if plan.has_colors { HAS_COLORS } else { 0 };
            *flags |= if plan.orientation.is_some() { HAS_EXIF } else { 0 };
            plan.kept += CHUNK_START + EXTENDED;
        }
        if plan.orientation.is_some() {
            plan.kept += CHUNK_START + orientation::write(Orientation::NoTransforms).len() as u64;
        }
        Ok(plan)
    }

    fn plan_extended(&mut self, chunk: Chunk, plan: &mut Plan, limits: &Limits) -> Result<u64, MediaError> {
        if chunk.length < EXTENDED {
            return Err(MediaError::Broken("its size is missing"));
        }
        let header = self.input.array::<10>()?;
        plan.extended = Some(header[0]);
        plan.size = (le24(&header, 4) + 1, le24(&header, 7) + 1);
        limits.check_size(plan.size.0, plan.size.1)?;
        Ok(EXTENDED)
    }

    fn plan_kept(&mut self, chunk: Chunk, plan: &mut Plan, limits: &Limits) -> Result<u64, MediaError> {
        match &chunk.name {
            b"ICCP" => once(&mut plan.has_colors)?,
            b"ANIM" => once(&mut plan.has_animation)?,
            b"ALPH" => once(&mut plan.has_alpha)?,
            _ => {
                once(&mut plan.has_bitstream)?;
                let (size, read) = self.bitstream(chunk)?;
                if plan.extended.is_none() {
                    plan.size = size;
                } else if plan.size != size {
                    return Err(MediaError::Broken("it has two sizes"));
                }
                limits.check_size(size.0, size.1)?;
                return Ok(read);
            }
        }
        Ok(0)
    }

    /// The size that a bitstream begins with, and how much of it was read.
    fn bitstream(&mut self, chunk: Chunk) -> Result<((u32, u32), u64), MediaError> {
        if &chunk.name == b"VP8L" && chunk.length >= 5 {
            if let [0x2F, bits @ ..] = self.input.array::<5>()? {
                let bits = u32::from_le_bytes(bits);
                return Ok((((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1), 5));
            }
        } else if &chunk.name == b"VP8 " && chunk.length >= 10 {
            let header = self.input.array::<10>()?;
            if header[0] & 1 == 0 && header[3..6] == [0x9D, 0x01, 0x2A] {
                let side = |at: usize| u32::from(u16::from_le_bytes([header[at], header[at + 1]]) & 0x3FFF);
                return Ok(((side(6), side(8)), 10));
            }
        }
        Err(MediaError::Broken("its size is missing"))
    }

    fn plan_exif(&mut self, chunk: Chunk, plan: &mut Plan) -> Result<u64, MediaError> {
        if plan.orientation.is_some() {
            return Ok(0);
        }
        let read = chunk.length.min(orientation::EXIF_READ);
        let mut exif = Vec::new();
        self.input.copy(read, &mut exif)?;
        plan.orientation = orientation::read(&exif);
        Ok(read)
    }

    fn plan_frame(&mut self, chunk: Chunk, plan: &mut Plan, limits: &Limits) -> Result<u64, MediaError> {
        if chunk.length < FRAME_START {
            return Err(MediaError::Broken("a frame breaks off"));
        }
        let header = self.input.array::<16>()?;
        let size = (le24(&header, 6) + 1, le24(&header, 9) + 1);
        if le24(&header, 0) * 2 + size.0 > plan.size.0 || le24(&header, 3) * 2 + size.1 > plan.size.1 {
            return Err(MediaError::Broken("a frame is outside of the image"));
        }
        plan.frames += 1;
        limits.check_frames(plan.frames)?;
        let kept = self.frame_length(chunk.length - FRAME_START, Some(size))?;
        plan.kept += CHUNK_START + FRAME_START + kept;
        Ok(chunk.length)
    }

    /// Reads a frame's chunks, `length` bytes of them, and answers how many bytes of them are kept. With a size, checks it.
    fn frame_length(&mut self, length: u64, size: Option<(u32, u32)>) -> Result<u64, MediaError> {
        let end = self.input.position() + length;
        let (mut kept, mut has_bitstream, mut has_alpha) = (0, false, false);
        while let Some(chunk) = self.next(end)? {
            let mut read = 0;
            match &chunk.name {
                b"ALPH" => once(&mut has_alpha)?,
                b"VP8 " | b"VP8L" => {
                    once(&mut has_bitstream)?;
                    let (found, header) = self.bitstream(chunk)?;
                    read = header;
                    if size.is_some_and(|size| size != found) {
                        return Err(MediaError::Broken("a frame has two sizes"));
                    }
                }
                _ => {
                    self.finish(chunk, 0, end)?;
                    continue;
                }
            }
            kept += chunk.whole();
            self.finish(chunk, read, end)?;
        }
        if has_bitstream { Ok(kept) } else { Err(MediaError::Broken("a frame has no pixels")) }
    }

    fn copy<W: Write>(&mut self, plan: &Plan, to: &mut W) -> Result<(), MediaError> {
        self.riff()?;
        write_chunk(to, b"RIFF", plan.kept + 4)?;
        to.write_all(b"WEBP")?;
        let mut first = true;
        while let Some(chunk) = self.next(self.end)? {
            let mut read = 0;
            match (&chunk.name, plan.extended) {
                (b"VP8X", Some(flags)) if first => {
                    let header = self.input.array::<10>()?;
                    read = EXTENDED;
                    write_chunk(to, b"VP8X", EXTENDED)?;
                    to.write_all(&[flags, 0, 0, 0])?;
                    to.write_all(&header[4..])?;
                }
                (b"ANMF", _) if plan.animated() => {
                    self.copy_frame(chunk, to)?;
                    read = chunk.length;
                }
                (name, extended) if plan.keeps(name) && (first || extended.is_some()) => {
                    self.copy_chunk(chunk, to)?;
                    read = chunk.length;
                }
                _ => {}
            }
            self.finish(chunk, read, self.end)?;
            first = false;
        }
        if let Some(orientation) = plan.orientation {
            let exif = orientation::write(orientation);
            write_chunk(to, b"EXIF", exif.len() as u64)?;
            to.write_all(&exif)?;
        }
        Ok(())
    }

    /// Copies a chunk, with a byte of its own to make it even.
    fn copy_chunk<W: Write>(&mut self, chunk: Chunk, to: &mut W) -> Result<(), MediaError> {
        write_chunk(to, &chunk.name, chunk.length)?;
        self.input.copy(chunk.length, to)?;
        if !chunk.length.is_multiple_of(2) {
            to.write_all(&[0])?;
        }
        Ok(())
    }

    fn copy_frame<W: Write>(&mut self, frame: Chunk, to: &mut W) -> Result<(), MediaError> {
        let header = self.input.array::<16>()?;
        let start = self.input.position();
        let kept = self.frame_length(frame.length - FRAME_START, None)?;
        self.input.back_to(start)?;
        write_chunk(to, b"ANMF", FRAME_START + kept)?;
        to.write_all(&header)?;
        let end = start + frame.length - FRAME_START;
        while let Some(chunk) = self.next(end)? {
            let mut read = 0;
            if matches!(&chunk.name, b"ALPH" | b"VP8 " | b"VP8L") {
                self.copy_chunk(chunk, to)?;
                read = chunk.length;
            }
            self.finish(chunk, read, end)?;
        }
        Ok(())
    }
}
