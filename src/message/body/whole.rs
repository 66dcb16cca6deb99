//! A body read whole: as bytes, text, JSON; and its first bytes looked at.

use std::future::poll_fn;

use bytes::{Bytes, BytesMut};
use http::StatusCode;

use super::{Body, DEFAULT_MAX_TEXT_BYTES};
use crate::error::{Error, ErrorKind, Result};

impl Body {
    /// The whole content, of `limit` bytes at most.
    ///
    /// # Errors
    /// As [`chunk`](Body::chunk); [`ErrorKind::BodyTooLarge`] when there is more.
    pub async fn bytes(&mut self, limit: u64) -> Result<Bytes> {
        self.limit(limit);
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.chunk().await? else { return Ok(first) };
        let mut whole = BytesMut::with_capacity(first.len() + second.len());
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(chunk) = self.chunk().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// The whole content as text (UTF-8), of [`DEFAULT_MAX_TEXT_BYTES`] at most.
    ///
    /// # Errors
    /// As [`bytes`](Body::bytes); [`ErrorKind::Malformed`], whose response is 400, when it is not UTF-8.
    pub async fn text(&mut self) -> Result<String> {
        let bytes = self.bytes(DEFAULT_MAX_TEXT_BYTES).await?;
        String::from_utf8(bytes.into()).map_err(|error| {
            Error::new(ErrorKind::Malformed, "the body is no UTF-8")
                .with_source(error)
                .with_status(StatusCode::BAD_REQUEST)
        })
    }

    /// The whole content read as JSON, of [`DEFAULT_MAX_TEXT_BYTES`] at most.
    ///
    /// # Errors
    /// As [`bytes`](Body::bytes); [`ErrorKind::Malformed`], whose response is 400, when it is not JSON of this
    /// type: the cause says where.
    #[cfg(feature = "json")]
    pub async fn json<T: serde::de::DeserializeOwned>(&mut self) -> Result<T> {
        let bytes = self.bytes(DEFAULT_MAX_TEXT_BYTES).await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Error::new(ErrorKind::Malformed, "the body is not the JSON that was expected")
                .with_source(error)
                .with_status(StatusCode::BAD_REQUEST)
        })
    }

    /// The first bytes of what is still to come, up to `limit` of them, which stay to be read. A limit of the
    /// body counts them when they are read. What came is lost where this is dropped before it is done.
    pub(crate) async fn peek(&mut self, limit: u64) -> Result<Bytes> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut seen = BytesMut::new();
        let outcome = loop {
            // In memory there is nothing to be collected.
            if seen.is_empty() && (self.ready.len() >= limit || self.is_in_memory()) {
                return Ok(self.ready.slice(..limit.min(self.ready.len())));
            }
            seen.extend_from_slice(&self.take_ready());
            if seen.len() >= limit {
                break Ok(());
            }
            match poll_fn(|cx| self.poll_source(cx)).await {
                Some(Ok(chunk)) => seen.extend_from_slice(&chunk),
                Some(Err(error)) => break Err(error),
                None => break Ok(()),
            }
        };
        self.ready = seen.freeze();
        outcome.map(|()| self.ready.slice(..limit.min(self.ready.len())))
    }
}
