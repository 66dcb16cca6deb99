//! Which URL goes where.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use nethttp::Uri;

use super::failure::{Exit, Failure};
use super::name::{remote_name, shown, url};
use super::options::GetArguments;
use super::partial::beside;

/// One URL, and where the response goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) url: Uri,
    pub(crate) target: Target,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Stdout,
    /// A file that appears when it is whole.
    File(PathBuf),
    /// The same, where nothing was before.
    NewFile(PathBuf),
    /// A file whose name the response says, or else the URL.
    Announced {
        fallback: Option<PathBuf>,
    },
    /// Something that is not a file, such as /dev/null: written to as it is.
    Device(PathBuf),
}

/// A job for each URL, in order. No two write to the same file.
pub(crate) fn jobs(arguments: &GetArguments) -> Result<Vec<Job>, Failure> {
    if arguments.output.len() > arguments.urls.len() {
        return Err(Failure::usage("there are more -o than URLs"));
    }
    let mut outputs = arguments.output.iter();
    let mut taken = HashSet::new();
    let mut jobs = Vec::new();
    for text in &arguments.urls {
        let url = url(text).map_err(|error| Failure::usage(format!("{}: {error}", without_password(text))))?;
        let url = arguments.upload_file.as_deref().map_or(Ok(url.clone()), |file| with_name_of(&url, file))?;
        let target = match outputs.next() {
            Some(path) => target(path)?,
            None if arguments.remote_header_name => Target::Announced { fallback: named_by(&url).ok() },
            None if arguments.remote_name => Target::File(named_by(&url)?),
            None => Target::Stdout,
        };
        if let Target::File(path) = &target {
            let (part, notes) = beside(path);
            let is_new = [path.clone(), part, notes].into_iter().all(|path| taken.insert(path));
            if !is_new {
                return Err(Failure::usage(format!("{} is for two URLs", path.display())));
            }
        }
        jobs.push(Job { url, target });
    }
    Ok(jobs)
}

/// An upload to a URL that ends in a slash gets the name of its file.
fn with_name_of(url: &Uri, file: &Path) -> Result<Uri, Failure> {
    let Some(name) = file.file_name().filter(|_| url.path().ends_with('/') && file != Path::new("-")) else {
        return Ok(url.clone());
    };
    let mut path = url.path().to_owned();
    for byte in name.as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => path.push(char::from(*byte)),
            _ => path.push_str(&format!("%{byte:02X}")),
        }
    }
    if let Some(query) = url.query() {
        path.push('?');
        path.push_str(query);
    }
    let mut parts = url.clone().into_parts();
    parts.path_and_query = path.parse().ok();
    Uri::from_parts(parts).map_err(|error| Failure::usage(format!("{}: {error}", shown(url))))
}

/// What is not a URL may hold a password all the same.
fn without_password(text: &str) -> &str {
    text.rsplit_once('@').map_or(text, |(_, rest)| rest)
}

fn target(path: &Path) -> Result<Target, Failure> {
    if path == Path::new("-") {
        return Ok(Target::Stdout);
    }
    match path.metadata() {
        Ok(found) if found.is_dir() => {
            Err(Failure::new(Exit::Local, format!("{} is a directory: name a file in it", path.display())))
        }
        Ok(found) if !found.is_file() => Ok(Target::Device(path.to_owned())),
        _ => Ok(Target::File(path.to_owned())),
    }
}

fn named_by(url: &Uri) -> Result<PathBuf, Failure> {
    let none = || Failure::usage(format!("{} has no name for a file in it: give one with -o", shown(url)));
    let path = PathBuf::from(remote_name(url).ok_or_else(none)?);
    match target(&path)? {
        Target::File(path) => Ok(path),
        _ => Err(Failure::new(Exit::Local, format!("{} is there already, and is no file", path.display()))),
    }
}

impl Job {
    /// What to call it.
    pub(crate) fn name(&self) -> String {
        match &self.target {
            Target::File(path) | Target::NewFile(path) | Target::Device(path) => {
                path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into()
            }
            Target::Stdout | Target::Announced { .. } => shown(&self.url),
        }
    }
}
