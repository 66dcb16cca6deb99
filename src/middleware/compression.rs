//! Compression of what handlers write, by what the client accepts.

use std::sync::Arc;

use http::{StatusCode, Version};
use memchr::memmem;

use crate::error::{Error, ErrorKind, Result};
use crate::message::coding::{Accepted, Encode, accepted, encoder, encodings, is_compressible};
use crate::message::{CompressionLevel, ContentCoding, Header, Request};
use crate::server::{ContentFilter, HandlerFuture, Middleware, Next, ResponseHead, ResponseWriter};

/// Compresses the content of responses: gzip, and with the features `brotli` and `zstd` those too.
///
/// Which coding is used is chosen by the weights of the request's `Accept-Encoding` (RFC 9110 §12.5.3), and
/// among those that the client likes equally by the order of [`codings`](Self::codings). A response is
/// compressed where
///
/// - its `Content-Type`, or what its content looks like, is of a kind that becomes smaller: text, JSON, XML,
///   SVG, WebAssembly and the like ([`types`](Self::types) sets others);
/// - it has at least [`min_size`](Self::min_size) bytes, 1024 by default. One whose length is not known when
///   its head is sent, because it was flushed or is longer than the 2 KiB that are held back, counts as long;
/// - it is no part of a representation (206, `Content-Range`), has no `Content-Encoding` yet, and its
///   `Cache-Control` does not say `no-transform`;
/// - the request was not made in HTTP/1.0, whose caches know no `Vary`.
///
/// A client that refuses plain content (`identity;q=0`) gets short content and other types compressed too.
/// One that accepts nothing on offer gets plain content, and not 406.
///
/// What is compressed has `Content-Encoding`, a weak `ETag`, and neither `Content-Length` (but where it ends
/// within the 2 KiB), `Accept-Ranges` nor digests. `Vary: Accept-Encoding` is added to every response that
/// would be compressed for some client. A response to `HEAD` has the same fields. A 304 has the weak `ETag`
/// where the client has asked with that one: [`serve_content`](crate::files::serve_content) and
/// [`file_server`](crate::file_server) compare tags as they should; a handler that compares by itself has to
/// take `W/"v1"` for `"v1"` (RFC 9110 §8.8.3.2). Changes that are bound to a strong tag (`If-Match`) need the
/// tag of a response that was not compressed.
///
/// A handler that flushes flushes the encoder too, so streams go on streaming. Content of the type
/// `text/event-stream` is flushed at each write. A handler keeps a response as it is by setting
/// `Content-Encoding: identity`, which is then not sent.
///
/// Encoding takes place on the thread of the connection, 32 KiB at a time with other tasks in between. Each
/// response that is under way holds an encoder: about 300 KiB for gzip, 1 to 2 MiB for the others.
///
/// # Secrets
/// Compressed content tells by its length what is repeated in it, through TLS too. Where a page has both a
/// secret (a CSRF token) and text that an attacker chooses, the secret can be guessed letter by letter with
/// many requests (the BREACH attack). Leave such pages uncompressed ([`only_if`](Self::only_if)), or mask the
/// secret anew in each response.
///
/// ```
/// use nethttp::middleware::Compression;
/// use nethttp::{ServeMux, file_server};
///
/// let mux = ServeMux::new();
/// mux.wrap(Compression::new());
/// mux.handle("/", file_server("public"));
/// ```
#[derive(Clone, Debug)]
pub struct Compression(Arc<CompressionRules>);

#[derive(Clone)]
struct CompressionRules {
    codings: Vec<ContentCoding>,
    level: CompressionLevel,
    min_size: u64,
    /// In lower case; `None` are those of [`is_compressible`].
    types: Option<Vec<String>>,
    only_if: Option<Arc<dyn Fn(&ResponseHead<'_>) -> bool + Send + Sync>>,
}

impl Default for Compression {
    fn default() -> Compression {
        Compression::new()
    }
}

impl Compression {
    /// With all codings of this build, and the settings that are described above.
    pub fn new() -> Compression {
        Compression(Arc::new(CompressionRules {
            codings: encodings(),
            level: CompressionLevel::Default,
            min_size: 1024,
            types: None,
            only_if: None,
        }))
    }

    /// Sets the codings, of which the first is preferred among those that a client likes equally. By
    /// default: `zstd`, `br`, `gzip`. Those that this build does not have are left out.
    #[must_use]
    pub fn codings(self, codings: impl IntoIterator<Item = ContentCoding>) -> Compression {
        let built = encodings();
        let codings = codings.into_iter().filter(|coding| built.contains(coding)).collect();
        self.with(|rules| rules.codings = codings)
    }

    /// Sets how much time is spent to make content smaller.
    #[must_use]
    pub fn level(self, level: CompressionLevel) -> Compression {
        self.with(|rules| rules.level = level)
    }

    /// Sets from how many bytes of content on a response is compressed, where its length is known. 0
    /// compresses all.
    #[must_use]
    pub fn min_size(self, bytes: u64) -> Compression {
        self.with(|rules| rules.min_size = bytes)
    }

    /// Sets the types of content that are compressed, in place of the usual ones: `application/json`,
    /// `text/*` or `*/*`, without parameters.
    #[must_use]
    pub fn types<T: AsRef<str>>(self, types: impl IntoIterator<Item = T>) -> Compression {
        let types = types.into_iter().map(|of| of.as_ref().to_ascii_lowercase()).collect();
        self.with(|rules| rules.types = Some(types))
    }

    /// Compresses only those responses for which this function returns true, among those that would be.
    ///
    /// ```
    /// use nethttp::middleware::Compression;
    ///
    /// let compression = Compression::new().only_if(|head| !head.header().contains("Set-Cookie"));
    /// ```
    #[must_use]
    pub fn only_if(self, is_wanted: impl Fn(&ResponseHead<'_>) -> bool + Send + Sync + 'static) -> Compression {
        self.with(|rules| rules.only_if = Some(Arc::new(is_wanted)))
    }

    fn with(mut self, change: impl FnOnce(&mut CompressionRules)) -> Compression {
        change(Arc::make_mut(&mut self.0));
        self
    }

    fn begin(&self, w: &mut ResponseWriter, r: &Request) {
        if r.proto < Version::HTTP_11 || self.0.codings.is_empty() {
            return;
        }
        let rules = self.0.clone();
        let accepted = accepted(&r.header, &rules.codings);
        let held = r.header.get_bytes("If-None-Match").map(<[u8]>::to_vec);
        w.filter_content(move |head| rules.decide(head, accepted, held.as_deref()));
    }
}

impl Middleware for Compression {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        self.begin(w, r);
        next.run(w, r).await
    }

    fn handle_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request, next: Next<'a>) -> HandlerFuture<'a> {
        self.begin(w, r);
        next.run(w, r)
    }
}

impl CompressionRules {
    /// `held` are the tags of the copies that the client has.
    fn decide(
        &self,
        head: &mut ResponseHead<'_>,
        accepted: Accepted,
        held: Option<&[u8]>,
    ) -> Option<Box<dyn ContentFilter>> {
        if head.status() == StatusCode::NOT_MODIFIED {
            self.describe_held(head, held);
            return None;
        }
        if !head.allows_content()
            || head.header().contains("Content-Encoding")
            || !self.is_worth_it(head, accepted.refuses_plain)
        {
            return None;
        }
        // From here on the request's field decides, or would in a request for the whole: caches must know.
        head.add_vary("Accept-Encoding");
        let coding = accepted.coding.filter(|_| !head.is_partial())?;
        let encoder = encoder(coding, self.level)?;
        head.header_mut().set("Content-Encoding", coding.name());
        let is_event_stream = head.content_type().is_some_and(|of| essence(of) == "text/event-stream");
        Some(Box::new(Compressed { encoder, flushes_each: is_event_stream }))
    }

    /// RFC 9110 §15.4.5: the fields that a 200 would have. Whether that would be compressed is told by the
    /// tag that the client got with its copy.
    fn describe_held(&self, head: &mut ResponseHead<'_>, held: Option<&[u8]>) {
        if head.content_type().is_none_or(|of| self.has_type(of)) {
            head.add_vary("Accept-Encoding");
        }
        let weak = head.header().get_bytes("ETag").map(|tag| [b"W/", tag].concat());
        if let (Some(weak), Some(held)) = (weak, held) {
            if memmem::find(held, &weak).is_some() {
                head.weaken_etag();
            }
        }
    }

    fn is_worth_it(&self, head: &ResponseHead<'_>, refuses_plain: bool) -> bool {
        // RFC 9111 §5.2.2.6. A directive that was meant for caches is obeyed here too: the author wants the
        // bytes to arrive as they are.
        if head.header().has_token("Cache-Control", "no-transform") {
            return false;
        }
        let is_long = head.content_length().is_none_or(|length| length >= self.min_size);
        // What is empty stays empty, whoever refuses that.
        let is_empty = head.content_length() == Some(0);
        let shrinks = is_long && head.content_type().is_some_and(|of| self.has_type(of));
        !is_empty && (shrinks || refuses_plain) && self.only_if.as_ref().is_none_or(|only_if| only_if(head))
    }

    fn has_type(&self, content_type: &str) -> bool {
        let Some(types) = &self.types else { return is_compressible(content_type) };
        let essence = essence(content_type);
        types.iter().any(|of| match of.strip_suffix("/*") {
            Some("*") => true,
            Some(kind) => essence.split_once('/').is_some_and(|(of, _)| of == kind),
            None => *of == essence,
        })
    }
}

impl std::fmt::Debug for CompressionRules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompressionRules")
            .field("codings", &self.codings)
            .field("level", &self.level)
            .field("min_size", &self.min_size)
            .field("types", &self.types)
            .finish_non_exhaustive()
    }
}

/// A media type without its parameters, in lower case.
fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The filter of a response that is compressed.
struct Compressed {
    encoder: Box<dyn Encode>,
    /// Events have to arrive at once, however they are written.
    flushes_each: bool,
}

impl ContentFilter for Compressed {
    fn write(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<()> {
        self.encoder.encode(content, out).map_err(fault)?;
        if self.flushes_each { self.flush(out) } else { Ok(()) }
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.encoder.flush(out).map_err(fault)
    }

    fn end(&mut self, out: &mut Vec<u8>, _: &mut Header) -> Result<()> {
        self.encoder.end(out).map_err(fault)
    }
}

fn fault(fault: &'static str) -> Error {
    Error::new(ErrorKind::Other, fault)
}
