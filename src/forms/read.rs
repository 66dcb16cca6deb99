//! The methods of a request that read its form, and how parts become values and files within a memory
//! budget.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use tokio::task::spawn_blocking;

use super::form::{FileContent, FormFile, MultipartForm};
use super::temp_file::TempFile;
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Header, Multipart, Part, Request, Values};

/// The default limit on the memory for the files of a form: 32 MiB.
pub const DEFAULT_MAX_FORM_MEMORY: u64 = 32 << 20;

impl Request {
    /// Reads a whole `multipart/form-data` content (Go's `ParseMultipartForm`).
    ///
    /// Files are held in memory as long as they are of `max_memory` bytes together, with 0 none
    /// is; the others go to one temporary file. Values, names and fields may take 10 MiB beside
    /// that, where each value counts for 200 bytes more than it has and each field line for 50.
    /// Parts without a name are passed over; so is one whose `Content-Disposition` is malformed
    /// ([`Part::name`](crate::forms::Part::name)), and the others are read. There may be 1,000 parts, 10,000 field lines in all
    /// of them, and 10 MiB of these in one.
    ///
    /// How much goes to disk is not limited here: limit the whole content with
    /// [`Body::limit`](crate::Body::limit) or [`max_bytes_handler`](crate::middleware::max_bytes_handler). The
    /// temporary file lies in [`std::env::temp_dir`]. On Unix it has no name from the start;
    /// everywhere it is gone with the last clone of the form and its files, one of which the
    /// request holds until its handler is done.
    ///
    /// Asked again, this answers the same form. Its values are then in
    /// [`form`](Request::form) and [`post_form`](Request::post_form) too. Where it is dropped or
    /// fails before it is done, what was read is lost, and asking again is an error.
    ///
    /// ```
    /// # use nethttp::{Request, ResponseWriter, Result};
    /// async fn upload(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    ///     let form = r.multipart_form(1 << 20).await?;
    ///     let title = form.values().get("title").unwrap_or("untitled");
    ///     let photo = form.file("photo")?;
    ///     w.write(format!("{title}: {} bytes\n", photo.size)).await
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`multipart`](Request::multipart), but `multipart/mixed` is not a form, and as
    /// [`Multipart::next_part`](crate::forms::Multipart::next_part);
    /// [`ErrorKind::BodyTooLarge`](crate::ErrorKind::BodyTooLarge), whose response is 413, for more
    /// values than memory is allowed for; [`ErrorKind::Malformed`](crate::ErrorKind::Malformed),
    /// which becomes a 400, for a value that is not UTF-8;
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the disk fails.
    pub async fn multipart_form(&mut self, max_memory: u64) -> Result<MultipartForm> {
        if let Some(form) = self.extensions.get::<MultipartForm>() {
            return Ok(form.clone());
        }
        let multipart = self.take_parts(&["multipart/form-data"])?;
        let form = collect(multipart, max_memory, std::env::temp_dir()).await?;
        self.keep_values(form.shared_values());
        self.extensions.insert(form.clone());
        Ok(form)
    }

    /// The first value of this name in an urlencoded content, in the query, or in a multipart
    /// form, which are looked at in this order (Go's `FormValue`).
    ///
    /// A multipart form is read with [`DEFAULT_MAX_FORM_MEMORY`]. Errors are passed over, as in
    /// Go: what is malformed, too large or cut off has no value. Where that matters ask
    /// [`form`](Request::form) or [`multipart_form`](Request::multipart_form).
    pub async fn form_value(&mut self, name: &str) -> Option<String> {
        let mut form = self.content_form().await.unwrap_or_default();
        form.append(self.query_form());
        match form.values.get(name) {
            Some(value) => Some(value.to_owned()),
            None => self.multipart_value(name).await,
        }
    }

    /// As [`form_value`](Request::form_value), without the query (Go's `PostFormValue`).
    pub async fn post_form_value(&mut self, name: &str) -> Option<String> {
        let form = self.content_form().await.unwrap_or_default();
        match form.values.get(name) {
            Some(value) => Some(value.to_owned()),
            None => self.multipart_value(name).await,
        }
    }

    /// The first file of this name in a multipart form, which is read with
    /// [`DEFAULT_MAX_FORM_MEMORY`] (Go's `FormFile`).
    ///
    /// # Errors
    /// As [`multipart_form`](Request::multipart_form);
    /// [`ErrorKind::MissingFile`](crate::ErrorKind::MissingFile), whose response is 400.
    pub async fn form_file(&mut self, name: &str) -> Result<FormFile> {
        self.multipart_form(DEFAULT_MAX_FORM_MEMORY).await?.file(name).cloned()
    }

    async fn multipart_value(&mut self, name: &str) -> Option<String> {
        let form = self.multipart_form(DEFAULT_MAX_FORM_MEMORY).await.ok()?;
        form.values().get(name).map(str::to_owned)
    }
}

/// Reads all parts. Files that are too large for `max_memory` go to a file in this directory.
pub(super) async fn collect(mut multipart: Multipart, max_memory: u64, directory: PathBuf) -> Result<MultipartForm> {
    let mut memory = Memory::new(max_memory);
    let mut disk = Disk { directory, file: None, length: 0 };
    let mut values = Values::new();
    let mut files = Vec::new();
    while let Some(mut part) = multipart.next_part().await? {
        let name = part.name().to_owned();
        if name.is_empty() {
            continue;
        }
        memory.charge(ENTRY_OVERHEAD_BYTES + name.len() as u64)?;
        match part.file_name().map(str::to_owned) {
            None => values.add(name, read_value(&mut part, &mut memory).await?),
            Some(file_name) => {
                memory.charge(held_by(&part.header) + file_name.len() as u64)?;
                let (content, size) = read_file(&mut part, &mut memory, &mut disk).await?;
                let header = std::mem::take(&mut part.header);
                files.push((name, FormFile { file_name, header, size, content }));
            }
        }
    }
    Ok(MultipartForm::new(values, files))
}

/// What is left of a form's memory budget.
struct Memory {
    /// For anything.
    left: u64,
    /// For the content of files.
    left_for_files: u64,
}

/// For values, names and fields, in addition to the memory for files (Go's amount).
const VALUES_MEMORY_BYTES: u64 = 10 << 20;

/// The rough cost of an entry and of a field in addition to their bytes. Without this, a form of a
/// million empty values would count for nothing.
const ENTRY_OVERHEAD_BYTES: u64 = 200;
const FIELD_OVERHEAD_BYTES: u64 = 50;

impl Memory {
    fn new(for_files: u64) -> Memory {
        Memory { left: for_files.saturating_add(VALUES_MEMORY_BYTES), left_for_files: for_files }
    }

    fn charge(&mut self, bytes: u64) -> Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| {
            Error::new(ErrorKind::BodyTooLarge, "the values of a form are too large")
                .with_status(StatusCode::PAYLOAD_TOO_LARGE)
        })?;
        Ok(())
    }

    fn has_room_for_file(&self, bytes: usize) -> bool {
        bytes as u64 <= self.left_for_files.min(self.left)
    }

    fn charge_file(&mut self, bytes: usize) -> Result<()> {
        self.left_for_files = self.left_for_files.saturating_sub(bytes as u64);
        self.charge(bytes as u64)
    }
}

fn held_by(header: &Header) -> u64 {
    header.iter().map(|(name, value)| FIELD_OVERHEAD_BYTES + name.len() as u64 + value.len() as u64).sum()
}

async fn read_value(part: &mut Part<'_>, memory: &mut Memory) -> Result<String> {
    let mut value = Vec::new();
    while let Some(chunk) = part.chunk().await? {
        memory.charge(chunk.len() as u64)?;
        value.extend_from_slice(&chunk);
    }
    String::from_utf8(value).map_err(|_| {
        Error::new(ErrorKind::Malformed, "a value of a form is no UTF-8").with_status(StatusCode::BAD_REQUEST)
    })
}

/// The content of a file and its length. It is collected in memory as long as there is room;
/// from then on it goes to disk.
async fn read_file(part: &mut Part<'_>, memory: &mut Memory, disk: &mut Disk) -> Result<(FileContent, u64)> {
    let begin = disk.length;
    let mut collected = Vec::new();
    let mut goes_to_disk = false;
    while let Some(chunk) = part.chunk().await? {
        collected.extend_from_slice(&chunk);
        goes_to_disk = goes_to_disk || !memory.has_room_for_file(collected.len());
        if goes_to_disk && collected.len() >= WRITE_BYTES {
            disk.append(std::mem::take(&mut collected)).await?;
        }
    }
    if !goes_to_disk {
        memory.charge_file(collected.len())?;
        let size = collected.len() as u64;
        return Ok((FileContent::Memory(Bytes::from(collected)), size));
    }
    let file = disk.append(collected).await?;
    Ok((FileContent::Disk(file, begin), disk.length - begin))
}

/// The one temporary file of a form, for all its files: a thousand small ones must not take a
/// thousand descriptors.
struct Disk {
    directory: PathBuf,
    file: Option<Arc<TempFile>>,
    length: u64,
}

/// How much is collected for one hop to a blocking thread.
const WRITE_BYTES: usize = 256 * 1024;

impl Disk {
    /// Appends. If this future is dropped half-way nothing stays on disk: the file is removed when the
    /// last handle to it is dropped.
    async fn append(&mut self, bytes: Vec<u8>) -> Result<Arc<TempFile>> {
        let (file, directory, length) = (self.file.clone(), self.directory.clone(), bytes.len() as u64);
        let write = move || {
            let file = file.map_or_else(|| TempFile::create(&directory).map(Arc::new), Ok);
            let written = file.and_then(|file| file.append(&bytes).map(|()| file));
            written.map_err(|error| {
                // The file has no name. Its directory tells which disk is full.
                let message = format!("a temporary file in {} could not be written", directory.display());
                Error::new(ErrorKind::Io, message).with_source(error)
            })
        };
        let file = spawn_blocking(write).await.map_err(Error::other)??;
        self.length += length;
        self.file = Some(file.clone());
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::message::Body;

    /// A directory of this test's own, taken away at its end.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Directory {
            let path = std::env::temp_dir().join(format!("nethttp-forms-{}-{name}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Directory(path)
        }

        fn names(&self) -> usize {
            fs::read_dir(&self.0).unwrap().count()
        }

        /// How many open files of this process lie, or lay, in it.
        #[cfg(target_os = "linux")]
        fn open_files(&self) -> usize {
            let links =
                fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
            links.filter(|target| target.starts_with(&self.0)).count()
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn value(name: &str, content: &str) -> String {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{content}\r\n")
    }

    fn file(name: &str, content: &str) -> String {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=f\r\n\r\n{content}\r\n")
    }

    async fn read(parts: &[String], max_memory: u64, directory: &Directory) -> Result<MultipartForm> {
        let content = Body::from(parts.concat() + "--b--");
        collect(Multipart::new(content, "b").unwrap(), max_memory, directory.0.clone()).await
    }

    fn is_on_disk(file: &FormFile) -> bool {
        matches!(file.content, FileContent::Disk(..))
    }

    #[tokio::test]
    async fn values_and_files_are_told_apart_and_keep_their_order() {
        let directory = Directory::new("apart");
        let parts =
            [value("a", "1"), file("f", "one"), value("a", ""), file("g", ""), file("f", "two"), value("", "x")];
        let form = read(&parts, 100, &directory).await.unwrap();
        assert_eq!(form.values().encode(), "a=1&a=");
        let files: Vec<_> = form.all_files().map(|(name, file)| (name, file.size)).collect();
        assert_eq!(files, [("f", 3), ("g", 0), ("f", 3)]);
        assert_eq!(form.file("f").unwrap().bytes(3).await.unwrap(), "one");
        assert_eq!(form.files("f").nth(1).unwrap().bytes(3).await.unwrap(), "two");
        assert_eq!(form.file("f").unwrap().bytes(2).await.unwrap_err().kind(), ErrorKind::BodyTooLarge);
        let error = form.file("a").unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::MissingFile, Some(StatusCode::BAD_REQUEST)));
    }

    #[tokio::test]
    async fn a_part_with_a_bad_disposition_is_passed_over_and_the_others_are_read() {
        let directory = Directory::new("skipped");
        let bad = "--b\r\nContent-Disposition: form-data; name=\"c\r\n\r\n2\r\n".to_owned();
        let twice =
            "--b\r\nContent-Disposition: form-data; name=d\r\nContent-Disposition: form-data; name=e\r\n\r\n3\r\n";
        let parts = [value("a", "1"), bad, twice.to_owned(), file("f", "one"), value("z", "4")];
        let form = read(&parts, 100, &directory).await.unwrap();
        assert_eq!(form.values().encode(), "a=1&z=4");
        assert_eq!(form.all_files().map(|(name, _)| name).collect::<Vec<_>>(), ["f"]);
    }

    #[tokio::test]
    async fn files_beyond_the_memory_go_to_disk_and_read_the_same() {
        let directory = Directory::new("disk");
        let (small, large) = ("s".repeat(1000), "0123456789".repeat(100_000));
        let parts = [file("a", &small), file("b", &large), file("c", &small), file("d", &small), file("e", &large)];
        let form = read(&parts, 2000, &directory).await.unwrap();
        let on_disk: Vec<_> = form.all_files().map(|(_, file)| is_on_disk(file)).collect();
        assert_eq!(on_disk, [false, true, false, true, true]);
        for (name, content) in [("a", &small), ("b", &large), ("c", &small), ("d", &small), ("e", &large)] {
            let file = form.file(name).unwrap();
            assert_eq!(file.size, content.len() as u64);
            for _ in 0..2 {
                assert!(file.bytes(1 << 20).await.unwrap() == *content, "{name}");
            }
        }
    }

    #[tokio::test]
    async fn two_readers_of_one_temporary_file_do_not_disturb_each_other() {
        let directory = Directory::new("readers");
        let (ones, twos) = ("1".repeat(300_000), "2".repeat(300_000));
        let form = read(&[file("a", &ones), file("b", &twos)], 0, &directory).await.unwrap();
        let (a, b) = (form.file("a").unwrap(), form.file("b").unwrap());
        let (a, b) = tokio::join!(a.bytes(1 << 20), b.bytes(1 << 20));
        assert!(a.unwrap() == ones && b.unwrap() == twos);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_form_has_one_temporary_file_without_a_name_and_none_when_it_is_dropped() {
        let directory = Directory::new("gone");
        let parts = vec![file("f", "content"); 500];
        let form = read(&parts, 0, &directory).await.unwrap();
        assert_eq!((directory.names(), directory.open_files()), (0, 1));
        let kept = form.file("f").unwrap().clone();
        let mut opened = kept.open();
        drop(form);
        assert_eq!(directory.open_files(), 1, "one of its files is still there");
        drop(kept);
        assert_eq!(opened.bytes(7).await.unwrap(), "content", "and outlives even that");
        drop(opened);
        assert_eq!((directory.names(), directory.open_files()), (0, 0));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn nothing_is_left_on_disk_when_reading_fails() {
        let directory = Directory::new("fails");
        let large = file("f", &"x".repeat(1 << 20));
        let cases = [
            (large.clone(), ErrorKind::CutOff),
            (large.clone() + "--b\r\nbad\r\n\r\n", ErrorKind::Malformed),
            (large.clone() + &file("g", "").repeat(1000), ErrorKind::BodyTooLarge),
            (large + &value("v", &"y".repeat(10 << 20)), ErrorKind::BodyTooLarge),
        ];
        for (content, kind) in cases {
            let multipart = Multipart::new(content, "b").unwrap();
            let error = collect(multipart, 0, directory.0.clone()).await.unwrap_err();
            assert_eq!(error.kind(), kind);
            assert_eq!((directory.names(), directory.open_files()), (0, 0), "{kind:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn nothing_is_left_on_disk_when_reading_is_given_up() {
        let directory = Directory::new("dropped");
        let (sender, content) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
        let multipart = Multipart::new(Body::from_stream(Channel(content)), "b").unwrap();
        let reading = tokio::spawn(collect(multipart, 0, directory.0.clone()));
        sender.send(Bytes::from(file("f", &"x".repeat(1 << 20)))).unwrap();
        while directory.open_files() == 0 {
            tokio::task::yield_now().await;
        }
        reading.abort();
        assert!(reading.await.unwrap_err().is_cancelled());
        while directory.open_files() != 0 {
            // A write that has begun holds the file until it is done.
            tokio::task::yield_now().await;
        }
        assert_eq!(directory.names(), 0);
    }

    struct Channel(tokio::sync::mpsc::UnboundedReceiver<Bytes>);

    impl futures_core::Stream for Channel {
        type Item = Result<Bytes>;

        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Bytes>>> {
            self.0.poll_recv(cx).map(|chunk| chunk.map(Ok))
        }
    }

    #[tokio::test]
    async fn values_may_take_ten_mib_beside_the_memory_for_files() {
        let directory = Directory::new("values");
        let taking = |bytes: u64| value("v", &"x".repeat((bytes - ENTRY_OVERHEAD_BYTES - 1) as usize));
        assert!(read(&[taking(VALUES_MEMORY_BYTES)], 0, &directory).await.is_ok());
        let error = read(&[taking(VALUES_MEMORY_BYTES + 1)], 0, &directory).await.unwrap_err();
        assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::BodyTooLarge, 413));
        assert!(read(&[taking(VALUES_MEMORY_BYTES + 1)], 1, &directory).await.is_ok());
        assert!(read(&[taking(VALUES_MEMORY_BYTES + 1)], u64::MAX, &directory).await.is_ok(), "no overflow");
    }

    #[tokio::test]
    async fn fields_and_names_count_as_well() {
        let directory = Directory::new("fields");
        let head = format!("Content-Disposition: form-data; name=f; filename=f\r\nX: {}", "x".repeat(6 << 20));
        let part = format!("--b\r\n{head}\r\n\r\n\r\n");
        assert!(read(std::slice::from_ref(&part), 0, &directory).await.is_ok());
        assert_eq!(read(&[part.clone(), part], 0, &directory).await.unwrap_err().kind(), ErrorKind::BodyTooLarge);
    }

    #[tokio::test]
    async fn a_value_that_is_no_text_is_refused() {
        let directory = Directory::new("text");
        let content = [b"--b\r\nContent-Disposition: form-data; name=v\r\n\r\n\xff\r\n--b--".as_slice()].concat();
        let error = collect(Multipart::new(content, "b").unwrap(), 0, directory.0.clone()).await.unwrap_err();
        assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::Malformed, 400));
    }

    #[tokio::test]
    async fn a_disk_that_fails_is_an_error_of_the_system() {
        let directory = Directory::new("no");
        let nowhere = directory.0.join("nowhere");
        let content = file("f", "x") + "--b--";
        let error = collect(Multipart::new(content, "b").unwrap(), 0, nowhere).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Io, None));
    }
}
