//! A client behind a proxy that plays a script.

use std::sync::Arc;
use std::time::Duration;

use nethttp::client::Proxy;
use nethttp::fuzzing::FuzzRequestKind;
use nethttp::net::{Addr, DialedStream, dial_fn};
use nethttp::{Body, ErrorKind, Method, Request, RoundTripper, Transport, Uri};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::peer::{Passed, Wire};
use super::script::{self, Step};
use super::{ends, run};
use crate::heads::LIMITS;
use crate::reference::{Read, response};

/// Which way the request takes: `s` by SOCKS and not by CONNECT, `u` with a user and a password.
#[derive(Debug)]
pub struct Way(Vec<u8>);

impl Way {
    pub fn is_socks(&self) -> bool {
        self.0.contains(&b's')
    }

    pub fn has_user(&self) -> bool {
        self.0.contains(&b'u')
    }

    fn proxy(&self) -> Proxy {
        let user = if self.has_user() { "user:s3cret@" } else { "" };
        let scheme = if self.is_socks() { "socks5" } else { "http" };
        Proxy::url(&format!("{scheme}://{user}proxy.test:99")).expect("it is one")
    }
}

#[derive(Debug)]
pub struct Failed {
    pub kind: ErrorKind,
    pub text: String,
}

#[derive(Debug)]
pub struct Played {
    pub way: Way,
    pub steps: Vec<Step>,
    pub status: Option<u16>,
    pub error: Option<Failed>,
    pub sent: Vec<u8>,
    pub received: Vec<u8>,
}

/// No client waits longer for a proxy that says nothing.
const MAX_WAIT: Duration = Duration::from_secs(64 * 130 + 1000);

pub fn play(data: &[u8]) -> Played {
    let at = data.iter().position(|b| *b == b'\n').unwrap_or(data.len());
    let (way, steps) = (Way(data[..at].to_vec()), script::script(data.get(at + 1..).unwrap_or_default()));
    run(async {
        let (give, mut dialed) = mpsc::unbounded_channel();
        let room = script::buffer(&steps);
        let mut transport = Transport::new();
        transport.proxy = way.proxy();
        transport.response_header_timeout = Duration::from_secs(50);
        transport.stall_timeout = Duration::from_secs(50);
        transport.dial = Arc::new(dial_fn(move |_, _| {
            let (ours, theirs) = tokio::io::duplex(room);
            _ = give.send(theirs);
            let name = |name: &str| Addr::Named(name.into());
            async move { std::io::Result::Ok(DialedStream::new(ours).with_addrs(name("client"), name("proxy"))) }
        }));
        let script = steps.clone();
        let proxy = tokio::spawn(async move {
            let Some(stream) = dialed.recv().await else { return Passed::default() };
            let mut wire = Wire::new(stream);
            for step in &script {
                wire.act(step).await;
            }
            wire.end().await
        });
        let uri = if way.is_socks() { "http://a.test/x" } else { "https://a.test/x" };
        let mut request = Request::new(Method::GET, Uri::from_static(uri), Body::empty());
        let began = Instant::now();
        let (mut status, mut error) = (None, None);
        match ends("the request", transport.round_trip(&mut request)).await {
            Ok(mut response) => {
                status = Some(response.status.as_u16());
                while let Ok(Some(_)) = ends("content", response.body.chunk()).await {}
            }
            Err(failed) => error = Some(Failed { kind: failed.kind(), text: failed.to_string() }),
        }
        assert!(began.elapsed() < MAX_WAIT, "it took {:?}", began.elapsed());
        drop(transport);
        let Passed { sent, received } = ends("the proxy", proxy).await.expect("it ends well");
        Played { way, steps, status, error, sent, received }
    })
}

/// What a proxy answers CONNECT with in place of a tunnel is told as that.
pub fn is_answered(played: &Played) {
    let disturbs = |step: &Step| !matches!(step, Step::Send(_) | Step::Settle | Step::SmallBuffers | Step::HalfClose);
    let mut rest = &played.sent[..];
    while let Read::Whole(head) = response::head(rest, LIMITS, FuzzRequestKind::Connect) {
        let is_final = head.status >= 200 || head.status == 101;
        let is_refusal = head.status >= 300;
        let kind = played.error.as_ref().map(|error| error.kind);
        let is_told = !is_refusal || played.steps.iter().any(disturbs) || kind == Some(ErrorKind::Proxy);
        assert!(is_told, "{kind:?} for {}", head.status);
        if is_final {
            return;
        }
        rest = &rest[head.consumed..];
    }
}
