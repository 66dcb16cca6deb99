//! Where what is answered goes.

use std::io::Read as _;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use nethttp::{Body, Request, Response, ResponseWriter, StatusCode, handle_with};
use tokio::sync::Barrier;

use crate::support::{Folder, Site, bytes, command, get};

fn echo() -> Site {
    Site::answering(|received| Response::new(format!("{};", received.target)))
}

#[test]
fn what_is_answered_goes_to_standard_output_in_the_order_of_the_urls() {
    let site = echo();
    get(&[&site.url("/a?b")]).says("/a?b;");
    get(&[&site.url("/1"), &site.url("/2"), &site.url("/3")]).says("/1;/2;/3;");
}

#[test]
fn a_url_without_a_scheme_is_http() {
    let site = echo();
    get(&[&format!("{}/x", site.address)]).says("/x;");
}

#[test]
fn each_o_is_for_the_next_url_and_what_has_none_goes_to_standard_output() {
    let (site, folder) = (echo(), Folder::new());
    folder.get(&["-o", "one", "-o", "-", &site.url("/1"), &site.url("/2"), &site.url("/3")]).says("/2;/3;");
    assert_eq!((folder.names(), folder.read("one")), (vec!["one".to_owned()], b"/1;".to_vec()));
}

#[test]
fn files_have_the_names_of_their_urls_where_that_is_asked_for() {
    let (site, folder) = (echo(), Folder::new());
    folder.get(&["-O", &site.url("/a/two%20words.txt?x=/y"), &site.url("/b")]).says("");
    assert_eq!(folder.names(), ["b", "two words.txt"]);
    assert_eq!(folder.read("b"), b"/b;");
}

#[test]
fn a_url_cannot_name_a_file_elsewhere() {
    let (site, folder) = (echo(), Folder::new());
    for path in ["/", "/..%2fescaped", "/%2e%2e", "/%2ftmp%2fx", "/a%0ab", "/..%5cescaped"] {
        let ended = folder.get(&["-O", &site.url(path)]);
        assert!(ended.is(2).stderr().contains("give one with -o"), "{path}: {}", ended.stderr());
    }
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn a_server_may_propose_the_name_and_never_a_place_nor_a_file_that_is_there() {
    let folder = Folder::new();
    folder.write("there.txt", "old");
    let site = Site::answering(|received| {
        let response = Response::new("content");
        match received.target.as_str() {
            "/named" => response.with_header("Content-Disposition", "attachment; filename=\"a b.txt\""),
            "/hostile" => response.with_header("Content-Disposition", "attachment; filename=\"../.-x\\\"y.txt\""),
            "/there" => response.with_header("Content-Disposition", "attachment; filename=there.txt"),
            "/nothing" => response.with_header("Content-Disposition", "attachment; filename=\"../..\""),
            _ => response,
        }
    });
    folder
        .get(&["-OJ", &site.url("/named"), &site.url("/hostile"), &site.url("/nothing"), &site.url("/plain")])
        .says("");
    assert_eq!(folder.names(), ["a b.txt", "nothing", "plain", "there.txt", "x\"y.txt"]);
    let ended = folder.get(&["-OJ", &site.url("/there")]);
    assert!(ended.is(1).stderr().contains("there.txt: it is there already"), "{}", ended.stderr());
    assert_eq!((folder.names().len(), folder.read("there.txt")), (5, b"old".to_vec()));
    assert!(folder.get(&["-OJ", &site.url("/")]).is(2).stderr().contains("use -o"));
    folder.get(&["-J", &site.url("/named")]).is(2);
}

#[test]
fn a_range_is_what_was_asked_for_or_an_error() {
    let (files, folder) = (Folder::new(), Folder::new());
    files.write("file", "0123456789");
    let site = Site::start(nethttp::file_server(&files.0));
    for (range, expected) in [("0-3", "0123"), ("7-", "789"), ("-2", "89"), ("8-99", "89")] {
        get(&["-r", range, &site.url("/file")]).says(expected);
        folder.get(&["-r", range, "-o", "part", &site.url("/file")]).says("");
        assert_eq!((folder.names(), folder.read("part")), (vec!["part".to_owned()], expected.as_bytes().to_vec()));
    }
    assert_eq!(get(&["-f", "-r", "99-", &site.url("/file")]).is(5).stdout(), "");
    assert!(get(&["-I", "-r", "0-3", &site.url("/file")]).is(0).stdout().starts_with("HTTP/1.1 20"));
    let whole = Site::answering(|_| Response::new("0123456789"));
    assert!(get(&["-r", "0-3", &whole.url("/")]).is(7).stderr().contains("sends no ranges"));
    let other = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 1-4/10\r\nContent-Length: 4\r\n\r\n1234";
    let short = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-3/10\r\nConnection: close\r\n\r\n012";
    for wrong in [other, short] {
        let (address, server) = bytes(vec![wrong.as_bytes().to_vec()]);
        folder.get(&["-r", "0-3", "-o", "wrong", &format!("http://{address}/")]).is(7);
        server.join().unwrap();
        assert_eq!(folder.names(), ["part"]);
    }
}

#[test]
fn two_urls_do_not_write_to_one_file() {
    let (site, folder) = (echo(), Folder::new());
    for arguments in [["-O", "/x/a", "/y/a"], ["-O", "/a", "/a.part"]] {
        let ended = folder.get(&[arguments[0], &site.url(arguments[1]), &site.url(arguments[2])]);
        assert!(ended.is(2).stderr().contains("is for two URLs"), "{}", ended.stderr());
    }
    assert!(folder.get(&["-o", "a", "-o", "b", &site.url("/")]).is(2).stderr().contains("more -o than URLs"));
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn a_file_that_was_there_is_replaced_and_a_link_to_it_stays_one() {
    let (site, folder) = (echo(), Folder::new());
    folder.write("file", "what was there, and longer than what comes");
    #[cfg(unix)]
    std::os::unix::fs::symlink("file", folder.path("link")).unwrap();
    #[cfg(not(unix))]
    std::fs::hard_link(folder.path("file"), folder.path("link")).unwrap();
    folder.get(&["-o", if cfg!(unix) { "link" } else { "file" }, &site.url("/1")]).says("");
    assert_eq!(folder.read("file"), b"/1;");
    assert_eq!(folder.names(), ["file", "link"]);
}

#[cfg(unix)]
#[test]
fn a_device_is_written_to_as_it_is() {
    let site = echo();
    get(&["-o", "/dev/null", &site.url("/")]).says("");
    get(&["-o", "/dev/stdout", &site.url("/x")]).says("/x;");
    assert!(!std::path::Path::new("/dev/null.part").exists());
}

#[test]
fn what_breaks_off_is_not_there_under_its_name() {
    let folder = Folder::new();
    folder.write("file", "old");
    let (address, server) = bytes(vec![b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec()]);
    let ended = folder.get(&["-o", "file", &format!("http://{address}/")]);
    assert!(ended.is(7).stderr().contains(&format!("http://{address}/: ")), "{}", ended.stderr());
    server.join().unwrap();
    assert_eq!((folder.names(), folder.read("file")), (vec!["file".to_owned()], b"old".to_vec()));
}

#[test]
fn head_and_content_are_written_together_with_those_of_redirects() {
    let site = Site::answering(|received| match received.target.as_str() {
        "/from" => Response::new("").with_status(StatusCode::FOUND).with_header("Location", "/to"),
        _ => Response::new("there").with_header("X-Field", "value"),
    });
    let without_dates = |text: &str| {
        let lines = text.split_inclusive("\r\n").filter(|line| !line.starts_with("Date: "));
        lines.collect::<String>()
    };
    let to =
        "HTTP/1.1 200 OK\r\nX-Field: value\r\nContent-Length: 5\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n";
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.split("\r\n").map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let ended = get(&["-i", &site.url("/to")]);
    assert_eq!(sorted(&without_dates(ended.is(0).stdout())), sorted(&format!("{to}there")));
    let ended = get(&["-I", &site.url("/to")]);
    assert!(ended.is(0).stdout().starts_with("HTTP/1.1 200 OK\r\n") && ended.stdout().ends_with("\r\n\r\n"));
    let ended = get(&["-iL", &site.url("/from")]);
    let text = ended.is(0).stdout();
    assert!(text.starts_with("HTTP/1.1 302 Found\r\n") && text.contains("\r\n\r\nHTTP/1.1 200 OK\r\n"), "{text}");
    assert!(text.ends_with("\r\n\r\nthere"), "{text}");
}

#[test]
fn a_reader_that_closes_the_pipe_ends_the_command_without_a_message() {
    let site = Site::answering(|_| Response::new(Body::from(vec![b'x'; 4 << 20])));
    let urls = [site.url("/1"), site.url("/2")];
    let mut child = command(&[&urls[0], &urls[1]]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0; 10]).unwrap();
    drop(out);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(141), ""));
}

#[test]
fn a_file_that_cannot_be_written_is_said_with_its_name() {
    let (site, folder) = (echo(), Folder::new());
    let ended = folder.get(&["-o", "missing/file", &site.url("/")]);
    assert!(ended.is(1).stderr().starts_with("nethttp: missing/file: "), "{}", ended.stderr());
    assert!(folder.get(&["-o", ".", &site.url("/")]).is(1).stderr().contains("is a directory"));
}

#[test]
fn files_come_side_by_side_and_as_many_as_allowed() {
    // Nobody is answered before all have asked: one after the other, they would wait for ever.
    let meeting = handle_with(Barrier::new(3), async |together: &Barrier, w: &mut ResponseWriter, _: &mut Request| {
        together.wait().await;
        w.write("met").await
    });
    let (site, folder) = (Site::start(meeting), Folder::new());
    let urls = [site.url("/1"), site.url("/2"), site.url("/3")];
    folder.get(&["-O", &urls[0], &urls[1], &urls[2]]).says("");
    assert_eq!(folder.names(), ["1", "2", "3"]);
}

#[derive(Default)]
struct InFlight {
    now: AtomicU32,
    most: AtomicU32,
}

#[test]
fn no_more_files_come_at_a_time_than_allowed() {
    let counted = Arc::new(InFlight::default());
    let count = async |flight: &Arc<InFlight>, w: &mut ResponseWriter, _: &mut Request| {
        let now = flight.now.fetch_add(1, Ordering::SeqCst) + 1;
        flight.most.fetch_max(now, Ordering::SeqCst);
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        flight.now.fetch_sub(1, Ordering::SeqCst);
        w.write("got").await
    };
    let (site, folder) = (Site::start(handle_with(counted.clone(), count)), Folder::new());
    let urls: Vec<_> = (0..6).map(|number| site.url(&format!("/{number}"))).collect();
    let urls: Vec<_> = urls.iter().map(String::as_str).collect();
    folder.get(&[&["-O", "--parallel-max", "1"], &urls[..]].concat()).says("");
    assert_eq!((counted.most.load(Ordering::SeqCst), folder.names().len()), (1, 6));
}

#[test]
fn what_is_compressed_is_written_decompressed_where_it_was_asked_for() {
    // "hello", by gzip.
    const HELLO: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff\xcb\x48\xcd\xc9\xc9\x07\0\x86\xa6\x10\x36\x05\0\0\0";
    let site = Site::answering(|received| match received.field("Accept-Encoding") {
        Some(codings) if codings.contains("gzip") => Response::new(HELLO).with_header("Content-Encoding", "gzip"),
        _ => Response::new("plain"),
    });
    get(&[&site.url("/")]).says("plain");
    get(&["--compressed", &site.url("/")]).says("hello");
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_shows_a_bar_for_each_file_and_a_total() {
    use std::io::Write as _;

    let (site, folder) = (echo(), Folder::new());
    let line = format!("{} get -O {} {}", env!("CARGO_BIN_EXE_nethttp"), site.url("/one"), site.url("/two"));
    let mut command = std::process::Command::new("script");
    // Without a TERM, as where CI runs, there are no bars.
    command.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm").current_dir(&folder.0);
    let Ok(ended) = command.output() else {
        // Not `eprintln`: that is kept back where a test passes.
        let _ = writeln!(std::io::stderr(), "LEFT OUT: script is not on this machine");
        return;
    };
    let text = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && folder.names() == ["one", "two"], "{text}");
    for part in ["one  ", "two  ", "2 files  ", "10 B/10 B"] {
        assert!(text.contains(part), "{part} in {text:?}");
    }
}
