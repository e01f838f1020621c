//! The rows of a list as JSON with gaps in it where members stand.
//!
//! A member looks the same in every row, and changes apart from what was written: so the members are rendered once per change and put
//! into the gaps of each answer, and so are links to files, which are each viewer's own and do not last. The rows are written by hand, as they are most of what a server does; that they are byte for byte what
//! [`Message`](super::Message) and [`Snippet`](super::Snippet) serialize to is held by a test.

use super::ThreadStatus;
use crate::model::{Attachment, InboxRef, MessageRef, MessageStatus, Purpose};
use crate::text::{headline_end, push_escaped};
use crate::time::TimeWriter;
use crate::{MessageId, ThreadId, Timestamp, UserId};
use std::io::Write as _;

/// Bytes of a row without its members, about.
const ROW_BYTES: usize = 640;

/// What the messages of one page have in common.
#[derive(Clone, Copy)]
pub struct MessagePage<'a> {
    /// The thread.
    pub thread_id: ThreadId,
    /// One participant.
    pub viewer_id: UserId,
    /// The other one.
    pub partner_id: UserId,
    /// When the thread's newest message came.
    pub last_message_at: Timestamp,
    /// The viewer's own read state.
    pub thread_status: ThreadStatus,
    /// What stands in for the text of a message that was taken back.
    pub hidden_text: &'a str,
}

/// A part of the rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece {
    /// What [`Rows::json`] answers for these two places.
    Json(u32, u32),
    /// The rendering of this one of [`Rows::people`].
    Person(u32),
    /// The link to this one of [`Rows::links`].
    Link(u32),
}

/// What belongs into a gap.
#[derive(Clone, Copy)]
enum Gap {
    Person(u32),
    Link(u32),
}

/// Rows of a list, ready but for the members in them.
#[derive(Clone, Default)]
pub struct Rows {
    /// The rows, separated by commas, without the members.
    json: Vec<u8>,
    /// Who stands in the rows, each once.
    people: Vec<UserId>,
    /// Whose file is opened by which link, for what.
    links: Vec<(MessageId, Purpose)>,
    /// Where in `json` what belongs, in order.
    gaps: Vec<(u32, Gap)>,
    times: TimeWriter,
}

impl Rows {
    /// No rows, with room for `rows`.
    #[must_use]
    pub fn with_capacity(rows: usize) -> Self {
        Self {
            json: Vec::with_capacity(rows * ROW_BYTES),
            people: Vec::with_capacity(2),
            links: Vec::new(),
            gaps: Vec::with_capacity(2 * rows),
            times: TimeWriter::default(),
        }
    }

    /// Who stands in the rows: those whose renderings complete the rows, in this order.
    #[must_use]
    pub fn people(&self) -> &[UserId] {
        &self.people
    }

    /// The messages whose files are opened by the links that complete the rows, in this order.
    #[must_use]
    pub fn links(&self) -> &[(MessageId, Purpose)] {
        &self.links
    }

    /// Bytes that the rows take in memory, about.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.json.capacity()
            + size_of::<(u32, Gap)>() * self.gaps.capacity()
            + size_of::<UserId>() * self.people.capacity()
            + size_of::<(MessageId, Purpose)>() * self.links.capacity()
            + size_of::<Self>()
    }

    /// Gives back the room that was not needed.
    pub fn shrink(&mut self) {
        self.json.shrink_to_fit();
        self.gaps.shrink_to_fit();
        self.people.shrink_to_fit();
        self.links.shrink_to_fit();
    }

    /// Adds a message.
    pub fn push_message(&mut self, page: &MessagePage<'_>, row: &MessageRef<'_>) {
        let receiver_id = if row.sender_id == page.viewer_id { page.partner_id } else { page.viewer_id };
        let text = if row.status == MessageStatus::Hidden { page.hidden_text } else { row.text };
        self.begin();
        self.raw(b"{\"id\":").int(row.id.get());
        self.raw(b",\"thread_id\":").int(page.thread_id.get());
        self.raw(b",\"sender\":").person(row.sender_id);
        self.raw(b",\"sender_id\":").int(row.sender_id.get());
        self.raw(b",\"receiver\":").person(receiver_id);
        self.raw(b",\"group\":null,\"message\":");
        let message = self.text(text);
        self.raw(b",\"headline\":");
        match row.file {
            Some(file) if text.is_empty() => self.excerpt(&file.filename),
            _ => self.headline(text, message),
        }
        self.raw(b",\"created_at\":").time(row.created_at);
        self.raw(b",\"last_message_at\":").time(page.last_message_at);
        self.raw(b",\"status\":").raw(status(row.status));
        self.raw(b",\"thread_status\":").raw(thread_status(page.thread_status));
        self.raw(b",\"file\":");
        match row.file {
            None => drop(self.raw(b"null")),
            Some(file) => self.file(row.id, file),
        }
        self.raw(b"}");
    }

    /// Adds the file of a message.
    fn file(&mut self, message: MessageId, file: &Attachment) {
        self.raw(b"{\"uuid\":\"");
        // Writing to memory cannot fail.
        let _ = write!(self.json, "{}", file.uuid);
        self.raw(b"\",\"filename\":").json_text(&file.filename);
        self.raw(b",\"filesize\":").int(file.size);
        self.raw(b",\"mimetype\":").json_text(&file.mimetype);
        self.raw(b",\"duration\":");
        match file.duration {
            None => drop(self.raw(b"null")),
            Some(seconds) => self.int(seconds),
        }
        self.raw(b",\"url\":").link(file, message, Purpose::File);
        self.raw(b",\"thumbnail\":").link(file, message, Purpose::Thumbnail);
        self.raw(b"}");
    }

    fn link(&mut self, file: &Attachment, message: MessageId, purpose: Purpose) {
        if !file.has(purpose) {
            self.raw(b"null");
            return;
        }
        self.raw(b"\"");
        let link = u32::try_from(self.links.len()).expect("links are fewer than bytes");
        self.links.push((message, purpose));
        self.gap(Gap::Link(link));
        self.raw(b"\"");
    }

    /// Writes a text that is no HTML as a JSON string.
    fn json_text(&mut self, text: &str) {
        serde_json::to_writer(&mut self.json, text).expect("writing to memory cannot fail");
    }

    /// Adds a conversation.
    pub fn push_snippet(&mut self, row: &InboxRef<'_>, hidden_text: &str) {
        let text = if row.message_status == MessageStatus::Hidden { hidden_text } else { row.text };
        let read_state = if row.unread_count > 0 { ThreadStatus::New } else { ThreadStatus::Seen };
        self.begin();
        self.raw(b"{\"id\":").int(row.thread_id.get());
        self.raw(b",\"thread_id\":").int(row.thread_id.get());
        self.raw(b",\"headline\":");
        match headline_end(text) {
            None if text.is_empty() && row.file_name.is_some() => {
                self.excerpt(row.file_name.unwrap_or_default());
                self.raw(b",\"message\":\"\"");
            }
            None => {
                let headline = self.text(text);
                self.raw(b",\"message\":").json.extend_from_within(headline);
            }
            Some(end) => {
                self.cut(&text[..end]);
                self.raw(b",\"message\":").text(text);
            }
        }
        self.raw(b",\"sender\":").person(row.creator_id);
        self.raw(b",\"receiver\":").person(row.other_id);
        self.raw(b",\"group\":null,\"created_at\":").time(row.created_at);
        self.raw(b",\"last_message_at\":").time(row.last_message_at);
        self.raw(b",\"thread_status\":").raw(thread_status(read_state));
        self.raw(b",\"unread_count\":").int(row.unread_count);
        self.raw(b"}");
    }

    /// What the rows consist of, in order. People stand in pairs: between two pairs there is a piece of JSON, and between the two of a
    /// pair another one.
    pub fn pieces(&self) -> impl Iterator<Item = Piece> {
        let mut from = 0;
        let inner = self.gaps.iter().flat_map(move |(at, gap)| {
            let json = Piece::Json(std::mem::replace(&mut from, *at), *at);
            match *gap {
                Gap::Person(person) => [json, Piece::Person(person)],
                Gap::Link(link) => [json, Piece::Link(link)],
            }
        });
        let end = self.json.len() as u32;
        inner.chain(std::iter::once(Piece::Json(self.gaps.last().map_or(0, |(at, _)| *at), end)))
    }

    /// The JSON of a [`Piece::Json`].
    #[must_use]
    pub fn json(&self, from: u32, to: u32) -> &[u8] {
        &self.json[from as usize..to as usize]
    }

    fn begin(&mut self) {
        if !self.json.is_empty() {
            self.json.push(b',');
        }
    }

    fn raw(&mut self, json: &[u8]) -> &mut Self {
        self.json.extend_from_slice(json);
        self
    }

    fn int(&mut self, value: i64) {
        self.json.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    fn time(&mut self, at: Timestamp) {
        self.json.push(b'"');
        self.times.push(at, &mut self.json);
        self.json.push(b'"');
    }

    fn person(&mut self, id: UserId) {
        // A page has two people, a list of conversations a few dozen: looking through them is faster than any index.
        let person = self.people.iter().position(|known| *known == id).unwrap_or_else(|| {
            self.people.push(id);
            self.people.len() - 1
        });
        self.gap(Gap::Person(u32::try_from(person).expect("people are fewer than bytes")));
    }

    fn gap(&mut self, gap: Gap) {
        let at = u32::try_from(self.json.len()).expect("a page of at most 100 messages is smaller than 4 GiB");
        self.gaps.push((at, gap));
    }

    /// Writes a text as escaped HTML in a JSON string, and answers where.
    fn text(&mut self, text: &str) -> std::ops::Range<usize> {
        let start = self.json.len();
        self.json.push(b'"');
        push_escaped(&mut self.json, text);
        self.json.push(b'"');
        start..self.json.len()
    }

    /// Writes the excerpt of a text that already stands at `message`.
    fn headline(&mut self, text: &str, message: std::ops::Range<usize>) {
        match headline_end(text) {
            None => self.json.extend_from_within(message),
            Some(end) => self.cut(&text[..end]),
        }
    }

    /// Writes the excerpt of a text that stands nowhere else.
    fn excerpt(&mut self, text: &str) {
        match headline_end(text) {
            None => drop(self.text(text)),
            Some(end) => self.cut(&text[..end]),
        }
    }

    /// Writes the beginning of a text that goes on.
    fn cut(&mut self, beginning: &str) {
        self.json.push(b'"');
        push_escaped(&mut self.json, beginning);
        self.json.extend_from_slice("…\"".as_bytes());
    }
}

const fn status(status: MessageStatus) -> &'static [u8] {
    match status {
        MessageStatus::Created => b"\"created\"",
        MessageStatus::Hidden => b"\"hidden\"",
        MessageStatus::Deleted => b"\"deleted\"",
    }
}

const fn thread_status(status: ThreadStatus) -> &'static [u8] {
    match status {
        ThreadStatus::New => b"\"new\"",
        ThreadStatus::Seen => b"\"seen\"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FileUuid;
    use crate::model::{Message as StoredMessage, User};
    use crate::view::{self, Message, MessageContext, Snippet, UserJson};
    use proptest::prelude::*;

    fn user(id: i64) -> UserJson {
        let user = User::new(UserId::new(id).unwrap(), format!("member{id}"), Timestamp::from_micros(id));
        UserJson::render(&view::User::from(&user))
    }

    fn written(rows: &Rows, person: impl Fn(UserId) -> UserJson) -> String {
        let mut written = Vec::new();
        for piece in rows.pieces() {
            match piece {
                Piece::Json(from, to) => written.extend_from_slice(rows.json(from, to)),
                Piece::Person(at) => written.extend_from_slice(person(rows.people()[at as usize]).as_str().as_bytes()),
                Piece::Link(at) => {
                    let (message, purpose) = rows.links()[at as usize];
                    written.extend_from_slice(link(message, purpose).as_bytes());
                }
            }
        }
        String::from_utf8(written).unwrap()
    }

    fn link(message: MessageId, purpose: Purpose) -> String {
        format!("https://example.org/{message}/{purpose:?}")
    }

    fn any_file() -> impl Strategy<Value = Option<Attachment>> {
        let mimetype = prop_oneof![Just("image/png"), Just("application/pdf")];
        let facts =
            ("[ -~é𝄞]{1,200}", mimetype, 0_i64..20_000_000, prop::option::of(0_i64..90), any::<bool>(), any::<bool>());
        prop::option::of(facts.prop_map(|(filename, mimetype, size, duration, has_thumbnail, is_lost)| Attachment {
            uuid: FileUuid::from_bytes([7; 16]),
            filename,
            size,
            mimetype: mimetype.into(),
            duration,
            has_thumbnail,
            is_lost,
        }))
    }

    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[ -~\\n\\t\\\\\"'<>&é…𝄞\\x00-\\x1f]{0,400}",
            "[a&<é]{147,153}".prop_map(|text| text),
        ]
    }

    fn any_status() -> impl Strategy<Value = MessageStatus> {
        prop_oneof![Just(MessageStatus::Created), Just(MessageStatus::Hidden), Just(MessageStatus::Deleted)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn rows_of_messages_are_what_the_view_serializes_to(
            messages in prop::collection::vec((any_text(), any_status(), any::<bool>(), 0_i64..4_000_000_000_000_000, any_file()), 0..4),
            seen in any::<bool>(),
        ) {
            let (viewer, partner) = (UserId::new(7).unwrap(), UserId::new(9).unwrap());
            let cards = [(viewer, user(7)), (partner, user(9))];
            let json = |id: UserId| &cards.iter().find(|(known, _)| *known == id).unwrap().1;
            let thread_status = if seen { ThreadStatus::Seen } else { ThreadStatus::New };
            let page = MessagePage {
                thread_id: ThreadId::new(3).unwrap(),
                viewer_id: viewer,
                partner_id: partner,
                last_message_at: Timestamp::from_micros(1_790_000_000_123_456),
                thread_status,
                hidden_text: "gone & \"over\"",
            };
            let mut rows = Rows::with_capacity(1);
            let mut expected = Vec::new();
            for (number, (text, status, own, micros, file)) in messages.into_iter().enumerate() {
                let (sender_id, receiver_id) = if own { (viewer, partner) } else { (partner, viewer) };
                let message = StoredMessage {
                    id: MessageId::new(number as i64 + 1).unwrap(),
                    thread_id: page.thread_id,
                    seq: number as i64 + 1,
                    sender_id,
                    created_at: Timestamp::from_micros(micros),
                    status,
                    text,
                    file,
                };
                rows.push_message(&page, &MessageRef {
                    id: message.id,
                    seq: message.seq,
                    sender_id,
                    created_at: message.created_at,
                    status,
                    text: &message.text,
                    file: message.file.as_ref(),
                });
                let view = Message::for_participant(&message, MessageContext {
                    sender: json(sender_id),
                    receiver: json(receiver_id),
                    last_message_at: page.last_message_at,
                    thread_status,
                    hidden_text: page.hidden_text,
                    link: &link,
                });
                expected.push(serde_json::to_string(&view).unwrap());
            }
            prop_assert_eq!(written(&rows, |id| json(id).clone()), expected.join(","));
        }

        #[test]
        fn rows_of_conversations_are_what_the_view_serializes_to(
            entries in prop::collection::vec((any_text(), any_status(), 0_i64..3, 2_i64..5, any_file()), 0..4),
        ) {
            let cards: Vec<(UserId, UserJson)> = (1..5).map(|id| (UserId::new(id).unwrap(), user(id))).collect();
            let json = |id: UserId| &cards.iter().find(|(known, _)| *known == id).unwrap().1;
            let mut rows = Rows::with_capacity(1);
            let mut expected = Vec::new();
            for (number, (text, message_status, unread_count, other, file)) in entries.into_iter().enumerate() {
                let entry = InboxRef {
                    thread_id: ThreadId::new(number as i64 + 1).unwrap(),
                    creator_id: UserId::new(1).unwrap(),
                    other_id: UserId::new(other).unwrap(),
                    created_at: Timestamp::from_micros(5),
                    last_message_at: Timestamp::from_micros(1_790_000_000_123_456),
                    unread_count,
                    message_id: MessageId::new(1).unwrap(),
                    message_status,
                    text: &text,
                    file_name: file.as_ref().map(|file| &*file.filename),
                };
                rows.push_snippet(&entry, "gone");
                let view = Snippet::for_member(&entry, json(entry.creator_id), json(entry.other_id), "gone");
                expected.push(serde_json::to_string(&view).unwrap());
            }
            prop_assert_eq!(written(&rows, |id| json(id).clone()), expected.join(","));
        }
    }
}
