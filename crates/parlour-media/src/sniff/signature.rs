//! Kinds that their first bytes give away.

use super::UNKNOWN;

/// The common kinds, by rules of our own.
pub(super) fn of(head: &[u8]) -> Option<&'static str> {
    image(head).or_else(|| document(head)).or_else(|| riff(head)).or_else(|| sound(head)).or_else(|| matroska(head))
}

/// Any other kind that has a signature. Rules that are looser than ours for the same kind do not count.
pub(super) fn rare(head: &[u8]) -> &'static str {
    match infer::get(head).map_or(UNKNOWN, |kind| kind.mime_type()) {
        "image/jpeg" | "image/png" | "image/gif" | "image/webp" | "image/heif" | "image/avif" => UNKNOWN,
        "application/pdf" | "application/rtf" | "application/postscript" | "application/zip" => UNKNOWN,
        "video/mp4" | "video/x-m4v" | "video/webm" | "video/x-matroska" | "video/x-msvideo" => UNKNOWN,
        "audio/mpeg" | "audio/m4a" | "audio/aac" | "audio/ogg" | "audio/opus" | "audio/x-flac" => UNKNOWN,
        kind if kind.starts_with("text/") => UNKNOWN,
        kind => kind,
    }
}

fn image(head: &[u8]) -> Option<&'static str> {
    match head {
        [0xFF, 0xD8, 0xFF, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        _ if head.starts_with(b"\x89PNG\r\n\x1A\n") => Some("image/png"),
        _ => None,
    }
}

fn document(head: &[u8]) -> Option<&'static str> {
    match head {
        [b'%', b'P', b'D', b'F', b'-', ..] => Some("application/pdf"),
        [b'{', b'\\', b'r', b't', b'f', ..] => Some("application/rtf"),
        [b'%', b'!', b'P', b'S', ..] => Some("application/postscript"),
        _ => None,
    }
}

fn riff(head: &[u8]) -> Option<&'static str> {
    match head {
        [b'R', b'I', b'F', b'F', _, _, _, _, kind @ ..] => match kind {
            [b'W', b'E', b'B', b'P', b'V', b'P', b'8', ..] => Some("image/webp"),
            [b'W', b'A', b'V', b'E', ..] => Some("audio/wav"),
            [b'A', b'V', b'I', b' ', ..] => Some("video/x-msvideo"),
            _ => None,
        },
        _ => None,
    }
}

fn sound(head: &[u8]) -> Option<&'static str> {
    match head {
        [b'f', b'L', b'a', b'C', ..] => Some("audio/flac"),
        [b'I', b'D', b'3', 2..=4, ..] => Some("audio/mpeg"),
        [b'#', b'!', b'A', b'M', b'R', b'\n' | b'-', ..] => Some("audio/amr"),
        [b'O', b'g', b'g', b'S', 0, ..] => ogg(head),
        [0xFF, ..] if repeats(head, mpeg_layer_3) => Some("audio/mpeg"),
        [0xFF, ..] if repeats(head, adts) => Some("audio/aac"),
        _ => None,
    }
}

/// By what the first pages say is in them; every stream begins with a page of its own there.
fn ogg(head: &[u8]) -> Option<&'static str> {
    let has = |name: &[u8]| head.windows(name.len()).any(|part| part == name);
    if has(b"\x80theora") || has(b"BBCD\0") || has(b"\x01video\0") {
        Some("video/ogg")
    } else if has(b"OpusHead") || has(b"\x01vorbis") || has(b"Speex   ") || has(b"\x7FFLAC") {
        Some("audio/ogg")
    } else {
        Some("application/ogg")
    }
}

/// Whether the file begins with a frame, and behind it another one stands or the file ends: `length` reads a frame's header.
fn repeats(head: &[u8], length: fn(&[u8]) -> Option<usize>) -> bool {
    let Some(first) = length(head) else { return false };
    match head.get(first..) {
        Some(rest) if rest.len() >= 8 => length(rest).is_some(),
        Some(rest) => rest.is_empty(),
        None => false,
    }
}

/// Bytes of an MPEG-1, -2 or -2.5 layer III frame.
fn mpeg_layer_3(head: &[u8]) -> Option<usize> {
    const RATES_1: [usize; 16] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0];
    const RATES_2: [usize; 16] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0];
    const SAMPLES: [usize; 4] = [44_100, 48_000, 32_000, 0];
    let [0xFF, second, third, _, ..] = *head else { return None };
    if second & 0xE6 != 0xE2 {
        return None;
    }
    let version = second >> 3 & 3;
    let (rates, divisor, samples) = match version {
        0 => (RATES_2, 4, 72),
        2 => (RATES_2, 2, 72),
        3 => (RATES_1, 1, 144),
        _ => return None,
    };
    let rate = rates[usize::from(third >> 4)] * 1000;
    let frequency = SAMPLES[usize::from(third >> 2 & 3)] / divisor;
    (rate > 0 && frequency > 0).then(|| samples * rate / frequency + usize::from(third >> 1 & 1))
}

/// Bytes of an AAC frame with a transport header.
fn adts(head: &[u8]) -> Option<usize> {
    let [0xFF, second, third, fourth, fifth, sixth, ..] = *head else { return None };
    let length = usize::from(fourth & 3) << 11 | usize::from(fifth) << 3 | usize::from(sixth >> 5);
    (second & 0xF6 == 0xF0 && third >> 2 & 0xF < 13 && length > 7).then_some(length)
}

/// Matroska and its part for the web. The kind of its tracks is told by the codecs that stand in the head, where a recorder writes them.
fn matroska(head: &[u8]) -> Option<&'static str> {
    if !head.starts_with(b"\x1A\x45\xDF\xA3") {
        return None;
    }
    let start = &head[..head.len().min(128)];
    let says = |name: &[u8]| start.windows(name.len()).any(|part| part == name);
    let codec = |kind: u8| head.windows(4).any(|part| part[0] == 0x86 && part[2..] == [kind, b'_']);
    let only_sound = codec(b'A') && !codec(b'V');
    match (says(b"\x42\x82\x84webm"), says(b"\x42\x82\x88matroska")) {
        (true, _) => Some(if only_sound { "audio/webm" } else { "video/webm" }),
        (_, true) => Some(if only_sound { "audio/x-matroska" } else { "video/x-matroska" }),
        _ => None,
    }
}
