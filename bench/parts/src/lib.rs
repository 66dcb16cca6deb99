//! What `benches/` measures: the codec without a connection around it, and an exchange in memory.
//!
//! The codec is no part of the library's interface: it is reached with `--cfg fuzzing`, as fuzz/ does.
#[cfg(not(fuzzing))]
compile_error!("the codec is there with --cfg fuzzing only: run `just bench-parts`, or cargo in bench/parts");

mod exchange;
pub mod messages;

pub use exchange::{Exchange, serving};
use nethttp::fuzzing::{FuzzChunks, FuzzLimits, FuzzPiece, FuzzRequestKind, RequestHeads, ResponseHeads};
use nethttp::{Body, Method, Request, Response, Uri};

const LIMITS: FuzzLimits = FuzzLimits { max_bytes: 1 << 20, max_values: 500 };

/// A reader of requests with the memory that it has grown, as a connection that is kept has it.
pub struct RequestReader {
    heads: RequestHeads,
    request: Request,
}

impl RequestReader {
    /// One that has read this before.
    pub fn warm(message: &'static str) -> RequestReader {
        let request = Request::new(Method::GET, Uri::from_static("/"), Body::empty());
        let mut reader = RequestReader { heads: RequestHeads::default(), request };
        reader.read(message);
        reader
    }

    /// The length of the head.
    pub fn read(&mut self, message: &str) -> usize {
        let head = self.heads.parse(message.as_bytes(), LIMITS, &mut self.request);
        head.expect("a request").expect("a whole head").consumed
    }
}

/// The same for responses: each is new, as a client hands them out.
pub struct ResponseReader(ResponseHeads);

impl ResponseReader {
    /// One that has read this before.
    pub fn warm(message: &'static str) -> ResponseReader {
        let mut reader = ResponseReader(ResponseHeads::default());
        reader.read(message);
        reader
    }

    /// The response with its head filled in.
    pub fn read(&mut self, message: &str) -> Response {
        let mut response = Response::new(());
        let head = self.0.parse(message.as_bytes(), LIMITS, FuzzRequestKind::Other, &mut response);
        head.expect("a response").expect("a whole head");
        response
    }
}

/// The number of content bytes in the chunks of a body.
pub fn read_chunks(body: &[u8]) -> usize {
    let (mut chunks, mut rest, mut data) = (FuzzChunks::new(LIMITS), body, 0);
    loop {
        match chunks.read(rest).expect("chunks") {
            FuzzPiece::Data { skip, len } => {
                data += len;
                rest = &rest[skip + len..];
            }
            FuzzPiece::NeedMore { consumed } => rest = &rest[consumed..],
            FuzzPiece::End { .. } => return data,
        }
    }
}
