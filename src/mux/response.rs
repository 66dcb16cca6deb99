//! The responses of the mux itself.

use std::fmt::Write as _;

use http::{Method, StatusCode, Version};

use crate::error::Result;
use crate::message::Request;
use crate::server::{HandlerFuture, ResponseWriter};

/// A response that is complete before a byte of it is sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MuxResponse {
    status: StatusCode,
    fields: Vec<(&'static str, String)>,
    content: String,
}

impl MuxResponse {
    /// 404, with Go's text.
    pub(super) fn not_found() -> MuxResponse {
        MuxResponse::text(StatusCode::NOT_FOUND, "404 page not found\n")
    }

    /// 405; what is allowed instead stands in the header already.
    pub(super) fn method_not_allowed() -> MuxResponse {
        MuxResponse::text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n")
    }

    /// 307: method and content go where the request should have gone (RFC 9110 §15.4.8).
    pub(super) fn redirect(location: String, method: &Method) -> MuxResponse {
        let mut response =
            MuxResponse { status: StatusCode::TEMPORARY_REDIRECT, fields: Vec::new(), content: String::new() };
        if matches!(*method, Method::GET | Method::HEAD) {
            response.fields.push(("Content-Type", "text/html; charset=utf-8".into()));
        }
        if *method == Method::GET {
            let target = escaped(&location);
            response.content = format!("<a href=\"{target}\">Temporary Redirect</a>.\n\n");
        }
        response.fields.push(("Location", location));
        response
    }

    /// 400 to a request-target of `*`, which asks about the server and no resource of it.
    pub(super) fn asterisk(r: &Request) -> MuxResponse {
        let close = r.proto >= Version::HTTP_11;
        let fields = close.then(|| ("Connection", "close".to_owned())).into_iter().collect();
        MuxResponse { status: StatusCode::BAD_REQUEST, fields, content: String::new() }
    }

    fn text(status: StatusCode, content: &str) -> MuxResponse {
        let fields = [("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")];
        MuxResponse {
            status,
            fields: fields.map(|(name, value)| (name, value.to_owned())).into(),
            content: content.into(),
        }
    }

    /// Sends it.
    pub(super) fn send(self, w: &mut ResponseWriter) -> HandlerFuture<'_> {
        Box::pin(async move { self.write_to(w).await })
    }

    async fn write_to(self, w: &mut ResponseWriter) -> Result<()> {
        for (name, value) in self.fields {
            w.header().set(name, value);
        }
        w.write_header(self.status);
        if !self.content.is_empty() {
            w.write(self.content).await?;
        }
        if self.status.is_client_error() {
            w.mark_plain_error();
        }
        Ok(())
    }
}

/// Escapes text for an attribute in HTML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' | '<' | '>' | '"' | '\'' => _ = write!(escaped, "&#{};", u32::from(letter)),
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::*;
    use crate::message::Body;

    fn field<'a>(response: &'a MuxResponse, name: &str) -> Option<&'a str> {
        response.fields.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn not_found_is_plain_text_with_nosniff() {
        let response = MuxResponse::not_found();
        assert_eq!((response.status.as_u16(), response.content.as_str()), (404, "404 page not found\n"));
        assert_eq!(field(&response, "Content-Type"), Some("text/plain; charset=utf-8"));
        assert_eq!(field(&response, "X-Content-Type-Options"), Some("nosniff"));
    }

    #[test]
    fn a_redirect_says_where_in_the_field_and_to_a_get_in_html() {
        let response = MuxResponse::redirect("/a/?x=1&y='<".into(), &Method::GET);
        assert_eq!(response.status.as_u16(), 307);
        assert_eq!(field(&response, "Location"), Some("/a/?x=1&y='<"));
        assert_eq!(response.content, "<a href=\"/a/?x=1&#38;y=&#39;&#60;\">Temporary Redirect</a>.\n\n");
        let response = MuxResponse::redirect("/a/".into(), &Method::POST);
        assert_eq!((response.content.as_str(), field(&response, "Content-Type")), ("", None));
    }

    #[test]
    fn an_asterisk_closes_a_connection_that_would_be_kept() {
        let mut request = Request::new(Method::OPTIONS, Uri::from_static("*"), Body::empty());
        assert_eq!(field(&MuxResponse::asterisk(&request), "Connection"), Some("close"));
        request.proto = Version::HTTP_10;
        assert_eq!(field(&MuxResponse::asterisk(&request), "Connection"), None);
    }
}
