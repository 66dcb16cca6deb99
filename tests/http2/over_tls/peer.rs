//! A client of rustls' that has agreed on HTTP/2 and plays scripts to a server.

use std::sync::Arc;

use nethttp::testing::{self, Dialer};
use nethttp::tls::{Certificate, TlsServerConfig};
use nethttp::{Request, ResponseWriter, Result, Server};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(super) use super::script::*;
use crate::certificates::Authority;
use crate::frames::{Frame, PREFACE};
use crate::support::{millis, quiet};

/// A server over TLS.
pub(super) struct Site {
    pub(super) server: Server,
    dialer: Dialer,
    connector: TlsConnector,
}

/// What a server has said until it was silent, or closed.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) frames: Vec<Frame>,
    /// What is no whole frame.
    pub(super) rest: Vec<u8>,
    pub(super) has_ended: bool,
}

/// Answers once all content has come.
async fn answer(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    r.body.bytes(1 << 20).await?;
    w.write("hello").await
}

impl Site {
    pub(super) fn start() -> Site {
        let authority = Authority::new("scripts");
        let issued = authority.issue(&["a.test"]);
        let tls = TlsServerConfig::new([Certificate::from_pem(&issued.certificate, &issued.key).unwrap()]).unwrap();
        let mut server = quiet(answer);
        server.http2.max_concurrent_streams = 10;
        let (listener, dialer) = testing::listener();
        let serving = server.clone();
        tokio::spawn(async move { serving.serve_tls(listener, &tls).await });
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().into()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Site { server, dialer, connector: TlsConnector::from(Arc::new(config)) }
    }

    /// A connection on which HTTP/2 was agreed on.
    pub(super) async fn dial(&self) -> TlsStream<DuplexStream> {
        let stream = self.dialer.dial().await.unwrap();
        let stream = self.connector.connect(ServerName::try_from("a.test").unwrap(), stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        stream
    }

    /// Sends this in records of so many bytes.
    pub(super) async fn play(&self, script: &[u8], piece: usize) -> Heard {
        let (mut read, mut write) = tokio::io::split(self.dial().await);
        let sending = async {
            for piece in script.chunks(piece) {
                // It may have closed before all was sent.
                if write.write_all(piece).await.is_err() || write.flush().await.is_err() {
                    break;
                }
            }
        };
        let hearing = async {
            let mut bytes = Vec::new();
            loop {
                match timeout(millis(100), read.read_buf(&mut bytes)).await {
                    Ok(Ok(1..)) => {}
                    Ok(_) => return (bytes, true),
                    Err(_) => return (bytes, false),
                }
            }
        };
        let ((), (bytes, has_ended)) = tokio::join!(sending, hearing);
        let mut rest = &bytes[..];
        let mut frames = Vec::new();
        while let Some(frame) = next(&mut rest) {
            frames.push(frame);
        }
        Heard { frames, rest: rest.to_vec(), has_ended }
    }
}

fn next(bytes: &mut &[u8]) -> Option<Frame> {
    let head: [u8; 9] = bytes.get(..9)?.try_into().ok()?;
    let [a, b, c, kind, flags, stream @ ..] = head;
    let payload = bytes.get(9..9 + u32::from_be_bytes([0, a, b, c]) as usize)?.to_vec();
    *bytes = &bytes[9 + payload.len()..];
    Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
}

/// Checks scripts, each of which follows the preface and settings of a client: in one piece, and in records of one
/// byte where they are short.
pub(super) fn check_server(cases: &[(&str, Expect, Vec<u8>)]) {
    const MAX_SHORT_BYTES: usize = 300;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let site = Site::start();
        for (name, expect, script) in cases {
            let behind = frame(PING, 0, 0, b"behind!!");
            let script = [PREFACE, &frame(SETTINGS, 0, 0, &[]), script, &behind].concat();
            judge(name, expect, &site.play(&script, script.len()).await);
            if script.len() <= MAX_SHORT_BYTES {
                judge(name, expect, &site.play(&script, 1).await);
            }
        }
    });
}

fn judge(name: &str, expect: &Expect, heard: &Heard) {
    let has = |kind, stream, payload: &[u8]| {
        heard.frames.iter().any(|frame| frame.kind == kind && frame.stream == stream && frame.payload == payload)
    };
    assert_eq!(heard.rest, b"", "{name}: {heard:?}");
    let goes_on = has(PING, 0, b"behind!!") && !heard.has_ended;
    let is_right = match expect {
        Expect::Goaway(code) => {
            let last = heard.frames.last().filter(|last| last.kind == GOAWAY);
            last.is_some_and(|last| last.code() == *code) && heard.has_ended && !goes_on
        }
        Expect::Reset(stream, code) => has(RST_STREAM, *stream, &code.to_be_bytes()) && goes_on,
        // With which status is another question: a whole server asks for a host.
        Expect::Answers(streams) => {
            goes_on && !heard.frames.iter().any(|frame| frame.kind == RST_STREAM) && ended(heard) == *streams
        }
        // What an engine tells its driver, nobody hears here.
        Expect::Told(_) => goes_on,
    };
    assert!(is_right, "{name}: {expect:?}, and heard was {heard:?}");
}

/// The streams that were answered to the end, in their order.
fn ended(heard: &Heard) -> Vec<u32> {
    let ends = |frame: &&Frame| matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0;
    let mut streams: Vec<u32> = heard.frames.iter().filter(ends).map(|frame| frame.stream).collect();
    streams.sort_unstable();
    streams
}
