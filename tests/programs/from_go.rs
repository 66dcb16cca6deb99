//! Programs of the documentation of Go's `net/http` and `httptest`, carried over: what they show there, they do here.

use std::time::Duration;

use nethttp::files::{Dir, FileServer};
use nethttp::middleware::timeout_handler;
use nethttp::{Request, ResponseWriter, Result, ServeMux, StatusCode, not_found, redirect, strip_prefix};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

/// `ExampleFileServer_stripPrefix` and `ExampleFileServer_dotFileHiding`, which takes forty lines of its own there.
fn temporary_files(folder: &str) -> ServeMux {
    let mux = ServeMux::new();
    mux.handle("/tmpfiles/", strip_prefix("/tmpfiles", FileServer::new(Dir::new(folder))));
    mux
}

/// `ExampleHijacker`.
async fn hijack(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    let mut connection = BufReader::new(w.hijack().await?);
    connection.write_all(b"Now we're speaking raw TCP. Say hi: ").await?;
    let mut said = String::new();
    connection.read_line(&mut said).await?;
    connection.write_all(format!("You said: {said:?}\nBye.\n").as_bytes()).await?;
    Ok(connection.shutdown().await?)
}

/// `ExampleServeMux_Handle`, with the patterns of 1.22.
fn welcome() -> ServeMux {
    let mux = ServeMux::new();
    mux.handle("/api/", async |w: &mut ResponseWriter, _: &mut Request| w.write("the API\n").await);
    mux.handle("/", async |w: &mut ResponseWriter, r: &mut Request| match &*r.path() {
        "/" => w.write("Welcome to the home page!").await,
        _ => not_found(w, r).await,
    });
    mux.handle("GET /old/{rest...}", async |w: &mut ResponseWriter, r: &mut Request| {
        let url = format!("/api/{}", r.path_value("rest"));
        redirect(w, r, &url, StatusCode::MOVED_PERMANENTLY).await
    });
    mux
}

/// `ExampleResponseWriter_trailers`.
async fn sends_trailers(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.header().set("Content-Type", "text/plain; charset=utf-8");
    w.trailer().set("AtEnd1", "value 1");
    w.write("This HTTP response has both headers before this text and trailers at the end.\n").await?;
    w.trailer().set("AtEnd2", "value 2");
    Ok(())
}

/// `ExampleTimeoutHandler`, as its documentation describes it.
fn in_time() -> ServeMux {
    let mux = ServeMux::new();
    let late = async |w: &mut ResponseWriter, _: &mut Request| {
        tokio::time::sleep(Duration::from_secs(60)).await;
        w.write("too late").await
    };
    mux.handle("/late", timeout_handler(late, Duration::from_secs(1), "it takes too long\n"));
    mux
}

// ------------------------------------------------------------ tried

#[tokio::test]
async fn a_file_is_served_below_its_prefix_and_those_with_a_dot_are_not() {
    use nethttp::testing::{record, request};
    let folder = std::env::temp_dir().join(format!("nethttp-from-go-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("a.txt"), "a file").unwrap();
    std::fs::write(folder.join(".secret"), "secret").unwrap();
    let mux = temporary_files(folder.to_str().unwrap());
    let text = async |path| record(&mux, request("GET", path)).await;
    assert_eq!(text("/tmpfiles/a.txt").await.text(), "a file");
    assert_eq!(text("/tmpfiles/.secret").await.status, StatusCode::NOT_FOUND);
    let listing = text("/tmpfiles/").await;
    assert!(listing.text().contains("a.txt") && !listing.text().contains("secret"));
    std::fs::remove_dir_all(folder).unwrap();
}

/// `ExampleResponseRecorder`.
#[tokio::test]
async fn the_home_page_is_at_the_root_alone_and_old_paths_lead_on() {
    use nethttp::testing::{record, request};
    let mux = welcome();
    assert_eq!(record(&mux, request("GET", "/")).await.text(), "Welcome to the home page!");
    assert_eq!(record(&mux, request("GET", "/other")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(record(&mux, request("GET", "/api/x")).await.text(), "the API\n");
    let moved = record(&mux, request("GET", "/old/a/b")).await;
    assert_eq!((moved.status.as_u16(), moved.header.get("Location")), (301, Some("/api/a/b")));
}

/// `ExampleServer` of `httptest`, `ExampleServer_hTTP2` and `ExampleNewTLSServer`.
#[tokio::test(start_paused = true)]
async fn trailers_and_time_limits_are_the_same_over_each_protocol() {
    let mux = in_time();
    mux.handle("/sendstrailers", sends_trailers);
    let builder = || nethttp::testing::Server::builder(mux.clone()).in_memory();
    for server in [builder().start(), builder().http2().start(), builder().tls().start()] {
        let client = server.client();
        let mut response = client.get(format!("{}/sendstrailers", server.url())).await.unwrap();
        assert!(response.text().await.unwrap().starts_with("This HTTP response"));
        let trailer = response.body.trailer().unwrap();
        assert_eq!((trailer.get("AtEnd1"), trailer.get("AtEnd2")), (Some("value 1"), Some("value 2")));
        let mut late = client.get(format!("{}/late", server.url())).await.unwrap();
        assert_eq!((late.status.as_u16(), late.text().await.unwrap().as_str()), (503, "it takes too long\n"));
    }
}

#[tokio::test]
async fn a_connection_that_was_taken_over_speaks_what_it_likes() {
    use tokio::io::AsyncReadExt as _;
    let server = nethttp::testing::Server::in_memory(hijack);
    let mut stream = server.dialer().unwrap().dial().await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\nhi\n").await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "Now we're speaking raw TCP. Say hi: You said: \"hi\\n\"\nBye.\n");
}
