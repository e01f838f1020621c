//! The MP4 family: boxes, the first of which names the brand. Whether it is a video is said by its tracks, wherever they stand.

use std::io::{self, Read, Seek, SeekFrom};

/// Boxes that are looked at before the file counts as what its brand says.
const MAX_BOXES: u32 = 1000;

pub(super) fn begins(head: &[u8]) -> bool {
    matches!(head, [0, 0, high, low, b'f', b't', b'y', b'p', _, _, _, _, ..]
        if (12..=4096).contains(&u16::from_be_bytes([*high, *low])))
}

pub(super) fn sniff<R: Read + Seek>(file: &mut R, head: &[u8]) -> io::Result<&'static str> {
    let length = usize::from(u16::from_be_bytes([head[2], head[3]])).min(head.len());
    let brand = &head[8..12];
    let others = head.get(16..length).unwrap_or_default();
    let has = |name: &[u8]| brand == name || others.chunks_exact(4).any(|other| other == name);
    if has(b"avif") || has(b"avis") {
        return Ok("image/avif");
    }
    if [b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"].into_iter().any(|name| has(name)) {
        return Ok("image/heic");
    }
    Ok(match brand {
        b"mif1" | b"msf1" => "image/heif",
        b"qt  " => "video/quicktime",
        b"M4A " | b"M4B " | b"M4P " => "audio/mp4",
        b"crx " => "image/x-canon-cr3",
        b"jp2 " | b"jpx " | b"jpm " => "image/jp2",
        [b'3', b'g', b'2', _] => "video/3gpp2",
        [b'3', b'g', ..] => "video/3gpp",
        _ if only_sound(file)? => "audio/mp4",
        _ => "video/mp4",
    })
}

/// Whether there are tracks, and each of them is sound.
fn only_sound<R: Read + Seek>(file: &mut R) -> io::Result<bool> {
    let end = file.seek(SeekFrom::End(0))?;
    let mut tracks = Tracks { boxes: 0, sound: false, other: false };
    tracks.look(file, 0, end, 0)?;
    Ok(tracks.sound && !tracks.other)
}

struct Tracks {
    boxes: u32,
    sound: bool,
    other: bool,
}

impl Tracks {
    /// Looks through the boxes between these positions, and into those on the way to a track's handler.
    fn look<R: Read + Seek>(&mut self, file: &mut R, mut at: u64, end: u64, depth: usize) -> io::Result<()> {
        const WAY: [&[u8; 4]; 3] = [b"moov", b"trak", b"mdia"];
        while at < end && self.boxes < MAX_BOXES {
            self.boxes += 1;
            let Some((name, start, after)) = box_at(file, at, end)? else { return Ok(()) };
            if WAY.get(depth) == Some(&&name) {
                self.look(file, start, after, depth + 1)?;
            } else if depth == WAY.len() && &name == b"hdlr" {
                let mut handler = [0; 12];
                if read(file, start, &mut handler)? {
                    self.sound |= handler.ends_with(b"soun");
                    self.other |= handler.ends_with(b"vide") || handler.ends_with(b"pict");
                }
            }
            at = after;
        }
        Ok(())
    }
}

/// A box's name, where its content begins, and where the next box does.
fn box_at<R: Read + Seek>(file: &mut R, at: u64, end: u64) -> io::Result<Option<([u8; 4], u64, u64)>> {
    let mut header = [0; 8];
    if !read(file, at, &mut header)? {
        return Ok(None);
    }
    let [a, b, c, d, name @ ..] = header;
    let (length, start) = match u32::from_be_bytes([a, b, c, d]) {
        0 => (end - at, 8),
        1 => {
            let mut length = [0; 8];
            if !read(file, at + 8, &mut length)? {
                return Ok(None);
            }
            (u64::from_be_bytes(length), 16)
        }
        length => (u64::from(length), 8),
    };
    let after = at.checked_add(length).filter(|after| length >= start && *after <= end);
    Ok(after.map(|after| (name, at + start, after)))
}

/// Fills `bytes` from this position, if the file has so many.
fn read<R: Read + Seek>(file: &mut R, at: u64, bytes: &mut [u8]) -> io::Result<bool> {
    file.seek(SeekFrom::Start(at))?;
    match file.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
