//! What the mux matched for the wildcards of a pattern.

use std::fmt::Display;
use std::str::FromStr;

use super::Request;
use crate::error::{Error, ErrorKind, Result};
use crate::message::form::malformed;

impl Request {
    /// What the mux matched for the wildcard of this name, unescaped; empty where there is none, and
    /// where the value is not UTF-8 (Go's `PathValue`).
    ///
    /// The value is the client's. [`path_parse`](Request::path_parse) makes a number of it, or what else
    /// can be parsed, and responds with 400 where it is none; with the feature `serde`,
    /// [`path_as`](Request::path_as) reads all of them at once. A failed
    /// `path_value("id").parse::<u32>()?` would be answered with 500 and logged as a fault of the handler,
    /// which it is not.
    pub fn path_value(&self, name: &str) -> &str {
        self.matched(name).unwrap_or_default()
    }

    /// What the mux matched for the wildcard of this name, parsed.
    ///
    /// ```
    /// use nethttp::{Request, ResponseWriter, Result, ServeMux};
    ///
    /// async fn post(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    ///     let id: u32 = r.path_parse("id")?;
    ///     w.write(format!("post {id}\n")).await
    /// }
    ///
    /// ServeMux::new().handle("GET /posts/{id}", post);
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed), whose response is 400 with the name and 120
    /// characters of the words of the type's own error at most, with `…` behind what was cut. Control characters are
    /// escaped in them, and they go to the client that sent the value alone: an error of `T::from_str` should say
    /// nothing that this client may not know. Where such a path names nothing, 404 may be better: `.map_err(|error| error.with_status(StatusCode::NOT_FOUND))`.
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), whose response is 500, when the pattern has no wildcard
    /// of this name: that is the program's fault.
    pub fn path_parse<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T> {
        let Some(value) = self.matched(name) else {
            return Err(Error::new(ErrorKind::Invalid, format!("the pattern has no wildcard {{{name}}}")));
        };
        value.parse().map_err(|error: T::Err| {
            let words = error.to_string();
            let short: String = words.chars().take(MAX_WORDS).flat_map(char::escape_debug).collect();
            let cut = if words.chars().nth(MAX_WORDS).is_some() { "…" } else { "" };
            malformed(format!("`{name}` in the path is refused: {short}{cut}"))
        })
    }

    /// Sets or replaces a path value (Go's `SetPathValue`).
    pub fn set_path_value(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        match self.path_values.iter_mut().rev().find(|(n, _)| &**n == name) {
            Some(entry) => entry.1 = value,
            None => self.path_values.push((name.into(), value)),
        }
    }

    fn matched(&self, name: &str) -> Option<&str> {
        self.path_values.iter().rev().find(|(n, _)| &**n == name).map(|(_, value)| value.as_str())
    }
}

/// How much of the words of a type's own error is shown: they may have the value in them.
const MAX_WORDS: usize = 120;

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use http::{Method, Uri};

    use super::*;
    use crate::message::body::Body;

    fn request() -> Request {
        Request::new(Method::GET, Uri::from_static("/"), Body::empty())
    }

    #[test]
    fn a_path_value_that_was_set_replaces_one_that_matched() {
        let mut request = request();
        request.path_values.push(("id".into(), "7".into()));
        request.set_path_value("id", "8");
        request.set_path_value("new", "9");
        assert_eq!((request.path_value("id"), request.path_value("new"), request.path_value("none")), ("8", "9", ""));
    }

    #[test]
    fn a_path_value_is_parsed_or_a_400_that_names_it() {
        let mut request = request();
        for (name, value) in [("id", "256"), ("ip", "::1"), ("empty", "")] {
            request.set_path_value(name, value);
        }
        assert_eq!(request.path_parse::<u16>("id").unwrap(), 256);
        assert_eq!(request.path_parse::<IpAddr>("ip").unwrap(), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]));
        for name in ["id", "ip", "empty"] {
            let error = request.path_parse::<u8>(name).unwrap_err();
            assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::Malformed, 400));
            assert!(error.message().starts_with(&format!("`{name}` in the path is refused: ")), "{error}");
        }
    }

    #[derive(Debug)]
    struct Never;

    impl FromStr for Never {
        type Err = String;

        fn from_str(text: &str) -> std::result::Result<Never, String> {
            Err(format!("no\r\n\u{1b}{text}"))
        }
    }

    #[test]
    fn the_words_of_a_types_own_error_are_escaped_and_cut() {
        let mut request = request();
        request.set_path_value("a", "b");
        let said = |request: &Request| request.path_parse::<Never>("a").unwrap_err().message().to_owned();
        assert_eq!(said(&request), "`a` in the path is refused: no\\r\\n\\u{1b}b");
        request.set_path_value("a", "x".repeat(1000));
        assert_eq!(said(&request), format!("`a` in the path is refused: no\\r\\n\\u{{1b}}{}…", "x".repeat(115)));
    }

    #[test]
    fn a_wildcard_that_the_pattern_does_not_have_is_the_programs_fault() {
        let error = request().path_parse::<u8>("id").unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Invalid, None));
        assert_eq!(error.to_string(), "the pattern has no wildcard {id}");
    }
}
