//! The proxies that the environment variables set.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use http::Uri;

use super::no_proxy::NoProxy;
use super::url::ProxyUrl;
use crate::error::{Error, ErrorKind, Result};

/// The parsed environment. Pure: the caller passes the variables in.
#[derive(Debug)]
pub(super) struct Environment {
    http: Setting,
    https: Setting,
    no_proxy: NoProxy,
}

/// The setting of a scheme's variable.
#[derive(Debug)]
enum Setting {
    Missing,
    Proxy(Arc<ProxyUrl>),
    /// Requests that it is for fail with this: what is wrong with which variable.
    Wrong(String),
}

/// The environment of the process, as it was at the first call.
pub(super) fn of_process() -> Arc<Environment> {
    static ENVIRONMENT: OnceLock<Arc<Environment>> = OnceLock::new();
    let read = || Arc::new(Environment::read(&std::env::vars_os().filter_map(as_text).collect()));
    ENVIRONMENT.get_or_init(read).clone()
}

/// Bytes of a variable that are not text are replaced: the value is then refused as a proxy, in an error that
/// names the variable.
fn as_text((name, value): (std::ffi::OsString, std::ffi::OsString)) -> Option<(String, String)> {
    Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
}

impl Environment {
    pub(super) fn read(variables: &HashMap<String, String>) -> Environment {
        let http = match any_of(variables, ["HTTP_PROXY", "http_proxy"]) {
            Some((name, _)) if variables.get("REQUEST_METHOD").is_some_and(|method| !method.is_empty()) => {
                Setting::Wrong(format!("{name} is not believed in a CGI program, where the client sets it"))
            }
            found => Setting::of(found.or_else(|| all_proxy(variables))),
        };
        let https = any_of(variables, ["HTTPS_PROXY", "https_proxy"]).or_else(|| all_proxy(variables));
        let no_proxy = any_of(variables, ["NO_PROXY", "no_proxy"]).map_or("", |(_, list)| list);
        Environment { http, https: Setting::of(https), no_proxy: NoProxy::read(no_proxy) }
    }

    /// The proxy for this URL. Schemes other than http and https have none.
    pub(super) fn choose(&self, uri: &Uri) -> Result<Option<Arc<ProxyUrl>>> {
        let (setting, default_port) = match uri.scheme_str() {
            Some("http") => (&self.http, 80),
            Some("https") => (&self.https, 443),
            _ => return Ok(None),
        };
        if matches!(setting, Setting::Missing) {
            return Ok(None);
        }
        let direct = self.no_proxy.has(uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(default_port));
        match setting {
            Setting::Proxy(url) if !direct => Ok(Some(url.clone())),
            Setting::Wrong(what) if !direct => Err(Error::new(ErrorKind::Invalid, what.clone())),
            _ => Ok(None),
        }
    }
}

impl Setting {
    fn of(variable: Option<(&str, &str)>) -> Setting {
        let Some((name, value)) = variable else { return Setting::Missing };
        match ProxyUrl::parse(value) {
            Ok(url) => Setting::Proxy(Arc::new(url)),
            Err(error) => Setting::Wrong(format!("{name}: {error}")),
        }
    }
}

/// The first of these names that has a value, and the value.
fn any_of<'a>(variables: &'a HashMap<String, String>, names: [&'static str; 2]) -> Option<(&'a str, &'a str)> {
    let value = |name| Some((name, variables.get(name)?.as_str())).filter(|(_, value)| !value.is_empty());
    names.into_iter().find_map(value)
}

fn all_proxy(variables: &HashMap<String, String>) -> Option<(&str, &str)> {
    any_of(variables, ["ALL_PROXY", "all_proxy"])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is chosen for the URL, as text.
    fn choice(variables: &[(&str, &str)], uri: &str) -> String {
        let variables = variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        match Environment::read(&variables).choose(&uri.parse().unwrap()) {
            Ok(Some(url)) => url.to_string(),
            Ok(None) => "direct".to_owned(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn a_scheme_has_its_own_variable_and_else_the_one_for_all() {
        const H: (&str, &str) = ("HTTP_PROXY", "h.test:1");
        const S: (&str, &str) = ("HTTPS_PROXY", "https://s.test:2");
        const A: (&str, &str) = ("ALL_PROXY", "socks5://a.test:3");
        for (variables, http, https) in [
            (&[][..], "direct", "direct"),
            (&[H], "http://h.test:1", "direct"),
            (&[S], "direct", "https://s.test:2"),
            (&[H, S], "http://h.test:1", "https://s.test:2"),
            (&[A], "socks5://a.test:3", "socks5://a.test:3"),
            (&[A, H], "http://h.test:1", "socks5://a.test:3"),
            (&[A, S], "socks5://a.test:3", "https://s.test:2"),
            (&[("HTTP_PROXY", ""), A], "socks5://a.test:3", "socks5://a.test:3"),
            (&[("http_proxy", "l.test"), ("https_proxy", "m.test")], "http://l.test:80", "http://m.test:80"),
            (&[("all_proxy", "l.test")], "http://l.test:80", "http://l.test:80"),
            (&[H, ("http_proxy", "l.test")], "http://h.test:1", "direct"),
            (&[("HTTP_PROXY", ""), ("http_proxy", "l.test")], "http://l.test:80", "direct"),
            (&[("Http_Proxy", "l.test")], "direct", "direct"),
        ] {
            assert_eq!(choice(variables, "http://example.com/"), http, "{variables:?}");
            assert_eq!(choice(variables, "https://example.com/"), https, "{variables:?}");
            assert_eq!(choice(variables, "ws://example.com/"), "direct", "{variables:?}");
        }
    }

    #[test]
    fn this_machine_and_what_is_listed_are_reached_directly() {
        for name in ["NO_PROXY", "no_proxy"] {
            let variables = [("ALL_PROXY", "proxy.test"), (name, "internal.test,10.0.0.0/8,b.test:8080,c.test:443")];
            for (uri, direct) in [
                ("http://localhost/", true),
                ("http://127.0.0.1:8080/", true),
                ("https://[::1]/", true),
                ("https://wiki.internal.test/", true),
                ("http://10.1.2.3/", true),
                ("http://11.1.2.3/", false),
                ("http://b.test:8080/", true),
                ("http://b.test/", false),
                ("https://c.test/", true),
                ("http://c.test/", false),
                ("http://example.com/", false),
            ] {
                assert_eq!(choice(&variables, uri) == "direct", direct, "{uri}");
            }
        }
    }

    #[test]
    fn in_a_cgi_program_http_proxy_is_not_used() {
        let cgi = ("REQUEST_METHOD", "POST");
        let refused = "error: HTTP_PROXY is not believed in a CGI program, where the client sets it";
        let variables = [cgi, ("HTTP_PROXY", "evil.test"), ("HTTPS_PROXY", "s.test"), ("NO_PROXY", "a.test")];
        assert_eq!(choice(&variables, "http://example.com/"), refused);
        assert_eq!(choice(&variables, "https://example.com/"), "http://s.test:80");
        // Nothing of the variable is used, so there is nothing to refuse.
        assert_eq!(choice(&variables, "http://a.test/"), "direct");
        assert!(choice(&[cgi, ("http_proxy", "p.test")], "http://b.test/").starts_with("error: http_proxy"));
        assert_eq!(choice(&[cgi, ("ALL_PROXY", "p.test")], "http://b.test/"), "http://p.test:80");
        let none = [("REQUEST_METHOD", ""), ("HTTP_PROXY", "p.test")];
        assert_eq!(choice(&none, "http://b.test/"), "http://p.test:80");
    }

    #[test]
    fn a_variable_that_is_no_proxy_fails_what_would_have_used_it() {
        let variables = [("HTTPS_PROXY", "http://u:s3cret@:x"), ("NO_PROXY", "a.test")];
        let error = choice(&variables, "https://example.com/");
        assert!(error.starts_with("error: HTTPS_PROXY: ") && !error.contains("s3cret"), "{error}");
        assert_eq!(choice(&variables, "http://example.com/"), "direct");
        assert_eq!(choice(&variables, "https://a.test/"), "direct");
    }

    #[test]
    fn the_environment_of_the_process_is_read_once() {
        assert!(Arc::ptr_eq(&of_process(), &of_process()));
    }
}
