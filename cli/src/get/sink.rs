//! Where content goes.

use std::io;
use std::path::Path;

use nethttp::{Request, Response, Uri};
use tokio::fs::File;
use tokio::io::{AsyncWriteExt as _, Stdout};

use super::exit::Failure;
use super::job::Target;
use super::partial::{Continue, Fits, Partial};

pub(crate) enum Sink {
    Stdout(Stdout),
    File(Box<Partial>),
    Device(File, String),
}

impl Sink {
    pub(crate) async fn open(target: &Target, url: &Uri, wanted: Continue) -> Result<Sink, Failure> {
        let cannot = |path: &Path| {
            let path = path.display().to_string();
            move |error: io::Error| Failure::local(path, &error)
        };
        Ok(match target {
            Target::Stdout => Sink::Stdout(tokio::io::stdout()),
            Target::File(path) => Sink::File(Box::new(Partial::open(path, url, wanted).await.map_err(cannot(path))?)),
            Target::Device(path) => {
                let file = File::options().write(true).open(path).await.map_err(cannot(path))?;
                Sink::Device(file, path.display().to_string())
            }
        })
    }

    pub(crate) fn ask_for_rest(&self, request: &mut Request) {
        if let Sink::File(partial) = self {
            partial.ask_for_rest(request);
        }
    }

    pub(crate) async fn accept(&mut self, response: &Response) -> Result<Fits, Failure> {
        match self {
            Sink::File(partial) => partial.accept(response).await.map_err(|error| self.failed(&error)),
            _ => Ok(Fits::From(0)),
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = match self {
            Sink::Stdout(out) => out.write_all(bytes).await,
            Sink::File(partial) => partial.write(bytes).await,
            Sink::Device(file, _) => file.write_all(bytes).await,
        };
        written.map_err(|error| self.failed(&error))
    }

    /// Whether a part is there, and the rest alone is asked for.
    pub(crate) fn asks_for_rest(&self) -> bool {
        matches!(self, Sink::File(partial) if partial.asks_for_rest())
    }

    /// Whether what was written can be taken back.
    pub(crate) fn can_start_again(&self) -> bool {
        matches!(self, Sink::File(_))
    }

    /// All was written.
    pub(crate) async fn finish(self) -> Result<(), Failure> {
        match self {
            Sink::Stdout(mut out) => out.flush().await.map_err(|error| Failure::stdout(&error)),
            Sink::Device(mut file, path) => file.flush().await.map_err(|error| Failure::local(path, &error)),
            Sink::File(partial) => {
                let name = partial.name().display().to_string();
                partial.finish().await.map_err(|error| Failure::local(name, &error))
            }
        }
    }

    /// No more comes. What failed already is what is reported.
    pub(crate) async fn give_up(self) {
        match self {
            Sink::Stdout(mut out) => drop(out.flush().await),
            Sink::File(partial) => drop(partial.give_up().await),
            Sink::Device(mut file, _) => drop(file.flush().await),
        }
    }

    fn failed(&self, error: &io::Error) -> Failure {
        match self {
            Sink::Stdout(_) => Failure::stdout(error),
            Sink::File(partial) => Failure::local(partial.name().display(), error),
            Sink::Device(_, path) => Failure::local(path, error),
        }
    }
}
