//! A file that is being downloaded: `NAME.part` until it is whole, and beside it `NAME.part.json`
//! with what shows later whether the rest belongs to the same version (RFC 9110 §13.1.5, §14).
//!
//! ```text
//! open ─► set_conditions ─► accept ─┬─ from its start: part emptied, notes written if there is a validator
//!                                   ├─ the rest: written on after what is there
//!                                   ├─ what is there is whole: left as it is
//!                                   └─ neither: start again
//!         … write … ─► finish: synced, renamed     or  give_up: kept if it can be gone on with
//! ```
//!
//! A part is gone on with only if all that is known of both halves agrees: the URL, the entity tag, the
//! date, the range and the length of the whole. Where anything differs, the file is fetched from its
//! start. Otherwise it could be put together from two versions, with the right length, unnoticed.

use std::ffi::OsString;
use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nethttp::header::{format_time, parse_time};
use nethttp::{Header, Request, Response, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};

use super::name::shown;
use super::range::{ContentRange, length_beside_range};

/// A file on its way to its name.
pub(crate) struct Partial {
    name: PathBuf,
    part: PathBuf,
    notes: PathBuf,
    file: File,
    url: String,
    options: FileOptions,
    known: Known,
    /// The time that the file gets, if it is to have the server's.
    modified: Option<SystemTime>,
}

/// What the command line says of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileOptions {
    /// A file that was left half-way is gone on with.
    pub(crate) continues: bool,
    /// A file of the server's length is whole (`-C -`).
    pub(crate) skips_complete: bool,
    /// A file that the server has not changed since is left as it is (`--timestamping`).
    pub(crate) skips_unchanged: bool,
    /// Files get the time that the server gives them.
    pub(crate) sets_time: bool,
    /// What is there under the name may be replaced.
    pub(crate) replaces: bool,
}

impl FileOptions {
    /// The whole, whatever is there.
    pub(crate) fn anew(self) -> FileOptions {
        FileOptions { continues: false, skips_complete: false, skips_unchanged: false, ..self }
    }
}

/// What is there before the request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Known {
    Nothing,
    Part(Rest),
    /// A file under the name, which may be whole.
    File {
        length: u64,
        modified: SystemTime,
    },
}

/// The rest of what is there already, and what it is the rest of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rest {
    from: u64,
    validator: String,
    etag: Option<String>,
    last_modified: Option<String>,
    total: Option<u64>,
}

/// What a response is for the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fits {
    /// It begins at this byte.
    From(u64),
    /// What is there under the name is what the server has.
    Complete,
    /// It is no part of what was asked for: ask for the whole.
    StartAgain,
    /// It is an error. What is there is kept.
    Not,
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
    pub(crate) async fn open(name: &Path, url: &Uri, options: FileOptions) -> io::Result<Partial> {
        if !options.replaces && fs::symlink_metadata(name).await.is_ok() {
            return Err(is_there());
        }
        // A link stays one: it is the file that it leads to that is replaced.
        let name = fs::canonicalize(name).await.unwrap_or_else(|_| name.to_owned());
        let (part, notes) = beside(&name);
        let file = open_alone(&part).await?;
        let url = shown(url);
        let length = file.metadata().await?.len();
        let rest = match fs::read(&notes).await {
            Ok(notes) if options.continues => rest(&notes, &url, length),
            _ => None,
        };
        let known = match (rest, fs::metadata(&name).await) {
            (Some(rest), _) => Known::Part(rest),
            (None, Ok(there)) if there.is_file() => {
                Known::File { length: there.len(), modified: there.modified().unwrap_or(SystemTime::UNIX_EPOCH) }
            }
            _ => Known::Nothing,
        };
        Ok(Partial { name, part, notes, file, url, options, known, modified: None })
    }

    /// Asks for what is missing alone, where something is there; or whether anything is.
    pub(crate) fn set_conditions(&self, request: &mut Request) {
        match &self.known {
            Known::Part(Rest { from, validator, .. }) => {
                request.header.set("Range", format!("bytes={from}-"));
                request.header.set("If-Range", validator);
            }
            Known::File { length, modified } => {
                if self.options.skips_complete && *length > 0 {
                    // After the end of what is there: if that is whole, the server says so with 416.
                    request.header.set("Range", format!("bytes={length}-"));
                }
                if self.options.skips_unchanged {
                    request.header.set("If-Modified-Since", format_time(*modified));
                }
            }
            Known::Nothing => {}
        }
    }

    /// Where the response goes. The file is ready for it afterwards.
    pub(crate) async fn accept(&mut self, response: &Response) -> io::Result<Fits> {
        let fits = fits(&self.known, self.options, response);
        match fits {
            Fits::From(0) => self.begin(response).await?,
            Fits::From(from) => {
                self.file.set_len(from).await?;
                self.file.seek(SeekFrom::Start(from)).await?;
            }
            _ => {}
        }
        if self.options.sets_time {
            self.modified = response.header.get("Last-Modified").and_then(parse_time);
        }
        Ok(fits)
    }

    /// Empty, with notes on what is about to come.
    async fn begin(&mut self, response: &Response) -> io::Result<()> {
        // In this order: a part never stands beside notes on another one.
        remove(&self.notes).await?;
        self.file.set_len(0).await?;
        self.file.seek(SeekFrom::Start(0)).await?;
        self.known = Known::Nothing;
        let Some(validator) = strong_validator(&response.header).filter(|_| response.status == StatusCode::OK) else {
            return Ok(());
        };
        let notes = json!({
            "url": self.url,
            "validator": validator,
            "etag": response.header.get("ETag"),
            "last_modified": response.header.get("Last-Modified"),
            "length": response.content_length,
        });
        fs::write(&self.notes, notes.to_string()).await
    }

    /// Where it is to be.
    pub(crate) fn name(&self) -> &Path {
        &self.name
    }

    /// Whether a range is asked for that the command line does not name.
    pub(crate) fn asks_for_range(&self) -> bool {
        match self.known {
            Known::Part(_) => true,
            Known::File { length, .. } => self.options.skips_complete && length > 0,
            Known::Nothing => false,
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).await
    }

    /// What was written is not what the server said that it is: it is not gone on with.
    pub(crate) async fn distrust(&mut self) -> io::Result<()> {
        remove(&self.notes).await
    }

    /// All is there: it gets its name.
    pub(crate) async fn finish(mut self) -> io::Result<()> {
        self.file.flush().await?;
        if let Some(modified) = self.modified {
            self.file.try_clone().await?.into_std().await.set_modified(modified)?;
        }
        self.file.sync_all().await?;
        // The file, and with it the lock, is held until after the rename.
        remove(&self.notes).await?;
        if self.options.replaces { fs::rename(&self.part, &self.name).await } else { self.rename_if_new().await }
    }

    /// The name came from the server, and may not cost the user a file, not even one that has appeared
    /// meanwhile: a link is made only where there is nothing.
    async fn rename_if_new(&self) -> io::Result<()> {
        match fs::hard_link(&self.part, &self.name).await {
            Ok(()) => remove(&self.part).await,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(is_there()),
            // Not every file system knows links.
            Err(_) if !fs::try_exists(&self.name).await? => fs::rename(&self.part, &self.name).await,
            Err(_) => Err(is_there()),
        }
    }

    /// What is there stays if it can be gone on with. Answers with how many bytes that are.
    pub(crate) async fn give_up(mut self) -> io::Result<u64> {
        self.file.flush().await?;
        let length = self.file.metadata().await?.len();
        if length > 0 && fs::try_exists(&self.notes).await? {
            return Ok(length);
        }
        remove(&self.notes).await?;
        remove(&self.part).await?;
        Ok(0)
    }
}

fn is_there() -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, "it is there already, and the server chose this name: use -o")
}

/// A part that no other command writes to, or an error: two would make one file out of both.
async fn open_alone(part: &Path) -> io::Result<File> {
    loop {
        let file = open_locked(part).await?;
        if is_still(&file, part).await? {
            return Ok(file);
        }
        // Between open and lock another command finished and renamed the file: this handle is to the
        // finished file, and must not be written to.
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

/// While it is open here, no other command can open it, so none can have renamed it.
#[cfg(windows)]
async fn is_still(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

/// Removes a file that may be missing already.
async fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What is missing, from the notes on a part of this length.
fn rest(notes: &[u8], url: &str, length: u64) -> Option<Rest> {
    let notes: Value = serde_json::from_slice(notes).ok()?;
    let text = |name: &str| notes[name].as_str().map(str::to_owned);
    let validator = text("validator").filter(|validator| is_validator(validator))?;
    let total = notes["length"].as_u64();
    // All of it may be there, if the command ended before the rename. Then the last byte is asked for
    // again, to see whether the file is still the same: an empty range cannot be asked for.
    let from = total.map_or(length, |total| length.min(total.saturating_sub(1)));
    // The validator is one of these; notes of older versions have no other.
    let own = |is_tag: bool| Some(validator.clone()).filter(|validator| validator.starts_with('"') == is_tag);
    let (etag, last_modified) = (text("etag").or(own(true)), text("last_modified").or(own(false)));
    (notes["url"] == url && from > 0).then_some(Rest { from, validator, etag, last_modified, total })
}

/// Whether it can be sent as a field: the notes are a file, and may have been edited.
fn is_validator(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

fn fits(known: &Known, options: FileOptions, response: &Response) -> Fits {
    let status = response.status;
    match known {
        // Also where a field of the command line asked for it: 304 has no content, and must not empty
        // the file.
        _ if status == StatusCode::NOT_MODIFIED => Fits::Complete,
        Known::Part(rest) => match status {
            StatusCode::PARTIAL_CONTENT if is_rest(rest, response) => Fits::From(rest.from),
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => Fits::StartAgain,
            status if status.is_success() => Fits::From(0),
            _ => Fits::Not,
        },
        Known::File { length, .. } if options.skips_complete && *length > 0 => {
            let whole = match status {
                StatusCode::RANGE_NOT_SATISFIABLE => length_beside_range(&response.header),
                StatusCode::OK => response.content_length,
                _ => None,
            };
            match status {
                _ if whole == Some(*length) => Fits::Complete,
                // There is more of it on the server. Nothing says that what is here is its beginning.
                StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => Fits::StartAgain,
                status if status.is_success() => Fits::From(0),
                _ => Fits::Not,
            }
        }
        Known::Nothing | Known::File { .. } => Fits::From(0),
    }
}

/// Whether 206 is what was asked for: to the end of the whole, as long as it says, and of the same
/// version. Servers that do not know `If-Range` may send the rest of something else; its entity tag or
/// its date tells, where there is one.
fn is_rest(rest: &Rest, response: &Response) -> bool {
    let Some(range) = ContentRange::of(&response.header) else { return false };
    // If neither response says how long the whole is, this range need not reach its end.
    let total = range.total.or(rest.total);
    let is_to_the_end = range.first == rest.from && total == range.last.checked_add(1);
    let is_of_the_same_length = rest.total.is_none() || rest.total == total;
    let is_as_long_as_it_says = response.content_length.is_none_or(|length| length == range.length());
    let is_same = |noted: &Option<String>, name: &str| match (noted.as_deref(), response.header.get(name)) {
        (Some(noted), Some(now)) => noted == now,
        _ => true,
    };
    is_to_the_end
        && is_of_the_same_length
        && is_as_long_as_it_says
        && is_same(&rest.etag, "ETag")
        && is_same(&rest.last_modified, "Last-Modified")
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

    const PLAIN: FileOptions = FileOptions {
        continues: true,
        skips_complete: false,
        skips_unchanged: false,
        sets_time: false,
        replaces: true,
    };

    fn rest_from(from: u64) -> Rest {
        let tag = "\"v1\"";
        Rest { from, validator: tag.into(), etag: Some(tag.into()), last_modified: None, total: Some(10) }
    }

    fn partial(content_range: &str) -> Response {
        Response::new("456789").with_status(StatusCode::PARTIAL_CONTENT).with_header("Content-Range", content_range)
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
        let of = |response: &Response| fits(&Known::Part(rest_from(4)), PLAIN, response);
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
        assert_eq!((of(&status(503)), of(&status(404))), (Fits::Not, Fits::Not));
        assert_eq!(fits(&Known::Nothing, PLAIN, &status(404)), Fits::From(0));
    }

    #[test]
    fn a_rest_of_another_version_or_length_is_none() {
        let (early, late) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:38 GMT");
        let dated = Rest { validator: early.into(), etag: None, last_modified: Some(early.into()), ..rest_from(4) };
        let of = |rest: &Rest, response: Response| fits(&Known::Part(rest.clone()), PLAIN, &response);
        let whole = || partial("bytes 4-9/10");
        assert_eq!(of(&dated, whole().with_header("Last-Modified", early)), Fits::From(4));
        assert_eq!(of(&dated, whole().with_header("Last-Modified", late)), Fits::StartAgain);
        let both = Rest { last_modified: Some(early.into()), ..rest_from(4) };
        let tagged = || whole().with_header("ETag", "\"v1\"");
        assert_eq!(of(&both, tagged().with_header("Last-Modified", late)), Fits::StartAgain);
        let unknown = Rest { total: None, ..rest_from(4) };
        assert_eq!(of(&unknown, whole()), Fits::From(4));
        assert_eq!(of(&unknown, partial("bytes 4-9/*")), Fits::StartAgain, "nobody knows whether it is the end");
        assert_eq!(of(&rest_from(4), partial("bytes 4-8/*")), Fits::StartAgain);
        for content in ["45678", "4567890"] {
            let mut response = whole();
            response.content_length = Some(content.len() as u64);
            assert_eq!(of(&rest_from(4), response), Fits::StartAgain, "{content}");
        }
    }

    #[test]
    fn what_is_whole_is_left_as_it_is() {
        let there = Known::File { length: 10, modified: SystemTime::UNIX_EPOCH };
        let skipping = FileOptions { skips_complete: true, ..PLAIN };
        let of = |options, response: &Response| fits(&there, options, response);
        let status = |code| Response::new("").with_status(StatusCode::from_u16(code).unwrap());
        let none = |range| status(416).with_header("Content-Range", range);
        assert_eq!(of(skipping, &none("bytes */10")), Fits::Complete);
        assert_eq!(
            (of(skipping, &none("bytes */11")), of(skipping, &status(416))),
            (Fits::StartAgain, Fits::StartAgain)
        );
        assert_eq!(of(skipping, &Response::new("0123456789")), Fits::Complete);
        assert_eq!(of(skipping, &Response::new("01234567890")), Fits::From(0));
        assert_eq!(
            (of(skipping, &partial("bytes 10-10/11")), of(skipping, &status(404))),
            (Fits::StartAgain, Fits::Not)
        );
        assert_eq!((of(PLAIN, &status(304)), of(PLAIN, &Response::new("0123456789"))), (Fits::Complete, Fits::From(0)));
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
