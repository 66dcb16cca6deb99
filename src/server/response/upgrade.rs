//! Another protocol in place of the response: `101 Switching Protocols` in HTTP/1.1, a tunnel in HTTP/2.

use std::sync::Arc;

use http::StatusCode;

use super::sink::ResponseSink;
use super::writer::{ResponseWriter, Stage};
use crate::error::{Error, ErrorKind, Result};
use crate::message::list_has;
use crate::server::hijack::Hijacked;
use crate::server::http2::{StreamIo, StreamTunnel};

impl ResponseWriter {
    /// Answers `101 Switching Protocols` with the present header and takes the connection over
    /// (RFC 9110 §7.8). Set `Upgrade` to the protocol before; `Connection: Upgrade` is added. The client must
    /// have asked for that protocol, in `Upgrade` and `Connection`.
    ///
    /// The new protocol begins behind the request, so content that was not read is thrown away first, up to
    /// [`drain_bytes`](crate::Server::drain_bytes).
    ///
    /// Over HTTP/2 the same request is an extended CONNECT (RFC 8441), where
    /// [`Http2Settings::enable_connect_protocol`](crate::server::Http2Settings::enable_connect_protocol) allows
    /// it. The handler sees it as a GET with `Upgrade` and `Connection: Upgrade`, whose
    /// [`proto`](crate::Request::proto) is HTTP/2, so that one handler serves both. The answer is `200 OK`,
    /// without the `Upgrade` field, and one stream is taken over. A handler that answers such a request with a
    /// 2xx of its own has not understood it: 501 is sent in its place, since a 2xx would open the tunnel.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] on HTTP/2 without extended CONNECT, to a client of HTTP/1.0, and to one that
    /// did not ask for it: as the error of a handler it becomes a 400. The same where more content is unread,
    /// which becomes a 413. [`ErrorKind::Invalid`] without an `Upgrade` field; else as [`hijack`](Self::hijack).
    pub async fn upgrade(&mut self) -> Result<Hijacked> {
        let refused = |status, why| Err(Error::new(ErrorKind::Unsupported, why).with_status(status));
        if !self.may_switch() && !self.wants_tunnel() {
            return refused(StatusCode::BAD_REQUEST, "only HTTP/1.1 and an extended CONNECT have upgrades");
        }
        if self.is_sent() || !self.header.contains("Upgrade") {
            return Err(Error::new(ErrorKind::Invalid, "set `Upgrade`, and send nothing, before an upgrade"));
        }
        let offered = self.extras.as_ref().map_or(&[][..], |extras| &extras.upgrades);
        let is_offered = |name: &str| list_has(offered, name.trim());
        if !self.header.values("Upgrade").all(|value| value.split(',').all(is_offered)) {
            return refused(StatusCode::BAD_REQUEST, "the client did not ask for this protocol");
        }
        if let Some(ResponseSink::Http2(stream_io)) = &self.sink {
            let stream_io = stream_io.clone();
            return self.open_tunnel(stream_io).await;
        }
        if let Some(ResponseSink::Http1(conn_io)) = &self.sink {
            if !conn_io.drain(self.max_drain_bytes).await {
                return refused(StatusCode::PAYLOAD_TOO_LARGE, "too much of the request's content is unread");
            }
        }
        self.status = Some(StatusCode::SWITCHING_PROTOCOLS);
        self.hijack().await
    }

    async fn open_tunnel(&mut self, stream_io: Arc<StreamIo>) -> Result<Hijacked> {
        // RFC 9113 §8.2.2, and RFC 9110 §9.3.6: a 2xx to CONNECT has no content, and no length of it.
        for name in ["Upgrade", "Connection", "Content-Length", "Transfer-Encoding"] {
            self.header.del(name);
        }
        self.omitted.content_type = true;
        self.status = Some(StatusCode::SWITCHING_PROTOCOLS);
        self.flush().await?;
        self.stage = Stage::Hijacked;
        Ok(Hijacked::of_stream(StreamTunnel::new(stream_io)))
    }

    /// Whether the request is an extended CONNECT, for which a 2xx opens a tunnel.
    pub(crate) fn wants_tunnel(&self) -> bool {
        matches!(self.sink, Some(ResponseSink::Http2(_)))
            && self.extras.as_ref().is_some_and(|extras| !extras.upgrades.is_empty())
    }

    /// The status, once it is to be sent. A 2xx to an extended CONNECT would say that its tunnel is open
    /// (RFC 8441 §5), which a handler that knows none does not mean: it gets the status that RFC 9220 §3 has for
    /// protocols that a server does not know.
    pub(super) fn decided_status(&mut self) -> StatusCode {
        let status = *self.status.get_or_insert(StatusCode::OK);
        if !status.is_success() || !self.wants_tunnel() {
            return status;
        }
        self.status = Some(StatusCode::NOT_IMPLEMENTED);
        StatusCode::NOT_IMPLEMENTED
    }

    /// Hooks know an upgrade by its 101, whose content nothing changes. Over HTTP/2 it is a 200.
    pub(super) fn switched_status(&mut self, status: StatusCode) -> StatusCode {
        if status != StatusCode::SWITCHING_PROTOCOLS || !self.wants_tunnel() {
            return status;
        }
        self.drop_filters();
        self.status = Some(StatusCode::OK);
        StatusCode::OK
    }
}
