//! Fields that are set, added and removed for every request or response.

use std::sync::Arc;

use crate::error::Result;
use crate::message::{Header, Request, has_control, is_token};
use crate::server::{HandlerFuture, Middleware, Next, ResponseWriter};

/// Fields that the codec writes from what is really sent, and that no middleware can know better.
const FRAMING_FIELDS: [&str; 3] = ["Content-Length", "Transfer-Encoding", "Connection"];

/// Changes the fields of every response just before its head is sent: what the handler has set is there by then, and
/// errors that the server sends in its place are changed too. The changes are made in the order in which they are
/// named here.
///
/// ```
/// use nethttp::ServeMux;
/// use nethttp::middleware::ResponseFields;
///
/// let mux = ServeMux::new();
/// mux.wrap(
///     ResponseFields::new()
///         .set("Server", "example")
///         .set_if_absent("Cache-Control", "no-store")
///         .add("Link", "</style.css>; rel=preload")
///         .del("X-Powered-By"),
/// );
/// ```
#[derive(Clone, Debug, Default)]
pub struct ResponseFields {
    changes: Arc<Vec<FieldChange>>,
}

/// Changes the fields of every request before the handler sees it. The changes are made in the order in which they
/// are named here, and stay when the handler is done: a record of the request shows them.
///
/// ```
/// use nethttp::ServeMux;
/// use nethttp::middleware::RequestFields;
///
/// let mux = ServeMux::new();
/// mux.wrap(RequestFields::new().del("X-Internal-User").set_if_absent("Accept", "application/json"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct RequestFields {
    changes: Arc<Vec<FieldChange>>,
}

#[derive(Clone, Debug)]
struct FieldChange {
    name: String,
    what: WhatChanges,
}

#[derive(Clone, Debug)]
enum WhatChanges {
    Set(String),
    SetIfAbsent(String),
    Add(String),
    Del,
}

macro_rules! changes {
    ($fields:ty, $in_what:literal) => {
        impl $fields {
            /// No change yet.
            pub fn new() -> $fields {
                <$fields>::default()
            }

            #[doc = concat!("Sets a field in place of those of this name that the ", $in_what, " has.")]
            ///
            /// # Panics
            /// Where the name is no token or one of `Content-Length`, `Transfer-Encoding` and `Connection`, which
            /// are written from what is really sent; and where the value has control characters.
            #[must_use]
            #[track_caller]
            pub fn set(self, name: &str, value: &str) -> $fields {
                self.with(name, WhatChanges::Set(checked_value(value)))
            }

            #[doc = concat!("Sets a field if the ", $in_what, " has none of this name.")]
            ///
            /// # Panics
            #[doc = concat!("As [`set`](", stringify!($fields), "::set).")]
            #[must_use]
            #[track_caller]
            pub fn set_if_absent(self, name: &str, value: &str) -> $fields {
                self.with(name, WhatChanges::SetIfAbsent(checked_value(value)))
            }

            #[doc = concat!("Adds a field beside those of this name that the ", $in_what, " has.")]
            ///
            /// # Panics
            #[doc = concat!("As [`set`](", stringify!($fields), "::set).")]
            #[must_use]
            #[track_caller]
            pub fn add(self, name: &str, value: &str) -> $fields {
                self.with(name, WhatChanges::Add(checked_value(value)))
            }

            /// Removes all fields of this name. Those that the server adds by itself behind this (`Date`,
            /// `Content-Type`) it leaves out where a handler says so: [`ResponseWriter::omit`].
            ///
            /// # Panics
            #[doc = concat!("As [`set`](", stringify!($fields), "::set).")]
            #[must_use]
            #[track_caller]
            pub fn del(self, name: &str) -> $fields {
                self.with(name, WhatChanges::Del)
            }

            #[track_caller]
            fn with(mut self, name: &str, what: WhatChanges) -> $fields {
                assert!(is_token(name.as_bytes()), "{name:?} is no name of a field");
                let frames = FRAMING_FIELDS.iter().any(|framing| framing.eq_ignore_ascii_case(name));
                assert!(!frames, "{name} is written by the server alone, from what it really sends");
                Arc::make_mut(&mut self.changes).push(FieldChange { name: name.to_owned(), what });
                self
            }
        }
    };
}

changes!(ResponseFields, "response");
changes!(RequestFields, "request");

#[track_caller]
fn checked_value(value: &str) -> String {
    assert!(!has_control(value.as_bytes()), "a value without control characters");
    value.to_owned()
}

impl ResponseFields {
    fn begin(&self, w: &mut ResponseWriter) {
        let changes = self.changes.clone();
        w.before_head(move |_, header| change(header, &changes));
    }
}

impl Middleware for ResponseFields {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        self.begin(w);
        next.run(w, r).await
    }

    // Done before what it is around begins, so it needs no future of its own.
    fn handle_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request, next: Next<'a>) -> HandlerFuture<'a> {
        self.begin(w);
        next.run(w, r)
    }
}

impl Middleware for RequestFields {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        change(&mut r.header, &self.changes);
        next.run(w, r).await
    }

    // Done before what it is around begins, so it needs no future of its own.
    fn handle_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request, next: Next<'a>) -> HandlerFuture<'a> {
        change(&mut r.header, &self.changes);
        next.run(w, r)
    }
}

fn change(header: &mut Header, changes: &[FieldChange]) {
    for FieldChange { name, what } in changes {
        match what {
            WhatChanges::SetIfAbsent(_) if header.contains(name) => {}
            WhatChanges::Set(value) | WhatChanges::SetIfAbsent(value) => header.set(name, value),
            WhatChanges::Add(value) => header.add(name, value),
            WhatChanges::Del => _ = header.del(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_made_in_their_order() {
        let fields = ResponseFields::new()
            .set("A", "1")
            .set_if_absent("A", "2")
            .set_if_absent("B", "3")
            .add("b", "4")
            .del("C")
            .set_if_absent("C", "5");
        let mut header: Header = [("a", "x"), ("c", "y"), ("D", "z"), ("A", "w")].into_iter().collect();
        change(&mut header, &fields.changes);
        let expected: Header = [("A", "1"), ("D", "z"), ("B", "3"), ("b", "4"), ("C", "5")].into_iter().collect();
        assert_eq!(header, expected);
    }

    #[test]
    fn what_could_not_be_sent_is_refused_when_it_is_named() {
        for (name, value) in [
            ("A B", ""),
            ("", ""),
            ("A", "x\r\nB: y"),
            ("content-length", "1"),
            ("Transfer-Encoding", "chunked"),
            ("CONNECTION", "close"),
        ] {
            let refused = std::panic::catch_unwind(|| ResponseFields::new().set(name, value));
            assert!(refused.is_err(), "{name:?}: {value:?}");
        }
    }
}
