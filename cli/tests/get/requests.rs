//! What is sent.

use nethttp::{Response, StatusCode};

use crate::support::{Folder, Site, get, get_with_input, noting};

#[test]
fn a_plain_request_says_who_asks_and_no_more_than_it_must() {
    let (site, log) = noting();
    get(&[&site.url("/x?y")]).says("ok");
    let asked = log.only();
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("GET", "/x?y"));
    let mut names: Vec<_> = asked.header.iter().map(|(name, _)| name.to_owned()).collect();
    names.sort();
    assert_eq!(names, ["Accept", "User-Agent"]);
    assert_eq!(asked.field("User-Agent"), Some(concat!("nethttp/", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn fields_replace_the_default_ones_are_added_sent_empty_or_kept_back() {
    let (site, log) = noting();
    let fields =
        ["-H", "X: 1", "-H", "X: 2", "-H", "Empty;", "-H", "Accept:", "-H", "User-Agent: me", "-H", "Host: b.test"];
    get(&[&fields[..], &[&site.url("/")]].concat()).says("ok");
    let asked = log.only();
    assert_eq!(asked.header.values("X").collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!((asked.field("Empty"), asked.field("Accept"), asked.field("User-Agent")), (Some(""), None, Some("me")));
    assert_eq!(asked.host, "b.test");
    get(&["-A", "agent", &site.url("/")]).says("ok");
    assert_eq!(log.only().field("User-Agent"), Some("agent"));
    for without in [["-A", ""], ["-H", "User-Agent:"]] {
        get(&[&without[..], &[&site.url("/")]].concat()).says("ok");
        assert_eq!(log.only().field("User-Agent"), None, "{without:?}");
    }
}

#[test]
fn data_is_sent_as_a_form_by_post() {
    let (site, log) = noting();
    get(&["-d", "a=1", "-d", "b=-2", &site.url("/")]).says("ok");
    let asked = log.only();
    assert_eq!((asked.method.as_str(), asked.content.as_str()), ("POST", "a=1&b=-2"));
    assert_eq!(asked.field("Content-Type"), Some("application/x-www-form-urlencoded"));
    get(&["-X", "PUT", "-H", "Content-Type: text/plain", "-d", "-text", &site.url("/")]).says("ok");
    let asked = log.only();
    assert_eq!((asked.method.as_str(), asked.content.as_str()), ("PUT", "-text"));
    assert_eq!(asked.field("Content-Type"), Some("text/plain"));
    get(&["-X", "DELETE", &site.url("/")]).says("ok");
    assert_eq!(log.only().method, "DELETE");
}

#[test]
fn data_comes_from_files_and_from_standard_input_as_it_is() {
    let ((site, log), folder) = (noting(), Folder::new());
    folder.write("data", "two\r\nlines\n");
    folder.get(&["-d", "@data", &site.url("/")]).says("ok");
    assert_eq!(log.only().content, "two\r\nlines\n");
    get_with_input(&["--json", "@-", &site.url("/1"), &site.url("/2")], "[1]").says("okok");
    assert_eq!(log.take().iter().map(|asked| asked.content.as_str()).collect::<Vec<_>>(), ["[1]", "[1]"]);
    assert!(folder.get(&["-d", "@missing", &site.url("/")]).is(1).stderr().contains("missing: "));
}

#[test]
fn json_is_sent_and_accepted() {
    let (site, log) = noting();
    get(&["--json", r#"{"a":"#, "--json", "1}", &site.url("/")]).says("ok");
    let asked = log.only();
    assert_eq!((asked.method.as_str(), asked.content.as_str()), ("POST", r#"{"a":1}"#));
    let json = Some("application/json");
    assert_eq!((asked.field("Content-Type"), asked.field("Accept")), (json, json));
}

#[test]
fn credentials_are_for_the_origin_that_they_were_given_for() {
    let (other, log) = noting();
    let there = other.url("/there");
    let site = Site::answering(move |asked| {
        let basic = asked.field("Authorization").unwrap_or("none").to_owned();
        Response::new(basic).with_status(StatusCode::FOUND).with_header("Location", &there)
    });
    get(&["-u", "me:se:cret", &site.url("/")]).says("Basic bWU6c2U6Y3JldA==");
    get(&[&format!("http://me:se%3Acret@{}/", site.address)]).says("Basic bWU6c2U6Y3JldA==");
    get(&["-L", "-u", "me:secret", &site.url("/")]).says("ok");
    assert_eq!(log.only().field("Authorization"), None);
}

#[test]
fn verbose_shows_both_heads_and_never_a_password() {
    let site = Site::answering(|asked| match asked.target.as_str() {
        "/from" => Response::new("").with_status(StatusCode::FOUND).with_header("Location", "/to"),
        _ => Response::new("there").with_header("X-Steer", "a\u{9b}b"),
    });
    let ended = get(&["-vL", "-u", "me:secret", "-d", "x", &site.url("/from")]);
    let text = ended.is(0).stderr();
    assert_eq!(ended.stdout(), "there");
    assert!(text.starts_with(&format!("> POST /from\n> Host: {}\n", site.address)), "{text}");
    for line in
        ["> Authorization: Basic ***", "> Content-Length: 1", "< HTTP/1.1 302 Found", "< Location: /to", "> GET /to"]
    {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    assert!(text.contains(&format!("* connected to {}, used again", site.address)), "{text}");
    assert!(!text.contains("secret") && !text.contains("bWU6") && !text.contains('\u{9b}'), "{text}");
}
