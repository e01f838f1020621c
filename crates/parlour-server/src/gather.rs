//! Answers in pieces: the system gathers them on their way out.
//!
//! Most of a page of messages is its two people, over and over. Copying them into one buffer, to have the system copy that again, costs
//! more than everything else that Parlour does for such an answer. So the rows, the people and what stands around them go out from where
//! they are, in one system call. Links to files are made for each answer: they are its viewer's alone, and do not last.

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::{Buf, Bytes};
use http::header;
use hyper::body::{Frame, SizeHint};
use parlour_core::RowsPage;
use parlour_types::view::{LinkMaker, Piece};
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// JSON in pieces: `before`, the rows of a page, `after`. It travels beside an answer, which is empty until [`body`] puts it in.
#[derive(Clone)]
pub(crate) struct Gathered {
    page: RowsPage,
    /// What stands around the rows, and pairs of people put together once for all rows in which they stand.
    own: Vec<u8>,
    slices: Vec<Slice>,
    /// The slice that goes out next, and how much of it is out.
    at: (usize, usize),
    remaining: usize,
}

/// Where a piece stands.
#[derive(Clone, Copy)]
enum Slice {
    Own(u32, u32),
    Row(u32, u32),
    Person(u32),
}

impl Gathered {
    /// Puts the pieces in order.
    pub(crate) fn new(page: RowsPage, link: LinkMaker<'_>, before: &[u8], after: &[u8]) -> Self {
        let mut gathered = Self {
            own: Vec::with_capacity(before.len() + after.len() + 4096),
            slices: Vec::with_capacity(64),
            page,
            at: (0, 0),
            remaining: 0,
        };
        gathered.push_own(before);
        if gathered.page.rows.people().len() == 2 {
            gathered.push_rows_in_pairs(link);
        } else {
            let rows = Arc::clone(&gathered.page.rows);
            rows.pieces().for_each(|piece| gathered.push_piece(piece, link));
        }
        gathered.push_own(after);
        gathered
    }

    /// Whoever writes to somebody stands beside them in the row: the two, with what is between them, are put together when they come
    /// first. So a page goes out in half as many slices, few enough for one system call.
    fn push_rows_in_pairs(&mut self, link: LinkMaker<'_>) {
        let rows = Arc::clone(&self.page.rows);
        let mut pairs: [Option<Slice>; 2] = [None; 2];
        let mut pieces = rows.pieces();
        while let Some(piece) = pieces.next() {
            let Piece::Person(one) = piece else {
                self.push_piece(piece, link);
                continue;
            };
            let (Some(Piece::Json(from, to)), Some(Piece::Person(other))) = (pieces.next(), pieces.next()) else {
                unreachable!("people stand in pairs")
            };
            let pair = &mut pairs[one as usize & 1];
            let slice = match pair {
                Some(slice) => *slice,
                None => {
                    let start = self.own.len();
                    for piece in [Slice::Person(one), Slice::Row(from, to), Slice::Person(other)] {
                        let bytes = bytes_of(&self.page, &[], piece);
                        self.own.extend_from_slice(bytes);
                    }
                    *pair.insert(Slice::Own(start as u32, self.own.len() as u32))
                }
            };
            self.push(slice);
        }
    }

    fn push_piece(&mut self, piece: Piece, link: LinkMaker<'_>) {
        match piece {
            Piece::Json(from, to) => self.push(Slice::Row(from, to)),
            Piece::Person(person) => self.push(Slice::Person(person)),
            Piece::Link(at) => {
                let (message, purpose) = self.page.rows.links()[at as usize];
                self.push_own(link(message, purpose).as_bytes());
            }
        }
    }

    fn push_own(&mut self, bytes: &[u8]) {
        let start = self.own.len() as u32;
        self.own.extend_from_slice(bytes);
        self.push(Slice::Own(start, self.own.len() as u32));
    }

    fn push(&mut self, slice: Slice) {
        self.remaining += self.bytes(slice).len();
        self.slices.push(slice);
    }

    /// The answer that will have this body.
    pub(crate) fn into_response(self) -> Response {
        // Said here, as the answer stays empty until it leaves.
        let length = self.remaining;
        let mut response =
            ([(header::CONTENT_TYPE, "application/json")], [(header::CONTENT_LENGTH, length)]).into_response();
        response.extensions_mut().insert(self);
        response
    }

    fn bytes(&self, slice: Slice) -> &[u8] {
        bytes_of(&self.page, &self.own, slice)
    }
}

fn bytes_of<'a>(page: &'a RowsPage, own: &'a [u8], slice: Slice) -> &'a [u8] {
    match slice {
        Slice::Own(from, to) => &own[from as usize..to as usize],
        Slice::Row(from, to) => page.rows.json(from, to),
        Slice::Person(person) => page.people[person as usize].json.as_str().as_bytes(),
    }
}

impl Buf for Gathered {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        let (slice, out) = self.at;
        self.slices.get(slice).map_or(&[], |slice| &self.bytes(*slice)[out..])
    }

    fn chunks_vectored<'a>(&'a self, places: &mut [IoSlice<'a>]) -> usize {
        let (first, out) = self.at;
        let slices = self.slices.get(first..).unwrap_or_default();
        let mut filled = 0;
        for (place, slice) in places.iter_mut().zip(slices) {
            let bytes = self.bytes(*slice);
            *place = IoSlice::new(if filled == 0 { &bytes[out..] } else { bytes });
            filled += 1;
        }
        filled
    }

    fn advance(&mut self, mut count: usize) {
        self.remaining = self.remaining.checked_sub(count).expect("no more goes out than there is");
        let (mut slice, mut out) = self.at;
        while let Some(bytes) = self.slices.get(slice).map(|slice| self.bytes(*slice).len()) {
            if out + count < bytes {
                out += count;
                break;
            }
            count -= bytes - out;
            (slice, out) = (slice + 1, 0);
        }
        self.at = (slice, out);
    }
}

/// The body of any answer.
pub(crate) enum AnswerBody {
    /// As its handler made it.
    Whole(Body),
    /// In pieces, until they are out.
    Gathered(Option<Gathered>),
}

/// Puts the pieces that travel beside an answer into it. An answer to `HEAD` has none.
pub(crate) fn body(response: Response, is_head: bool) -> Response<AnswerBody> {
    let (mut parts, body) = response.into_parts();
    let body = match parts.extensions.remove::<Gathered>() {
        Some(gathered) if !is_head => AnswerBody::Gathered(Some(gathered)),
        _ => AnswerBody::Whole(body),
    };
    Response::from_parts(parts, body)
}

impl hyper::body::Body for AnswerBody {
    type Data = AnswerData;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<AnswerData>, axum::Error>>> {
        match self.get_mut() {
            Self::Whole(body) => {
                let frame = std::task::ready!(Pin::new(body).poll_frame(context));
                Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(AnswerData::Whole))))
            }
            Self::Gathered(pieces) => {
                Poll::Ready(pieces.take().map(|pieces| Ok(Frame::data(AnswerData::Gathered(pieces)))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Gathered(pieces) => pieces.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Gathered(pieces) => SizeHint::with_exact(pieces.as_ref().map_or(0, |pieces| pieces.remaining as u64)),
        }
    }
}

/// What goes out at once.
pub(crate) enum AnswerData {
    /// One piece.
    Whole(Bytes),
    /// Many.
    Gathered(Gathered),
}

impl Buf for AnswerData {
    fn remaining(&self) -> usize {
        match self {
            Self::Whole(bytes) => bytes.remaining(),
            Self::Gathered(pieces) => pieces.remaining(),
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes.chunk(),
            Self::Gathered(pieces) => pieces.chunk(),
        }
    }

    fn chunks_vectored<'a>(&'a self, places: &mut [IoSlice<'a>]) -> usize {
        match self {
            Self::Whole(bytes) => bytes.chunks_vectored(places),
            Self::Gathered(pieces) => pieces.chunks_vectored(places),
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Whole(bytes) => bytes.advance(count),
            Self::Gathered(pieces) => pieces.advance(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parlour_core::Card;
    use parlour_types::model::{Attachment, MessageRef, MessageStatus, Purpose, User};
    use parlour_types::view::{MessagePage, Rows, ThreadStatus, UserJson};
    use parlour_types::{FileUuid, MessageId, ThreadId, Timestamp, UserId};
    use proptest::prelude::*;

    fn card(id: UserId) -> Arc<Card> {
        let json = UserJson::kept(format!("{{\"id\":{id},\"bio\":\"{}\"}}", "long ".repeat(20))).unwrap();
        Arc::new(Card { user: User::new(id, format!("member{id}"), Timestamp::from_micros(0)), json })
    }

    fn link(message: MessageId, purpose: Purpose) -> String {
        format!("https://chat.example/{purpose:?}/{message}")
    }

    /// A page of messages of the two; `true` first for those of the viewer, and then for those with a file.
    fn page(own: &[(bool, bool)]) -> RowsPage {
        let (viewer, partner) = (UserId::new(7).unwrap(), UserId::new(9).unwrap());
        let page = MessagePage {
            thread_id: ThreadId::new(3).unwrap(),
            viewer_id: viewer,
            partner_id: partner,
            last_message_at: Timestamp::from_micros(5),
            thread_status: ThreadStatus::Seen,
            hidden_text: "gone",
        };
        let mut rows = Rows::with_capacity(own.len());
        let file = Attachment {
            uuid: FileUuid::from_bytes([1; 16]),
            filename: "a.png".into(),
            size: 1,
            mimetype: "image/png".into(),
            duration: None,
            has_thumbnail: true,
            is_lost: false,
        };
        for (number, (own, filed)) in own.iter().enumerate() {
            rows.push_message(
                &page,
                &MessageRef {
                    id: MessageId::new(number as i64 + 1).unwrap(),
                    seq: number as i64 + 1,
                    sender_id: if *own { viewer } else { partner },
                    created_at: Timestamp::from_micros(number as i64),
                    status: MessageStatus::Created,
                    text: "hello",
                    file: filed.then_some(&file),
                },
            );
        }
        let people = rows.people().iter().map(|id| card(*id)).collect();
        RowsPage { count: own.len() as i64, rows: Arc::new(rows), people, next: None }
    }

    fn copied(page: &RowsPage) -> Vec<u8> {
        let pieces = page.rows.pieces().map(|piece| match piece {
            Piece::Json(from, to) => page.rows.json(from, to).to_vec(),
            Piece::Person(person) => page.people[person as usize].json.as_str().as_bytes().to_vec(),
            Piece::Link(at) => {
                let (message, purpose) = page.rows.links()[at as usize];
                link(message, purpose).into_bytes()
            }
        });
        [b"[".to_vec()].into_iter().chain(pieces).chain([b"]".to_vec()]).flatten().collect()
    }

    proptest! {
        #[test]
        fn what_goes_out_in_pieces_is_what_was_put_together(
            own in prop::collection::vec(any::<(bool, bool)>(), 0..8),
            steps in prop::collection::vec(1_usize..400, 1..60),
        ) {
            let page = page(&own);
            let filed = own.iter().filter(|(_, filed)| *filed).count();
            let expected = copied(&page);
            prop_assert!(own.is_empty() || serde_json::from_slice::<serde_json::Value>(&expected).is_ok());
            let mut gathered = Gathered::new(page, &link, b"[", b"]");
            prop_assert!(own.is_empty() || gathered.slices.len() <= 2 * own.len() + 4 * filed + 3);
            let mut sent = Vec::new();
            for step in steps.into_iter().cycle() {
                prop_assert_eq!(gathered.remaining(), expected.len() - sent.len());
                if !gathered.has_remaining() {
                    break;
                }
                prop_assert!(!gathered.chunk().is_empty());
                let mut places = [IoSlice::new(&[]); 5];
                let filled = gathered.chunks_vectored(&mut places);
                let offered: Vec<u8> = places[..filled].iter().flat_map(|place| place.to_vec()).collect();
                // The system takes a part of what it is offered.
                let taken = step.min(offered.len());
                sent.extend_from_slice(&offered[..taken]);
                gathered.advance(taken);
            }
            prop_assert_eq!(sent, expected);
        }
    }
}
