//! The requests, as the command line wants them.

use std::sync::Arc;

use nethttp::client::{RedirectChoice, RedirectHook};
use nethttp::{Body, Method, Request, Uri};

use super::cookies::Cookies;
use super::failure::Failure;
use super::netrc::Netrc;
use super::options::GetArguments;
use super::upload::Upload;
use super::values::Field;

/// What each request has, whatever its URL.
pub(crate) struct RequestTemplate {
    pub(crate) method: Method,
    content: Option<Upload>,
    accept: &'static str,
    cookie: Option<String>,
    arguments: Arc<GetArguments>,
    netrc: Arc<Netrc>,
}

impl RequestTemplate {
    /// Reads what is sent and cannot be read twice, such as standard input.
    pub(crate) fn new(
        arguments: Arc<GetArguments>,
        cookies: &Cookies,
        netrc: Arc<Netrc>,
    ) -> Result<RequestTemplate, Failure> {
        let content = content(&arguments)?.map(|content| content.no_faster_than(arguments.limit_rate));
        if arguments.urls.len() > 1 && content.as_ref().is_some_and(|content| !content.is_replayable()) {
            let message = "what -T sends can be read once alone: give one URL, or a file";
            return Err(Failure::usage(message));
        }
        if arguments.head && content.is_some() {
            return Err(Failure::usage("-I asks for status and fields alone, and sends no content"));
        }
        let method = match &arguments.method {
            Some(method) => method.clone(),
            None if arguments.head => Method::HEAD,
            None if arguments.upload_file.is_some() => Method::PUT,
            None if content.is_some() => Method::POST,
            None => Method::GET,
        };
        let accept = if arguments.json.is_empty() { "*/*" } else { "application/json" };
        Ok(RequestTemplate { method, content, accept, cookie: cookies.field(), arguments, netrc })
    }

    pub(crate) fn request(&self, url: &Uri) -> nethttp::Result<Request> {
        let body = self.content.as_ref().map_or(Ok(Body::empty()), Upload::body)?;
        let mut request = Request::to(self.method.clone(), url.clone(), body)?;
        if let Some(content) = &self.content {
            request.content_length = content.length();
            // For what is sent. What comes is watched where it is written, by its rate too.
            request.timeouts.stall = Some(self.arguments.speed_time);
        }
        let content_type = self.content.as_ref().and_then(|content| content.content_type.as_deref());
        let defaults =
            [("Accept", Some(self.accept)), ("Content-Type", content_type), ("Cookie", self.cookie.as_deref())];
        for (name, value) in defaults.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            request.header.set(name, value);
        }
        if let Some(range) = self.arguments.range {
            request.header.set("Range", range.to_string());
        }
        match &self.arguments.user {
            Some(credentials) => request.set_basic_auth(&credentials.user, &credentials.password),
            None => self.netrc.authorize(&mut request),
        }
        set_fields(&mut request, &self.arguments.fields);
        request.timeouts.total = Some(self.arguments.max_time);
        Ok(request)
    }

    /// Whether the rest of a file can be asked for: it is a plain GET, and what is written is the
    /// content as the server has it.
    pub(crate) fn can_be_continued(&self) -> bool {
        let GetArguments { include, compressed, no_continue, range, fields, .. } = &*self.arguments;
        let names_a_range =
            fields.iter().any(|field| matches!(field, Field::Send { name, .. } if is_about_ranges(name)));
        self.method == Method::GET
            && self.content.is_none()
            && range.is_none()
            && !(*include || *compressed || *no_continue || names_a_range)
    }
}

/// What a redirect keeps that it would lose: the method of the command line, and the password for the
/// host that it leads to.
pub(crate) fn redirect_hook(arguments: &GetArguments, netrc: &Arc<Netrc>) -> RedirectHook {
    let (method, netrc) = (arguments.method.clone(), netrc.clone());
    Arc::new(move |request, earlier| {
        if let Some(method) = &method {
            // Without content, unless the redirect keeps that.
            request.method.clone_from(method);
        }
        // What was asked under TLS may lead to where everyone on the way can read the password.
        let was_secure = earlier.iter().any(|response| response.url.scheme_str() == Some("https"));
        if request.uri.scheme_str() == Some("https") || !was_secure {
            netrc.authorize(request);
        }
        Ok(RedirectChoice::Follow)
    })
}

fn content(arguments: &GetArguments) -> Result<Option<Upload>, Failure> {
    Ok(Some(if !arguments.json.is_empty() {
        Upload::of_data(&arguments.json, "")?.with_type("application/json")
    } else if !arguments.data.is_empty() {
        Upload::of_data(&arguments.data, "&")?.with_type("application/x-www-form-urlencoded")
    } else if !arguments.form.is_empty() {
        Upload::of_form(&arguments.form)?
    } else if let Some(path) = &arguments.upload_file {
        Upload::of_file(path)?
    } else {
        return Ok(None);
    }))
}

fn is_about_ranges(name: &str) -> bool {
    ["Range", "If-Range", "Accept-Encoding"].iter().any(|own| name.eq_ignore_ascii_case(own))
}

/// Those of the command line replace the default ones, and each is sent.
fn set_fields(request: &mut Request, fields: &[Field]) {
    for field in fields {
        let (Field::Send { name, .. } | Field::KeepBack { name }) = field;
        request.header.del(name);
    }
    for field in fields {
        match field {
            Field::Send { name, value } if name.eq_ignore_ascii_case("Host") => request.host.clone_from(value),
            Field::Send { name, value } => request.header.add(name, value),
            // One that is set empty is not sent at all.
            Field::KeepBack { name } if name.eq_ignore_ascii_case("User-Agent") => request.header.set(name, ""),
            Field::KeepBack { .. } => {}
        }
    }
}
