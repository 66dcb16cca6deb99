//! What is sent.

use nethttp::{Response, StatusCode};

use crate::support::{Folder, Log, Site, command, get, get_with_input, noting};

#[test]
fn a_plain_request_has_host_user_agent_and_accept_encoding_only() {
    let (site, log) = noting();
    get(&[&site.url("/x?y")]).says("ok");
    let received = log.only();
    assert_eq!((received.method.as_str(), received.target.as_str()), ("GET", "/x?y"));
    let mut names: Vec<_> = received.header.iter().map(|(name, _)| name.to_owned()).collect();
    names.sort();
    assert_eq!(names, ["Accept", "User-Agent"]);
    assert_eq!(received.field("User-Agent"), Some(concat!("nethttp/", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn fields_replace_the_default_ones_are_added_sent_empty_or_kept_back() {
    let (site, log) = noting();
    let fields =
        ["-H", "X: 1", "-H", "X: 2", "-H", "Empty;", "-H", "Accept:", "-H", "User-Agent: me", "-H", "Host: b.test"];
    get(&[&fields[..], &[&site.url("/")]].concat()).says("ok");
    let received = log.only();
    assert_eq!(received.header.values("X").collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(
        (received.field("Empty"), received.field("Accept"), received.field("User-Agent")),
        (Some(""), None, Some("me"))
    );
    assert_eq!(received.host, "b.test");
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
    let received = log.only();
    assert_eq!((received.method.as_str(), received.content.as_str()), ("POST", "a=1&b=-2"));
    assert_eq!(received.field("Content-Type"), Some("application/x-www-form-urlencoded"));
    get(&["-X", "PUT", "-H", "Content-Type: text/plain", "-d", "-text", &site.url("/")]).says("ok");
    let received = log.only();
    assert_eq!((received.method.as_str(), received.content.as_str()), ("PUT", "-text"));
    assert_eq!(received.field("Content-Type"), Some("text/plain"));
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
    assert_eq!(log.take().iter().map(|received| received.content.as_str()).collect::<Vec<_>>(), ["[1]", "[1]"]);
    assert!(folder.get(&["-d", "@missing", &site.url("/")]).is(1).stderr().contains("missing: "));
}

#[test]
fn json_is_sent_and_accepted() {
    let (site, log) = noting();
    get(&["--json", r#"{"a":"#, "--json", "1}", &site.url("/")]).says("ok");
    let received = log.only();
    assert_eq!((received.method.as_str(), received.content.as_str()), ("POST", r#"{"a":1}"#));
    let json = Some("application/json");
    assert_eq!((received.field("Content-Type"), received.field("Accept")), (json, json));
}

#[test]
fn credentials_are_for_the_origin_that_they_were_given_for() {
    let (other, log) = noting();
    let there = other.url("/there");
    let site = Site::answering(move |received| {
        let basic = received.field("Authorization").unwrap_or("none").to_owned();
        Response::new(basic).with_status(StatusCode::FOUND).with_header("Location", &there)
    });
    get(&["-u", "me:se:cret", &site.url("/")]).says("Basic bWU6c2U6Y3JldA==");
    get(&[&format!("http://me:se%3Acret@{}/", site.address)]).says("Basic bWU6c2U6Y3JldA==");
    get(&["-L", "-u", "me:secret", &site.url("/")]).says("ok");
    assert_eq!(log.only().field("Authorization"), None);
}

#[test]
fn verbose_shows_both_heads_and_never_a_password() {
    let site = Site::answering(|received| match received.target.as_str() {
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

#[test]
fn a_form_has_texts_and_files_each_between_boundaries_and_a_length() {
    let ((site, log), folder) = (noting(), Folder::new());
    folder.write("a.txt", "the file");
    folder.write("text", "from a file");
    let arguments = ["-F", "name=va;lue", "-F", "quo\"te=@a.txt", "-F", "x=@a.txt;type=image/png;filename=b.png"];
    folder.get(&[&arguments[..], &["-F", "t=<text", &site.url("/")]].concat()).says("ok");
    let received = log.only();
    let content_type = received.field("Content-Type").unwrap();
    let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
    let expected = [
        "Content-Disposition: form-data; name=\"name\"\r\n\r\nva;lue\r\n",
        "Content-Disposition: form-data; name=\"quo%22te\"; filename=\"a.txt\"\r\n\
         Content-Type: text/plain\r\n\r\nthe file\r\n",
        "Content-Disposition: form-data; name=\"x\"; filename=\"b.png\"\r\n\
         Content-Type: image/png\r\n\r\nthe file\r\n",
        "Content-Disposition: form-data; name=\"t\"\r\n\r\nfrom a file\r\n",
    ];
    let expected: String = expected.iter().map(|part| format!("--{boundary}\r\n{part}")).collect();
    assert_eq!((received.method.as_str(), received.content.clone()), ("POST", format!("{expected}--{boundary}--\r\n")));
    assert!(received.header.contains("Content-Length"), "{:?}", received.header);
    folder.get(&["-F", "x=@missing", &site.url("/")]).is(1);
    folder.get(&["-F", "x", &site.url("/")]).is(2);
    folder.get(&["-F", "x=1", "-d", "y", &site.url("/")]).is(2);
}

#[test]
fn a_file_is_put_under_its_name_with_its_length_and_again_where_a_redirect_wants_that() {
    let log = Log::default();
    let noted = log.clone();
    let site = Site::answering(move |received| {
        noted.note(received);
        match received.target.as_str() {
            "/from/two%20words" => {
                Response::new("").with_status(StatusCode::TEMPORARY_REDIRECT).with_header("Location", "/to")
            }
            _ => Response::new("ok"),
        }
    });
    let (folder, content) = (Folder::new(), "line\n".repeat(60_000));
    folder.write("two words", &content);
    folder.get(&["-L", "-T", "two words", &site.url("/from/")]).says("ok");
    let received = log.take();
    assert_eq!(
        received.iter().map(|received| received.target.as_str()).collect::<Vec<_>>(),
        ["/from/two%20words", "/to"]
    );
    for received in received {
        assert_eq!((received.method.as_str(), received.field("Content-Length")), ("PUT", Some("300000")));
        assert_eq!((received.content == content, received.field("Content-Type")), (true, None));
    }
    // Standard input has no length, and no name.
    get_with_input(&["-T", "-", &site.url("/x/")], "input").says("ok");
    let received = log.only();
    assert_eq!((received.target.as_str(), received.content.as_str()), ("/x/", "input"));
    assert_eq!(received.field("Content-Length"), None);
    assert!(get(&["-T", "-", &site.url("/1"), &site.url("/2")]).is(2).stderr().contains("read once alone"));
    folder.get(&["-T", "missing", &site.url("/")]).is(1);
    folder.get(&["-T", ".", &site.url("/")]).is(1);
}

#[test]
fn data_of_a_file_has_its_length_however_large_it_is() {
    let ((site, log), folder) = (noting(), Folder::new());
    let content = "0123456789".repeat(50_000);
    folder.write("data", &content);
    folder.get(&["-d", "@data", "-d", "b=1", &site.url("/1"), &site.url("/2")]).says("okok");
    for received in log.take() {
        assert!(received.content == format!("{content}&b=1") && received.field("Content-Length") == Some("500004"));
    }
}

#[test]
fn a_method_of_the_command_line_stays_through_redirects() {
    let (there, log) = noting();
    let target = there.url("/to");
    let site = Site::answering(move |received| {
        let status = StatusCode::from_u16(received.target[1..].parse().unwrap()).unwrap();
        Response::new("").with_status(status).with_header("Location", &target)
    });
    for status in ["/301", "/302", "/303"] {
        get(&["-L", "-X", "DELETE", &site.url(status)]).says("ok");
        assert_eq!(log.only().method, "DELETE", "{status}");
        get(&["-L", "-X", "POST", "-d", "x", &site.url(status)]).says("ok");
        let received = log.only();
        assert_eq!((received.method.as_str(), received.content.as_str()), ("POST", ""), "{status}");
        get(&["-L", "-d", "x", &site.url(status)]).says("ok");
        assert_eq!(log.only().method, "GET", "{status}");
    }
}

#[test]
fn cookies_come_from_the_command_line_and_from_files_and_go_into_files() {
    let log = Log::default();
    let noted = log.clone();
    let site = Site::answering(move |received| {
        noted.note(received);
        let mut response = Response::new("ok");
        response.header.add("Set-Cookie", "new=1; Max-Age=60");
        response.header.add("Set-Cookie", "s=2; HttpOnly");
        response
    });
    let folder = Folder::new();
    let cookies = || log.only().field("Cookie").map(str::to_owned);
    folder.get(&["-b", "a=1; b=2", "-b", "c=3", &site.url("/")]).says("ok");
    assert_eq!(cookies().as_deref(), Some("a=1; b=2; c=3"));
    // The first run has no file yet, and a jar from run to run.
    folder.get(&["-b", "jar", "-c", "jar", &site.url("/")]).says("ok");
    assert_eq!(cookies(), None);
    let text = String::from_utf8(folder.read("jar")).unwrap();
    assert!(
        text.starts_with("# Netscape HTTP Cookie File\n") && text.contains("#HttpOnly_127.0.0.1\tFALSE\t/"),
        "{text}"
    );
    folder.get(&["-b", "jar", "-b", "own=0", &site.url("/")]).says("ok");
    let sent = cookies().unwrap();
    assert!(["own=0", "new=1", "s=2"].iter().all(|pair| sent.contains(pair)), "{sent}");
    assert_eq!(folder.names(), ["jar"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(folder.path("jar")).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // '' is no file: what is set within one run is kept.
    folder.get(&["-s", "-b", "", &site.url("/1"), &site.url("/2")]).says("okok");
    let sent: Vec<_> = log.take().iter().map(|received| received.header.contains("Cookie")).collect();
    assert_eq!(sent, [false, true]);
    assert!(folder.get(&["-b", "missing", &site.url("/")]).is(1).stderr().contains("missing: "));
    folder.write("wrong", "no cookies");
    folder.get(&["-b", "wrong", &site.url("/")]).is(1);
    folder.get(&["-b", "a=1\r\nX: y", &site.url("/")]).is(2);
    folder.get(&["-c", "missing/jar", &site.url("/")]).is(1);
}

#[test]
fn passwords_come_from_netrc_for_each_host_its_own() {
    let (other, log) = noting();
    let there = format!("http://localhost:{}/", other.address.port());
    let site = Site::answering(move |received| {
        let basic = received.field("Authorization").unwrap_or("none").to_owned();
        Response::new(basic).with_status(StatusCode::FOUND).with_header("Location", &there)
    });
    let folder = Folder::new();
    folder.write(".netrc", "machine 127.0.0.1 login me password se:cret\nmachine localhost login you password x\n");
    get(&[&site.url("/")]).says("none");
    folder.get(&["--netrc-file", ".netrc", &site.url("/")]).says("Basic bWU6c2U6Y3JldA==");
    let ended = command(&["-n", &site.url("/")]).env("HOME", &folder.0).env("USERPROFILE", &folder.0).output().unwrap();
    if cfg!(unix) {
        assert_eq!(ended.stdout, b"Basic bWU6c2U6Y3JldA==");
    }
    folder.get(&["--netrc-file", ".netrc", "-u", "a:b", &site.url("/")]).says("Basic YTpi");
    folder.get(&["-L", "--netrc-file", ".netrc", &site.url("/")]).says("ok");
    assert_eq!(log.only().field("Authorization"), Some("Basic eW91Ong="));
    folder.get(&["--netrc-file", "missing", &site.url("/")]).is(1);
}
