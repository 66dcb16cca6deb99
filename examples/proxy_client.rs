//! Gets a URL through a proxy: http, https, socks5 or socks5h.
//!
//! ```sh
//! cargo run --example proxy_client -- http://user:password@127.0.0.1:3128 https://example.com/
//! cargo run --example proxy_client -- socks5://127.0.0.1:9050 https://example.com/
//! cargo run --example proxy_client -- environment https://example.com/
//! ```

use std::sync::Arc;

use nethttp::client::Proxy;
use nethttp::{Client, Error, Response, Result, Transport};

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(proxy), Some(url)) = (arguments.next(), arguments.next()) else {
        return Err(Error::other("usage: proxy_client PROXY|environment URL"));
    };

    let mut transport = Transport::new();
    transport.proxy = match proxy.as_str() {
        // The default of a transport: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY.
        "environment" => Proxy::from_environment(),
        // This one for all; `Proxy::from_fn` decides for each request.
        url => Proxy::url(url)?,
    };
    // Fields for the proxy, beside the credentials in its URL.
    transport.proxy_connect_header.set("X-Team", "example");
    transport.on_proxy_connect_response = Some(Arc::new(|response: &Response| {
        eprintln!("the proxy says {}", response.status);
        Ok(())
    }));

    let mut response = Client::with_transport(transport).get(url).await?;
    let peer = response.remote_addr().map(ToString::to_string).unwrap_or_default();
    println!("{} over {peer}", response.status);
    print!("{}", response.text().await?);
    Ok(())
}
