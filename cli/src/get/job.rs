//! Which URL goes where.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use nethttp::Uri;

use super::exit::{Exit, Failure};
use super::name::{remote_name, shown, url};
use super::options::Arguments;
use super::partial::beside;

/// One URL, and where what it answers goes.
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
    /// Something that is no file, such as /dev/null: written to as it is.
    Device(PathBuf),
}

/// A job for each URL, in order. No two write to the same file.
pub(crate) fn jobs(arguments: &Arguments) -> Result<Vec<Job>, Failure> {
    if arguments.output.len() > arguments.urls.len() {
        return Err(Failure::new(Exit::Usage, "there are more -o than URLs"));
    }
    let mut outputs = arguments.output.iter();
    let mut taken = HashSet::new();
    let mut jobs = Vec::new();
    for text in &arguments.urls {
        let url =
            url(text).map_err(|error| Failure::new(Exit::Usage, format!("{}: {error}", without_password(text))))?;
        let target = match outputs.next() {
            Some(path) => target(path)?,
            None if arguments.remote_name => Target::File(named_by(&url)?),
            None => Target::Stdout,
        };
        if let Target::File(path) = &target {
            let (part, notes) = beside(path);
            let is_new = [path.clone(), part, notes].into_iter().all(|path| taken.insert(path));
            if !is_new {
                return Err(Failure::new(Exit::Usage, format!("{} is for two URLs", path.display())));
            }
        }
        jobs.push(Job { url, target });
    }
    Ok(jobs)
}

/// What is no URL may hold a password all the same.
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
    let none = || Failure::new(Exit::Usage, format!("{} has no name for a file in it: give one with -o", shown(url)));
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
            Target::File(path) | Target::Device(path) => {
                path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into()
            }
            Target::Stdout => shown(&self.url),
        }
    }
}
