//! The server's handshake.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;

use crate::net::Stream;
use crate::net::stream::{NoSession, Secured, Securing, TlsAccept, Unsecured};
use crate::net::tls::error::{Peer, handshake_failed};
use crate::net::tls::peek::Peek;
use crate::net::tls::session::{TlsSession, info};

pub(super) struct Acceptor(Arc<ServerConfig>);

impl Acceptor {
    pub(super) fn new(config: ServerConfig) -> Acceptor {
        Acceptor(Arc::new(config))
    }

    async fn accept(&self, stream: Peek) -> Result<Secured, Unsecured> {
        let accepting = tokio_rustls::TlsAcceptor::from(self.0.clone()).accept(stream);
        match accepting.into_fallible().await {
            Ok(stream) => {
                let session = stream.get_ref().1;
                let info = Arc::new(info(session, session.server_name()));
                Ok(Secured { stream: TlsSession::boxed(stream, Peer::Client), info })
            }
            Err((error, stream)) => Err(unsecured(stream, error)),
        }
    }
}

impl TlsAccept for Acceptor {
    fn secure(&self, stream: Box<dyn Stream>) -> Securing<'_> {
        let mut stream = Peek::new(stream);
        Box::pin(async move {
            match stream.look().await {
                // Boxed, and begun only now: a peer that says nothing does not hold a session.
                Ok(()) => Box::pin(self.accept(stream)).await,
                Err(error) => Err(unsecured(stream, error)),
            }
        })
    }
}

fn unsecured(stream: Peek, error: io::Error) -> Unsecured {
    let reason = match looks_like_http(stream.first()) {
        true => NoSession::PlainHttp,
        false => NoSession::Failed(handshake_failed(Peer::Client, error)),
    };
    Unsecured { stream: stream.into_inner(), reason }
}

/// Whether a request may begin so: the five bytes in which a record's head would have been (Go's
/// rule, and more methods than Go's).
fn looks_like_http(first: &[u8]) -> bool {
    const METHODS: [&[u8]; 9] =
        [b"GET /", b"HEAD ", b"POST ", b"PUT /", b"OPTIO", b"DELET", b"PATCH", b"CONNE", b"TRACE"];
    METHODS.contains(&first)
}
