//! The answers that the mux gives itself.

use std::fmt::Write as _;

use http::{Method, StatusCode, Version};

use crate::error::Result;
use crate::message::Request;
use crate::server::{HandlerFuture, ResponseWriter};

/// An answer that is known whole before a byte of it is sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    status: StatusCode,
    fields: Vec<(&'static str, String)>,
    content: String,
}

impl Answer {
    /// 404, in Go's words.
    pub(super) fn not_found() -> Answer {
        Answer::text(StatusCode::NOT_FOUND, "404 page not found\n")
    }

    /// 405; what is allowed instead stands in the header already.
    pub(super) fn method_not_allowed() -> Answer {
        Answer::text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n")
    }

    /// 307: method and content go where the request should have gone (RFC 9110 §15.4.8).
    pub(super) fn redirect(location: String, method: &Method) -> Answer {
        let mut answer = Answer { status: StatusCode::TEMPORARY_REDIRECT, fields: Vec::new(), content: String::new() };
        if matches!(*method, Method::GET | Method::HEAD) {
            answer.fields.push(("Content-Type", "text/html; charset=utf-8".into()));
        }
        if *method == Method::GET {
            let target = escaped(&location);
            answer.content = format!("<a href=\"{target}\">Temporary Redirect</a>.\n\n");
        }
        answer.fields.push(("Location", location));
        answer
    }

    /// 400 to a request-target of `*`, which asks about the server and no resource of it.
    pub(super) fn asterisk(r: &Request) -> Answer {
        let close = r.proto >= Version::HTTP_11;
        let fields = close.then(|| ("Connection", "close".to_owned())).into_iter().collect();
        Answer { status: StatusCode::BAD_REQUEST, fields, content: String::new() }
    }

    fn text(status: StatusCode, content: &str) -> Answer {
        let fields = [("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")];
        Answer { status, fields: fields.map(|(name, value)| (name, value.to_owned())).into(), content: content.into() }
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
        if self.content.is_empty() { Ok(()) } else { w.write(self.content).await }
    }
}

/// Text as it stands in an attribute of HTML.
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

    fn field<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
        answer.fields.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn not_found_is_plain_text_that_nobody_guesses_at() {
        let answer = Answer::not_found();
        assert_eq!((answer.status.as_u16(), answer.content.as_str()), (404, "404 page not found\n"));
        assert_eq!(field(&answer, "Content-Type"), Some("text/plain; charset=utf-8"));
        assert_eq!(field(&answer, "X-Content-Type-Options"), Some("nosniff"));
    }

    #[test]
    fn a_redirect_says_where_in_the_field_and_to_a_get_in_html() {
        let answer = Answer::redirect("/a/?x=1&y='<".into(), &Method::GET);
        assert_eq!(answer.status.as_u16(), 307);
        assert_eq!(field(&answer, "Location"), Some("/a/?x=1&y='<"));
        assert_eq!(answer.content, "<a href=\"/a/?x=1&#38;y=&#39;&#60;\">Temporary Redirect</a>.\n\n");
        let answer = Answer::redirect("/a/".into(), &Method::POST);
        assert_eq!((answer.content.as_str(), field(&answer, "Content-Type")), ("", None));
    }

    #[test]
    fn an_asterisk_closes_a_connection_that_would_be_kept() {
        let mut request = Request::new(Method::OPTIONS, Uri::from_static("*"), Body::empty());
        assert_eq!(field(&Answer::asterisk(&request), "Connection"), Some("close"));
        request.proto = Version::HTTP_10;
        assert_eq!(field(&Answer::asterisk(&request), "Connection"), None);
    }
}
