//! Which requests go by a proxy is what the slow rules say, and no password of a proxy is shown to anybody.

use nethttp::client::{IntoUrl, Proxy, ProxyUrl};

use crate::input::Input;
use crate::reference::no_proxy;

/// A host with its port, a proxy, and the list of `NO_PROXY`: a line each, the last one to the end.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = Input(text.as_bytes());
    let [host, proxy] = [(); 2].map(|()| std::str::from_utf8(lines.until(b'\n')).expect("it was text"));
    let list = std::str::from_utf8(lines.0).expect("it was text");
    if let Ok(url) = ProxyUrl::parse(proxy) {
        let shown = url.to_string();
        assert!(!shown.chars().any(char::is_control) && url.port() != 0, "{shown:?}");
        assert!(shown.contains('@') || ProxyUrl::parse(&shown).expect("what is shown is one") == url, "{shown:?}");
    }
    let Ok(uri) = format!("http://{host}/").as_str().into_url() else { return };
    let chosen = Proxy::from_variables([("HTTP_PROXY", "http://p.test:1"), ("NO_PROXY", list)]).choose(&uri);
    let is_direct = chosen.expect("the proxy is one").is_none();
    if let Some(expected) = no_proxy::is_direct(list, uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(80)) {
        assert_eq!(is_direct, expected, "{uri} with {list:?}");
    }
    if let Err(error) = Proxy::from_variables([("HTTP_PROXY", proxy), ("NO_PROXY", list)]).choose(&uri) {
        let told = format!("{error} {error:?}");
        assert!(!proxy.contains("s3cret") || !told.contains("s3cret"), "{told}");
    }
}
