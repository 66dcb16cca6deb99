//! What options have for their values, as it is written on the command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// A field to send, or a default one to keep back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Send { name: String, value: String },
    KeepBack { name: String },
}

pub(crate) fn field(text: &str) -> Result<Field, &'static str> {
    let form = "write 'Name: value'";
    let (name, value) = match text.split_once(':') {
        Some((name, value)) => (name, Some(value.trim()).filter(|value| !value.is_empty())),
        None => (text.strip_suffix(';').ok_or(form)?, Some("")),
    };
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(form);
    }
    let name = name.to_owned();
    match value {
        Some(value) if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') => {
            Err("a field has no line ends and no control characters")
        }
        Some(value) => Ok(Field::Send { name, value: value.to_owned() }),
        None => Ok(Field::KeepBack { name }),
    }
}

/// User and password. `Debug` shows none.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

pub(crate) fn credentials(text: &str) -> Result<Credentials, &'static str> {
    let (user, password) = text.split_once(':').ok_or("write USER:PASSWORD")?;
    Ok(Credentials { user: user.to_owned(), password: password.to_owned() })
}

/// Where a host and port are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostOverride {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) addresses: Vec<SocketAddr>,
}

pub(crate) fn host_override(text: &str) -> Result<HostOverride, &'static str> {
    let form = "write HOST:PORT:ADDR, such as example.com:443:127.0.0.1";
    let (host, rest) = text.split_once(':').ok_or(form)?;
    let (port, addresses) = rest.split_once(':').ok_or(form)?;
    let port: u16 = port.parse().map_err(|_| form)?;
    let address = |text: &str| {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, port)).map_err(|_| form)
    };
    let addresses = addresses.split(',').map(address).collect::<Result<_, _>>()?;
    if host.is_empty() { Err(form) } else { Ok(HostOverride { host: host.to_owned(), port, addresses }) }
}

pub(crate) fn seconds(text: &str) -> Result<Duration, &'static str> {
    let form = "write a number of seconds, such as 10 or 0.5";
    Duration::try_from_secs_f64(text.parse().map_err(|_| form)?).map_err(|_| form)
}

/// A number of bytes, with K, M or G for powers of 1024.
pub(crate) fn byte_count(text: &str) -> Result<u64, &'static str> {
    const FORM: &str = "write a number of bytes that is not 0, such as 5000, 200K or 10M";
    let (digits, factor) = match text.char_indices().next_back() {
        Some((at, 'k' | 'K')) => (&text[..at], 1 << 10),
        Some((at, 'm' | 'M')) => (&text[..at], 1 << 20),
        Some((at, 'g' | 'G')) => (&text[..at], 1 << 30),
        _ => (text, 1_u64),
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let count = Some(digits).filter(|_| is_number).and_then(|digits| digits.parse::<u64>().ok());
    count.and_then(|count| count.checked_mul(factor)).filter(|count| *count > 0).ok_or(FORM)
}

/// Where a download goes on (`-C`): there is one answer alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContinueAt;

pub(crate) fn continue_at(text: &str) -> Result<ContinueAt, &'static str> {
    if text == "-" { Ok(ContinueAt) } else { Err("write -C -: where to go on is found out, and cannot be chosen") }
}

/// A part of a form: `NAME=TEXT`, `NAME=@FILE`, `NAME=<FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FormPart {
    pub(crate) name: String,
    pub(crate) value: FormValue,
    pub(crate) content_type: Option<String>,
    /// What the file is called for the server, in place of its own name.
    pub(crate) file_name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FormValue {
    Text(String),
    /// A file that is sent as one.
    File(PathBuf),
    /// A text that is read from a file.
    TextOf(PathBuf),
}

pub(crate) fn form_part(text: &str) -> Result<FormPart, &'static str> {
    const FORM: &str =
        "write NAME=TEXT, NAME=@FILE or NAME=<FILE, perhaps with ;type=TYPE and ;filename=NAME behind it";
    let (name, value) = text.split_once('=').ok_or(FORM)?;
    let mut part =
        FormPart { name: name.to_owned(), value: FormValue::Text(String::new()), content_type: None, file_name: None };
    let mut value = value;
    // From the end, so that a text may have semicolons of its own.
    while let Some((before, option)) = value.rsplit_once(';') {
        match option.trim_start().split_once('=') {
            Some(("type", found)) => part.content_type = Some(found.to_owned()),
            Some(("filename", found)) => part.file_name = Some(found.trim_matches('"').to_owned()),
            _ => break,
        }
        value = before;
    }
    part.value = match value.split_at_checked(1) {
        Some(("@", path)) => FormValue::File(path.into()),
        Some(("<", path)) => FormValue::TextOf(path.into()),
        _ => FormValue::Text(value.to_owned()),
    };
    let has_control = |text: &String| text.bytes().any(|byte| byte.is_ascii_control());
    let is_plain = !part.content_type.iter().any(has_control);
    if name.is_empty() || !is_plain { Err(FORM) } else { Ok(part) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_sent_sent_empty_or_kept_back() {
        let send = |name: &str, value: &str| Ok(Field::Send { name: name.into(), value: value.into() });
        assert_eq!(field("A: b: c "), send("A", "b: c"));
        assert_eq!(field("A;"), send("A", ""));
        assert_eq!(field("A: "), Ok(Field::KeepBack { name: "A".into() }));
        for wrong in ["A", "", ": x", "A b: c", "A: b\r\nC: d", "A: \u{1}"] {
            assert!(field(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_place_has_a_host_a_port_and_addresses() {
        let found = host_override("a.test:443:127.0.0.1,[::1],::2").unwrap();
        assert_eq!((found.host.as_str(), found.port), ("a.test", 443));
        let addresses: Vec<_> = found.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["127.0.0.1:443", "[::1]:443", "[::2]:443"]);
        for wrong in ["a.test", "a.test:443", "a.test:443:", "a.test:x:127.0.0.1", ":443:127.0.0.1", "a:1:b"] {
            assert!(host_override(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_seconds_with_a_fraction_or_without() {
        assert_eq!((seconds("10"), seconds("0.25")), (Ok(Duration::from_secs(10)), Ok(Duration::from_millis(250))));
        for wrong in ["", "-1", "x", "NaN", "inf", "1e30"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_password_is_not_shown_by_accident() {
        let found = credentials("me:my:secret").unwrap();
        assert_eq!((found.user.as_str(), found.password.as_str()), ("me", "my:secret"));
        assert!(!format!("{found:?}").contains("secret") && credentials("me").is_err());
    }

    #[test]
    fn a_count_of_bytes_may_have_a_unit() {
        assert_eq!((byte_count("5000"), byte_count("2K"), byte_count("3m")), (Ok(5000), Ok(2048), Ok(3 << 20)));
        for wrong in ["", "0", "K", "-1", "+1", "1.5M", "1KB", "99999999999999999999", "18446744073709551615G"] {
            assert!(byte_count(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_part_of_a_form_is_text_or_a_file() {
        let part = |value: FormValue, content_type: Option<&str>, file_name: Option<&str>| FormPart {
            name: "n".into(),
            value,
            content_type: content_type.map(str::to_owned),
            file_name: file_name.map(str::to_owned),
        };
        let text = |text: &str| FormValue::Text(text.into());
        for (written, expected) in [
            ("n=", part(text(""), None, None)),
            ("n=a=b;c", part(text("a=b;c"), None, None)),
            ("n=a;type=text/x", part(text("a"), Some("text/x"), None)),
            ("n=@x/y.png", part(FormValue::File("x/y.png".into()), None, None)),
            (
                "n=@x;filename=\"z.png\";type=image/png",
                part(FormValue::File("x".into()), Some("image/png"), Some("z.png")),
            ),
            ("n=<x", part(FormValue::TextOf("x".into()), None, None)),
        ] {
            assert_eq!(form_part(written), Ok(expected), "{written}");
        }
        for wrong in ["", "n", "=x", "n=@x;type=a\r\nb"] {
            assert!(form_part(wrong).is_err(), "{wrong:?}");
        }
    }
}
