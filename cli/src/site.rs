//! What is served: the files, and what the options put around them.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use clap::Args;
use nethttp::files::{Dir, FileServer};
use nethttp::{Handler, Header, Method, Request, ResponseWriter, Result, ServeMux, StatusCode, strip_prefix};

use crate::auth::{Accounts, Login, User};

#[derive(Debug, Args)]
pub(crate) struct SiteArguments {
    /// Show no listings: directories without an index are not found
    #[arg(long)]
    no_listing: bool,

    /// The file that is shown for its directory
    #[arg(long, value_name = "NAME", default_value = "index.html")]
    index: String,

    /// Show the index of DIR where there is nothing: for applications that route in the browser
    ///
    /// What is missing and has a dot in its name stays missing, unless the client asks for HTML.
    /// There are no listings.
    #[arg(long)]
    spa: bool,

    /// Serve below this path
    #[arg(long, value_name = "/PATH", value_parser = prefix)]
    prefix: Option<String>,

    /// Serve names that begin with a dot, too
    #[arg(long)]
    hidden: bool,

    /// Follow links that lead out of the directory, too
    #[arg(long)]
    follow_links: bool,

    /// Send text with gzip, and NAME.br, NAME.zst or NAME.gz in place of NAME where it lies beside it
    #[arg(long)]
    compress: bool,

    /// Add this field to all answers; may be given several times
    ///
    /// Fields that say how long an answer may be kept (Cache-Control, Expires) are left out of errors
    /// and redirects.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<AddedField>,

    /// Let pages of other sites read the files: of all sites, or of this one
    #[arg(long, value_name = "ORIGIN", num_args = 0..=1, require_equals = true, default_missing_value = "*")]
    cors: Option<Origin>,

    /// Ask for a user and a password; may be given several times
    ///
    /// The hash is made by `nethttp hash`. Without TLS, user and password can be read on the way.
    #[arg(long = "auth", value_name = "USER:HASH")]
    users: Vec<User>,
}

/// The prefix as it is in URLs: with a slash before and none after it.
fn prefix(text: &str) -> std::result::Result<String, &'static str> {
    let inner = text.strip_prefix('/').ok_or("write a path that begins with a slash, such as /files")?;
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let is_segment = |segment: &str| !matches!(segment, "" | "." | "..");
    if inner.bytes().all(is_plain) && inner.split('/').all(is_segment) {
        Ok(format!("/{inner}"))
    } else {
        Err("write a path of plain names: letters, digits, and -._~")
    }
}

/// A field that is added to answers.
#[derive(Clone, Debug)]
pub(crate) struct AddedField {
    name: String,
    value: String,
}

impl FromStr for AddedField {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<AddedField, &'static str> {
        const FORM: &str = "write a name and a value, such as \"Cache-Control: max-age=60\"";
        // Fields that frame the response are set by the server alone.
        const OWN: [&str; 5] = ["content-length", "transfer-encoding", "connection", "content-range", "trailer"];
        let (name, value) = text.split_once(':').ok_or(FORM)?;
        let (name, value) = (name.trim(), value.trim());
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_name) || !is_value(value) {
            return Err(FORM);
        }
        if OWN.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            return Err("this field is the server's own");
        }
        Ok(AddedField { name: name.to_owned(), value: value.to_owned() })
    }
}

impl AddedField {
    /// Adds them all, those for caches only to what may be kept: successes and 304.
    pub(crate) fn add_all(fields: &[AddedField], status: StatusCode, header: &mut Header) {
        let is_kept = status.is_success() || status == StatusCode::NOT_MODIFIED;
        for field in fields.iter().filter(|field| is_kept || !field.is_for_caches()) {
            header.add(&field.name, &field.value);
        }
    }

    /// Whether caches take from it how long they may keep an answer (RFC 9111 §5, RFC 9213).
    fn is_for_caches(&self) -> bool {
        let name = self.name.to_ascii_lowercase();
        matches!(&*name, "expires" | "pragma" | "surrogate-control") || name.ends_with("cache-control")
    }
}

/// Whether it can be the value of a field (RFC 9110 §5.5).
fn is_value(text: &str) -> bool {
    text.bytes().all(|byte| (byte >= b' ' && byte != 0x7f) || byte == b'\t')
}

/// Who may read the files from a page: the value of `Access-Control-Allow-Origin`.
#[derive(Clone, Debug)]
pub(crate) struct Origin(String);

impl FromStr for Origin {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Origin, &'static str> {
        let is_host = |host: &str| !host.is_empty() && !host.contains('/') && is_value(host);
        let is_origin = text == "*" || text.split_once("://").is_some_and(|(_, host)| is_host(host));
        if is_origin { Ok(Origin(text.to_owned())) } else { Err("write an origin, such as https://example.com") }
    }
}

impl SiteArguments {
    /// The path that the URLs begin with.
    pub(crate) fn path(&self) -> String {
        format!("{}/", self.prefix.as_deref().unwrap_or_default())
    }

    pub(crate) fn handler(&self, directory: &Path) -> anyhow::Result<impl Handler + use<>> {
        let mux = ServeMux::new();
        // The mux refuses what is neither GET nor HEAD.
        match &self.prefix {
            Some(prefix) => mux.handle(&format!("GET {prefix}/"), strip_prefix(prefix.clone(), self.files(directory))),
            None => mux.handle("GET /", self.files(directory)),
        }
        let accounts = if self.users.is_empty() { None } else { Some(Accounts::new(&self.users)?) };
        let (cache_fields, fields): (Vec<_>, Vec<_>) =
            self.headers.iter().cloned().partition(AddedField::is_for_caches);
        Ok(Site { fields, cache_fields: cache_fields.into(), cors: self.cors.clone(), accounts, mux })
    }

    fn files(&self, directory: &Path) -> FileServer {
        let tree = if self.follow_links { Dir::trusted(directory) } else { Dir::new(directory) };
        let files = FileServer::new(tree)
            .hidden_files(self.hidden)
            .listings(!self.no_listing && !self.spa)
            .index_page(&self.index)
            .precompressed(self.compress)
            .compressed(self.compress);
        if self.spa { files.fallback_page(PathBuf::from(&self.index)) } else { files }
    }
}

struct Site {
    fields: Vec<AddedField>,
    cache_fields: Arc<[AddedField]>,
    cors: Option<Origin>,
    accounts: Option<Accounts>,
    mux: ServeMux,
}

impl Handler for Site {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        for field in &self.fields {
            w.header().add(&field.name, &field.value);
        }
        self.add_cache_fields(w);
        if let Some(origin) = &self.cors {
            allow(w, origin, self.accounts.is_some());
            // A preflight request: browsers send it without a password.
            if r.method == Method::OPTIONS && r.header.contains("Access-Control-Request-Method") {
                w.write_header(StatusCode::NO_CONTENT);
                return Ok(());
            }
        }
        if let Some(accounts) = &self.accounts {
            match log_in(accounts, r).await {
                Login::Accepted => {}
                refused => return refuse(w, refused, "files").await,
            }
        }
        self.mux.serve_http(w, r).await
    }
}

/// What is answered to who is not let in.
pub(crate) async fn refuse(w: &mut ResponseWriter, login: Login, realm: &str) -> Result<()> {
    match login {
        Login::Busy => {
            w.header().set("Retry-After", "2");
            nethttp::error(w, "503 too many passwords to check", StatusCode::SERVICE_UNAVAILABLE).await
        }
        Login::Refused | Login::Accepted => {
            w.header().set("WWW-Authenticate", format!("Basic realm=\"{realm}\", charset=\"UTF-8\""));
            nethttp::error(w, "401 unauthorized", StatusCode::UNAUTHORIZED).await
        }
    }
}

pub(crate) async fn log_in(accounts: &Accounts, r: &Request) -> Login {
    let Some((user, password)) = r.basic_auth() else { return Login::Refused };
    tokio::select! {
        login = accounts.log_in(&user, &password) => login,
        // The client has closed: its check gives up its place among those that wait.
        () = r.context().cancelled() => Login::Busy,
    }
}

impl Site {
    /// Adds them to successes and to 304. They are meant for the files: a cache that kept a 404 as long
    /// would still send it when the file is there. The status is only known when the head is sent.
    fn add_cache_fields(&self, w: &mut ResponseWriter) {
        if self.cache_fields.is_empty() {
            return;
        }
        let fields = self.cache_fields.clone();
        w.before_head(move |status, header| AddedField::add_all(&fields, status, header));
    }
}

/// The fields by which browsers let pages of another origin read answers (Fetch, "CORS protocol").
fn allow(w: &mut ResponseWriter, Origin(origin): &Origin, asks_for_password: bool) {
    let fields = [
        ("Access-Control-Allow-Origin", origin.as_str()),
        ("Access-Control-Allow-Methods", "GET, HEAD"),
        (
            "Access-Control-Allow-Headers",
            "Authorization, Range, If-Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since",
        ),
        ("Access-Control-Expose-Headers", "Accept-Ranges, Content-Encoding, Content-Length, Content-Range, ETag"),
        ("Access-Control-Max-Age", "86400"),
    ];
    for (name, value) in fields {
        w.header().set(name, value);
    }
    if origin != "*" {
        w.header().add("Vary", "Origin");
        if asks_for_password {
            w.header().set("Access-Control-Allow-Credentials", "true");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_plain_and_ends_without_a_slash() {
        assert_eq!(prefix("/files").as_deref(), Ok("/files"));
        assert_eq!(prefix("/a/b-1.2_~/").as_deref(), Ok("/a/b-1.2_~"));
        for text in ["", "files", "/", "//", "/a//b", "/a/../b", "/a b", "/a{b}", "/a%20b", "/é"] {
            assert!(prefix(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_field_has_a_name_and_a_value_on_one_line_and_frames_nothing() {
        let field: AddedField = "Cache-Control: max-age=60".parse().unwrap();
        assert_eq!((&*field.name, &*field.value), ("Cache-Control", "max-age=60"));
        for text in ["", "a", ": b", "a b: c", "a: b\r\nc: d", "Content-Length: 1", "Transfer-encoding : chunked"] {
            assert!(text.parse::<AddedField>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_origin_is_a_scheme_and_a_host_or_all() {
        for text in ["*", "https://example.com", "http://localhost:3000"] {
            assert!(text.parse::<Origin>().is_ok(), "{text}");
        }
        for text in ["", "example.com", "https://", "https://example.com/", "https://a\r\nb"] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }
}
