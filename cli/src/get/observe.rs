//! Sees each request of a redirect's chain as it is sent, for -v and --trace.

use std::fmt::Write as _;
use std::sync::Arc;

use nethttp::client::RoundTripFuture;
use nethttp::{Header, Request, Response, RoundTripper, Transport, Version};

use super::name::shown;
use super::screen::{Screen, escaped};
use super::waterfall::Record;

/// A transport that shows what passes.
pub(crate) struct Observed {
    pub(crate) transport: Transport,
    pub(crate) screen: Arc<Screen>,
    pub(crate) verbose: bool,
}

/// The record of a request, carried in its extensions.
#[derive(Clone)]
pub(crate) struct Recorded(pub(crate) Arc<Record>);

impl RoundTripper for Observed {
    fn round_trip<'a>(&'a self, request: &'a mut Request) -> RoundTripFuture<'a> {
        Box::pin(async move {
            let record = request.extensions.get::<Recorded>().map(|recorded| recorded.0.clone());
            if let Some(record) = &record {
                record.begin_hop(format!("{} {}", request.method, shown(&request.uri)));
            }
            if self.verbose {
                self.screen.say(sent(request, &self.transport.user_agent));
            }
            let response = self.transport.round_trip(request).await?;
            if let Some(record) = &record {
                record.got_response(&response);
            }
            if self.verbose {
                self.screen.say(received(&response));
            }
            Ok(response)
        })
    }

    fn close_idle_connections(&self) {
        self.transport.close_idle_connections();
    }
}

/// The head of a request. What the transport adds is added here.
fn sent(request: &Request, user_agent: &str) -> String {
    let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut text = format!("> {} {}\n> Host: {}\n", request.method, escaped(target), escaped(&request.host));
    if !request.header.contains("User-Agent") && !user_agent.is_empty() {
        lines(&mut text, '>', [("User-Agent", user_agent.as_bytes())]);
    }
    lines(&mut text, '>', request.header.iter().filter(|(name, value)| *name != "User-Agent" || !value.is_empty()));
    if let Some(length) = request.body.remaining().filter(|length| *length > 0) {
        lines(&mut text, '>', [("Content-Length", length.to_string().as_bytes())]);
    }
    text.push('>');
    text
}

/// How it came, and the head of a response.
fn received(response: &Response) -> String {
    let mut text = String::new();
    if let Some(peer) = response.remote_addr() {
        let again = if response.is_reused() { ", used again" } else { "" };
        let tls = response.tls.as_ref().map(|tls| format!(", {:?} {}", tls.version, tls.cipher_suite));
        text = format!("* connected to {peer}{again}{}\n", tls.unwrap_or_default());
    }
    let _ = writeln!(text, "< {}", status_line(response.proto, response.status));
    lines(&mut text, '<', response.header.iter());
    text.push('<');
    text
}

fn lines<'a>(text: &mut String, mark: char, fields: impl IntoIterator<Item = (&'a str, &'a [u8])>) {
    for (name, value) in fields {
        let value = String::from_utf8_lossy(value);
        let value = if is_password(name) { hidden(&value) } else { escaped(&value) };
        let _ = writeln!(text, "{mark} {name}: {value}");
    }
}

fn is_password(name: &str) -> bool {
    ["Authorization", "Proxy-Authorization"].iter().any(|secret| name.eq_ignore_ascii_case(secret))
}

/// The scheme, and nothing behind it.
fn hidden(value: &str) -> String {
    value.split_once(' ').map_or("***".to_owned(), |(scheme, _)| format!("{} ***", escaped(scheme)))
}

/// A head as it is written for -i and -I.
pub(crate) fn head(proto: Version, status: nethttp::StatusCode, header: &Header) -> Vec<u8> {
    let mut bytes = format!("{}\r\n", status_line(proto, status)).into_bytes();
    for (name, value) in header.iter() {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// HTTP/2 has no reasons, and neither have unknown statuses.
fn status_line(proto: Version, status: nethttp::StatusCode) -> String {
    let reason = status.canonical_reason().filter(|_| proto < Version::HTTP_2).unwrap_or_default();
    format!("{proto:?} {} {reason}", status.as_str()).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        let mut request = Request::get("http://a.test/x?y").unwrap().with_basic_auth("me", "secret");
        request.header.set("Proxy-Authorization", "Bearer-without-scheme");
        request.header.set("X", "a\u{1b}[2J");
        let text = sent(&request, "agent/1");
        let expected = "> GET /x?y\n> Host: a.test\n> User-Agent: agent/1\n> Authorization: Basic ***\n\
                        > Proxy-Authorization: ***\n> X: a\\u{1b}[2J\n>";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_head_is_written_as_it_would_be_sent() {
        let response = Response::new("").with_header("A", "b");
        let bytes = head(response.proto, response.status, &response.header);
        assert_eq!(String::from_utf8(bytes).unwrap(), "HTTP/1.1 200 OK\r\nA: b\r\n\r\n");
        assert_eq!(status_line(Version::HTTP_2, response.status), "HTTP/2.0 200");
    }
}
