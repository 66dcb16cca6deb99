//! A gRPC service by tonic, as its code generator writes one, for the example and the tests: so that neither
//! needs the compiler of protocol buffers.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut};
use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{ClientStreamingService, Grpc, ServerStreamingService, StreamingService, UnaryService};
use tonic::{Request, Response, Status, Streaming};
use tower::Service;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A stream of answers.
pub type Texts = Pin<Box<dyn Stream<Item = Result<Text, Status>> + Send>>;

/// The message of all methods: `message Text { string text = 1; }`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(pub String);

/// What the service does (the trait that a code generator writes).
pub trait Greeter: Send + Sync + 'static {
    /// One there, one back.
    fn say_hello(&self, request: Request<Text>) -> impl Future<Output = Result<Response<Text>, Status>> + Send;

    /// One there, many back.
    fn list(&self, request: Request<Text>) -> impl Future<Output = Result<Response<Texts>, Status>> + Send;

    /// Many there, one back.
    fn join(&self, request: Request<Streaming<Text>>) -> impl Future<Output = Result<Response<Text>, Status>> + Send;

    /// Many there and many back, at the same time.
    fn chat(&self, request: Request<Streaming<Text>>) -> impl Future<Output = Result<Response<Texts>, Status>> + Send;
}

/// A greeter as a service.
#[derive(Debug)]
pub struct GreeterServer<T>(Arc<T>);

impl<T: Greeter> GreeterServer<T> {
    /// Around what it does.
    pub fn new(greeter: T) -> GreeterServer<T> {
        GreeterServer(Arc::new(greeter))
    }
}

impl<T> Clone for GreeterServer<T> {
    fn clone(&self) -> GreeterServer<T> {
        GreeterServer(self.0.clone())
    }
}

impl<T, B> Service<http::Request<B>> for GreeterServer<T>
where
    T: Greeter,
    B: tonic::codegen::Body + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let method = Method(self.0.clone());
        Box::pin(async move {
            let mut grpc = Grpc::new(TextCodec);
            Ok(match request.uri().path() {
                "/greet.Greeter/SayHello" => grpc.unary(method, request).await,
                "/greet.Greeter/List" => grpc.server_streaming(method, request).await,
                "/greet.Greeter/Join" => grpc.client_streaming(method, request).await,
                "/greet.Greeter/Chat" => grpc.streaming(method, request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

/// Calls one of the methods.
struct Method<T>(Arc<T>);

impl<T: Greeter> UnaryService<Text> for Method<T> {
    type Response = Text;
    type Future = BoxFuture<Result<Response<Text>, Status>>;

    fn call(&mut self, request: Request<Text>) -> Self::Future {
        let greeter = self.0.clone();
        Box::pin(async move { greeter.say_hello(request).await })
    }
}

impl<T: Greeter> ServerStreamingService<Text> for Method<T> {
    type Response = Text;
    type ResponseStream = Texts;
    type Future = BoxFuture<Result<Response<Texts>, Status>>;

    fn call(&mut self, request: Request<Text>) -> Self::Future {
        let greeter = self.0.clone();
        Box::pin(async move { greeter.list(request).await })
    }
}

impl<T: Greeter> ClientStreamingService<Text> for Method<T> {
    type Response = Text;
    type Future = BoxFuture<Result<Response<Text>, Status>>;

    fn call(&mut self, request: Request<Streaming<Text>>) -> Self::Future {
        let greeter = self.0.clone();
        Box::pin(async move { greeter.join(request).await })
    }
}

impl<T: Greeter> StreamingService<Text> for Method<T> {
    type Response = Text;
    type ResponseStream = Texts;
    type Future = BoxFuture<Result<Response<Texts>, Status>>;

    fn call(&mut self, request: Request<Streaming<Text>>) -> Self::Future {
        let greeter = self.0.clone();
        Box::pin(async move { greeter.chat(request).await })
    }
}

/// Protocol buffers, as far as one text needs them: the tag of field 1, its length, its bytes.
#[derive(Clone, Copy, Debug, Default)]
struct TextCodec;

const TEXT_TAG: u8 = 1 << 3 | 2;

impl Codec for TextCodec {
    type Encode = Text;
    type Decode = Text;
    type Encoder = TextCodec;
    type Decoder = TextCodec;

    fn encoder(&mut self) -> TextCodec {
        TextCodec
    }

    fn decoder(&mut self) -> TextCodec {
        TextCodec
    }
}

impl Encoder for TextCodec {
    type Item = Text;
    type Error = Status;

    fn encode(&mut self, Text(text): Text, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        // Proto3 leaves out what is empty.
        if text.is_empty() {
            return Ok(());
        }
        out.put_u8(TEXT_TAG);
        let mut length = text.len();
        while length >= 0x80 {
            out.put_u8(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
            length >>= 7;
        }
        out.put_u8(u8::try_from(length).unwrap_or_default());
        out.put_slice(text.as_bytes());
        Ok(())
    }
}

impl Decoder for TextCodec {
    type Item = Text;
    type Error = Status;

    fn decode(&mut self, input: &mut DecodeBuf<'_>) -> Result<Option<Text>, Status> {
        let malformed = || Status::internal("no Text");
        if !input.has_remaining() {
            return Ok(Some(Text::default()));
        }
        if input.get_u8() != TEXT_TAG {
            return Err(malformed());
        }
        let (mut length, mut shift) = (0_usize, 0);
        loop {
            if !input.has_remaining() || shift > 28 {
                return Err(malformed());
            }
            let byte = input.get_u8();
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        if length > input.remaining() {
            return Err(malformed());
        }
        let text = input.copy_to_bytes(length);
        String::from_utf8(text.into()).map(|text| Some(Text(text))).map_err(|_| malformed())
    }
}

/// The greeter of the example and of the tests.
#[derive(Debug, Default)]
pub struct Hello {
    /// How many calls ended before they were answered: their client had left.
    pub dropped: Arc<std::sync::atomic::AtomicUsize>,
}

/// Counts a call that is dropped before its end.
struct Unfinished<'a>(Option<&'a Hello>);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(hello) = self.0 {
            hello.dropped.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }
}

impl Greeter for Hello {
    async fn say_hello(&self, request: Request<Text>) -> Result<Response<Text>, Status> {
        let mut unfinished = Unfinished(Some(self));
        match request.get_ref().0.as_str() {
            "" => {
                unfinished.0 = None;
                Err(Status::invalid_argument("who are you?"))
            }
            "sleeper" => std::future::pending().await,
            name => {
                unfinished.0 = None;
                let mut response = Response::new(Text(format!("hello, {name}")));
                response.metadata_mut().insert("x-greeted", tonic::metadata::MetadataValue::from_static("yes"));
                Ok(response)
            }
        }
    }

    async fn list(&self, request: Request<Text>) -> Result<Response<Texts>, Status> {
        let count: usize = request.into_inner().0.parse().map_err(|_| Status::invalid_argument("no number"))?;
        let texts = tokio_stream::iter(0..count).map(|number| {
            if number == 1000 { Err(Status::resource_exhausted("enough")) } else { Ok(Text(format!("text {number}"))) }
        });
        Ok(Response::new(Box::pin(texts)))
    }

    async fn join(&self, request: Request<Streaming<Text>>) -> Result<Response<Text>, Status> {
        let mut texts = request.into_inner();
        let mut joined = String::new();
        while let Some(Text(text)) = texts.message().await? {
            joined.push_str(&text);
        }
        Ok(Response::new(Text(joined)))
    }

    async fn chat(&self, request: Request<Streaming<Text>>) -> Result<Response<Texts>, Status> {
        let texts = request.into_inner().map(|text| text.map(|Text(text)| Text(format!("{text}?"))));
        Ok(Response::new(Box::pin(texts)))
    }
}
