//! What a request offers of the form that it brings.

use super::collect::collect;
use super::form::{FormFile, MultipartForm};
use crate::error::Result;
use crate::message::Request;

/// What the files of a form may take of memory where nothing else is said: 32 MiB.
pub const DEFAULT_MAX_FORM_MEMORY: u64 = 32 << 20;

impl Request {
    /// Reads a whole `multipart/form-data` content (Go's `ParseMultipartForm`).
    ///
    /// Files are held in memory as long as they are of `max_memory` bytes together, with 0 none
    /// is; the others go to one temporary file. Values, names and fields may take 10 MiB beside
    /// that, where each value counts for 200 bytes more than it has and each field line for 50.
    /// Parts without a name are passed over. There may be 1,000 parts, 10,000 field lines in all
    /// of them, and 10 MiB of these in one.
    ///
    /// How much goes to disk is not limited here: limit the whole content with
    /// [`Body::limit`](crate::Body::limit) or [`max_bytes_handler`](crate::max_bytes_handler). The
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
    /// As [`multipart`](Request::multipart), but `multipart/mixed` is no form, and as
    /// [`Multipart::next_part`](crate::Multipart::next_part);
    /// [`ErrorKind::BodyTooLarge`](crate::ErrorKind::BodyTooLarge), which answers 413, for more
    /// values than memory is allowed for; [`ErrorKind::Malformed`](crate::ErrorKind::Malformed),
    /// which answers 400, for a value that is no UTF-8;
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
    /// [`ErrorKind::MissingFile`](crate::ErrorKind::MissingFile), which answers 400.
    pub async fn form_file(&mut self, name: &str) -> Result<FormFile> {
        self.multipart_form(DEFAULT_MAX_FORM_MEMORY).await?.file(name).cloned()
    }

    async fn multipart_value(&mut self, name: &str) -> Option<String> {
        let form = self.multipart_form(DEFAULT_MAX_FORM_MEMORY).await.ok()?;
        form.values().get(name).map(str::to_owned)
    }
}
