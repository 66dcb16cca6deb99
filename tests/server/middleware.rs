//! Middleware and the plain answers, over a server whose connections are pipes in memory.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nethttp::error::Phase;
use nethttp::middleware::{
    allow_query_semicolons, max_bytes_handler, not_found_handler, redirect_handler, timeout_handler,
};
use nethttp::net::{Addr, Listener};
use nethttp::{
    Context, ErrorKind, Handler, Request, ResponseWriter, Result, Server, StatusCode, error, handle_with, not_found,
    redirect, strip_prefix,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

// ------------------------------------------------------------ the server and its answers

/// Hands out the one connection it has, and then waits for ever.
struct One(mpsc::Receiver<DuplexStream>);

impl Listener for One {
    type Stream = DuplexStream;

    async fn accept(&mut self) -> io::Result<(DuplexStream, Addr)> {
        match self.0.recv().await {
            Some(stream) => Ok((stream, Addr::Named("peer".into()))),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> Addr {
        Addr::Named("here".into())
    }
}

/// A connection to a server with this handler.
fn connect(handler: impl Handler) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let (hand, handed) = mpsc::channel(1);
    hand.try_send(theirs).expect("there is room for one");
    tokio::spawn(async move { Server::new(handler).serve(One(handed)).await });
    ours
}

/// What came back until the server closed.
struct Answer {
    head: String,
    content: String,
}

impl Answer {
    fn of(text: &str) -> Answer {
        let (head, content) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        Answer { head: head.to_owned(), content: content.to_owned() }
    }

    fn status(&self) -> u16 {
        self.head[9..12].parse().expect("a status line has a number")
    }

    fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

/// The answer to one request, sent whole.
async fn ask_raw(handler: impl Handler, request: &str) -> Answer {
    let mut stream = connect(handler);
    stream.write_all(request.as_bytes()).await.expect("the pipe has room");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("an answer of these tests is text");
    Answer::of(&text)
}

async fn ask(handler: impl Handler, method: &str, target: &str) -> Answer {
    ask_raw(handler, &format!("{method} {target} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")).await
}

async fn get(handler: impl Handler, target: &str) -> Answer {
    ask(handler, "GET", target).await
}

/// Answers what of the target a handler sees.
async fn show_target(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    w.write(format!("{} {}", r.uri, r.request_uri)).await
}

// ------------------------------------------------------------ error and not_found

#[tokio::test]
async fn an_error_is_a_line_of_plain_text_with_a_length_of_its_own() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        for (name, value) in [
            ("Content-Type", "text/html"),
            ("Content-Length", "1"),
            ("X-Content-Type-Options", "sniff"),
            ("Vary", "Accept"),
        ] {
            w.header().set(name, value);
        }
        error(w, "no, <b>never</b>", StatusCode::IM_A_TEAPOT).await
    };
    let answer = get(handler, "/").await;
    assert_eq!((answer.status(), answer.content.as_str()), (418, "no, <b>never</b>\n"));
    assert_eq!(answer.field("Content-Type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.field("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!(answer.field("Content-Length"), Some("17"));
    assert_eq!(answer.field("Vary"), Some("Accept"));
}

#[tokio::test]
async fn an_error_of_a_status_without_content_is_the_status_alone() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| error(w, "gone", StatusCode::NO_CONTENT).await;
    let answer = get(handler, "/").await;
    assert_eq!((answer.status(), answer.content.as_str()), (204, ""));
}

#[tokio::test]
async fn not_found_is_a_function_and_a_handler() {
    for answer in [get(not_found, "/").await, get(not_found_handler(), "/").await] {
        assert_eq!((answer.status(), answer.content.as_str()), (404, "404 page not found\n"));
    }
}

// ------------------------------------------------------------ redirect

#[tokio::test]
async fn a_redirect_has_a_page_for_get_and_its_type_for_head_too() {
    let page = "<a href=\"/dir/new?a&#38;b\">Found</a>.\n\n";
    for (method, content_type, content) in [
        ("GET", Some("text/html; charset=utf-8"), page),
        ("HEAD", Some("text/html; charset=utf-8"), ""),
        ("POST", None, ""),
        ("DELETE", None, ""),
    ] {
        let answer = ask(redirect_handler("new?a&b", StatusCode::FOUND), method, "/dir/old?x").await;
        assert_eq!((answer.status(), answer.field("Location")), (302, Some("/dir/new?a&b")), "{method}");
        assert_eq!((answer.field("Content-Type"), answer.content.as_str()), (content_type, content), "{method}");
    }
}

#[tokio::test]
async fn a_redirect_leaves_a_type_that_was_set_and_writes_nothing() {
    for content_type in ["application/json", ""] {
        let handler =
            handle_with(content_type, async |content_type: &&str, w: &mut ResponseWriter, r: &mut Request| {
                w.header().set("Content-Type", *content_type);
                redirect(w, r, "/new", StatusCode::SEE_OTHER).await
            });
        let answer = get(handler, "/old").await;
        assert_eq!((answer.status(), answer.content.as_str()), (303, ""));
        assert_eq!(answer.field("Content-Type").map(str::trim), Some(content_type));
    }
}

#[tokio::test]
async fn a_redirect_cannot_split_the_header() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        let back = r.query("back").unwrap_or_default();
        redirect(w, r, &back, StatusCode::FOUND).await
    };
    let answer = get(handler, "/?back=/a%0D%0ASet-Cookie:%20a%3Db%0D%0A%0D%0Ax").await;
    assert_eq!(answer.field("Location"), Some("/a%0D%0ASet-Cookie:%20a=b%0D%0A%0D%0Ax"));
    assert_eq!(answer.field("Set-Cookie"), None);
}

// ------------------------------------------------------------ strip_prefix and the query

#[tokio::test]
async fn behind_a_prefix_the_path_is_shorter_and_the_request_uri_as_received() {
    let answer = get(strip_prefix("/files", show_target), "/files/a%20b?x=/files").await;
    assert_eq!(answer.content, "/a%20b?x=/files /files/a%20b?x=/files");
    let answer = get(strip_prefix("", show_target), "/files").await;
    assert_eq!(answer.content, "/files /files", "the empty prefix changes nothing");
    let answer = get(strip_prefix("/a", strip_prefix("/b", show_target)), "/a/b/c").await;
    assert_eq!(answer.content, "/c /a/b/c");
    let answer = get(strip_prefix("/files", show_target), "/filesystem").await;
    assert_eq!((answer.status(), answer.content.as_str()), (404, "404 page not found\n"));
}

/// Keeps the target that is there once the inner handler is done.
struct After<Inner> {
    inner: Inner,
    seen: Arc<Mutex<String>>,
}

impl<Inner: Handler> Handler for After<Inner> {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let result = self.inner.serve_http(w, r).await;
        *self.seen.lock().expect("no test panics with it") = r.uri.to_string();
        result
    }
}

#[tokio::test(start_paused = true)]
async fn handlers_around_see_the_original_target() {
    async fn fail(_: &mut ResponseWriter, _: &mut Request) -> Result<()> {
        Err(io::Error::other("no").into())
    }
    async fn hang(_: &mut ResponseWriter, _: &mut Request) -> Result<()> {
        std::future::pending().await
    }
    let seen = Arc::new(Mutex::new(String::new()));
    let target = "/a/b?x;y";
    let limit = Duration::from_secs(1);
    get(After { inner: strip_prefix("/a", show_target), seen: seen.clone() }, target).await;
    assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), target, "after an answer");
    get(After { inner: strip_prefix("/a", fail), seen: seen.clone() }, target).await;
    assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), target, "after an error");
    let dropped = timeout_handler(strip_prefix("/a", allow_query_semicolons(hang)), limit, "");
    get(After { inner: dropped, seen: seen.clone() }, target).await;
    assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), target, "after it was dropped half-way");
}

#[tokio::test]
async fn semicolons_separate_pairs_where_that_is_allowed() {
    async fn show(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let pairs: Vec<String> = r.query_pairs().map(|(name, value)| format!("{name}:{value}")).collect();
        w.write(pairs.join(" ")).await
    }
    let target = "/p;q?a=1;b=2&c=3%3B4";
    assert_eq!(get(show, target).await.content, "c:3;4", "a malformed pair is left out");
    assert_eq!(get(allow_query_semicolons(show), target).await.content, "a:1 b:2 c:3;4");
    let answer = get(allow_query_semicolons(show_target), target).await;
    assert_eq!(answer.content, format!("/p;q?a=1&b=2&c=3%3B4 {target}"), "the path keeps its own");
}

// ------------------------------------------------------------ max_bytes_handler

async fn upload(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let content = r.body.bytes(1 << 20).await?;
    w.write(format!("{} bytes", content.len())).await
}

#[tokio::test]
async fn content_up_to_the_limit_is_read_and_more_is_413() {
    for (limit, content, status) in [(5, "hello", 200), (4, "hello", 413), (0, "h", 413), (0, "", 200)] {
        let fields = "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n";
        let known = format!("{fields}Content-Length: {}\r\n\r\n{content}", content.len());
        let chunk = if content.is_empty() { String::new() } else { format!("{:x}\r\n{content}\r\n", content.len()) };
        let chunked = format!("{fields}Transfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n");
        for request in [known, chunked] {
            let answer = ask_raw(max_bytes_handler(upload, limit), &request).await;
            assert_eq!(answer.status(), status, "{limit} of {request}");
        }
    }
}

#[tokio::test]
async fn of_two_limits_the_smaller_one_holds_in_any_order() {
    let request = "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
    for (outer, inner) in [(4, 100), (100, 4)] {
        let answer = ask_raw(max_bytes_handler(max_bytes_handler(upload, inner), outer), request).await;
        assert_eq!(answer.status(), 413);
    }
}

// ------------------------------------------------------------ timeout_handler

const LIMIT: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn a_handler_within_its_time_is_left_alone() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("X-Inner", "1");
        sleep(LIMIT - Duration::from_millis(1)).await;
        w.write("done").await
    };
    let answer = get(timeout_handler(handler, LIMIT, "late"), "/").await;
    assert_eq!((answer.status(), answer.content.as_str()), (200, "done"));
    assert_eq!(answer.field("X-Inner"), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_writes_nothing_answers_200() {
    let handler = async |_: &mut ResponseWriter, _: &mut Request| Ok(());
    let answer = get(timeout_handler(handler, LIMIT, "late"), "/").await;
    assert_eq!((answer.status(), answer.content.as_str()), (200, ""));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_late_is_answered_for_with_503_and_the_message() {
    let handler = async |_: &mut ResponseWriter, _: &mut Request| std::future::pending().await;
    for (message, content_type, content) in [
        ("try again later", "text/plain; charset=utf-8", "try again later"),
        ("", "text/html; charset=utf-8", "<!doctype html>\n<title>Timeout</title>\n<h1>Timeout</h1>\n"),
    ] {
        let began = Instant::now();
        let answer = get(timeout_handler(handler, LIMIT, message), "/").await;
        assert_eq!(began.elapsed().as_secs(), LIMIT.as_secs());
        assert_eq!((answer.status(), answer.content.as_str()), (503, content));
        assert_eq!(answer.field("Content-Type"), Some(content_type));
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_begins_anew_for_each_request_and_the_connection_is_kept() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        sleep(Duration::from_secs(if r.path() == "/slow" { 60 } else { 3 })).await;
        w.write("done").await
    };
    let mut stream = connect(timeout_handler(handler, LIMIT, "late"));
    for (path, status) in [("/", "200"), ("/", "200"), ("/slow", "503"), ("/", "200")] {
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        while !answer.ends_with("\r\n\r\ndone") && !answer.ends_with("\r\n\r\nlate") {
            answer.push(char::from(stream.read_u8().await.unwrap()));
        }
        assert_eq!(&answer[9..12], status);
    }
}

/// Sets fields, a status, a hook and content; then hangs.
async fn begin_and_hang(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.header().set("X-Inner", "1");
    w.header().set("X-Outer", "changed");
    w.header().set("Content-Length", "1000");
    w.trailer().set("X-Sum", "1");
    w.before_head(|_, header| header.set("X-Inner-Hook", "1"));
    w.omit(nethttp::server::AutoField::Date);
    w.set_write_deadline(Some(Instant::now() + 2 * LIMIT));
    w.write_header(StatusCode::CREATED);
    w.write("the beginning of an answer").await?;
    std::future::pending().await
}

/// Sets fields and a hook around another handler.
struct Around<Inner>(Inner);

impl<Inner: Handler> Handler for Around<Inner> {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        w.header().set("X-Outer", "1");
        w.before_head(|status, header| header.set("X-Outer-Hook", status.as_str()));
        let result = self.0.serve_http(w, r).await;
        let written = w.written().to_string();
        w.header().set("X-Written", written);
        result
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_late_handler_has_set_is_forgotten_and_what_was_set_around_it_stays() {
    let answer = get(Around(timeout_handler(begin_and_hang, LIMIT, "late")), "/").await;
    assert_eq!((answer.status(), answer.content.as_str()), (503, "late"));
    assert_eq!((answer.field("X-Outer"), answer.field("X-Outer-Hook")), (Some("1"), Some("503")));
    assert_eq!((answer.field("X-Inner"), answer.field("X-Inner-Hook"), answer.field("Trailer")), (None, None, None));
    assert!(answer.field("Date").is_some());
    assert_eq!((answer.field("Content-Length"), answer.field("X-Written")), (Some("4"), Some("4")));
}

/// Keeps the error of the handler within.
struct Kept<Inner> {
    inner: Inner,
    error: Arc<Mutex<Option<nethttp::Error>>>,
}

impl<Inner: Handler> Handler for Kept<Inner> {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let result = self.inner.serve_http(w, r).await;
        let Err(error) = result else { return Ok(()) };
        *self.error.lock().expect("no test panics with it") = Some(error);
        Err(nethttp::Error::answer(StatusCode::BAD_GATEWAY, "seen"))
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_has_begun_streams_and_is_cut_when_the_time_is_over() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        loop {
            w.write("tick\n").await?;
            w.flush().await?;
            sleep(Duration::from_secs(2)).await;
        }
    };
    let error = Arc::default();
    let inner = timeout_handler(handler, LIMIT, "late");
    let mut stream = connect(Kept { inner, error: Arc::clone(&error) });
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
    let began = Instant::now();
    let mut text = vec![0; 1024];
    let first = stream.read(&mut text).await.unwrap();
    assert!(first > 0 && began.elapsed() < Duration::from_secs(1), "nothing is held back");
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "5\r\ntick\n\r\n5\r\ntick\n\r\n", "no last chunk: the client sees that it is cut");
    assert_eq!(began.elapsed().as_secs(), LIMIT.as_secs());
    let error = error.lock().unwrap().take().expect("the outer handler gets an error");
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TimedOut, Some(Phase::Handler)));
    assert_eq!(error.to_string(), "timed out (while running the handler)");
}

async fn pass_over(w: &mut ResponseWriter, r: &mut Request, next: nethttp::Next<'_>) -> Result<()> {
    w.header().set("Cache-Control", "max-age=3600");
    w.header().set("ETag", "\"1\"");
    let _ = next.run(w, r).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_503_has_nothing_that_was_said_of_other_content() {
    let answer = get(timeout_handler(begin_and_hang, LIMIT, "late").wrapped_in(pass_over), "/").await;
    assert_eq!((answer.status(), answer.field("Cache-Control"), answer.field("ETag")), (503, None, None));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_cut_does_not_look_whole_where_its_error_is_passed_over() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.write("half").await?;
        w.flush().await?;
        std::future::pending::<Result<()>>().await
    };
    let mut stream = connect(timeout_handler(handler, LIMIT, "late").wrapped_in(pass_over));
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.ends_with("4\r\nhalf\r\n"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn tasks_of_a_late_handler_see_their_context_cancelled_and_the_outer_one_is_not() {
    /// Where the contexts go to, from within and around.
    struct Contexts(mpsc::UnboundedSender<(Instant, bool)>);

    impl Handler for Contexts {
        async fn serve_http(&self, _: &mut ResponseWriter, r: &mut Request) -> Result<()> {
            let (context, report): (Context, _) = (r.context().clone(), self.0.clone());
            tokio::spawn(async move {
                context.cancelled().await;
                report.send((Instant::now(), context.is_cancelled())).unwrap();
            });
            std::future::pending().await
        }
    }

    struct Outer<Inner>(Inner);

    impl<Inner: Handler> Handler for Outer<Inner> {
        async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
            self.0.serve_http(w, r).await?;
            sleep(Duration::from_secs(1)).await;
            w.header().set("X-Cancelled", r.context().is_cancelled().to_string());
            Ok(())
        }
    }

    let (report, mut reports) = mpsc::unbounded_channel();
    let began = Instant::now();
    let answer = get(Outer(timeout_handler(Contexts(report), LIMIT, "late")), "/").await;
    assert_eq!((answer.status(), answer.field("X-Cancelled")), (503, Some("false")));
    let (at, cancelled) = reports.recv().await.unwrap();
    assert!(cancelled);
    assert_eq!((at - began).as_secs(), LIMIT.as_secs(), "before the outer handler went on");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_cancels_the_context_behind_the_limit_too() {
    let (report, mut reports) = mpsc::unbounded_channel();
    let handler =
        handle_with(report, async |report: &mpsc::UnboundedSender<()>, _: &mut ResponseWriter, r: &mut Request| {
            r.context().cancelled().await;
            report.send(()).unwrap();
            Ok(())
        });
    let mut stream = connect(timeout_handler(timeout_handler(handler, LIMIT, "inner"), LIMIT, "outer"));
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let left = Instant::now();
    drop(stream);
    reports.recv().await.unwrap();
    assert!(left.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn no_limit_and_an_endless_one_never_end() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        sleep(Duration::from_secs(3600)).await;
        w.write("done").await
    };
    for limit in [Duration::ZERO, Duration::MAX] {
        assert_eq!(get(timeout_handler(handler, limit, "late"), "/").await.content, "done");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_within_the_limit_reaches_the_server() {
    let handler = async |_: &mut ResponseWriter, r: &mut Request| match r.escaped_path() {
        "/abort" => nethttp::server::abort(),
        _ => panic!("on purpose"),
    };
    assert_eq!(get(timeout_handler(handler, LIMIT, "late"), "/").await.status(), 500);
    assert_eq!(get(timeout_handler(handler, LIMIT, "late"), "/abort").await.head, "");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_waits_for_content_is_answered_for_too() {
    let mut stream = connect(timeout_handler(upload, LIMIT, "late"));
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhello").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let answer = Answer::of(&text);
    assert_eq!((answer.status(), answer.content.as_str()), (503, "late"));
}
