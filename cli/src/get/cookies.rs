//! Cookies: those that `-b` brings, and the file that `-c` writes.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nethttp::cookie::{CookieJar, Jar, SessionCookies};

use super::failure::{Exit, Failure};
use super::options::GetArguments;

/// The cookies of all requests.
pub(crate) struct Cookies {
    /// `NAME=VALUE; …`, sent to the URLs of the command line and no further.
    field: Option<String>,
    /// None where the command line has nothing that would need one.
    jar: Option<Arc<Jar>>,
    saved_to: Option<PathBuf>,
}

impl Cookies {
    pub(crate) fn new(arguments: &GetArguments) -> Result<Cookies, Failure> {
        let is_data = |text: &&String| text.contains('=');
        let data: Vec<&str> = arguments.cookies.iter().filter(is_data).map(String::as_str).collect();
        if data.iter().any(|text| text.bytes().any(|byte| byte.is_ascii_control())) {
            return Err(Failure::usage("a cookie has no line ends and no control characters"));
        }
        let files: Vec<&Path> = arguments.cookies.iter().filter(|text| !is_data(text)).map(Path::new).collect();
        let saved_to = arguments.cookie_jar.clone();
        let jar = match files.as_slice() {
            [] if saved_to.is_none() => None,
            [] => Some(Jar::new()),
            [file] => Some(read(file, saved_to.as_deref())?),
            _ => return Err(Failure::usage("there are two files of cookies: give one with -b")),
        };
        let field = if data.is_empty() { None } else { Some(data.join("; ")) };
        Ok(Cookies { field, jar: jar.map(Arc::new), saved_to })
    }

    /// The value of `Cookie` that the command line gives.
    pub(crate) fn field(&self) -> Option<String> {
        self.field.clone()
    }

    pub(crate) fn jar(&self) -> Option<Arc<dyn CookieJar>> {
        self.jar.clone().map(|jar| jar as Arc<dyn CookieJar>)
    }

    /// Writes them where `-c` says.
    pub(crate) fn save(&self) -> Result<(), Failure> {
        let (Some(jar), Some(path)) = (&self.jar, &self.saved_to) else { return Ok(()) };
        let text = jar.to_netscape(SessionCookies::Kept);
        if path == Path::new("-") {
            return io::stdout().write_all(text.as_bytes()).map_err(|error| Failure::stdout(&error));
        }
        write(path, &text).map_err(|error| Failure::local(path.display(), &error))
    }
}

/// A file that is only about to be written need not be there: the first run of a script has none.
fn read(path: &Path, saved_to: Option<&Path>) -> Result<Jar, Failure> {
    if path.as_os_str().is_empty() {
        return Ok(Jar::new());
    }
    match std::fs::read_to_string(path) {
        Ok(text) => {
            Jar::from_netscape(&text).map_err(|error| Failure::new(Exit::Local, format!("{}: {error}", path.display())))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && saved_to == Some(path) => Ok(Jar::new()),
        Err(error) => Err(Failure::local(path.display(), &error)),
    }
}

/// Written to another file first, so that the old one is never half replaced. Only the owner can read
/// it: a cookie can be as good as a password.
fn write(path: &Path, text: &str) -> io::Result<()> {
    // A link stays one, and a device is written to as it is.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if std::fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
        return std::fs::write(&path, text);
    }
    let mut beside = path.clone().into_os_string();
    beside.push(format!(".{}.tmp", std::process::id()));
    let written = write_private(Path::new(&beside), text).and_then(|()| std::fs::rename(&beside, &path));
    if written.is_err() {
        // What failed is what is reported.
        let _ = std::fs::remove_file(&beside);
    }
    written
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}
