//! A handler that does what the letters in the target of its request say, and records what it saw.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use nethttp::server::abort;
use nethttp::{Body, Error, Handler, Request, ResponseWriter, Result, StatusCode, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use crate::heads;
use crate::reference::fields::Fields;

/// How a handler was left.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// It is still running, or its future was dropped.
    #[default]
    Open,
    Done,
    Failed,
    Panicked,
    /// It took the connection over, and read this.
    Hijacked(Vec<u8>),
}

/// What a handler saw of the content.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum ContentEnd {
    #[default]
    Unread,
    Ended,
    Failed,
}

/// A request as its handler saw it, and what it did.
#[derive(Debug, Default)]
pub struct Served {
    pub method: Vec<u8>,
    pub target: String,
    pub host: String,
    pub http11: bool,
    pub fields: Fields,
    pub content: Vec<u8>,
    pub content_end: ContentEnd,
    /// What it wrote, and how much of it was accepted.
    pub attempted: Vec<u8>,
    pub written: Vec<u8>,
    pub outcome: Outcome,
}

/// All that was served on one connection, in order.
#[derive(Clone, Debug, Default)]
pub struct Stage(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
pub struct Seen {
    pub served: Vec<Served>,
    /// The number of a request, and its body, which outlives it.
    kept: Option<(usize, Body)>,
    /// Violated invariants. They are checked after the run, because the server catches a handler's panics.
    pub wrong: Option<String>,
}

impl Stage {
    pub fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().expect("nobody panics with it")
    }
}

impl Handler for Stage {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let number = {
            let mut seen = self.lock();
            seen.served.push(Served {
                method: r.method.as_str().into(),
                target: r.request_uri.clone(),
                host: r.host.clone(),
                http11: r.proto == Version::HTTP_11,
                fields: heads::fields(&r.header),
                ..Served::default()
            });
            seen.served.len() - 1
        };
        w.header().set("X-Number", number.to_string());
        let letters = r.request_uri.clone();
        let mut acting = Acting { stage: self, number };
        for letter in letters.bytes().skip(1).take(12) {
            if let Err(error) = acting.act(letter, w, r).await {
                acting.set(Outcome::Failed);
                return Err(error);
            }
        }
        acting.set(Outcome::Done);
        Ok(())
    }
}

struct Acting<'a> {
    stage: &'a Stage,
    number: usize,
}

impl Acting<'_> {
    async fn act(&mut self, letter: u8, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        match letter {
            b'r' => while self.read(r).await? {},
            b'1' => _ = self.read(r).await?,
            b'w' => self.write(w, b"some words").await?,
            b'W' => self.write(w, &[b'x'; 100_000]).await?,
            b'f' => w.flush().await?,
            b'i' => w.send_informational(StatusCode::EARLY_HINTS).await?,
            b'z' => sleep(Duration::from_secs(1)).await,
            b'Z' => sleep(Duration::from_secs(40)).await,
            b'c' => w.header().set("Connection", "close"),
            b'l' => w.header().set("Content-Length", "10"),
            b'x' => w.header().set("Transfer-Encoding", "identity"),
            b't' => w.trailer().set("X-Trailer", "1"),
            b'n' => w.write_header(StatusCode::NO_CONTENT),
            b'4' => w.write_header(StatusCode::NOT_FOUND),
            b'N' => w.write_header(StatusCode::NOT_MODIFIED),
            b'e' => return Err(Error::answer(StatusCode::IM_A_TEAPOT, "no")),
            b'p' => {
                self.set(Outcome::Panicked);
                // Without the panic hook: this panic is intended.
                std::panic::resume_unwind(Box::new("on purpose"));
            }
            b'a' => {
                self.set(Outcome::Panicked);
                abort();
            }
            b'k' => {
                let body = std::mem::replace(&mut r.body, Body::empty());
                self.stage.lock().kept = Some((self.number, body));
            }
            b'K' => self.read_kept().await,
            b'h' => self.take_over(w, r).await?,
            _ => {}
        }
        Ok(())
    }

    /// One piece of the content; `false` when there is none.
    async fn read(&mut self, r: &mut Request) -> Result<bool> {
        let chunk = r.body.chunk().await;
        let mut seen = self.seen();
        match &chunk {
            Ok(Some(bytes)) => seen.content.extend_from_slice(bytes),
            Ok(None) => seen.content_end = ContentEnd::Ended,
            Err(_) => seen.content_end = ContentEnd::Failed,
        }
        chunk.map(|chunk| chunk.is_some())
    }

    async fn write(&mut self, w: &mut ResponseWriter, content: &[u8]) -> Result<()> {
        self.seen().attempted.extend_from_slice(content);
        w.write(content).await?;
        self.seen().written.extend_from_slice(content);
        Ok(())
    }

    /// The content of a request that is over reads as an error, wherever its body went.
    async fn read_kept(&mut self) {
        let kept = self.stage.lock().kept.take_if(|(number, body)| *number != self.number && !body.is_empty());
        let Some((number, mut body)) = kept else { return };
        let had_ended = self.stage.lock().served[number].content_end == ContentEnd::Ended;
        let read = body.chunk().await;
        if read.is_ok() && !had_ended {
            self.stage.lock().wrong = Some(format!("a body outlived its request: {read:?}"));
        }
    }

    async fn take_over(&mut self, w: &mut ResponseWriter, r: &Request) -> Result<()> {
        let mut stream = if r.header.contains("Upgrade") && !w.is_sent() && w.status().is_none() {
            w.header().set("Upgrade", "x");
            w.upgrade().await?
        } else {
            w.hijack().await?
        };
        self.set(Outcome::Hijacked(Vec::new()));
        let mut read = Vec::new();
        let _ = timeout(Duration::from_secs(200), stream.read_to_end(&mut read)).await;
        self.set(Outcome::Hijacked(read));
        let _ = timeout(Duration::from_secs(200), stream.write_all(b"taken over")).await;
        Ok(())
    }

    fn set(&self, outcome: Outcome) {
        let mut seen = self.seen();
        if matches!(seen.outcome, Outcome::Open) || matches!(outcome, Outcome::Hijacked(_)) {
            seen.outcome = outcome;
        }
    }

    fn seen(&self) -> SeenOne<'_> {
        SeenOne(self.stage.lock(), self.number)
    }
}

/// One request of those that were served.
struct SeenOne<'a>(MutexGuard<'a, Seen>, usize);

impl std::ops::Deref for SeenOne<'_> {
    type Target = Served;

    fn deref(&self) -> &Served {
        &self.0.served[self.1]
    }
}

impl std::ops::DerefMut for SeenOne<'_> {
    fn deref_mut(&mut self) -> &mut Served {
        &mut self.0.served[self.1]
    }
}
