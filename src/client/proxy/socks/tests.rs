use tokio::io::duplex;

use super::*;

const GRANTED: &[u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
const USER: Option<(&[u8], &[u8])> = Some((b"gopher", b"secret"));

/// Asks a proxy that says all this and closes then, cut at this place. What came of it, what the
/// client wrote, what the proxy had said beyond.
async fn asked(
    host: &str,
    credentials: Option<(&[u8], &[u8])>,
    said: &[u8],
    cut: usize,
) -> (Result<()>, Vec<u8>, Vec<u8>) {
    let (mut stream, mut proxy) = duplex(4096);
    let speaking = async {
        for piece in [&said[..cut], &said[cut..]] {
            proxy.write_all(piece).await.unwrap();
            // A read returns this piece only.
            tokio::task::yield_now().await;
        }
        proxy.shutdown().await.unwrap();
        proxy
    };
    let (result, mut proxy) = tokio::join!(connect(&mut stream, host, 443, credentials), speaking);
    let (mut beyond, mut written) = (Vec::new(), Vec::new());
    stream.read_to_end(&mut beyond).await.unwrap();
    drop(stream);
    proxy.read_to_end(&mut written).await.unwrap();
    (result, written, beyond)
}

async fn line_of(credentials: Option<(&[u8], &[u8])>, said: &[u8]) -> String {
    let error = asked("a.test", credentials, said, 0).await.0.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Proxy, Some(Phase::Proxy)));
    error.to_string().replace(" (while talking to the proxy)", "")
}

#[tokio::test]
async fn names_go_to_the_proxy_and_addresses_as_what_they_are() {
    for (host, kind_and_address) in [
        ("a.test", &b"\x03\x06a.test"[..]),
        ("192.0.2.1", b"\x01\xc0\x00\x02\x01"),
        ("[::1]", b"\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"),
        ("::ffff:192.0.2.1", b"\x01\xc0\x00\x02\x01"),
        ("127.1", b"\x03\x05127.1"),
    ] {
        let (result, written, _) = asked(host, None, &[b"\x05\0", GRANTED].concat(), 0).await;
        result.unwrap();
        assert_eq!(written, [b"\x05\x01\0", &b"\x05\x01\0"[..], kind_and_address, b"\x01\xbb"].concat(), "{host}");
    }
}

#[tokio::test]
async fn the_answers_are_read_to_the_byte_however_they_are_cut() {
    let answers: [&[u8]; 3] = [
        b"\x05\0\0\x01\x7f\0\0\x01\x10\xe1",
        b"\x05\0\0\x03\x06b.test\x10\xe1",
        b"\x05\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x10\xe1",
    ];
    for answer in answers {
        let said = [b"\x05\x02\x01\0", answer, b"beyond"].concat();
        for cut in 0..said.len() {
            let (result, written, beyond) = asked("a.test", USER, &said, cut).await;
            result.unwrap();
            let expected = b"\x05\x02\0\x02\x01\x06gopher\x06secret\x05\x01\0\x03\x06a.test\x01\xbb";
            assert_eq!((&*written, &*beyond), (&expected[..], &b"beyond"[..]), "cut at {cut}");
        }
        // Without its end it is told that there is none.
        let whole = said.len() - b"beyond".len();
        for end in 0..whole {
            let line = line_of(USER, &said[..end]).await;
            assert_eq!(line, "the SOCKS proxy closed in the middle of the conversation", "ends at {end}");
        }
    }
}

#[tokio::test]
async fn credentials_are_offered_and_shown_only_when_they_are_asked_for() {
    let (result, written, _) = asked("a.test", USER, &[b"\x05\0", GRANTED].concat(), 0).await;
    result.unwrap();
    assert_eq!(written, b"\x05\x02\0\x02\x05\x01\0\x03\x06a.test\x01\xbb");

    let (result, written, _) = asked("a.test", Some((b"u", b"")), &[b"\x05\x02\x01\0", GRANTED].concat(), 0).await;
    result.unwrap();
    assert!(written.starts_with(b"\x05\x02\0\x02\x01\x01u\0\x05"), "an empty password");
}

#[tokio::test]
async fn each_refusal_has_a_plain_text() {
    const NOBODY: Option<(&[u8], &[u8])> = None;
    for (credentials, said, told) in [
        (NOBODY, &b"\x05\xff"[..], "the SOCKS proxy wants credentials"),
        (USER, b"\x05\xff", "the SOCKS proxy takes neither nobody nor user and password"),
        (NOBODY, b"\x05\x02", "the SOCKS proxy chose a way to authenticate that it was not offered"),
        (USER, b"\x05\x01", "the SOCKS proxy chose a way to authenticate that it was not offered"),
        (USER, b"\x05\x02\x01\x01", "the SOCKS proxy does not accept user and password"),
        (USER, b"\x05\x02\x05\0", "the SOCKS proxy answers user and password with another version"),
        (NOBODY, b"\x04\0", "the proxy speaks version 4 of SOCKS, or something else"),
        (NOBODY, b"HTTP/1.1 400 Bad Request\r\n", "the proxy speaks HTTP and not SOCKS5"),
        (NOBODY, b"\x05\0\x04\0\0\x01", "the proxy speaks version 4 of SOCKS, or something else"),
        (NOBODY, b"\x05\0\x05\0\x01\x01", "the SOCKS proxy's answer has something in a reserved field"),
        (NOBODY, b"\x05\0\x05\0\0\x02", "the SOCKS proxy's answer has an unknown type of address"),
    ] {
        assert_eq!(line_of(credentials, said).await, told);
    }
}

#[tokio::test]
async fn each_reply_has_a_plain_text() {
    for (reply, told) in [
        (1, "general failure"),
        (2, "its rules do not allow it"),
        (3, "the network is unreachable"),
        (4, "the host is unreachable"),
        (5, "connection refused"),
        (6, "the TTL expired"),
        (7, "it does not know the command"),
        (8, "it does not know the type of address"),
        (9, "unknown reply 9"),
        (255, "unknown reply 255"),
    ] {
        let line = line_of(None, &[5, 0, 5, reply, 0, 1]).await;
        assert_eq!(line, format!("the SOCKS proxy cannot connect to a.test:443: {told}"));
    }
}

#[tokio::test]
async fn what_cannot_be_said_is_refused_before_a_byte_is() {
    let long = "x".repeat(256);
    let bytes = long.as_bytes();
    for (host, credentials, told) in [
        (&*long, None, "the name of the host has not 1 to 255 bytes"),
        ("", None, "the name of the host has not 1 to 255 bytes"),
        ("a.test", Some((bytes, &b"p"[..])), "the user's name has not 1 to 255 bytes"),
        ("a.test", Some((b"", b"p")), "the user's name has not 1 to 255 bytes"),
        ("a.test", Some((b"u", bytes)), "the password has more than 255 bytes"),
    ] {
        let (result, written, _) = asked(host, credentials, b"", 0).await;
        let error = result.unwrap_err();
        assert_eq!((error.kind(), &*written), (ErrorKind::Invalid, &b""[..]));
        assert!(error.to_string().starts_with(told), "{error}");
    }
    let error = connect(&mut tokio::io::empty(), "a.test", 0, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);

    let longest = (&bytes[..255], &bytes[..255]);
    let said = [b"\x05\x02\x01\0", GRANTED].concat();
    asked(&long[..255], Some(longest), &said, 0).await.0.unwrap();
}

#[tokio::test]
async fn a_stream_that_breaks_is_reported_as_an_error() {
    let (mut stream, proxy) = duplex(64);
    drop(proxy);
    let error = connect(&mut stream, "a.test", 443, None).await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Io, Some(Phase::Proxy)));
}
