//! Users and passwords by host, from `~/.netrc`.
//!
//! The file is a row of words: `machine HOST`, or `default` for all others, and after it
//! `login USER`, `password PASSWORD` and `account NAME`, which is of no use here. A word may stand in
//! double quotes. `macdef` begins a macro of FTP, which ends with an empty line. The first entry of a
//! host counts.

use std::io;
use std::path::PathBuf;

use nethttp::Request;

use super::failure::{Exit, Failure};
use super::options::GetArguments;

/// What the file says. `Debug` would show passwords, and is not there.
#[derive(Default)]
pub(crate) struct Netrc {
    entries: Vec<Entry>,
}

struct Entry {
    /// `None` is every host.
    host: Option<String>,
    login: String,
    password: String,
}

impl Netrc {
    /// The file that the command line names, or none.
    pub(crate) fn of(arguments: &GetArguments) -> Result<Netrc, Failure> {
        let path = match &arguments.netrc_file {
            Some(path) => path.clone(),
            None if arguments.netrc => usual_path().ok_or_else(|| Failure::new(Exit::Local, "there is no HOME"))?,
            None => return Ok(Netrc::default()),
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Netrc::parse(&text)),
            // The default file need not exist; a file that is named must.
            Err(error) if error.kind() == io::ErrorKind::NotFound && arguments.netrc_file.is_none() => {
                Ok(Netrc::default())
            }
            Err(error) => Err(Failure::local(path.display(), &error)),
        }
    }

    fn parse(text: &str) -> Netrc {
        let mut words = Words(text);
        let mut entries: Vec<Entry> = Vec::new();
        while let Some(word) = words.next() {
            match (word.as_str(), entries.last_mut()) {
                ("machine", _) => entries.push(Entry::of(words.next())),
                ("default", _) => entries.push(Entry::of(None)),
                ("login", Some(entry)) => entry.login = words.next().unwrap_or_default(),
                ("password", Some(entry)) => entry.password = words.next().unwrap_or_default(),
                ("account", Some(_)) => drop(words.next()),
                ("macdef", _) => words.skip_macro(),
                _ => {}
            }
        }
        Netrc { entries }
    }

    /// Gives the request the password of its host, unless it has one.
    pub(crate) fn authorize(&self, request: &mut Request) {
        let has_own = request.header.contains("Authorization")
            || request.uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        let Some(host) = request.uri.host().filter(|_| !has_own) else { return };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_its_own = |entry: &&Entry| entry.host.as_deref().is_none_or(|own| own.eq_ignore_ascii_case(host));
        if let Some(entry) = self.entries.iter().find(is_its_own) {
            request.set_basic_auth(&entry.login, &entry.password);
        }
    }
}

impl Entry {
    fn of(host: Option<String>) -> Entry {
        Entry { host, login: String::new(), password: String::new() }
    }
}

fn usual_path() -> Option<PathBuf> {
    let (variable, name) = if cfg!(windows) { ("USERPROFILE", "_netrc") } else { ("HOME", ".netrc") };
    let home = std::env::var_os(variable).filter(|home| !home.is_empty())?;
    Some(PathBuf::from(home).join(name))
}

/// The words that are left.
struct Words<'a>(&'a str);

impl Words<'_> {
    fn next(&mut self) -> Option<String> {
        loop {
            self.0 = self.0.trim_start();
            if !self.0.starts_with('#') {
                break;
            }
            self.0 = self.0.split_once('\n').map_or("", |(_, rest)| rest);
        }
        if self.0.is_empty() {
            return None;
        }
        if let Some(quoted) = self.0.strip_prefix('"') {
            return Some(self.take_quoted(quoted.len()));
        }
        let end = self.0.find(char::is_whitespace).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(word.to_owned())
    }

    /// What stands after the opening quote, so many bytes before the end; a backslash keeps its next
    /// character from meaning anything.
    fn take_quoted(&mut self, length: usize) -> String {
        let start = self.0.len() - length;
        let mut word = String::new();
        let mut chars = self.0[start..].char_indices();
        let mut end = self.0.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    end = start + at + 1;
                    break;
                }
                '\\' => word.extend(chars.next().map(|(_, escaped)| escaped)),
                _ => word.push(c),
            }
        }
        self.0 = &self.0[end..];
        word
    }

    fn skip_macro(&mut self) {
        let end = self.0.find("\n\n").map_or(self.0.len(), |at| at + 2);
        self.0 = &self.0[end..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_has_its_first_entry_and_all_others_the_default_one() {
        let text = "# comment with machine x\n\
                    machine a.test login anna password \"two \\\"words\\\"\"\n\
                    macdef init\nmachine b.test login wrong\n\n\
                    machine b.test\n\tlogin ben\n\tpassword b#1 account x\n\
                    machine a.test login other password other\n\
                    default login guest password g";
        let netrc = Netrc::parse(text);
        let credentials = |url: &str| {
            let mut request = Request::get(url).unwrap();
            netrc.authorize(&mut request);
            request.basic_auth()
        };
        let expected = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(credentials("http://A.test:8080/"), expected("anna", "two \"words\""));
        assert_eq!(credentials("http://b.test/"), expected("ben", "b#1"));
        assert_eq!(credentials("http://c.a.test/"), expected("guest", "g"));
        assert_eq!(credentials("http://me:own@a.test/"), None, "the URL has its own");
        let mut own = Request::get("http://a.test/").unwrap().with_bearer_auth("x");
        netrc.authorize(&mut own);
        assert_eq!(own.header.get("Authorization"), Some("Bearer x"));
    }

    #[test]
    fn what_is_cut_off_is_no_panic() {
        for text in ["machine", "machine a.test login", "machine \"a", "machine \"a\\", "macdef x", "login x", "\""] {
            assert!(Netrc::parse(text).entries.len() <= 1, "{text}");
        }
    }
}
