//! Forms and multipart content, from the wire to the handler.

use nethttp::middleware::max_bytes_handler;
use nethttp::{Error, ErrorKind, Method, Request, ResponseWriter, Result, Uri};
use tokio::io::AsyncReadExt;

#[cfg(target_os = "linux")]
use crate::alone::{alone, is_alone};
use crate::wire::{Answer, Host};

const URLENCODED: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=b";
const UPLOAD: &str = "--b\r\nContent-Disposition: form-data; name=\"v\"\r\n\r\nvalue\r\n\
    --b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"/etc/f.txt\"\r\nContent-Type: text/plain\r\n\r\ncontent\r\n--b--\r\n";

/// A request as it goes over the wire, of a type if one is given.
fn post(target: &str, content_type: &str, content: &str) -> String {
    let field = if content_type.is_empty() { String::new() } else { format!("Content-Type: {content_type}\r\n") };
    format!("POST {target} HTTP/1.1\r\nHost: a\r\n{field}Content-Length: {}\r\n\r\n{content}", content.len())
}

/// Sends a request and reads the status and the content of its answer.
async fn ask(host: &Host, request: &str) -> (u16, String) {
    let (bytes, closed) = host.connect().talk_bytes(request).await;
    assert!(!closed, "the content was read, or is little: the connection is kept");
    let [answer] = &Answer::all(&bytes)[..] else { panic!("not one answer: {}", bytes.escape_ascii()) };
    (answer.status, answer.text().to_owned())
}

fn request(method: Method, uri: &'static str, content_type: &str, content: &'static str) -> Request {
    let mut request = Request::new(method, Uri::from_static(uri), content);
    request.header.set("Content-Type", content_type);
    request
}

// ------------------------------------------------------------ urlencoded

async fn show_form(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let form = r.form().await?;
    w.write(form.encode()).await
}

#[tokio::test(start_paused = true)]
async fn a_form_is_read_and_what_is_wrong_with_it_is_answered() {
    let host = Host::new(show_form);
    let cases = [
        ("/?a=1", "", "b=2", (200, "a=1")),
        ("/?a=1", URLENCODED, "b=2&a=3", (200, "b=2&a=3&a=1")),
        ("/?a=1", MULTIPART, UPLOAD, (200, "a=1")),
        ("/?a=1;b=2", URLENCODED, "", (400, "400 Bad Request: a semicolon in a form or a query that is not escaped\n")),
        ("/", URLENCODED, "a=1;b=2", (400, "400 Bad Request: a semicolon in a form or a query that is not escaped\n")),
        (
            "/",
            URLENCODED,
            "a=%4",
            (400, "400 Bad Request: a percent sign in a form or a query without two hexadecimal digits behind it\n"),
        ),
        ("/", "a/b/c", "a=1", (400, "400 Bad Request: the Content-Type is malformed\n")),
    ];
    for (target, content_type, content, (status, text)) in cases {
        assert_eq!(ask(&host, &post(target, content_type, content)).await, (status, text.to_owned()), "{content}");
    }
    let many = "a=&".repeat(10_000);
    let (status, text) = ask(&host, &post("/", URLENCODED, &many)).await;
    assert_eq!((status, text.as_str()), (400, "400 Bad Request: more than 10,000 pairs in a form or a query\n"));
}

#[tokio::test(start_paused = true)]
async fn a_form_over_its_limit_is_413() {
    let host = Host::new(max_bytes_handler(show_form, 10));
    assert_eq!(ask(&host, &post("/", URLENCODED, "a=12345678")).await.0, 200);
    assert_eq!(ask(&host, &post("/", URLENCODED, "a=123456789")).await.0, 413);
}

// ------------------------------------------------------------ multipart, part by part

async fn show_parts(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let mut multipart = r.multipart()?;
    let mut told = String::new();
    while let Some(mut part) = multipart.next_part().await? {
        let mut content = Vec::new();
        let mut piece = [0; 3];
        while let read @ 1.. = part.read(&mut piece).await? {
            content.extend_from_slice(&piece[..read]);
        }
        let content_type = part.header.get("content-type").unwrap_or("-");
        told += &format!("{} {:?} {content_type} {}\n", part.name(), part.file_name(), content.escape_ascii());
    }
    w.write(told).await
}

const PARTS: &str = "v None - value\nf Some(\"f.txt\") text/plain content\n";

#[tokio::test(start_paused = true)]
async fn parts_are_the_same_however_the_request_is_cut() {
    let host = Host::new(show_parts);
    let request = post("/", MULTIPART, UPLOAD);
    let whole = host.connect().talk(&request).await;
    assert!(whole.text.ends_with(PARTS) && !whole.closed, "{}", whole.text);
    for cut in 1..request.len() {
        let mut peer = host.connect();
        peer.send(&request[..cut]).await;
        assert_eq!(peer.talk(&request[cut..]).await, whole, "cut at {cut}");
    }
    for size in [1, 2, 7, 100] {
        let chunks: String = UPLOAD.as_bytes().chunks(size).fold(String::new(), |text, chunk| {
            text + &format!("{:x}\r\n{}\r\n", chunk.len(), std::str::from_utf8(chunk).unwrap())
        });
        let fields =
            format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: {MULTIPART}\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(host.connect().talk(format!("{fields}{chunks}0\r\n\r\n")).await, whole, "chunks of {size}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_multipart_content_is_answered_with_its_status() {
    let host = Host::new(show_parts);
    let mixed = "multipart/mixed; boundary=\"b\"";
    assert_eq!(ask(&host, &post("/", mixed, UPLOAD)).await, (200, PARTS.to_owned()));
    let cases = [
        ("", UPLOAD, 415, "the content is not of the multipart type that is read here"),
        ("text/plain", UPLOAD, 415, "the content is not of the multipart type that is read here"),
        ("multipart/related; boundary=b", UPLOAD, 415, "the content is not of the multipart type that is read here"),
        ("multipart/form-data", UPLOAD, 400, "a multipart Content-Type without a boundary"),
        (
            "multipart/form-data; boundary=\"a\\\"b\"",
            UPLOAD,
            400,
            "a multipart boundary that is empty, over 70 bytes, or of other than the bytes allowed",
        ),
        ("multipart/form-data; boundary", UPLOAD, 400, "the Content-Type is malformed"),
        (
            MULTIPART,
            "--b\r\nX: 1\nY: 2\r\n\r\n",
            400,
            "a line feed alone, or a control character, in the head of a part",
        ),
    ];
    for (content_type, content, status, message) in cases {
        let (answered, text) = ask(&host, &post("/", content_type, content)).await;
        assert_eq!(answered, status, "{content_type}");
        assert!(text.ends_with(&format!(": {message}\n")), "{text}");
    }
    let (status, text) = ask(&host, &post("/", MULTIPART, "--b\r\n\r\ncut")).await;
    assert_eq!((status, text.as_str()), (400, "400 Bad Request\n"));
}

#[tokio::test]
async fn each_fault_of_the_type_has_a_kind_of_its_own() {
    let kind = |content_type| request(Method::POST, "/", content_type, "").multipart().unwrap_err().kind();
    assert_eq!(kind("text/plain"), ErrorKind::NotMultipart);
    assert_eq!(kind("multipart/form-data"), ErrorKind::MissingBoundary);
    assert_eq!(kind("multipart/form-data; boundary=\"\""), ErrorKind::Malformed);
}

// ------------------------------------------------------------ multipart forms, whole

#[tokio::test]
async fn a_multipart_form_is_read_once_and_may_be_asked_for_again() {
    let mut r = request(Method::POST, "/?v=query&w=1", MULTIPART, UPLOAD);
    assert_eq!(r.form().await.unwrap().encode(), "v=query&w=1", "its parts are not read yet");
    for _ in 0..2 {
        let form = r.multipart_form(1 << 20).await.unwrap();
        assert_eq!(form.values().encode(), "v=value");
        let file = form.file("f").unwrap();
        assert_eq!((file.file_name.as_str(), file.size), ("f.txt", 7));
        assert_eq!(file.header.get("Content-Type"), Some("text/plain"));
        assert_eq!(file.bytes(7).await.unwrap(), "content");
    }
    assert_eq!(r.form().await.unwrap().encode(), "v=query&w=1&v=value");
    assert_eq!(r.post_form().await.unwrap().encode(), "v=value");
}

#[tokio::test]
async fn single_values_are_looked_for_in_content_query_and_parts_in_this_order() {
    let mut r = request(Method::POST, "/?v=query", MULTIPART, UPLOAD);
    assert_eq!(r.form_value("v").await.as_deref(), Some("query"));
    assert_eq!(r.post_form_value("v").await.as_deref(), Some("value"));
    assert_eq!(r.form_value("none").await, None);
    assert_eq!(r.form_file("f").await.unwrap().size, 7);
    assert_eq!(r.form_file("v").await.unwrap_err().kind(), ErrorKind::MissingFile);

    let mut r = request(Method::POST, "/?v=query&q=1", URLENCODED, "v=content&x=%zz;&y=2");
    assert_eq!(r.form_value("v").await.as_deref(), Some("content"));
    assert_eq!(r.form_value("q").await.as_deref(), Some("1"));
    assert_eq!(r.post_form_value("q").await, None);
    assert_eq!(r.form_value("y").await.as_deref(), Some("2"), "what is malformed beside it is passed over");
    assert_eq!(r.form_file("f").await.unwrap_err().kind(), ErrorKind::NotMultipart);
}

#[tokio::test]
async fn a_malformed_query_does_not_keep_parts_from_being_read() {
    let mut r = request(Method::POST, "/?a=1;b=2", MULTIPART, UPLOAD);
    assert_eq!(r.multipart_form(0).await.unwrap().values().encode(), "v=value");
    assert_eq!(r.form().await.unwrap_err().kind(), ErrorKind::Malformed);
}

#[tokio::test]
async fn parts_are_read_in_one_way_only() {
    let mut r = request(Method::POST, "/", MULTIPART, UPLOAD);
    drop(r.multipart().unwrap());
    assert_eq!(r.multipart().unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(r.multipart_form(0).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(r.form_file("f").await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(r.form_value("v").await, None);

    let mut r = request(Method::POST, "/", MULTIPART, UPLOAD);
    r.multipart_form(0).await.unwrap();
    assert_eq!(r.multipart().unwrap_err().kind(), ErrorKind::Unsupported);

    let mut r = request(Method::POST, "/", "multipart/mixed; boundary=b", UPLOAD);
    assert_eq!(r.multipart_form(0).await.unwrap_err().kind(), ErrorKind::NotMultipart);
    assert!(r.multipart().is_ok(), "that it was no form does not matter");
}

#[tokio::test(start_paused = true)]
async fn a_request_does_not_see_the_form_of_the_one_before_on_its_connection() {
    async fn show(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let _ = r.multipart_form(1 << 20).await;
        w.write(format!("[{}]", r.form().await?.encode())).await
    }
    let host = Host::new(show);
    let requests = post("/", MULTIPART, UPLOAD) + &post("/", URLENCODED, "u=1") + &post("/", "", "") + crate::wire::GET;
    let (bytes, _) = host.connect().talk_bytes(requests).await;
    let texts: Vec<_> = Answer::all(&bytes).iter().map(|answer| answer.text().to_owned()).collect();
    assert_eq!(texts, ["[v=value]", "[u=1]", "[]", "[]"]);
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_a_handlers_content_holds_for_its_form() {
    async fn upload(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let form = r.multipart_form(1 << 20).await?;
        w.write(form.values().encode()).await
    }
    let request = post("/", MULTIPART, UPLOAD);
    let exact = Host::new(max_bytes_handler(upload, UPLOAD.len() as u64));
    assert_eq!(ask(&exact, &request).await, (200, "v=value".to_owned()));
    let less = Host::new(max_bytes_handler(upload, UPLOAD.len() as u64 - 1));
    assert_eq!(ask(&less, &request).await.0, 413);
}

/// The open files of this process that are temporary files of forms.
#[cfg(target_os = "linux")]
fn temporary_files() -> usize {
    let links = std::fs::read_dir("/proc/self/fd").expect("Linux has it");
    let targets = links.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    targets.filter(|target| target.to_string_lossy().contains("/nethttp-")).count()
}

#[cfg(target_os = "linux")]
#[test]
fn temporary_files_are_gone_when_the_handler_is_done() {
    alone("forms::watch_temporary_files", "");
}

/// Other tests make temporary files too, so it counts them in a process of its own.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
#[ignore = "run by the test above, in a process of its own"]
async fn watch_temporary_files() {
    if !is_alone() {
        return;
    }
    async fn upload(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let file = r.multipart_form(0).await?.file("f").cloned()?;
        let copy = file.bytes(1 << 20).await?;
        assert_eq!(copy, "content");
        assert_eq!(temporary_files(), 1);
        match r.escaped_path() {
            "/fails" => Err(Error::other("after the form was read")),
            "/panics" => panic!("after the form was read"),
            _ => w.write(copy).await,
        }
    }
    let host = Host::new(upload);
    for (target, status) in [("/", 200), ("/fails", 500), ("/panics", 500)] {
        let mut peer = host.connect();
        let (bytes, _) = peer.talk_bytes(post(target, MULTIPART, UPLOAD)).await;
        assert_eq!(Answer::all(&bytes)[0].status, status, "{target}");
        assert_eq!(temporary_files(), 0, "{target}: while the connection is still there");
    }
}
