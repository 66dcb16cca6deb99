//! Compression: what is compressed, what is said of it, and what must be left alone.

use std::io::{Cursor, Read as _};
use std::sync::Arc;

use nethttp::files::serve_content;
use nethttp::middleware::{Compression, CompressionLevel, ContentCoding};
use nethttp::server::ResponseHead;
use nethttp::{Handler as _, Method, Request, Response, ResponseWriter, Result, StatusCode};
use tokio::time::Instant;

use crate::site::{Site, in_all_modes, on_all_sites};
use crate::support::{self, millis, secs};

/// Text of this many bytes, as much as `n` in the query.
async fn text(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    for name in ["Content-Type", "ETag", "Cache-Control", "Content-Encoding", "Vary", "Content-Range"] {
        if let Some(value) = r.query(name) {
            w.header().set(name, value);
        }
    }
    if let Some(status) = r.query("status") {
        w.write_header(StatusCode::from_bytes(status.as_bytes()).unwrap());
    }
    match r.query("n") {
        Some(count) => {
            w.write(&"a line\n".repeat(count.parse::<usize>().unwrap() / 7 + 1).as_bytes()[..count.parse().unwrap()])
                .await
        }
        None => Ok(()),
    }
}

async fn ask(site: &Site, method: Method, target: &str, fields: &[(&str, &str)]) -> Response {
    let mut request = site.request(method, target, ());
    request.header.set("Accept-Encoding", "");
    for (name, value) in fields {
        request.header.set(name, value);
    }
    site.client.send(request).await.unwrap()
}

async fn get(site: &Site, target: &str, accepts: &str) -> Response {
    ask(site, Method::GET, target, &[("Accept-Encoding", accepts)]).await
}

fn unzipped(content: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(content).read_to_end(&mut plain).unwrap();
    plain
}

#[tokio::test(start_paused = true)]
async fn a_text_is_compressed_and_its_fields_say_so() {
    on_all_sites(text.wrapped_in(Compression::new()), async |site| {
        for n in [1024, 2000, 3000, 200_000] {
            let mut response = get(&site, &format!("/?n={n}&ETag=%221%22&Vary=Origin"), "gzip").await;
            assert_eq!(response.header.get("Content-Encoding"), Some("gzip"));
            assert_eq!(response.header.get("Content-Type"), Some("text/plain; charset=utf-8"));
            assert_eq!(response.header.get("ETag"), Some("W/\"1\""));
            assert_eq!(response.header.values("Vary").collect::<Vec<_>>(), ["Origin, Accept-Encoding"]);
            let content = response.bytes().await.unwrap();
            let length = (n <= 2048).then_some(content.len() as u64);
            assert_eq!(response.content_length, length, "{n} bytes were held back, or not");
            assert!(content.len() < n / 2);
            assert!(unzipped(&content) == "a line\n".repeat(n).as_bytes()[..n]);
        }
        assert_eq!(site.server.connections(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_client_decodes_each_coding_that_the_server_makes() {
    let built = if cfg!(all(feature = "brotli", feature = "zstd")) { "zstd" } else { "gzip" };
    on_all_sites(text.wrapped_in(Compression::new()), async |site| {
        let mut response = get(&site, "/?n=10000", "gzip, br, zstd").await;
        assert_eq!(response.header.get("Content-Encoding"), Some(built));
        response.bytes().await.unwrap();
        // By itself the client asks for all that it decodes, and takes the coding off.
        assert_eq!(site.ask("/?n=10000").await, (200, "a line\n".repeat(1500)[..10_000].to_owned()));
        assert_eq!(site.server.connections(), 1);
    })
    .await;
    for coding in [ContentCoding::Gzip, ContentCoding::Brotli, ContentCoding::Zstandard] {
        for level in [CompressionLevel::Fastest, CompressionLevel::Best] {
            in_all_modes(async |mode| {
                let site = Site::start(mode, text.wrapped_in(Compression::new().codings([coding]).level(level)));
                assert_eq!(site.ask("/?n=100000").await, (200, "a line\n".repeat(15_000)[..100_000].to_owned()));
            })
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_worth_it_or_must_stay_as_it_is_is_left_alone() {
    on_all_sites(text.wrapped_in(Compression::new()), async |site| {
        for (target, varies) in [
            ("/?n=1023", None),
            ("/?n=0", None),
            ("/?n=5000&Content-Type=image/png", None),
            ("/?n=5000&Content-Type=application/octet-stream", None),
            ("/?n=5000&Content-Encoding=br", None),
            ("/?n=5000&Cache-Control=max-age%3D60,+no-transform", None),
            ("/?n=5000&status=206&Content-Range=bytes+0-4999/9999", Some("Accept-Encoding")),
            ("/?n=5000&status=416&Content-Range=bytes+*/9999", Some("Accept-Encoding")),
            ("/?status=204", None),
            ("/?status=304&Content-Type=image/png", None),
            ("/?status=304", Some("Accept-Encoding")),
        ] {
            let mut response = get(&site, &format!("{target}&ETag=%221%22"), "gzip").await;
            let coding = target.contains("Content-Encoding").then_some("br");
            assert_eq!(response.header.get("Content-Encoding"), coding, "{target}");
            assert_eq!((response.header.get("ETag"), response.header.get("Vary")), (Some("\"1\""), varies), "{target}");
            let content = response.bytes().await.unwrap();
            assert!(content.is_empty() || content.starts_with(b"a line\na line\n"), "{target}");
        }
        assert_eq!(site.server.connections(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_accepts_no_coding_gets_plain_content_that_varies_all_the_same() {
    on_all_sites(text.wrapped_in(Compression::new()), async |site| {
        for accepts in ["", "identity", "deflate", "gzip;q=0", "*;q=0", "identity, gzip;q=0.1"] {
            for n in [1500, 5000] {
                let mut response = get(&site, &format!("/?n={n}&ETag=%221%22&Vary=accept-encoding"), accepts).await;
                assert!(!response.header.contains("Content-Encoding"), "{accepts}");
                assert_eq!(response.header.get("Vary"), Some("accept-encoding"), "once");
                assert_eq!(response.header.get("ETag"), Some("\"1\""));
                assert_eq!(response.content_length, (n == 1500).then_some(1500), "as without compression");
                assert_eq!(response.bytes().await.unwrap().len(), n);
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_refuses_plain_content_gets_short_content_and_other_types_compressed() {
    on_all_sites(text.wrapped_in(Compression::new()), async |site| {
        for target in ["/?n=5", "/?n=5000&Content-Type=image/png"] {
            let mut response = get(&site, target, "gzip, identity;q=0").await;
            assert_eq!(response.header.get("Content-Encoding"), Some("gzip"), "{target}");
            assert!(unzipped(&response.bytes().await.unwrap()).starts_with(b"a lin"));
        }
        let mut response = get(&site, "/?n=0", "gzip, *;q=0").await;
        assert_eq!((response.content_length, response.header.get("Content-Encoding")), (Some(0), None));
        assert_eq!(response.bytes().await.unwrap().len(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_opts_out_with_identity_which_is_not_sent() {
    on_all_sites(text.wrapped_in(Compression::new()), async |site| {
        let mut response = get(&site, "/?n=5000&Content-Encoding=Identity", "gzip").await;
        assert!(!response.header.contains("Content-Encoding") && !response.header.contains("Vary"));
        assert_eq!(response.bytes().await.unwrap().len(), 5000);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_recorded_is_the_length_of_what_was_sent() {
    in_all_modes(async |mode| {
        let (told, mut records) = tokio::sync::mpsc::unbounded_channel();
        let record = |server: &mut nethttp::Server| {
            server.on_request = Some(Arc::new(move |record| told.send(record.content_bytes).unwrap()));
        };
        let site = Site::with(mode, text.wrapped_in(Compression::new()), record, |_| {});
        let coded = get(&site, "/?n=5000", "gzip").await.bytes().await.unwrap().len() as u64;
        assert_eq!(records.recv().await, Some(coded));
        ask(&site, Method::HEAD, "/?n=5000", &[("Accept-Encoding", "gzip")]).await;
        assert_eq!(records.recv().await, Some(0));
        get(&site, "/?n=5000", "identity").await.bytes().await.unwrap();
        assert_eq!((records.recv().await, coded < 5000), (Some(5000), true));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_opts_out_of_all_compressions_around_it() {
    on_all_sites(text.wrapped_in(Compression::new()).wrapped_in(Compression::new()), async |site| {
        let mut response = get(&site, "/?n=5000&Content-Encoding=identity", "gzip").await;
        assert!(!response.header.contains("Content-Encoding"));
        assert_eq!(response.bytes().await.unwrap().len(), 5000);
    })
    .await;
}

async fn nothing_for_head(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    w.header().set("Content-Type", "text/html");
    if r.method == Method::HEAD { Ok(()) } else { w.write("<p>long</p>".repeat(1000)).await }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_writes_nothing_for_head_has_not_said_how_long_the_coded_content_is() {
    on_all_sites(nothing_for_head.wrapped_in(Compression::new()), async |site| {
        let head = ask(&site, Method::HEAD, "/", &[("Accept-Encoding", "gzip")]).await;
        assert_eq!(head.header.get("Content-Length"), None);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_head_has_the_fields_of_one_to_get() {
    on_all_sites(text.wrapped_in(Compression::new()), async |site| {
        for n in ["5", "1500", "5000"] {
            let target = format!("/?n={n}&ETag=%221%22");
            let mut got = get(&site, &target, "gzip").await;
            got.bytes().await.unwrap();
            let mut head = ask(&site, Method::HEAD, &target, &[("Accept-Encoding", "gzip")]).await;
            assert_eq!(head.bytes().await.unwrap(), "");
            for name in ["Content-Encoding", "Content-Length", "Vary", "ETag", "Content-Type"] {
                assert_eq!(head.header.get(name), got.header.get(name), "{name} of {n}");
            }
        }
    })
    .await;
}

async fn file(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    w.header().set("ETag", "\"v1\"");
    serve_content(w, r, "a.css", None, Cursor::new("a {}\n".repeat(1000))).await
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_either_form_is_still_good_and_ranges_are_those_of_the_plain_one() {
    on_all_sites(file.wrapped_in(Compression::new()), async |site| {
        let response = get(&site, "/", "gzip").await;
        assert_eq!(response.header.get("ETag"), Some("W/\"v1\""));
        assert!(!response.header.contains("Accept-Ranges") && !response.header.contains("Content-Length"));
        drop(response);
        for (held, tag) in [("W/\"v1\"", "W/\"v1\""), ("\"v0\", W/\"v1\"", "W/\"v1\""), ("\"v1\"", "\"v1\"")] {
            let fields = [("Accept-Encoding", "gzip"), ("If-None-Match", held)];
            let response = ask(&site, Method::GET, "/", &fields).await;
            assert_eq!((response.status.as_u16(), response.header.get("ETag")), (304, Some(tag)));
            assert_eq!(response.header.get("Vary"), Some("Accept-Encoding"));
            assert!(!response.header.contains("Content-Encoding"));
        }
        let fields = [("Accept-Encoding", "gzip"), ("Range", "bytes=0-3")];
        let mut response = ask(&site, Method::GET, "/", &fields).await;
        assert_eq!((response.status.as_u16(), response.header.get("ETag")), (206, Some("\"v1\"")));
        assert_eq!((response.content_length, response.header.get("Content-Range")), (Some(4), Some("bytes 0-3/5000")));
        assert_eq!(response.bytes().await.unwrap(), "a {}");
        // The tag of the compressed form is weak, and no part of the plain one belongs to it.
        let fields = [("Accept-Encoding", "gzip"), ("Range", "bytes=0-3"), ("If-Range", "W/\"v1\"")];
        let mut response = ask(&site, Method::GET, "/", &fields).await;
        assert_eq!((response.status.as_u16(), response.header.get("Content-Encoding")), (200, Some("gzip")));
        assert_eq!(unzipped(&response.bytes().await.unwrap()).len(), 5000);
        assert_eq!(site.server.connections(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn events_arrive_when_they_are_flushed_and_a_large_one_when_it_is_written() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("Content-Type", "text/event-stream");
        for n in 0..3 {
            w.write(format!("data: {n}\n\n")).await?;
            w.flush().await?;
            tokio::time::sleep(secs(1)).await;
        }
        w.write(format!("data: {}\n\n", "x".repeat(5000))).await?;
        tokio::time::sleep(secs(1)).await;
        Ok(())
    };
    in_all_modes(async |mode| {
        for coding in [ContentCoding::Gzip, ContentCoding::Brotli, ContentCoding::Zstandard] {
            let site = Site::start(mode, handler.wrapped_in(Compression::new().codings([coding])));
            let began = Instant::now();
            let mut response = site.get("/").await.unwrap();
            let mut text = String::new();
            for (event, end) in [(0, "0\n\n"), (1, "1\n\n"), (2, "2\n\n"), (3, "xxx\n\n")] {
                while !text.ends_with(end) {
                    let chunk = response.body.chunk().await.unwrap().expect("an event");
                    text.push_str(std::str::from_utf8(&chunk).unwrap());
                }
                assert_eq!(began.elapsed(), millis(1000 * event), "{coding:?}");
            }
            assert!(response.body.chunk().await.unwrap().is_none());
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn settings_choose_types_sizes_and_responses() {
    let of_its_own = Compression::new()
        .types(["application/*", "image/x-raw"])
        .min_size(10)
        .only_if(|head: &ResponseHead<'_>| !head.header().contains("Cache-Control"));
    on_all_sites(text.wrapped_in(of_its_own), async |site| {
        for (target, is_compressed) in [
            ("/?n=10&Content-Type=application/octet-stream", true),
            ("/?n=9&Content-Type=application/octet-stream", false),
            ("/?n=5000&Content-Type=IMAGE/X-raw%3B+a%3Db", true),
            ("/?n=5000&Content-Type=image/x-other", false),
            ("/?n=5000&Content-Type=text/html", false),
            ("/?n=5000&Content-Type=application/json&Cache-Control=no-store", false),
        ] {
            let response = get(&site, target, "gzip").await;
            assert_eq!(response.header.contains("Content-Encoding"), is_compressed, "{target}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn two_compressions_around_a_handler_compress_once() {
    let twice = text.wrapped_in(Compression::new()).wrapped_in(Compression::new());
    on_all_sites(twice, async |site| {
        let mut response = get(&site, "/?n=5000", "gzip").await;
        assert_eq!(response.header.values("Content-Encoding").collect::<Vec<_>>(), ["gzip"]);
        assert_eq!(unzipped(&response.bytes().await.unwrap()).len(), 5000);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_of_http_1_0_gets_plain_content() {
    let running = support::serve(text.wrapped_in(Compression::new()));
    let mut peer = running.dial().await;
    peer.send("GET /?n=1500 HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n").await;
    let end = peer.end().await.received;
    assert!(end.contains("\r\nContent-Length: 1500\r\n") && !end.contains("Content-Encoding"), "{end}");
}
