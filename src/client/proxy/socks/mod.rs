//! SOCKS5 as its client speaks it (RFC 1928, with the credentials of RFC 1929).
//!
//! Names go to the proxy as they are, for `socks5` and `socks5h` alike (Go's rule). What is read is
//! read to the byte: what comes after the last answer is the target's.

use std::borrow::Cow;
use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::error::{Error, ErrorKind, Phase, Result};

const VERSION: u8 = 5;
const CONNECT: u8 = 1;
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NO_METHOD_ACCEPTED: u8 = 0xff;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;
/// Of the negotiation of user and password, which counts its own (RFC 1929 §2).
const CREDENTIALS_VERSION: u8 = 1;
const SUCCEEDED: u8 = 0;

/// Has the proxy at the other end of this stream connect to a host: a name, or an IP address with
/// or without brackets. Then the stream leads there. Credentials are user and password.
///
/// Not to be used again when it fails or is dropped half-way.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid), before anything is written, for what SOCKS cannot say;
/// [`Proxy`](ErrorKind::Proxy) when the proxy refuses or speaks something else;
/// [`Io`](ErrorKind::Io).
pub(crate) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    host: &str,
    port: u16,
    credentials: Option<(&[u8], &[u8])>,
) -> Result<()> {
    let request = request(host, port)?;
    let credentials = credentials.map(credentials_message).transpose()?;
    greet(stream, credentials.as_deref()).await?;
    send(stream, &request).await?;
    read_reply(stream, host, port).await
}

/// RFC 1928 §4.
fn request(host: &str, port: u16) -> Result<Vec<u8>> {
    if port == 0 {
        return Err(invalid("0 is no port"));
    }
    let mut request = vec![VERSION, CONNECT, 0];
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(ip)) => {
            request.push(IPV4);
            request.extend(ip.octets());
        }
        Ok(IpAddr::V6(ip)) => {
            request.push(IPV6);
            request.extend(ip.octets());
        }
        Err(_) => {
            request.push(NAME);
            push_counted(&mut request, host.as_bytes(), "the name of the host has not 1 to 255 bytes")?;
        }
    }
    request.extend(port.to_be_bytes());
    Ok(request)
}

/// RFC 1929 §2. There a password has a byte at least; Go sends an empty one too, as users without
/// a password are common.
fn credentials_message((user, password): (&[u8], &[u8])) -> Result<Vec<u8>> {
    let mut message = vec![CREDENTIALS_VERSION];
    push_counted(&mut message, user, "the user's name has not 1 to 255 bytes")?;
    if password.is_empty() {
        message.push(0);
    } else {
        push_counted(&mut message, password, "the password has more than 255 bytes")?;
    }
    Ok(message)
}

fn push_counted(message: &mut Vec<u8>, text: &[u8], otherwise: &'static str) -> Result<()> {
    match u8::try_from(text.len()) {
        Ok(len @ 1..) => message.push(len),
        _ => return Err(invalid(otherwise)),
    }
    message.extend_from_slice(text);
    Ok(())
}

/// Agrees on who we are (RFC 1928 §3).
async fn greet<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, credentials: Option<&[u8]>) -> Result<()> {
    let greeting: &[u8] = match credentials {
        Some(_) => &[VERSION, 2, NO_AUTHENTICATION, USER_AND_PASSWORD],
        None => &[VERSION, 1, NO_AUTHENTICATION],
    };
    send(stream, greeting).await?;
    let [version, method] = receive(stream).await?;
    check_version(version)?;
    match (method, credentials) {
        (NO_AUTHENTICATION, _) => Ok(()),
        (USER_AND_PASSWORD, Some(credentials)) => authenticate(stream, credentials).await,
        (NO_METHOD_ACCEPTED, Some(_)) => Err(refused("the SOCKS proxy takes neither nobody nor user and password")),
        (NO_METHOD_ACCEPTED, None) => Err(refused("the SOCKS proxy wants credentials")),
        _ => Err(refused("the SOCKS proxy chose a way to authenticate that it was not offered")),
    }
}

async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, credentials: &[u8]) -> Result<()> {
    send(stream, credentials).await?;
    match receive(stream).await? {
        [CREDENTIALS_VERSION, SUCCEEDED] => Ok(()),
        [CREDENTIALS_VERSION, _] => Err(refused("the SOCKS proxy does not accept user and password")),
        _ => Err(refused("the SOCKS proxy answers user and password with another version")),
    }
}

/// RFC 1928 §6. The address in it is of no use here, but it is on the wire.
async fn read_reply<S: AsyncRead + Unpin>(stream: &mut S, host: &str, port: u16) -> Result<()> {
    let [version, reply, reserved, kind] = receive(stream).await?;
    check_version(version)?;
    if reply != SUCCEEDED {
        return Err(refused(format!("the SOCKS proxy cannot connect to {host}:{port}: {}", reason(reply))));
    }
    if reserved != 0 {
        return Err(refused("the SOCKS proxy's answer has something in a reserved field"));
    }
    let address_len = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => receive::<1, _>(stream).await?[0],
        _ => return Err(refused("the SOCKS proxy's answer has an unknown type of address")),
    };
    let mut bound = [0; 255 + 2];
    let bound = bound.get_mut(..usize::from(address_len) + 2).unwrap_or_default();
    stream.read_exact(bound).await.map(drop).map_err(broken)
}

fn check_version(version: u8) -> Result<()> {
    match version {
        VERSION => Ok(()),
        b'H' => Err(refused("the proxy speaks HTTP and not SOCKS5")),
        other => Err(refused(format!("the proxy speaks version {other} of SOCKS, or something else"))),
    }
}

/// RFC 1928 §6.
fn reason(reply: u8) -> Cow<'static, str> {
    Cow::Borrowed(match reply {
        1 => "general failure",
        2 => "its rules do not allow it",
        3 => "the network is unreachable",
        4 => "the host is unreachable",
        5 => "connection refused",
        6 => "the TTL expired",
        7 => "it does not know the command",
        8 => "it does not know the type of address",
        other => return Cow::Owned(format!("unknown reply {other}")),
    })
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, message: &[u8]) -> Result<()> {
    stream.write_all(message).await.map_err(broken)?;
    stream.flush().await.map_err(broken)
}

async fn receive<const N: usize, S: AsyncRead + Unpin>(stream: &mut S) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.map_err(broken)?;
    Ok(bytes)
}

fn broken(error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return refused("the SOCKS proxy closed in the middle of the conversation");
    }
    Error::new(ErrorKind::Io, "").with_source(error).during(Phase::Proxy)
}

fn refused(what: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Proxy, what).during(Phase::Proxy)
}

fn invalid(what: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, what).during(Phase::Proxy)
}

#[cfg(test)]
mod tests;
