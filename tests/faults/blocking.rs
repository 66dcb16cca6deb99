//! A runtime whose threads for blocking work are all taken: names, directories and temporary files wait
//! for one, under the limits that were set, and nothing else does.
//!
//! Time is real here: while a thread works the paused clock stands still.

use std::fs;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use nethttp::client::Proxy;
use nethttp::error::{Phase, Sent};
use nethttp::middleware::timeout_handler;
use nethttp::server::{ConnState, ServerEvent};
use nethttp::{Client, ErrorKind, Request, ResponseWriter, ServeMux, Server, Transport, file_server, strip_prefix};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle};

use crate::alone::{Folder, until};
use crate::fake::counts;

const SHORT: Duration = Duration::from_millis(50);

/// Runs on a runtime with one thread for blocking work.
fn with_one_thread(test: impl Future<Output = ()>) {
    Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap().block_on(test);
}

/// Takes the thread until it is dropped.
struct Taken(#[allow(dead_code, reason = "its drop is what counts")] mpsc::Sender<()>);

async fn take() -> Taken {
    let (held, hold) = mpsc::channel();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    // Ends when the other end is dropped.
    tokio::task::spawn_blocking(move || {
        begun.send(()).unwrap();
        let _ = hold.recv();
    });
    has_begun.await.unwrap();
    Taken(held)
}

struct Site {
    server: Server,
    addr: SocketAddr,
    client: Client,
    transport: Arc<Transport>,
    /// How often a connection went to work.
    active: Arc<AtomicUsize>,
    _folder: Folder,
}

async fn site(name: &str) -> Site {
    let folder = Folder::new(name);
    fs::create_dir_all(folder.0.join("folder/inner")).unwrap();
    let files = || strip_prefix("/files", file_server(&folder.0));
    let mux = ServeMux::new();
    mux.handle("/ok", async |w: &mut ResponseWriter, _: &mut Request| w.write("ok").await);
    mux.handle("/files/", files());
    mux.handle("/soon/files/", strip_prefix("/soon", timeout_handler(files(), SHORT, "too late")));
    mux.handle("/form", async |w: &mut ResponseWriter, r: &mut Request| {
        let form = r.multipart_form(1000).await?;
        let length = form.file("a")?.size;
        w.write(length.to_string()).await
    });
    let mut server = Server::new(mux);
    server.on_event = Some(Arc::new(|_: &ServerEvent| {}));
    let active = Arc::new(AtomicUsize::new(0));
    let count = active.clone();
    server.conn_state = Some(Arc::new(move |_: &_, state| {
        count.fetch_add(usize::from(state == ConnState::Active), Ordering::SeqCst);
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let serving = server.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    let (client, transport) = client(Duration::from_secs(30));
    Site { server, addr, client, transport, active, _folder: folder }
}

fn client(connect: Duration) -> (Client, Arc<Transport>) {
    let mut transport = Transport::new();
    transport.proxy = Proxy::none();
    transport.connect_timeout = connect;
    let transport = Arc::new(transport);
    let mut client = Client::new();
    client.transport = transport.clone();
    (client, transport)
}

impl Site {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let mut response = self.client.get(&*self.url(path)).await.unwrap();
        (response.status.as_u16(), response.text().await.unwrap())
    }
}

/// Asks until it is so: on a machine that is busy, one answer may take longer than the limit under test.
async fn soon(is_so: impl AsyncFn() -> bool) {
    let asking = async { while !is_so().await {} };
    tokio::time::timeout(Duration::from_secs(30), asking).await.expect("what waited for a thread is served again");
}

/// A form with one file of so many bytes.
fn form(length: usize) -> String {
    let head = "--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"a\"\r\n\r\n";
    format!("{head}{}\r\n--b--\r\n", "x".repeat(length))
}

const FORM_TYPE: &str = "multipart/form-data; boundary=b";

#[test]
fn a_name_that_waits_for_a_thread_is_given_up_in_time_and_found_later() {
    with_one_thread(async {
        let site = site("name").await;
        let (client, transport) = client(SHORT);
        let named = format!("http://localhost:{}/ok", site.addr.port());
        let taken = take().await;
        for _ in 0..3 {
            let error = client.post(&*named, "text/plain", "content").await.unwrap_err();
            let said = (error.kind(), error.phase(), error.sent());
            assert_eq!(said, (ErrorKind::TimedOut, Some(Phase::Resolve), Some(Sent::No)), "{error}");
            assert_eq!(counts(&transport), (0, 0, 0, 0));
        }
        // Who needs no name waits for nobody.
        assert_eq!(site.get("/ok").await, (200, "ok".into()));
        drop(taken);
        soon(async || client.get(&*named).await.is_ok()).await;
    });
}

#[test]
fn a_directory_that_waits_for_a_thread_delays_no_other_request_and_is_listed_later() {
    with_one_thread(async {
        let site = Arc::new(site("directory").await);
        let taken = take().await;
        let listing = {
            let site = site.clone();
            tokio::spawn(async move { site.get("/files/folder/").await })
        };
        assert_eq!(site.get("/soon/files/folder/").await, (503, "too late".into()));
        assert_eq!(site.get("/ok").await, (200, "ok".into()));
        // A client that leaves meanwhile takes its request with it.
        assert!(tokio::time::timeout(SHORT, site.get("/files/folder/")).await.is_err());
        assert!(!listing.is_finished(), "no thread, no listing");
        drop(taken);
        let (status, content) = listing.await.unwrap();
        assert!(status == 200 && content.contains("inner/"), "{content}");
        soon(async || site.get("/soon/files/folder/").await.0 == 200).await;
        until("nobody is under way", || counts(&site.transport).1 == 0).await;
    });
}

#[test]
fn an_upload_that_waits_for_a_thread_is_taken_later() {
    with_one_thread(async {
        let site = Arc::new(site("upload").await);
        let taken = take().await;
        let sending = {
            let site = site.clone();
            tokio::spawn(async move {
                let sent = site.client.post(&*site.url("/form"), FORM_TYPE, form(1 << 20)).await;
                sent.unwrap().text().await.unwrap()
            })
        };
        assert_eq!(site.get("/ok").await, (200, "ok".into()));
        assert!(!sending.is_finished());
        drop(taken);
        assert_eq!(sending.await.unwrap(), (1 << 20).to_string());
    });
}

#[test]
fn a_shutdown_does_not_wait_for_a_thread_longer_than_its_grace() {
    with_one_thread(async {
        let site = Arc::new(site("shutdown").await);
        let metrics = Handle::current().metrics();
        let taken = take().await;
        let listing = {
            let site = site.clone();
            tokio::spawn(async move { site.client.get(&*site.url("/files/folder/")).await.map(drop) })
        };
        until("it is under way", || site.active.load(Ordering::SeqCst) == 1).await;
        let report = site.server.shutdown(SHORT).await;
        assert_eq!((report.cut, site.server.connections()), (1, 0));
        assert_eq!(listing.await.unwrap().unwrap_err().kind(), ErrorKind::CutOff);
        // All but the work of the threads themselves.
        until("no task is left", || metrics.num_alive_tasks() <= 2).await;
        drop(taken);
        until("no work is left", || metrics.num_alive_tasks() == 0).await;
    });
}

#[test]
fn one_thread_is_enough_for_names_directories_and_uploads_at_once() {
    with_one_thread(async {
        let site = Arc::new(site("all").await);
        let mut asking = tokio::task::JoinSet::new();
        for number in 0..90 {
            let site = site.clone();
            asking.spawn(async move {
                let base = format!("http://localhost:{}", site.addr.port());
                let asked = match number % 3 {
                    0 => site.client.get(&*site.url("/files/folder/")).await,
                    1 => site.client.get(&*format!("{base}/ok")).await,
                    _ => site.client.post(&*format!("{base}/form"), FORM_TYPE, form(300_000)).await,
                };
                asked.unwrap().status.as_u16()
            });
        }
        let all = tokio::time::timeout(Duration::from_secs(60), asking.join_all()).await.expect("nothing locks up");
        assert_eq!(all, [200; 90]);
    });
}
