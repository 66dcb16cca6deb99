//! The client of a test's server.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::listener::Dialer;
use super::setup::{ServerSetup, SpokenProtocol};
use super::tls::trust_certificate;
use crate::client::{Client, ClientProtocols, Proxy, Transport};
use crate::message::Addr;
use crate::net::{DialedStream, dial_fn};

/// The client, once it was asked for.
#[derive(Default)]
pub(super) struct ClientSlot(OnceLock<Client>);

impl ClientSlot {
    pub(super) fn close_idle_connections(&self) {
        if let Some(client) = self.0.get() {
            client.transport.close_idle_connections();
        }
    }

    pub(super) fn get(&self, setup: ServerSetup, dialer: Option<&Dialer>) -> Client {
        self.0.get_or_init(|| new_client(setup, dialer)).clone()
    }
}

fn new_client(setup: ServerSetup, dialer: Option<&Dialer>) -> Client {
    let mut transport = Transport::new();
    transport.proxy = Proxy::none();
    transport.protocols = match setup.protocol {
        SpokenProtocol::Agreed => ClientProtocols::Auto,
        SpokenProtocol::Http1 => ClientProtocols::Http1,
        SpokenProtocol::Http2 => ClientProtocols::Http2,
    };
    trust_certificate(&mut transport);
    if let Some(dialer) = dialer.cloned() {
        // Where time is paused, it passes at once when all wait, and a handler may wait for an hour.
        transport.response_header_timeout = Duration::ZERO;
        transport.dial = Arc::new(dial_fn(move |host, port| dial(dialer.clone(), format!("{host}:{port}"))));
    }
    let mut client = Client::new();
    client.transport = Arc::new(transport);
    client
}

/// Whatever the name, there is one server.
async fn dial(dialer: Dialer, name: String) -> io::Result<DialedStream> {
    let stream = dialer.dial().await?;
    Ok(DialedStream::new(stream).with_addrs(Addr::Named("client".into()), Addr::Named(name.into())))
}
