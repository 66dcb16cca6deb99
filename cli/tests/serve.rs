//! The options of `nethttp serve`.
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

use std::io::Write as _;
use std::process::{Command, Stdio};

mod kit;
use kit::{Folder, Serving, nethttp, output, stderr};

const ANY_PORT: [&str; 2] = ["-a", "127.0.0.1:0"];

fn serve(folder: &Folder, options: &[&str]) -> Serving {
    Serving::with(folder, &[&ANY_PORT, options].concat())
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap()
}

fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = answer.split_once("\r\n\r\n").unwrap();
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn content(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[test]
fn a_directory_is_a_listing_unless_that_is_not_wanted() {
    let folder = Folder::new();
    assert!(content(&serve(&folder, &[]).get("/")).contains("href=\"a.txt\""));
    let unlisted = serve(&folder, &["--no-listing"]);
    assert_eq!((status(&unlisted.get("/")), content(&unlisted.get("/a.txt"))), ("404", "hello\n"));
}

#[test]
fn a_listing_may_have_its_own_style_and_nothing_else() {
    let folder = Folder::new();
    let page = serve(&folder, &[]).get("/");
    let (_, style) = page.split_once("<style>").unwrap();
    let (style, _) = style.split_once("</style>").unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, style.as_bytes());
    let expected = format!("default-src 'none'; img-src 'self'; style-src 'sha256-{}'", base64(digest.as_ref()));
    assert_eq!(field(&page, "Content-Security-Policy"), Some(&*expected));
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let group = three
            .iter()
            .chain([0, 0].iter().skip(three.len() - 1))
            .fold(0, |group, byte| group << 8 | usize::from(*byte));
        for at in 0..4 {
            let letter = char::from(LETTERS[group >> (18 - 6 * at) & 63]);
            text.push(if at <= three.len() { letter } else { '=' });
        }
    }
    text
}

/// The log has a line of who leaves; it is no fault of the command's.
#[test]
fn curl_goes_on_with_a_download_that_broke_off() {
    let (folder, downloads) = (Folder::new(), Folder::new());
    let whole: Vec<u8> = (0..300_000_u32).map(|number| (number % 251) as u8).collect();
    std::fs::write(folder.0.join("big.bin"), &whole).unwrap();
    let part = downloads.0.join("big.bin");
    let mut serving = serve(&folder, &[]);
    let url = format!("http://{}/big.bin", serving.address());
    for (there, status, came) in [(100_000, "206", 200_000), (0, "200", 300_000)] {
        std::fs::write(&part, &whole[..there]).unwrap();
        let options = ["-sSf", "--max-time", "20", "-C", "-", "-o"];
        let Ok(ended) = Command::new("curl").args(options).arg(&part).arg(&url).output() else {
            // Not `eprintln`: that is kept back where a test passes.
            let _ = writeln!(std::io::stderr(), "LEFT OUT: curl is not on this machine");
            return;
        };
        assert!(ended.status.success(), "{}", stderr(&ended));
        let line = serving.log_line();
        assert!(line.contains(&format!(" GET /big.bin {status} {came} ")), "{line}");
        assert!(std::fs::read(&part).unwrap() == whole);
    }
}

#[test]
fn a_client_that_leaves_is_no_fault() {
    let folder = Folder::new();
    std::fs::File::create(folder.0.join("big.bin")).unwrap().set_len(1 << 30).unwrap();
    let mut serving = serve(&folder, &[]);
    let mut leaving = serving.connect_and_send("GET /big.bin HTTP/1.1\r\nHost: cli.test\r\n\r\n");
    std::io::Read::read_exact(&mut leaving, &mut [0; 12]).unwrap();
    drop(leaving);
    let line = serving.log_line();
    assert!(line.contains(" GET /big.bin 200 "), "{line}");
}

#[test]
fn methods_other_than_get_and_head_are_refused() {
    let folder = Folder::new();
    let serving = serve(&folder, &[]);
    let answer = serving.ask("POST", "/a.txt", "Content-Length: 0\r\n");
    assert_eq!((status(&answer), field(&answer, "Allow")), ("405", Some("GET, HEAD")));
    assert_eq!(status(&serving.ask("HEAD", "/a.txt", "")), "200");
}

#[test]
fn the_index_may_have_another_name() {
    let folder = Folder::new();
    assert_eq!(content(&serve(&folder, &["--index", "a.txt"]).get("/")), "hello\n");
}

#[test]
fn an_application_gets_the_paths_that_it_routes() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("index.html"), "<p>app").unwrap();
    let serving = serve(&folder, &["--spa"]);
    assert_eq!(content(&serving.get("/users/7")), "<p>app");
    assert_eq!(content(&serving.get("/a.txt")), "hello\n");
    assert_eq!(status(&serving.get("/missing.js")), "404");
}

#[test]
fn a_prefix_stands_before_all_paths_and_in_the_url() {
    let folder = Folder::new();
    let serving = serve(&folder, &["--prefix", "/the/files/"]);
    assert!(serving.first_line.ends_with("/the/files/\n"), "{}", serving.first_line);
    assert_eq!(content(&serving.get("/the/files/a.txt")), "hello\n");
    assert_eq!(status(&serving.get("/a.txt")), "404");
    let led = serving.get("/the/files");
    assert!(status(&led).starts_with("30") && field(&led, "Location").unwrap().ends_with("/the/files/"), "{led}");
}

#[test]
fn hidden_names_are_served_where_that_is_said() {
    let folder = Folder::new();
    std::fs::write(folder.0.join(".env"), "secret").unwrap();
    assert_eq!(status(&serve(&folder, &[]).get("/.env")), "404");
    assert_eq!(content(&serve(&folder, &["--hidden"]).get("/.env")), "secret");
}

#[cfg(unix)]
#[test]
fn links_lead_out_where_that_is_said() {
    let (folder, outside) = (Folder::new(), Folder::new());
    std::os::unix::fs::symlink(outside.0.join("a.txt"), folder.0.join("link.txt")).unwrap();
    assert_eq!(status(&serve(&folder, &[]).get("/link.txt")), "404");
    assert_eq!(content(&serve(&folder, &["--follow-links"]).get("/link.txt")), "hello\n");
}

#[test]
fn text_is_compressed_where_that_is_said() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("long.txt"), "long ".repeat(1000)).unwrap();
    std::fs::write(folder.0.join("a.txt.br"), "brotli").unwrap();
    let asks = |serving: &Serving, target: &str| serving.ask("GET", target, "Accept-Encoding: br, gzip\r\n");
    let serving = serve(&folder, &["--compress"]);
    assert_eq!(field(&asks(&serving, "/long.txt"), "Content-Encoding"), Some("gzip"));
    assert_eq!(content(&asks(&serving, "/a.txt")), "brotli");
    assert_eq!(field(&asks(&serve(&folder, &[]), "/long.txt"), "Content-Encoding"), None);
}

#[test]
fn fields_are_added_to_all_answers() {
    let folder = Folder::new();
    let serving = serve(&folder, &["--header", "X-One: 1", "--header", "Cache-Control: max-age=60"]);
    let answer = serving.get("/a.txt");
    assert_eq!((field(&answer, "X-One"), field(&answer, "Cache-Control")), (Some("1"), Some("max-age=60")));
    let missing = serving.get("/none");
    assert_eq!((field(&missing, "X-One"), field(&missing, "Cache-Control")), (Some("1"), None));
    for wrong in ["X-One", "X One: 1", "Content-Length: 5"] {
        assert_eq!(output(&["serve", "--header", wrong]).status.code(), Some(2), "{wrong}");
    }
}

#[test]
fn fields_for_caches_are_not_on_errors_and_redirects() {
    let folder = Folder::new();
    std::fs::create_dir(folder.0.join("dir")).unwrap();
    let fields = ["--header", "cache-control: max-age=60", "--header", "Expires: Sun, 06 Nov 2044 08:49:37 GMT"];
    let serving = serve(&folder, &[&fields[..], &["--header", "X-One: 1", "--prefix", "/p"]].concat());
    let fields_of = |answer: &str| ["Cache-Control", "Expires", "X-One"].map(|name| field(answer, name).is_some());
    let file = serving.get("/p/a.txt");
    assert_eq!((status(&file), fields_of(&file)), ("200", [true; 3]));
    let tag = format!("If-None-Match: {}\r\n", field(&file, "ETag").unwrap());
    let unchanged = serving.ask("GET", "/p/a.txt", &tag);
    assert_eq!((status(&unchanged), fields_of(&unchanged)), ("304", [true; 3]));
    let part = serving.ask("GET", "/p/a.txt", "Range: bytes=0-0\r\n");
    assert_eq!((status(&part), fields_of(&part)), ("206", [true; 3]));
    for (method, target, expected) in [
        ("GET", "/p/none", "404"),
        ("GET", "/none", "404"),
        ("POST", "/p/a.txt", "405"),
        ("GET", "/p", "307"),
        ("GET", "/p/dir", "301"),
        ("GET", "/p/index.html", "301"),
    ] {
        let answer = serving.ask(method, target, "");
        assert_eq!((status(&answer), fields_of(&answer)), (expected, [false, false, true]), "{method} {target}");
    }
    let impossible = serving.ask("GET", "/p/a.txt", "Range: bytes=99-\r\n");
    assert_eq!((status(&impossible), fields_of(&impossible)), ("416", [false, false, true]));
    let anna = format!("anna:{}", hash("secret"));
    let locked = serve(&folder, &[&fields[..], &["--auth", &anna]].concat()).get("/a.txt");
    assert_eq!((status(&locked), fields_of(&locked)), ("401", [false; 3]));
}

#[test]
fn pages_of_other_sites_may_read_where_that_is_said() {
    const ALLOWED: &str = "Access-Control-Allow-Origin";
    let folder = Folder::new();
    assert_eq!(field(&serve(&folder, &[]).get("/a.txt"), ALLOWED), None);
    let all = serve(&folder, &["--cors"]);
    let answer = all.get("/a.txt");
    assert_eq!((field(&answer, ALLOWED), field(&answer, "Vary")), (Some("*"), None));
    let preflight = all.ask("OPTIONS", "/a.txt", "Access-Control-Request-Method: GET\r\n");
    assert_eq!((status(&preflight), field(&preflight, "Access-Control-Allow-Methods")), ("204", Some("GET, HEAD")));
    assert!(field(&preflight, "Access-Control-Allow-Headers").unwrap().contains("Range"));
    let one = serve(&folder, &["--cors=https://example.com"]);
    let answer = one.get("/none");
    assert_eq!((field(&answer, ALLOWED), field(&answer, "Vary")), (Some("https://example.com"), Some("Origin")));
    assert_eq!(output(&["serve", "--cors=example.com"]).status.code(), Some(2));
}

/// What `nethttp hash` prints for this password.
fn hash(password: &str) -> String {
    let mut command = nethttp(&["hash", "--rounds", "1000"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn a_user_is_let_in_with_the_right_password() {
    let folder = Folder::new();
    let (anna, ben) = (format!("anna:{}", hash("secret")), format!("ben:{}", hash("pass:word")));
    let serving = serve(&folder, &["--auth", &anna, "--auth", &ben, "--cors"]);
    // By RFC 7617: user, a colon and password, in base64.
    let with = |encoded: &str| serving.ask("GET", "/a.txt", &format!("Authorization: Basic {encoded}\r\n"));
    for _ in 0..2 {
        assert_eq!(content(&with("YW5uYTpzZWNyZXQ=")), "hello\n", "anna:secret");
        assert_eq!(content(&with("YmVuOnBhc3M6d29yZA==")), "hello\n", "ben:pass:word");
        for wrong in ["YmVuOnNlY3JldA==", "Y2FybDpzZWNyZXQ=", "YW5uYTo=", "?"] {
            assert_eq!(status(&with(wrong)), "401", "{wrong}");
        }
    }
    let asked = serving.get("/none");
    assert_eq!(status(&asked), "401", "what there is, strangers are not told");
    assert_eq!(field(&asked, "WWW-Authenticate"), Some("Basic realm=\"files\", charset=\"UTF-8\""));
    let preflight = serving.ask("OPTIONS", "/a.txt", "Access-Control-Request-Method: GET\r\n");
    assert_eq!(status(&preflight), "204", "a preflight brings no password");
}

#[test]
fn passwords_beyond_those_that_wait_are_not_checked() {
    let folder = Folder::new();
    // A check of it takes half an hour.
    let anna = format!("anna:pbkdf2-sha256:4000000000:00:{}", "00".repeat(32));
    let serving = serve(&folder, &["--auth", &anna]);
    let guess = |number: u32| {
        let credentials = base64(format!("anna:{number}").as_bytes());
        format!("GET /a.txt HTTP/1.1\r\nHost: cli.test\r\nAuthorization: Basic {credentials}\r\n\r\n")
    };
    let (tell, told) = std::sync::mpsc::channel();
    for mut stream in (0..80).map(|number| serving.connect_and_send(&guess(number))) {
        let tell = tell.clone();
        std::thread::spawn(move || {
            let mut answer = [0; 1000];
            let length = std::io::Read::read(&mut stream, &mut answer).unwrap_or(0);
            // The test has ended, unless it is among the first.
            let _ = tell.send(String::from_utf8_lossy(&answer[..length]).into_owned());
        });
    }
    for answer in told.into_iter().take(80 - 64) {
        assert_eq!((status(&answer), field(&answer, "Retry-After")), ("503", Some("2")), "{answer}");
    }
}

#[test]
fn a_hash_differs_each_time_and_nothing_has_none() {
    assert_ne!(hash("secret"), hash("secret"));
    let empty = nethttp(&["hash"]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(empty.status.code(), Some(1));
    assert!(stderr(&empty).contains("no password"));
    let refused = output(&["serve", "--auth", "anna:secret"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("nethttp hash"));
}

#[test]
fn requests_are_logged_in_the_form_that_is_asked_for() {
    let folder = Folder::new();
    let mut common = serve(&folder, &["--access-log", "common"]);
    common.get("/a.txt?q");
    let line = common.log_line();
    assert!(line.starts_with("127.0.0.1 - - [") && line.ends_with("] \"GET /a.txt?q HTTP/1.1\" 200 6\n"), "{line}");
    let mut combined = serve(&folder, &["--access-log", "combined"]);
    combined.get("/a.txt");
    let line = combined.log_line();
    assert!(line.contains("\"GET /a.txt HTTP/1.1\" 200 6 \"-\" \""), "{line}");
    let mut json = serve(&folder, &["--access-log", "json"]);
    json.get("/none");
    let line: serde_json::Value = serde_json::from_str(&json.log_line()).unwrap();
    assert_eq!((&line["target"], &line["status"]), (&"/none".into(), &404.into()));
}

#[cfg(unix)]
#[test]
fn no_request_is_logged_where_that_is_not_wanted() {
    let folder = Folder::new();
    let mut serving = serve(&folder, &["--access-log", "none"]);
    serving.get("/a.txt");
    serving.signal("INT");
    assert!(serving.log_line().starts_with("Stopping"));
}

#[cfg(unix)]
#[test]
fn several_addresses_serve_the_same_and_a_socket_s_file_goes_with_it() {
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;

    let folder = Folder::new();
    let path = folder.0.join("socket");
    let unix = format!("unix:{}", path.display());
    let options = ["-a", "127.0.0.1:0", "-a", "127.0.0.1:0", "-a", &unix];
    let mut serving = Serving::with(&folder, &options);
    assert_eq!(content(&serving.get("/a.txt")), "hello\n");
    let second = serving.line();
    let second = second.trim_end().strip_prefix("and on http://").unwrap().trim_end_matches('/');
    assert_ne!(second, serving.address());
    drop(std::net::TcpStream::connect(second).unwrap());
    assert_eq!(serving.line(), format!("and on {unix}\n"));

    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"GET /a.txt HTTP/1.1\r\nHost: cli.test\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(content(&answer), "hello\n");

    let taken = output(&["serve", "-a", &unix]);
    assert_eq!(taken.status.code(), Some(1));
    assert!(stderr(&taken).contains("is taken: choose another path"), "{}", stderr(&taken));
    serving.signal("INT");
    assert!(serving.child.wait().unwrap().success());
    assert!(!path.exists());
    // One that was left behind is replaced, and what is no socket is not.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let again = Serving::with(&folder, &["-a", &unix]);
    assert!(again.first_line.ends_with(&format!(" on {unix}\n")));
    let file = output(&["serve", "-a", &format!("unix:{}", folder.0.join("a.txt").display())]);
    assert!(stderr(&file).contains("is no socket"), "{}", stderr(&file));
    assert!(folder.0.join("a.txt").exists());
}

#[cfg(unix)]
#[test]
fn a_socket_s_file_that_another_has_taken_over_stays_when_the_first_ends() {
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;

    let folder = Folder::new();
    std::fs::write(folder.0.join("large"), vec![b'x'; 8 << 20]).unwrap();
    let path = folder.0.join("socket");
    let unix = format!("unix:{}", path.display());
    let mut first = Serving::with(&folder, &["-a", &unix]);
    let mut download = UnixStream::connect(&path).unwrap();
    download.write_all(b"GET /large HTTP/1.1\r\nHost: cli.test\r\nConnection: close\r\n\r\n").unwrap();
    download.read_exact(&mut [0; 12]).unwrap();
    first.signal("TERM");
    while UnixStream::connect(&path).is_ok() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let _second = Serving::with(&folder, &["-a", &unix]);
    std::io::copy(&mut download, &mut std::io::sink()).unwrap();
    assert!(first.child.wait().unwrap().success());
    assert!(path.exists(), "the file of the second");
    UnixStream::connect(&path).unwrap();
}

#[cfg(unix)]
#[test]
fn workers_serve_all_addresses_and_end_in_good_order() {
    let folder = Folder::new();
    for workers in ["0", "1", "3"] {
        let mut serving = Serving::with(&folder, &["-a", "127.0.0.1:0", "-a", "127.0.0.1:0", "--workers", workers]);
        let second = serving.line();
        let second = second.trim_end().strip_prefix("and on http://").unwrap().trim_end_matches('/').to_owned();
        for _ in 0..8 {
            assert_eq!(content(&serving.get("/a.txt")), "hello\n");
            serving.log_line();
            drop(std::net::TcpStream::connect(&second).unwrap());
        }
        serving.signal("TERM");
        assert!(serving.child.wait().unwrap().success(), "{workers} workers");
    }
}

#[cfg(unix)]
#[test]
fn workers_do_not_share_a_port_with_a_stranger() {
    let folder = Folder::new();
    let first = serve(&folder, &["--workers", "2"]);
    let second = output(&["serve", folder.path(), "-a", first.address(), "--workers", "2"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(stderr(&second).contains("is taken"), "{}", stderr(&second));
}

#[test]
fn a_server_on_all_networks_prints_the_urls_that_reach_it() {
    let folder = Folder::new();
    let mut serving = Serving::with(&folder, &["--public=0"]);
    assert!(serving.address().starts_with("127.0.0.1:"), "{}", serving.first_line);
    assert_eq!(content(&serving.get("/a.txt")), "hello\n");
    // As many as the machine has networks.
    let mut line = serving.line();
    while let Some(url) = line.strip_prefix("and on ") {
        assert!(url.starts_with("http://") && !url.contains("127.0.0.1") && !url.contains("0.0.0.0"), "{url}");
        line = serving.line();
    }
    assert_eq!(line, "Press Ctrl-C to stop.\n");
    assert_eq!(output(&["serve", "--public", "-a", "127.0.0.1:0"]).status.code(), Some(2));
}

#[test]
fn more_connections_than_are_allowed_make_room_for_each_other() {
    let folder = Folder::new();
    let serving = serve(&folder, &["--max-connections", "1"]);
    // Kept and idle, the first one has to go when the second one comes.
    let mut first = serving.connect_and_send("GET /a.txt HTTP/1.1\r\nHost: cli.test\r\n\r\n");
    std::io::Read::read_exact(&mut first, &mut [0; 12]).unwrap();
    assert_eq!(content(&serving.get("/a.txt")), "hello\n");
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut first, &mut rest).unwrap();
}
