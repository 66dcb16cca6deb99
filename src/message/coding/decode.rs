//! The body of decoded content, and the interface of a decoder.

use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::StatusCode;

use crate::error::{Error, ErrorKind, Phase, Result};
use crate::message::body::{Body, Frame, Source};

/// A coding that this build decodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coding {
    /// As `Accept-Encoding` and `Content-Encoding` have it.
    pub(super) name: &'static str,
    pub(super) make: fn() -> Result<Box<dyn Decode>, DecodeFault>,
}

/// What is wrong with the content.
pub(super) type DecodeFault = &'static str;

/// Decodes content that arrives piece by piece.
pub(super) trait Decode: Send + Sync {
    /// Decodes into the free capacity of `output`, and says how much of `input` it took. It goes on
    /// until one of the two is used up; `input` is empty when output was left to fetch.
    fn decode(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, DecodeFault>;

    /// Whether the content may end here.
    fn is_whole(&self) -> bool;
}

/// The largest chunk that is made at once.
const MAX_CHUNK_BYTES: usize = 64 * 1024;

const MIN_CHUNK_BYTES: usize = 1024;

/// How many chunks that decode to nothing are taken in one poll, before other tasks run.
const MAX_EMPTY_ROUND_COUNT: usize = 32;

/// The content of `body` without its coding. Its trailer is handed on.
///
/// The body is read to its end, so that its connection can be used again. An empty one has no
/// coding to take off (Go's rule), and is empty. One that ends too early, has something after its
/// end, or does not add up is an error of [`ErrorKind::Decode`] in [`Phase::Decode`].
pub(crate) fn decoded(body: Body, coding: Coding) -> Body {
    Decoded::body(body, coding, ContentSender::Server)
}

/// The same for content that a client has sent: it is not trusted to decode to as much as it likes. What
/// comes to more than `max_ratio` times what went in, and to more than a mebibyte, is an error of
/// [`ErrorKind::BodyTooLarge`], whose response is 413; what does not add up is a 400.
pub(super) fn decoded_within(body: Body, coding: Coding, max_ratio: u64) -> Body {
    Decoded::body(body, coding, ContentSender::Client { max_ratio })
}

/// Who has sent the content, and is at fault where it cannot be decoded.
#[derive(Clone, Copy)]
enum ContentSender {
    Server,
    Client { max_ratio: u64 },
}

/// Up to this much may be decoded from however little: short text of one letter compresses very well.
const MIN_JUDGED_BYTES: u64 = 1024 * 1024;

struct Decoded {
    body: Body,
    coding: Coding,
    /// Made when there is something to decode.
    decoder: Option<Box<dyn Decode>>,
    input: Bytes,
    more: MoreOutput,
    sender: ContentSender,
    taken: u64,
    made: u64,
}

/// Whether the decoder may have more output without more input.
#[derive(Clone, Copy, PartialEq, Eq)]
enum MoreOutput {
    No,
    Maybe,
}

impl Source for Decoded {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        for _ in 0..MAX_EMPTY_ROUND_COUNT {
            match self.decode() {
                Ok(_) if self.is_out_of_proportion() => return Poll::Ready(Some(Err(out_of_proportion()))),
                Ok(output) if !output.is_empty() => return Poll::Ready(Some(Ok(Frame::Data(output)))),
                Ok(_) => {}
                Err(fault) => return Poll::Ready(Some(Err(self.fault(fault)))),
            }
            match ready!(self.body.poll_chunk(cx)) {
                Some(Ok(chunk)) => {
                    self.taken = self.taken.saturating_add(chunk.len() as u64);
                    self.input = chunk;
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(self.end()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn remaining(&self) -> Option<u64> {
        None
    }
}

impl Decoded {
    fn body(body: Body, coding: Coding, sender: ContentSender) -> Body {
        let (input, more) = (Bytes::new(), MoreOutput::No);
        Body::from_source(Decoded { body, coding, decoder: None, input, more, sender, taken: 0, made: 0 })
    }

    /// Of several codings each is held to the bound by itself: nobody sees what lies between them.
    fn is_out_of_proportion(&self) -> bool {
        let ContentSender::Client { max_ratio } = self.sender else { return false };
        self.made > MIN_JUDGED_BYTES && self.made > self.taken.saturating_mul(max_ratio)
    }

    /// The next chunk; an empty one when there is nothing more to decode yet.
    fn decode(&mut self) -> std::result::Result<Bytes, DecodeFault> {
        if self.input.is_empty() && self.more == MoreOutput::No {
            return Ok(Bytes::new());
        }
        let room = self.room();
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            empty => empty.insert((self.coding.make)()?),
        };
        let mut output = Vec::with_capacity(room);
        while output.len() < room {
            let before = output.len();
            let taken = decoder.decode(&self.input, &mut output)?;
            self.input.advance(taken.min(self.input.len()));
            if self.input.is_empty() {
                break;
            }
            if taken == 0 && output.len() == before {
                return Err("it cannot be decoded");
            }
        }
        self.more = if output.len() < room { MoreOutput::No } else { MoreOutput::Maybe };
        self.made = self.made.saturating_add(output.len() as u64);
        Ok(output.into())
    }

    /// How much room to decode into: four times what came in, as text often becomes that. Content that
    /// comes in small pieces does not take large chunks.
    fn room(&self) -> usize {
        match self.more {
            MoreOutput::Maybe => MAX_CHUNK_BYTES,
            MoreOutput::No => self.input.len().saturating_mul(4).clamp(MIN_CHUNK_BYTES, MAX_CHUNK_BYTES),
        }
    }

    fn end(&self) -> Option<Result<Frame>> {
        if self.decoder.as_ref().is_some_and(|decoder| !decoder.is_whole()) {
            return Some(Err(self.fault("it ends in the middle")));
        }
        self.body.trailer().map(|trailer| Ok(Frame::Trailer(trailer.clone())))
    }

    fn fault(&self, fault: DecodeFault) -> Error {
        let message = format!("the content is not the {} that it is said to be: {fault}", self.coding.name);
        let error = Error::new(ErrorKind::Decode, message).during(Phase::Decode);
        match self.sender {
            ContentSender::Server => error,
            ContentSender::Client { .. } => error.with_status(StatusCode::BAD_REQUEST),
        }
    }
}

fn out_of_proportion() -> Error {
    Error::new(ErrorKind::BodyTooLarge, "the content is far larger decoded than coded")
        .during(Phase::Decode)
        .with_status(StatusCode::PAYLOAD_TOO_LARGE)
}
