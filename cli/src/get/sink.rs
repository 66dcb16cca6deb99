//! Where content goes.

use std::io;
use std::path::Path;

use nethttp::{Request, Response, Uri};
use tokio::fs::File;
use tokio::io::{AsyncWriteExt as _, Stdout};

use super::failure::Failure;
use super::job::Target;
use super::name::{announced_name, shown};
use super::partial::{FileOptions, Fits, Partial};

pub(crate) enum Sink {
    Stdout(Stdout),
    File(Box<Partial>),
    Device(File, String),
    /// A file whose name the response says: it is opened when that is there.
    Announced,
}

impl Sink {
    pub(crate) async fn open(target: &Target, url: &Uri, options: FileOptions) -> Result<Sink, Failure> {
        Ok(match target {
            Target::Stdout => Sink::Stdout(tokio::io::stdout()),
            Target::File(path) => Sink::file(path, url, options).await?,
            Target::NewFile(path) => Sink::file(path, url, FileOptions { replaces: false, ..options }).await?,
            Target::Device(path) => {
                let file = File::options().write(true).open(path).await.map_err(cannot(path))?;
                Sink::Device(file, path.display().to_string())
            }
            Target::Announced { .. } => Sink::Announced,
        })
    }

    async fn file(path: &Path, url: &Uri, options: FileOptions) -> Result<Sink, Failure> {
        Ok(Sink::File(Box::new(Partial::open(path, url, options).await.map_err(cannot(path))?)))
    }

    pub(crate) fn set_conditions(&self, request: &mut Request) {
        if let Sink::File(partial) = self {
            partial.set_conditions(request);
        }
    }

    /// Chooses the name, where the response is to say it. It stays the same for all further tries.
    pub(crate) async fn choose_name(
        &mut self,
        target: &mut Target,
        response: &Response,
        url: &Uri,
        options: FileOptions,
    ) -> Result<(), Failure> {
        let Target::Announced { fallback } = target else { return Ok(()) };
        let announced = if response.status.is_success() { announced_name(&response.header) } else { None };
        let chosen = match (announced, fallback) {
            (Some(name), _) => Target::NewFile(name.into()),
            (None, Some(path)) => Target::File(path.clone()),
            (None, None) => {
                let message = format!("{}: neither the URL nor the response has a name for a file: use -o", shown(url));
                return Err(Failure::usage(message));
            }
        };
        *self = Sink::open(&chosen, url, options.anew()).await?;
        *target = chosen;
        Ok(())
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
            Sink::Announced => Ok(()),
        };
        written.map_err(|error| self.failed(&error))
    }

    /// Whether the command asks for a range by itself.
    pub(crate) fn asks_for_range(&self) -> bool {
        matches!(self, Sink::File(partial) if partial.asks_for_range())
    }

    /// Whether what was written can be taken back.
    pub(crate) fn can_start_again(&self) -> bool {
        matches!(self, Sink::File(_) | Sink::Announced)
    }

    /// What was written is of no use.
    pub(crate) async fn distrust(&mut self) -> Result<(), Failure> {
        match self {
            Sink::File(partial) => partial.distrust().await.map_err(|error| self.failed(&error)),
            _ => Ok(()),
        }
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
            Sink::Announced => Ok(()),
        }
    }

    /// No more comes. Answers with how many bytes are kept for another try. What failed already is
    /// what is reported.
    pub(crate) async fn give_up(self) -> u64 {
        match self {
            Sink::Stdout(mut out) => drop(out.flush().await),
            Sink::File(partial) => return partial.give_up().await.unwrap_or(0),
            Sink::Device(mut file, _) => drop(file.flush().await),
            Sink::Announced => {}
        }
        0
    }

    fn failed(&self, error: &io::Error) -> Failure {
        match self {
            Sink::Stdout(_) => Failure::stdout(error),
            Sink::File(partial) => Failure::local(partial.name().display(), error),
            Sink::Device(_, path) => Failure::local(path, error),
            Sink::Announced => Failure::local("the file", error),
        }
    }
}

fn cannot(path: &Path) -> impl Fn(io::Error) -> Failure + use<> {
    let path = path.display().to_string();
    move |error| Failure::local(&path, &error)
}
