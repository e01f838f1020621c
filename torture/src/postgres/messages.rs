//! Where PostgreSQL's messages begin and end.

/// A whole message: its kind, where it has one, its length and its body.
pub(super) struct Message {
    bytes: Vec<u8>,
    has_kind: bool,
}

/// Bytes as they come, and the messages in them.
pub(super) struct Messages {
    waiting: Vec<u8>,
    /// A client's first message has no kind.
    is_first: bool,
}

impl Messages {
    pub(super) const fn of_client() -> Self {
        Self { waiting: Vec::new(), is_first: true }
    }

    pub(super) const fn of_server() -> Self {
        Self { waiting: Vec::new(), is_first: false }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// The next whole message.
    pub(super) fn next(&mut self) -> Option<Message> {
        let has_kind = !self.is_first;
        let start = usize::from(has_kind);
        let length: [u8; 4] = self.waiting.get(start..start + 4)?.try_into().ok()?;
        let end = start + u32::from_be_bytes(length) as usize;
        if self.waiting.len() < end {
            return None;
        }
        self.is_first = false;
        let rest = self.waiting.split_off(end);
        Some(Message { bytes: std::mem::replace(&mut self.waiting, rest), has_kind })
    }
}

impl Message {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What is in it, if it is of this kind.
    pub(super) fn body_of(&self, kind: u8) -> Option<&[u8]> {
        (self.has_kind && self.bytes[0] == kind).then(|| &self.bytes[5..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_however_they_are_cut() {
        let start = [0, 0, 0, 8, 0, 3, 0, 0];
        let bytes = [&start[..], b"Q\0\0\0\x0bcommit\0", b"S\0\0\0\x04", b"Q\0\0\0\x07"].concat();
        for size in 1..bytes.len() {
            let mut messages = Messages::of_client();
            let mut found = Vec::new();
            for piece in bytes.chunks(size) {
                messages.push(piece);
                found.extend(std::iter::from_fn(|| messages.next()));
            }
            let bodies: Vec<_> = found.iter().map(|message| message.body_of(b'Q')).collect();
            assert_eq!(bodies, [None, Some(&b"commit\0"[..]), None]);
            assert_eq!(found[0].bytes(), start);
        }
    }
}
