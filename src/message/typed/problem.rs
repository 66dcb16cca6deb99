//! What is wrong with a field that a peer sent, in words for that peer: the field and what was expected, and
//! not what came.

use std::fmt;

use http::StatusCode;
use serde::de::{self, Expected, Unexpected};

use crate::error::{Error, ErrorKind};

/// Which part of a request was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestPart {
    Query,
    Path,
    Form,
    Json,
}

impl fmt::Display for RequestPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RequestPart::Query => "the query",
            RequestPart::Path => "the path",
            RequestPart::Form => "the form",
            RequestPart::Json => "the JSON content",
        })
    }
}

/// What is wrong, and with which field.
#[derive(Debug)]
pub(crate) struct FieldProblem {
    /// The way to the field, from the inside out.
    steps: Vec<FieldStep>,
    fault: FieldFault,
}

#[derive(Debug)]
enum FieldStep {
    Name(&'static str),
    Index(usize),
    /// An entry of a map, whose key is the peer's own word and is not repeated.
    Entry,
}

#[derive(Debug)]
enum FieldFault {
    Missing,
    Twice,
    /// It is not what this names.
    Not(String),
    /// It has a field that is none of these.
    Unknown(&'static [&'static str]),
    /// The type that is read refused it, with these words of its own.
    Refused(String),
    /// The type asks for what this part of a request cannot have: the fault of the program, not the peer's.
    Unreadable(&'static str),
}

/// How much of the words of an application's type is shown: they may have the value in them.
const MAX_WORDS: usize = 120;

/// Content of another type than is read (RFC 9110 §15.5.16).
pub(crate) fn unsupported(message: &'static str) -> Error {
    Error::new(ErrorKind::Malformed, message).with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
}

impl FieldProblem {
    fn new(fault: FieldFault) -> FieldProblem {
        FieldProblem { steps: Vec::new(), fault }
    }

    /// It is not what this names: "a number".
    pub(super) fn not(expected: impl Into<String>) -> FieldProblem {
        FieldProblem::new(FieldFault::Not(expected.into()))
    }

    pub(super) fn twice() -> FieldProblem {
        FieldProblem::new(FieldFault::Twice)
    }

    pub(super) fn unreadable(why: &'static str) -> FieldProblem {
        FieldProblem::new(FieldFault::Unreadable(why))
    }

    /// The same with the field of this name around it.
    pub(super) fn within(self, name: &'static str) -> FieldProblem {
        self.with_step(FieldStep::Name(name))
    }

    pub(super) fn at(self, index: usize) -> FieldProblem {
        self.with_step(FieldStep::Index(index))
    }

    pub(super) fn within_entry(self) -> FieldProblem {
        self.with_step(FieldStep::Entry)
    }

    fn with_step(mut self, step: FieldStep) -> FieldProblem {
        self.steps.push(step);
        self
    }

    /// 400 with the words for the peer; 500 where the program asks for what cannot be.
    pub(crate) fn into_error(self, part: RequestPart) -> Error {
        let place = self.place(part);
        match self.fault {
            // Every wildcard of a pattern matches: the type has one that the pattern does not have.
            FieldFault::Missing if part == RequestPart::Path => {
                Error::new(ErrorKind::Invalid, format!("{place} is no wildcard of the pattern"))
            }
            FieldFault::Unreadable(why) => Error::new(ErrorKind::Invalid, format!("{place} cannot be read: {why}")),
            fault => Error::new(ErrorKind::Malformed, format!("{place} {fault}")).with_status(StatusCode::BAD_REQUEST),
        }
    }

    fn place(&self, part: RequestPart) -> String {
        if self.steps.is_empty() {
            return part.to_string();
        }
        let mut path = String::new();
        for step in self.steps.iter().rev() {
            let dot = if path.is_empty() { "" } else { "." };
            path += &match step {
                FieldStep::Name(name) => format!("{dot}{name}"),
                FieldStep::Index(index) => format!("[{index}]"),
                FieldStep::Entry => format!("{dot}*"),
            };
        }
        format!("`{path}` in {part}")
    }
}

impl fmt::Display for FieldFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldFault::Missing => f.write_str("is missing"),
            FieldFault::Twice => f.write_str("is there more than once"),
            FieldFault::Not(expected) => write!(f, "is not {expected}"),
            FieldFault::Unknown(known) => write!(f, "has a field that is not {}", one_of(known)),
            FieldFault::Refused(words) => write!(f, "is refused: {words}"),
            FieldFault::Unreadable(why) => f.write_str(why),
        }
    }
}

fn one_of(names: &[&str]) -> String {
    match names {
        [] => "known".to_owned(),
        [name] => format!("`{name}`"),
        names => format!("one of `{}`", names.join("`, `")),
    }
}

impl fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)
    }
}

impl std::error::Error for FieldProblem {}

/// What serde says of a value is asked for what was expected alone: `invalid_value` and the like have the
/// value beside it.
impl de::Error for FieldProblem {
    fn custom<T: fmt::Display>(words: T) -> FieldProblem {
        let words = words.to_string();
        let short: String = words.chars().take(MAX_WORDS).flat_map(char::escape_debug).collect();
        let cut = if words.chars().nth(MAX_WORDS).is_some() { "…" } else { "" };
        FieldProblem::new(FieldFault::Refused(short + cut))
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> FieldProblem {
        FieldProblem::not(expected.to_string())
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> FieldProblem {
        FieldProblem::not(expected.to_string())
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> FieldProblem {
        FieldProblem::not(expected.to_string())
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> FieldProblem {
        FieldProblem::not(one_of(expected))
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> FieldProblem {
        FieldProblem::new(FieldFault::Unknown(expected))
    }

    fn missing_field(field: &'static str) -> FieldProblem {
        FieldProblem::new(FieldFault::Missing).within(field)
    }

    fn duplicate_field(field: &'static str) -> FieldProblem {
        FieldProblem::twice().within(field)
    }
}
