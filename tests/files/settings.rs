//! What the settings of a `FileServer` change, over real sockets.

use nethttp::files::{Dir, FileServer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::files_kit::{Tree, ask, get, start};

impl Tree {
    fn server(&self) -> FileServer {
        FileServer::new(Dir::new(&self.0))
    }
}

#[tokio::test]
async fn a_listing_shows_sizes_and_times_and_lets_the_browser_run_nothing() {
    let tree = Tree::new(&[("a.txt", b"12345"), ("sub/deep/b", b"")]);
    tree.settle("a.txt");
    let addr = start(tree.server()).await;
    let page = get(addr, "/").await;
    let changed = page.text().split("<td>5 B</td><td>").nth(1).expect("a size, and then a time");
    let (time, _) = changed.split_once("</td>").unwrap();
    assert!(time.len() == 16 && time.starts_with("20"), "{time}");
    let policy = page.field("Content-Security-Policy").unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    assert!(get(addr, "/sub/deep/").await.text().contains("<a href=\"../\">sub/</a>deep/</h1>"));
    assert_eq!(get(addr, "/a.txt").await.field("Content-Security-Policy"), None);
}

#[tokio::test]
async fn without_listings_a_directory_is_its_index_or_not_found() {
    let tree = Tree::new(&[("with/index.html", b"index"), ("without/a.txt", b"a"), ("404.html", b"none")]);
    let addr = start(tree.server().listings(false).not_found_page("404.html")).await;
    assert_eq!(get(addr, "/with/").await.text(), "index");
    assert_eq!(get(addr, "/without/a.txt").await.text(), "a");
    for target in ["/", "/without/"] {
        let answer = get(addr, target).await;
        assert_eq!((answer.status, answer.text()), (404, "none"), "{target}");
    }
}

#[tokio::test]
async fn an_index_may_have_another_name_or_none() {
    let tree = Tree::new(&[("index.html", b"index"), ("home.htm", b"home")]);
    let home = start(tree.server().index_page("home.htm")).await;
    assert_eq!(get(home, "/").await.text(), "home");
    assert_eq!(get(home, "/home.htm").await.field("Location"), Some("./"));
    assert_eq!(get(home, "/index.html").await.text(), "index");
    let none = start(tree.server().index_page("")).await;
    assert!(get(none, "/").await.text().contains("href=\"index.html\""));
    assert_eq!(get(none, "/index.html").await.text(), "index");
}

#[tokio::test]
async fn the_page_of_an_application_stands_where_there_is_nothing() {
    let tree = Tree::new(&[("app.html", b"<p>app"), ("a.js", b"a"), ("dir/a", b"")]);
    let addr = start(tree.server().fallback_page("/app.html").listings(false)).await;
    for target in ["/", "/users/7", "/dir/", "/users/"] {
        let answer = get(addr, target).await;
        assert_eq!((answer.status, answer.text(), answer.field("Vary")), (200, "<p>app", None), "{target}");
        assert_eq!(answer.field("Content-Type"), Some("text/html; charset=utf-8"));
        assert!(answer.field("ETag").is_some());
    }
    assert_eq!(get(addr, "/a.js").await.text(), "a");
    let missing = ask(addr, "GET", "/b.js", "Accept: */*\r\n").await;
    assert_eq!((missing.status, missing.field("Vary")), (404, Some("Accept")), "a script that is missing stays so");
    let visited = ask(addr, "GET", "/user.name", "Accept: text/html,*/*;q=0.8\r\n").await;
    assert_eq!((visited.status, visited.text(), visited.field("Vary")), (200, "<p>app", Some("Accept")));
    assert_eq!(get(addr, "/.env").await.status, 404, "what is refused is not the application's");
    let missing = start(tree.server().fallback_page("none.html")).await;
    assert_eq!(get(missing, "/users/7").await.status, 404);
}

/// What Chromium asks for when somebody seeks in a video: the whole from its beginning, left half-way,
/// the index at its end, and then from wherever the bar was dropped, up to what it has already.
#[tokio::test]
async fn who_seeks_in_a_video_gets_what_lies_there_and_may_leave_half_way() {
    const SIZE: usize = 12_000_000;
    let whole: Vec<u8> = (0..SIZE).map(|at| (at / 7 % 251) as u8).collect();
    let tree = Tree::new(&[("video.webm", &whole)]);
    tree.settle("video.webm");
    let addr = start(tree.server()).await;

    let mut player = TcpStream::connect(addr).await.unwrap();
    player.write_all(b"GET /video.webm HTTP/1.1\r\nHost: h\r\nRange: bytes=0-\r\n\r\n").await.unwrap();
    let mut seen = vec![0; 300_000];
    player.read_exact(&mut seen).await.unwrap();
    let begun = String::from_utf8_lossy(&seen[..300]).into_owned();
    assert!(begun.starts_with("HTTP/1.1 206 "), "{begun}");
    assert!(begun.contains(&format!("\r\nContent-Range: bytes 0-{}/{SIZE}\r\n", SIZE - 1)), "{begun}");
    assert!(begun.contains("\r\nContent-Type: video/webm\r\n"), "{begun}");
    let tag = begun.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap().to_owned();
    drop(player);

    let last = SIZE - 1;
    let asked = [
        (format!("{}-{last}", SIZE - 33_084), SIZE - 33_084, last),
        (format!("8000000-{}", SIZE - 33_085), 8_000_000, SIZE - 33_085),
        ("9000001-".to_owned(), 9_000_001, last),
        ("1998848-".to_owned(), 1_998_848, last),
        ("-1".to_owned(), last, last),
    ];
    for (range, first, last) in asked {
        let fields = format!("Range: bytes={range}\r\nIf-Range: {tag}\r\nAccept-Encoding: identity;q=1, *;q=0\r\n");
        let part = ask(addr, "GET", "/video.webm", &fields).await;
        assert_eq!(part.status, 206, "{range}");
        assert_eq!(part.field("Content-Range"), Some(format!("bytes {first}-{last}/{SIZE}").as_str()));
        assert!(part.content == whole[first..=last], "{range}");
    }
}

#[cfg(feature = "gzip")]
mod compressed {
    use std::io::Read as _;

    use nethttp::Handler as _;
    use nethttp::middleware::{Compression, ContentCoding};

    use super::*;

    const GZIP: &str = "Accept-Encoding: gzip, br\r\n";

    /// Longer than what is read at a time.
    fn text() -> Vec<u8> {
        (0..8000).flat_map(|n| format!("line {n}\n").into_bytes()).collect()
    }

    /// The content of an answer in chunks.
    fn unchunked(mut content: &[u8]) -> Vec<u8> {
        let mut whole = Vec::new();
        loop {
            let end = content.windows(2).position(|two| two == b"\r\n").unwrap();
            let length = usize::from_str_radix(std::str::from_utf8(&content[..end]).unwrap(), 16).unwrap();
            if length == 0 {
                return whole;
            }
            whole.extend_from_slice(&content[end + 2..][..length]);
            content = &content[end + 2 + length + 2..];
        }
    }

    fn decoded(content: &[u8]) -> Vec<u8> {
        let mut whole = Vec::new();
        flate2::read::GzDecoder::new(content).read_to_end(&mut whole).unwrap();
        whole
    }

    #[tokio::test]
    async fn text_goes_out_encoded_to_who_takes_it() {
        let text = text();
        let tree = Tree::new(&[("a.txt", &text), ("README", &text)]);
        tree.settle("a.txt");
        let addr = start(tree.server().compressed(true)).await;
        for (target, content_type) in
            [("/a.txt", "text/plain; charset=utf-8"), ("/README", "text/plain; charset=utf-8")]
        {
            let answer = ask(addr, "GET", target, GZIP).await;
            assert_eq!((answer.status, answer.field("Content-Encoding")), (200, Some("gzip")), "{target}");
            assert_eq!(answer.field("Content-Type"), Some(content_type));
            assert_eq!((answer.field("Content-Length"), answer.field("Accept-Ranges")), (None, None));
            assert_eq!(answer.field("Vary"), Some("Accept-Encoding"));
            assert!(answer.field("ETag").unwrap().starts_with("W/\""));
            assert!(answer.content.len() < text.len() / 2);
            assert!(decoded(&unchunked(&answer.content)) == text, "{target}");
        }
        let plain = get(addr, "/a.txt").await;
        assert_eq!((plain.field("Content-Encoding"), plain.field("Vary")), (None, Some("Accept-Encoding")));
        assert!(plain.field("ETag").unwrap().starts_with('"') && plain.content == text);
        let head = ask(addr, "HEAD", "/a.txt", GZIP).await;
        assert_eq!((head.field("Content-Encoding"), head.field("Content-Length")), (Some("gzip"), None));
        assert_eq!(head.content.len(), 0);
    }

    #[tokio::test]
    async fn a_middleware_compresses_what_the_system_would_send_by_itself() {
        let text = text();
        assert!(text.len() > 64 * 1024, "shorter files are read anyway");
        let tree = Tree::new(&[("a.txt", &text), ("a.png", &text)]);
        tree.settle("a.txt");
        let addr = start(tree.server().wrapped_in(Compression::new().codings([ContentCoding::Gzip]))).await;
        let answer = ask(addr, "GET", "/a.txt", GZIP).await;
        assert_eq!((answer.field("Content-Encoding"), answer.field("Vary")), (Some("gzip"), Some("Accept-Encoding")));
        assert_eq!((answer.field("Content-Length"), answer.field("Accept-Ranges")), (None, None));
        assert!(decoded(&unchunked(&answer.content)) == text);
        let tag = answer.field("ETag").unwrap();
        assert!(tag.starts_with("W/\""), "{tag}");
        let same = ask(addr, "GET", "/a.txt", &format!("{GZIP}If-None-Match: {tag}\r\n")).await;
        assert_eq!((same.status, same.field("ETag"), same.field("Vary")), (304, Some(tag), Some("Accept-Encoding")));
        let head = ask(addr, "HEAD", "/a.txt", GZIP).await;
        assert_eq!((head.field("Content-Encoding"), head.field("Content-Length")), (Some("gzip"), None));
        let part = ask(addr, "GET", "/a.txt", &format!("{GZIP}Range: bytes=0-3\r\n")).await;
        assert_eq!((part.status, part.text(), part.field("Content-Encoding")), (206, "line", None));
        for (target, fields) in [("/a.txt", ""), ("/a.png", GZIP)] {
            let plain = ask(addr, "GET", target, fields).await;
            assert_eq!((plain.field("Content-Encoding"), plain.content == text), (None, true), "{target}");
            assert_eq!(plain.field("Content-Length"), Some(&*text.len().to_string()));
        }
        let twice = start(tree.server().compressed(true).wrapped_in(Compression::new())).await;
        let answer = ask(twice, "GET", "/a.txt", GZIP).await;
        assert!(decoded(&unchunked(&answer.content)) == text, "the file server's own coding is enough");
    }

    #[tokio::test]
    async fn a_copy_is_valid_by_the_tag_that_it_came_with() {
        let tree = Tree::new(&[("a.txt", &text())]);
        tree.settle("a.txt");
        let addr = start(tree.server().compressed(true)).await;
        let tag = ask(addr, "GET", "/a.txt", GZIP).await.field("ETag").unwrap().to_owned();
        let same = ask(addr, "GET", "/a.txt", &format!("{GZIP}If-None-Match: {tag}\r\n")).await;
        assert_eq!((same.status, same.field("ETag")), (304, Some(tag.as_str())));
        let plain = get(addr, "/a.txt").await.field("ETag").unwrap().to_owned();
        let same = ask(addr, "GET", "/a.txt", &format!("If-None-Match: {plain}\r\n")).await;
        assert_eq!((same.status, same.field("ETag")), (304, Some(plain.as_str())));
    }

    #[tokio::test]
    async fn parts_are_of_the_plain_file() {
        let text = text();
        let tree = Tree::new(&[("a.txt", &text)]);
        let addr = start(tree.server().compressed(true)).await;
        let part = ask(addr, "GET", "/a.txt", &format!("{GZIP}Range: bytes=0-3\r\n")).await;
        assert_eq!((part.status, part.text(), part.field("Content-Encoding")), (206, "line", None));
    }

    #[tokio::test]
    async fn what_is_small_or_no_text_or_not_wanted_goes_out_as_it_is() {
        let text = text();
        let cases: [(&str, &[u8], &str); 6] = [
            ("small.txt", &text[..1023], GZIP),
            ("a.png", &text, GZIP),
            ("a.zip", &text, GZIP),
            ("refused.txt", &text, "Accept-Encoding: gzip;q=0\r\n"),
            ("other.txt", &text, "Accept-Encoding: br\r\n"),
            ("README", b"\0binary", GZIP),
        ];
        let tree = Tree::new(&cases.map(|(name, content, _)| (name, content)));
        let addr = start(tree.server().compressed(true)).await;
        for (name, content, fields) in cases {
            let answer = ask(addr, "GET", &format!("/{name}"), fields).await;
            assert_eq!(answer.field("Content-Encoding"), None, "{name}");
            assert!(answer.content == content, "{name}");
        }
        let off = start(tree.server()).await;
        let answer = ask(off, "GET", "/refused.txt", GZIP).await;
        assert_eq!((answer.field("Content-Encoding"), answer.field("Vary")), (None, None), "off from the start");
    }

    #[tokio::test]
    async fn types_that_shrink_are_known() {
        let text = text();
        let names = ["a.json", "a.svg", "a.xml", "a.wasm", "a.webmanifest", "a.geojson", "a.js", "a.yaml", "a.ttf"];
        let tree = Tree::new(&names.map(|name| (name, &text[..])));
        let addr = start(tree.server().compressed(true)).await;
        for name in names {
            let answer = ask(addr, "GET", &format!("/{name}"), GZIP).await;
            assert_eq!(answer.field("Content-Encoding"), Some("gzip"), "{name}");
        }
    }

    #[tokio::test]
    async fn what_lies_encoded_beside_the_plain_one_comes_first() {
        let text = text();
        let tree = Tree::new(&[("a.txt", &text), ("a.txt.br", b"brotli"), ("b.txt", &text)]);
        let addr = start(tree.server().compressed(true).precompressed(true)).await;
        let lying = ask(addr, "GET", "/a.txt", GZIP).await;
        assert_eq!((lying.text(), lying.field("Content-Encoding")), ("brotli", Some("br")));
        assert_eq!(ask(addr, "GET", "/b.txt", GZIP).await.field("Content-Encoding"), Some("gzip"));
    }

    #[tokio::test]
    async fn a_client_that_cannot_read_chunks_gets_content_up_to_the_close() {
        let text = text();
        let tree = Tree::new(&[("a.txt", &text)]);
        let addr = start(tree.server().compressed(true)).await;
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(b"GET /a.txt HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        assert!(decoded(&answer[end + 4..]) == text);
    }
}
