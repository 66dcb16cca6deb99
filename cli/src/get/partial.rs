//! A file that is being downloaded: `NAME.part` until it is whole, and beside it `NAME.part.json`
//! with what says that the rest is the rest of the same (RFC 9110 §13.1.5, §14).
//!
//! ```text
//! open ─► ask_for_rest ─► accept ─┬─ whole again: part emptied, validator kept if there is one
//!                                 ├─ the rest: written on behind what is there
//!                                 └─ neither: start again
//!         … write … ─► finish: synced, renamed     or  give_up: kept if it can be gone on with
//! ```

use std::ffi::OsString;
use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nethttp::{Header, Request, Response, StatusCode, Uri, parse_time};
use serde_json::{Value, json};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};

use super::name::shown;

/// A file on its way to its name.
pub(crate) struct Partial {
    name: PathBuf,
    part: PathBuf,
    notes: PathBuf,
    file: File,
    url: String,
    rest: Option<Rest>,
}

/// The rest of what is there already.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rest {
    from: u64,
    validator: String,
    total: Option<u64>,
}

/// What an answer is for the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fits {
    /// It begins at this byte.
    From(u64),
    /// It is no part of what was asked for: ask for the whole.
    StartAgain,
    /// It is an error, for which nothing that is there is given away.
    Not,
}

/// Whether a file that was left half-way is gone on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Continue {
    IfPossible,
    Never,
}

/// The files beside a name: the part, and the notes on it.
pub(crate) fn beside(name: &Path) -> (PathBuf, PathBuf) {
    let with = |suffix: &str| {
        let mut text = OsString::from(name);
        text.push(suffix);
        PathBuf::from(text)
    };
    (with(".part"), with(".part.json"))
}

impl Partial {
    pub(crate) async fn open(name: &Path, url: &Uri, wanted: Continue) -> io::Result<Partial> {
        // A link stays one: it is the file that it leads to that is replaced.
        let name = fs::canonicalize(name).await.unwrap_or_else(|_| name.to_owned());
        let (part, notes) = beside(&name);
        let file = open_alone(&part).await?;
        let url = shown(url);
        let length = file.metadata().await?.len();
        let rest = match fs::read(&notes).await {
            Ok(notes) if wanted == Continue::IfPossible => rest(&notes, &url, length),
            _ => None,
        };
        Ok(Partial { name, part, notes, file, url, rest })
    }

    /// Asks for what is missing alone, where something is there.
    pub(crate) fn ask_for_rest(&self, request: &mut Request) {
        if let Some(Rest { from, validator, .. }) = &self.rest {
            request.header.set("Range", format!("bytes={from}-"));
            request.header.set("If-Range", validator);
        }
    }

    /// Where the answer goes. The file is ready for it afterwards.
    pub(crate) async fn accept(&mut self, response: &Response) -> io::Result<Fits> {
        let fits = fits(self.rest.as_ref(), response);
        match fits {
            Fits::From(0) => self.begin(response).await?,
            Fits::From(from) => {
                self.file.set_len(from).await?;
                self.file.seek(SeekFrom::Start(from)).await?;
            }
            Fits::StartAgain => self.rest = None,
            Fits::Not => {}
        }
        Ok(fits)
    }

    /// Empty, with notes on what is about to come.
    async fn begin(&mut self, response: &Response) -> io::Result<()> {
        // In this order: a part never stands beside notes on another one.
        remove(&self.notes).await?;
        self.file.set_len(0).await?;
        self.file.seek(SeekFrom::Start(0)).await?;
        self.rest = None;
        let Some(validator) = strong_validator(&response.header).filter(|_| response.status == StatusCode::OK) else {
            return Ok(());
        };
        let notes = json!({ "url": self.url, "validator": validator, "length": response.content_length });
        fs::write(&self.notes, notes.to_string()).await
    }

    /// Where it is to be.
    pub(crate) fn name(&self) -> &Path {
        &self.name
    }

    pub(crate) fn asks_for_rest(&self) -> bool {
        self.rest.is_some()
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).await
    }

    /// All is there: it gets its name.
    pub(crate) async fn finish(mut self) -> io::Result<()> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        // The file is closed last: until then it is nobody else's.
        remove(&self.notes).await?;
        fs::rename(&self.part, &self.name).await
    }

    /// What is there stays if it can be gone on with.
    pub(crate) async fn give_up(mut self) -> io::Result<()> {
        self.file.flush().await?;
        let is_of_use = self.file.metadata().await?.len() > 0 && fs::try_exists(&self.notes).await?;
        if is_of_use {
            return Ok(());
        }
        remove(&self.notes).await?;
        remove(&self.part).await
    }
}

/// A part that no other command writes to, or an error: two would make one file out of both.
async fn open_alone(part: &Path) -> io::Result<File> {
    loop {
        let file = open_locked(part).await?;
        if is_still(&file, part).await? {
            return Ok(file);
        }
        // Another command was done with it in between: this is its file now, by its last name.
    }
}

#[cfg(unix)]
async fn open_locked(part: &Path) -> io::Result<File> {
    use rustix::fs::{FlockOperation, flock};

    let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(part).await?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => Err(io::Error::other("another download is writing it")),
        // Not every file system knows locks.
        _ => Ok(file),
    }
}

#[cfg(unix)]
async fn is_still(file: &File, part: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;

    let ours = file.metadata().await?;
    match fs::metadata(part).await {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(windows)]
async fn open_locked(part: &Path) -> io::Result<File> {
    /// FILE_SHARE_DELETE: it can be renamed while it is open, and neither be read nor written.
    const RENAMED_ALONE: u32 = 4;

    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true).share_mode(RENAMED_ALONE).open(part).await
}

/// What others cannot open they cannot have renamed.
#[cfg(windows)]
async fn is_still(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

/// That it is not there is what is wanted.
async fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What is missing, from the notes on a part of this length.
fn rest(notes: &[u8], url: &str, length: u64) -> Option<Rest> {
    let notes: Value = serde_json::from_slice(notes).ok()?;
    let validator = notes["validator"].as_str().filter(|validator| is_validator(validator))?.to_owned();
    let total = notes["length"].as_u64();
    // All may be there already, but not be renamed yet. Its last byte, asked for once more, tells
    // whether it is still the same; no byte could not be asked for.
    let from = total.map_or(length, |total| length.min(total.saturating_sub(1)));
    (notes["url"] == url && from > 0).then_some(Rest { from, validator, total })
}

/// The file may have been changed by anybody.
fn is_validator(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

fn fits(rest: Option<&Rest>, response: &Response) -> Fits {
    let Some(rest) = rest else { return Fits::From(0) };
    match response.status {
        StatusCode::PARTIAL_CONTENT if is_rest(rest, &response.header) => Fits::From(rest.from),
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => Fits::StartAgain,
        status if status.is_success() => Fits::From(0),
        _ => Fits::Not,
    }
}

/// Whether 206 is what was asked for. Servers that do not know `If-Range` may send the rest of
/// something else, and their entity tag tells.
fn is_rest(rest: &Rest, header: &Header) -> bool {
    let Some((first, last, total)) = header.get("Content-Range").and_then(content_range) else { return false };
    let is_to_the_end = total.is_none_or(|total| last.checked_add(1) == Some(total));
    let is_as_long = rest.total.is_none() || total.is_none() || rest.total == total;
    let is_same = match header.get("ETag") {
        Some(tag) if rest.validator.starts_with('"') => tag == rest.validator,
        _ => true,
    };
    first == rest.from && is_to_the_end && is_as_long && is_same
}

/// First and last byte, and how many there are in all (RFC 9110 §14.4).
fn content_range(value: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    Some((first.parse().ok()?, last.parse().ok()?, total))
}

/// What `If-Range` may be: a strong entity tag, or else a date that is strong, one second before
/// the answer's at least (RFC 9110 §8.8.2.2).
fn strong_validator(header: &Header) -> Option<String> {
    if let Some(tag) = header.get("ETag").filter(|tag| tag.starts_with('"') && is_validator(tag)) {
        return Some(tag.to_owned());
    }
    let modified = header.get("Last-Modified")?;
    let date = parse_time(header.get("Date")?)?;
    let is_strong = date.duration_since(parse_time(modified)?).is_ok_and(|age| age >= Duration::from_secs(1));
    is_strong.then(|| modified.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest_from(from: u64) -> Rest {
        Rest { from, validator: "\"v1\"".into(), total: Some(10) }
    }

    fn partial(content_range: &str) -> Response {
        Response::new("").with_status(StatusCode::PARTIAL_CONTENT).with_header("Content-Range", content_range)
    }

    #[test]
    fn notes_say_what_is_missing() {
        let notes = br#"{"url":"http://a.test/","validator":"\"v1\"","length":10}"#;
        assert_eq!(rest(notes, "http://a.test/", 4), Some(rest_from(4)));
        assert_eq!(
            rest(notes, "http://a.test/", 10),
            Some(rest_from(9)),
            "the last byte, to see whether it is the same"
        );
        assert_eq!(rest(notes, "http://a.test/", 99), Some(rest_from(9)));
        assert_eq!(rest(notes, "http://b.test/", 4), None);
        assert_eq!(rest(notes, "http://a.test/", 0), None);
        assert_eq!(rest(br#"{"url":"u","validator":"\"v\"\r\nX: y","length":10}"#, "u", 4), None);
        assert_eq!(rest(b"{\"url\":", "u", 4), None);
    }

    #[test]
    fn only_what_was_asked_for_is_written_behind_what_is_there() {
        let of = |response: &Response| fits(Some(&rest_from(4)), response);
        assert_eq!(of(&partial("bytes 4-9/10")), Fits::From(4));
        assert_eq!(of(&partial("bytes 4-9/*")), Fits::From(4));
        assert_eq!(of(&partial("bytes 4-9/10").with_header("ETag", "\"v1\"")), Fits::From(4));
        for wrong in ["bytes 3-9/10", "bytes 4-8/10", "bytes 4-10/11", "items 4-9/10", "bytes */10", "bytes 4-9", ""] {
            assert_eq!(of(&partial(wrong)), Fits::StartAgain, "{wrong}");
        }
        assert_eq!(of(&partial("bytes 4-9/10").with_header("ETag", "\"v2\"")), Fits::StartAgain);
        let status = |code| Response::new("").with_status(StatusCode::from_u16(code).unwrap());
        assert_eq!(of(&status(200)), Fits::From(0));
        assert_eq!(of(&status(416)), Fits::StartAgain);
        assert_eq!((of(&status(503)), of(&status(404)), of(&status(304))), (Fits::Not, Fits::Not, Fits::Not));
        assert_eq!(fits(None, &status(404)), Fits::From(0));
    }

    #[test]
    fn a_weak_validator_is_none() {
        let header = |fields: &[(&str, &str)]| {
            let mut header = Header::new();
            fields.iter().for_each(|(name, value)| header.set(name, value));
            strong_validator(&header)
        };
        let (early, late) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:38 GMT");
        assert_eq!(header(&[("ETag", "\"x\"")]).as_deref(), Some("\"x\""));
        assert_eq!(header(&[("ETag", "W/\"x\"")]), None);
        assert_eq!(header(&[("Last-Modified", early), ("Date", late)]).as_deref(), Some(early));
        assert_eq!(header(&[("ETag", "W/\"x\""), ("Last-Modified", early), ("Date", late)]).as_deref(), Some(early));
        assert_eq!(header(&[("Last-Modified", early), ("Date", early)]), None);
        assert_eq!(header(&[("Last-Modified", early)]), None);
    }
}
