//! Multipart content read part by part, and as a form.

use nethttp::forms::{Multipart, MultipartLimits};
use nethttp::{Body, Error, Method, Request, Uri};

use crate::heads;
use crate::reference::fields::Fields;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    Whole,
    /// The content of every second part is passed over.
    EverySecond,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadPart {
    name: String,
    file_name: Option<String>,
    fields: Fields,
    content: Vec<u8>,
}

/// The parts, and what ended them where that was an error.
#[derive(Debug, PartialEq, Eq)]
pub struct ReadParts {
    pub parts: Vec<ReadPart>,
    pub error: Option<String>,
}

impl ReadParts {
    /// The fields of a form: parts with a name that are no files.
    pub fn values(&self) -> Vec<(String, String)> {
        let fields = self.parts.iter().filter(|part| part.file_name.is_none() && !part.name.is_empty());
        fields.map(|part| (part.name.clone(), String::from_utf8_lossy(&part.content).into_owned())).collect()
    }

    /// Whether the last part has no name: a form passes it over.
    pub fn ends_without_a_name(&self) -> bool {
        self.parts.last().is_some_and(|part| part.name.is_empty())
    }

    pub fn has_as_many(&self, other: &ReadParts) -> bool {
        self.error == other.error && self.parts.len() == other.parts.len()
    }

    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let files = self.parts.iter().filter(|part| part.file_name.is_some() && !part.name.is_empty());
        files.map(|part| (part.name.clone(), part.content.clone())).collect()
    }
}

/// The usual limits, or some that inputs come up against.
pub fn limits(is_tight: bool) -> MultipartLimits {
    let mut limits = MultipartLimits::default();
    if is_tight {
        (limits.max_parts, limits.max_header_lines, limits.max_head_bytes) = (3, 5, 60);
    }
    limits
}

pub async fn read(body: Body, boundary: &str, limits: &MultipartLimits, reading: Reading) -> ReadParts {
    let mut multipart = Multipart::new(body, boundary).expect("each is a boundary");
    multipart.limits = limits.clone();
    let mut parts = Vec::new();
    let told = |error: Error| Some(format!("{:?} {:?}", error.kind(), error.status()));
    loop {
        let mut part = match multipart.next_part().await {
            Ok(Some(part)) => part,
            Ok(None) => return ReadParts { parts, error: None },
            Err(error) => return ReadParts { parts, error: told(error) },
        };
        let mut read = ReadPart {
            name: part.name().into(),
            file_name: part.file_name().map(Into::into),
            fields: heads::fields(&part.header),
            content: Vec::new(),
        };
        read.file_name.iter().for_each(|name| is_a_name(name));
        let mut error = None;
        while reading == Reading::Whole || parts.len() % 2 == 0 {
            match part.chunk().await {
                Ok(Some(chunk)) => read.content.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(failed) => {
                    // What came through before depends on the cuts.
                    read.content.clear();
                    error = told(failed);
                    break;
                }
            }
        }
        parts.push(read);
        if error.is_some() {
            return ReadParts { parts, error };
        }
    }
}

/// Nothing that leads to another folder than the one that it is put into.
fn is_a_name(name: &str) {
    let leads_away = name.contains(['/', '\\', '\0']) || ["", ".", ".."].contains(&name);
    assert!(!leads_away, "a file of the name {name:?}");
}

type Values = Vec<(String, String)>;
type Files = Vec<(String, Vec<u8>)>;

/// The values and files of a request with this content, with so much memory for them.
pub async fn form(body: Body, boundary: &str, max_memory: u64) -> Option<(Values, Files)> {
    let mut request = Request::new(Method::POST, Uri::from_static("http://a.test/"), body);
    request.header.set("Content-Type", format!("multipart/form-data; boundary=\"{boundary}\""));
    let form = request.multipart_form(max_memory).await.ok()?;
    let mut files = Vec::new();
    for (name, file) in form.all_files() {
        files.push((name.to_owned(), file.bytes(1 << 20).await.expect("a file can be read").to_vec()));
    }
    Some((form.values().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(), files))
}
