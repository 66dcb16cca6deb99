//! Content filters: what is between a handler's writes and the content that arrives.

use std::io::Cursor;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use nethttp::files::serve_content;
use nethttp::middleware::timeout_handler;
use nethttp::server::{ContentFilter, ResponseHead};
use nethttp::{Error, Handler, Header, Method, Request, ResponseWriter, Result, StatusCode, handle_with};
use tokio::io::AsyncWriteExt;

use crate::site::{Site, in_all_modes, on_all_sites, whole};
use crate::support::{millis, settle};

/// Content in upper case.
struct Upper;

impl ContentFilter for Upper {
    fn write(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<()> {
        out.extend(content.iter().map(u8::to_ascii_uppercase));
        Ok(())
    }
}

/// Keeps content back until it is flushed, and counts it.
#[derive(Default)]
struct Held {
    content: Vec<u8>,
    total: usize,
}

impl ContentFilter for Held {
    fn write(&mut self, content: &[u8], _: &mut Vec<u8>) -> Result<()> {
        self.content.extend_from_slice(content);
        self.total += content.len();
        Ok(())
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> Result<()> {
        out.append(&mut self.content);
        out.push(b'|');
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>, trailer: &mut Header) -> Result<()> {
        out.append(&mut self.content);
        out.push(b'.');
        trailer.set("X-Total", self.total.to_string());
        Ok(())
    }
}

fn filter(w: &mut ResponseWriter, make: fn() -> Box<dyn ContentFilter>) {
    w.filter_content(move |_| Some(make()));
}

fn upper(w: &mut ResponseWriter) {
    filter(w, || Box::new(Upper));
}

fn held(w: &mut ResponseWriter) {
    filter(w, || Box::new(Held::default()));
}

#[tokio::test(start_paused = true)]
async fn a_short_answer_has_the_length_and_the_fields_of_its_filtered_content() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        held(w);
        w.header().set("ETag", "\"1\"");
        w.header().set("Accept-Ranges", "bytes");
        w.header().set("Content-Length", "11");
        w.write("hello").await?;
        w.write(" world").await
    };
    on_all_sites(handler, async |site| {
        let mut response = site.get("/").await.unwrap();
        assert_eq!(response.header.get("ETag"), Some("W/\"1\""));
        assert!(!response.header.contains("Accept-Ranges"));
        assert_eq!(response.header.get("Content-Type"), Some("text/plain; charset=utf-8"));
        // The filter has set a trailer, and there are none behind a length.
        assert_eq!(response.content_length, None);
        assert_eq!(response.text().await.unwrap(), "hello world.");
        assert_eq!(response.body.trailer().unwrap().get("X-Total"), Some("11"));
        site.assert_lives("/").await;
        assert_eq!(site.server.connections(), 1);
    })
    .await;

    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        filter(w, || Box::new(Repeated(3)));
        w.write("hello").await
    };
    on_all_sites(handler, async |site| {
        for _ in 0..2 {
            let mut response = site.get("/").await.unwrap();
            assert_eq!(response.content_length, Some(15), "known before the head is sent");
            assert_eq!(response.text().await.unwrap(), "hellohellohello");
        }
        assert_eq!(site.server.connections(), 1);
    })
    .await;
}

/// Each piece of content several times.
struct Repeated(usize);

impl ContentFilter for Repeated {
    fn write(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&content.repeat(self.0));
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn every_byte_goes_through_the_filters_however_it_is_written() {
    let text: String = (0..60_000).map(|n| format!("line {n}\n")).collect();
    let expected = text.to_uppercase();
    let handler = async |text: &String, w: &mut ResponseWriter, r: &mut Request| {
        upper(w);
        match &*r.path() {
            "/write" => w.write(text).await,
            "/bytes" => w.write_bytes(text.clone().into()).await,
            "/small" => {
                for piece in text.as_bytes().chunks(100) {
                    w.write(piece).await?;
                }
                Ok(())
            }
            "/declared" => {
                w.header().set("Content-Length", text.len().to_string());
                w.write(text).await
            }
            "/poll" => {
                w.write_all(text.as_bytes()).await?;
                w.flush().await
            }
            _ => serve_content(w, r, "a.txt", None, Cursor::new(text.clone())).await,
        }
    };
    in_all_modes(async |mode| {
        let site = Site::start(mode, handle_with(text.clone(), handler));
        for path in ["/write", "/bytes", "/small", "/declared", "/poll", "/content"] {
            let mut response = site.get(path).await.unwrap();
            assert_eq!((response.status.as_u16(), response.content_length), (200, None), "{path}");
            assert!(response.text().await.unwrap() == expected, "{path}");
        }
        assert_eq!(site.server.connections(), 1);
        assert!(site.events().await.is_empty());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_flush_flushes_the_filters_and_the_one_set_last_comes_first() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        upper(w);
        held(w);
        filter(w, || Box::new(Repeated(2)));
        w.write("a").await?;
        w.flush().await?;
        w.write("b").await?;
        if r.path() == "/poll" {
            AsyncWriteExt::flush(w).await?;
            AsyncWriteExt::flush(w).await?;
        } else {
            w.flush().await?;
            w.flush().await?;
        }
        tokio::time::sleep(millis(1000)).await;
        w.write("c").await
    };
    on_all_sites(handler, async |site| {
        for path in ["/", "/poll"] {
            let began = tokio::time::Instant::now();
            let mut response = site.get(path).await.unwrap();
            let mut arrived = Vec::new();
            while arrived.len() < 6 {
                arrived.extend_from_slice(&response.body.chunk().await.unwrap().unwrap());
            }
            assert_eq!((&*arrived, began.elapsed()), (&b"AA|BB|"[..], millis(0)), "{path}");
            assert_eq!(response.text().await.unwrap(), "CC.");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_head_says_what_one_to_get_would_where_that_is_known() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        filter(w, || Box::new(Repeated(2)));
        w.header().set("ETag", "\"1\"");
        match &*r.path() {
            "/short" => w.write("hello").await,
            "/long" => w.write(vec![b'x'; 100_000]).await,
            "/declared" => {
                w.header().set("Content-Length", "500");
                if r.method == Method::HEAD { Ok(()) } else { w.write([b'x'; 500]).await }
            }
            "/part" => {
                w.header().set("Content-Length", "500");
                w.write([b'x'; 10]).await?;
                if r.method == Method::HEAD { Ok(()) } else { w.write([b'x'; 490]).await }
            }
            _ => Ok(()),
        }
    };
    on_all_sites(handler, async |site| {
        for (path, length, known) in [
            ("/short", 10, Some(10)),
            ("/long", 200_000, None),
            ("/declared", 1000, None),
            ("/part", 1000, None),
            ("/nothing", 0, None),
        ] {
            let mut response = site.client.head(&*site.url(path)).await.unwrap();
            assert_eq!((response.status.as_u16(), response.content_length), (200, known), "{path}");
            assert_eq!(response.header.get("ETag"), Some("W/\"1\""));
            assert_eq!(response.text().await.unwrap(), "");
            assert_eq!(site.ask(path).await.1.len(), length, "{path}");
        }
        assert_eq!(site.server.connections(), 1);
        assert!(site.events().await.is_empty());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_filter_is_asked_for_what_has_no_content_and_is_not_used_there() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        w.filter_content(|head| {
            let allows = head.allows_content();
            head.header_mut().set("X-Allows", allows.to_string());
            head.weaken_etag();
            Some(Box::new(Held::default()))
        });
        w.header().set("ETag", "\"1\"");
        w.write_header(StatusCode::from_u16(r.path()[1..].parse().unwrap()).unwrap());
        Ok(())
    };
    on_all_sites(handler, async |site| {
        for (status, allows, content) in
            [(204, "false", ""), (304, "false", ""), (200, "true", "."), (404, "true", ".")]
        {
            let mut response = site.get(&format!("/{status}")).await.unwrap();
            assert_eq!(response.status.as_u16(), status);
            assert_eq!(response.header.get("X-Allows"), Some(allows));
            assert_eq!(response.header.get("ETag"), Some("W/\"1\""));
            assert_eq!(response.text().await.unwrap(), content, "{status}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_decision_sees_the_head_as_hooks_and_inner_filters_have_left_it() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        let seen = Arc::new(Mutex::new(Vec::new()));
        for name in ["outer", "inner"] {
            let seen = seen.clone();
            w.filter_content(move |head: &mut ResponseHead<'_>| {
                let facts = (head.content_type().map(ToOwned::to_owned), head.content_length(), head.is_partial());
                seen.lock().unwrap().push(format!("{name} {facts:?} {:?}", head.header().get("X-Hook")));
                Some(Box::new(Upper))
            });
        }
        w.before_head(|_, header| header.set("X-Hook", "ran"));
        let outermost = seen.clone();
        match &*r.path() {
            "/whole" => w.write("<html>").await?,
            "/declared" => {
                w.header().set("Content-Length", "5000");
                w.header().set("Content-Type", "a/b");
                w.write([0; 5000]).await?;
            }
            "/part" => serve_content(w, r, "a.css", None, Cursor::new("a{}")).await?,
            _ => w.flush().await?,
        }
        // Where the head is decided at the end, nobody could tell any more.
        w.flush().await?;
        let text = outermost.lock().unwrap().join("; ");
        w.trailer().set("X-Seen", text);
        w.trailer().set("X-Done", "1");
        Ok(())
    };
    in_all_modes(async |mode| {
        let site = Site::start(mode, handler);
        let html = "Some(\"text/html; charset=utf-8\")";
        let css = "Some(\"text/css; charset=utf-8\")";
        for (path, inner, outer) in [
            ("/whole", format!("({html}, None, false)"), format!("({html}, None, false)")),
            ("/declared", "(Some(\"a/b\"), Some(5000), false)".into(), "(Some(\"a/b\"), None, false)".into()),
            ("/part", format!("({css}, Some(2), true)"), format!("({css}, None, true)")),
            ("/nothing", "(None, None, false)".into(), "(None, None, false)".into()),
        ] {
            let mut request = site.request(Method::GET, path, ());
            request.header.set("Range", "bytes=1-2");
            request.header.set("TE", "trailers");
            let mut response = site.client.send(request).await.unwrap();
            response.bytes().await.unwrap();
            let Some(trailer) = response.body.trailer() else { panic!("no trailer at {path}") };
            let expected = format!("inner {inner} Some(\"ran\"); outer {outer} Some(\"ran\")");
            assert_eq!(trailer.get("X-Seen"), Some(&*expected), "{path}");
        }
    })
    .await;
}

/// Counts the content that it sees.
struct Counted(Arc<AtomicUsize>);

impl ContentFilter for Counted {
    fn write(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<()> {
        self.0.fetch_add(content.len(), Ordering::SeqCst);
        out.extend(content.iter().map(u8::to_ascii_uppercase));
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_in_place_of_a_response_is_filtered_by_what_was_around_it_and_the_response_is_seen_by_none() {
    let handler = async |seen: &Arc<AtomicUsize>, w: &mut ResponseWriter, r: &mut Request| {
        let seen = seen.clone();
        w.filter_content(move |_| Some(Box::new(Counted(seen))));
        if r.path() == "/timeout" {
            return timeout_handler(late, millis(10), "late").serve_http(w, r).await;
        }
        w.write("never sent").await?;
        assert_eq!(r.path(), "/error", "as it is told to");
        Err(Error::answer(StatusCode::CONFLICT, "no"))
    };
    async fn late(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
        held(w);
        w.write("nor is this").await?;
        std::future::pending().await
    }
    in_all_modes(async |mode| {
        let seen = Arc::new(AtomicUsize::new(0));
        let site = Site::start(mode, handle_with(seen.clone(), handler));
        for (path, status, content) in
            [("/error", 409, "NO"), ("/timeout", 503, "LATE"), ("/panic", 500, "500 INTERNAL SERVER ERROR\n")]
        {
            seen.store(0, Ordering::SeqCst);
            assert_eq!(site.ask(path).await, (status, content.to_owned()));
            assert_eq!(seen.load(Ordering::SeqCst), content.len(), "{path}");
        }
    })
    .await;
}

/// Fails after so many bytes, or panics.
struct Failing {
    left: usize,
    panics: bool,
}

impl ContentFilter for Failing {
    fn write(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<()> {
        self.left = self.left.saturating_sub(content.len());
        if self.left > 0 {
            out.extend_from_slice(content);
            return Ok(());
        }
        assert!(!self.panics, "as it is told to");
        Err(Error::other("it cannot be changed"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_fails_makes_a_500_where_nothing_was_sent_and_cuts_what_was_begun() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        let panics = r.query("panics").is_some();
        w.filter_content(move |_| Some(Box::new(Failing { left: 5000, panics })));
        match &*r.path() {
            "/short" => {
                w.filter_content(move |_| Some(Box::new(Failing { left: 3, panics })));
                w.write("short").await
            }
            // What the write says is not heard, and the answer is cut all the same.
            "/unheard" => {
                w.write([b'x'; 4000]).await?;
                w.flush().await?;
                let _ = w.write([b'x'; 4000]).await;
                Ok(())
            }
            _ => {
                w.write([b'x'; 4000]).await?;
                w.flush().await?;
                w.write([b'x'; 4000]).await
            }
        }
    };
    in_all_modes(async |mode| {
        for query in ["", "?panics"] {
            let site = Site::start(mode, handler);
            assert_eq!(site.ask(&format!("/short{query}")).await, (500, "500 Internal Server Error\n".into()));
            assert_eq!(site.events().await.len(), 1);
            for path in ["/long", "/unheard"] {
                // After a panic a stream is reset at once, perhaps before its head has left.
                let answered = match site.get(&format!("{path}{query}")).await {
                    Ok(mut response) => response.text().await,
                    Err(error) => Err(error),
                };
                assert!(answered.is_err(), "{path}{query} is not whole");
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_dropped_between_two_pieces_cuts_the_answer() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        upper(w);
        // More than the connection holds: the write waits in the middle.
        assert!(tokio::time::timeout(millis(10), w.write(vec![b'x'; 4 << 20])).await.is_err());
        Ok(())
    };
    on_all_sites(handler, async |site| {
        let mut response = site.get("/").await.unwrap();
        settle().await;
        tokio::time::sleep(millis(20)).await;
        assert!(response.bytes().await.is_err());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn less_content_than_was_declared_is_never_taken_for_whole() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        upper(w);
        w.header().set("Content-Length", "5000");
        w.write("a few").await?;
        if r.path() == "/begun" { w.flush().await } else { Ok(()) }
    };
    on_all_sites(handler, async |site| {
        assert_eq!(site.ask("/").await.0, 500);
        let mut response = site.get("/begun").await.unwrap();
        assert!(response.text().await.is_err());
        assert!(site.events().await.iter().all(|event| event.contains("less content than the Content-Length of 5000")));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn more_content_than_was_declared_is_refused_as_without_a_filter() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        filter(w, || Box::new(Repeated(2)));
        w.header().set("Content-Length", "3000");
        w.write([b'x'; 3000]).await?;
        let refused = w.write("x").await.unwrap_err();
        assert_eq!(refused.kind(), nethttp::ErrorKind::ContentLength);
        Ok(())
    };
    on_all_sites(handler, async |site| {
        assert_eq!(whole(site.get("/").await).await, (200, "x".repeat(6000)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn large_content_lets_other_tasks_run() {
    let handler = async |steps: &Arc<AtomicUsize>, w: &mut ResponseWriter, _: &mut Request| {
        filter(w, || Box::new(Nothing));
        let (counted, done) = (steps.clone(), Arc::new(AtomicUsize::new(0)));
        let finished = done.clone();
        let beside = tokio::spawn(async move {
            while finished.load(Ordering::SeqCst) == 0 {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        });
        w.write(vec![b'x'; 1 << 20]).await?;
        done.store(1, Ordering::SeqCst);
        beside.await.map_err(Error::other)
    };
    in_all_modes(async |mode| {
        let steps = Arc::new(AtomicUsize::new(0));
        let site = Site::start(mode, handle_with(steps.clone(), handler));
        assert_eq!(site.ask("/").await, (200, String::new()));
        assert!(steps.load(Ordering::SeqCst) >= 31, "{steps:?}: once for each 32 KiB but the last");
    })
    .await;
}

/// Nothing of the content.
struct Nothing;

impl ContentFilter for Nothing {
    fn write(&mut self, content: &[u8], _: &mut Vec<u8>) -> Result<()> {
        assert!(!content.is_empty() && content.len() <= 32 * 1024);
        Ok(())
    }
}

/// Cannot end.
struct Endless;

impl ContentFilter for Endless {
    fn write(&mut self, _: &[u8], _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    fn end(&mut self, _: &mut Vec<u8>, _: &mut Header) -> Result<()> {
        Err(Error::other("there is no end"))
    }
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_filter_that_cannot_end_has_the_fields_of_every_response_by_its_own_status() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.before_head(|status, header| {
            header.set("X-Status", status.as_str());
            header.add("X-Added", "once");
            if status.is_success() {
                header.set("X-Success", "yes");
            }
        });
        filter(w, || Box::new(Endless));
        w.write("short").await
    };
    on_all_sites(handler, async |site| {
        let response = site.get("/").await.unwrap();
        assert_eq!((response.status.as_u16(), response.header.get("X-Status")), (500, Some("500")));
        assert_eq!(response.header.values("X-Added").count(), 1);
        assert!(!response.header.contains("X-Success"));
        assert_eq!(whole(Ok(response)).await.1, "500 Internal Server Error\n");
    })
    .await;
}
