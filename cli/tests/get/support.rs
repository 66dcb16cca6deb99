//! Servers for the command to ask, folders for it to write into, and the command itself.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use nethttp::tls::TlsServerConfig;
use nethttp::{Handler, Request, Response, ResponseWriter, Server};

/// A server in a thread of its own, closed when the test is over.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    server: Server,
    thread: Option<JoinHandle<()>>,
}

impl Site {
    pub(crate) fn start(handler: impl Handler) -> Site {
        Site::start_with(handler, None)
    }

    pub(crate) fn start_with(handler: impl Handler, tls: Option<TlsServerConfig>) -> Site {
        let mut server = Server::new(handler);
        server.on_event = Some(Arc::new(|_| {}));
        let (tell, told) = mpsc::channel();
        let serving = server.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                // It ends when it is closed, which it reports as an error.
                let _ = match tls {
                    Some(config) => serving.serve_tls(listener, &config).await,
                    None => serving.serve(listener).await,
                };
            });
        });
        Site { address: told.recv().unwrap(), server, thread: Some(thread) }
    }

    /// A server that answers with what this function makes of each request, body read.
    pub(crate) fn answering(answer: impl Fn(&Received) -> Response + Send + Sync + 'static) -> Site {
        Site::start(Answering(answer))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.close();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

struct Answering<F>(F);

impl<F: Fn(&Received) -> Response + Send + Sync + 'static> Handler for Answering<F> {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> nethttp::Result<()> {
        let received = Received::read(r).await;
        w.send((self.0)(&received)).await
    }
}

/// A request as a server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) host: String,
    pub(crate) header: nethttp::Header,
    pub(crate) content: String,
}

impl Received {
    async fn read(r: &mut Request) -> Received {
        let content = r.body.bytes(1 << 20).await.unwrap();
        Received {
            method: r.method.to_string(),
            target: r.request_uri.clone(),
            host: r.host.clone(),
            header: r.header.clone(),
            content: String::from_utf8(content.into()).unwrap(),
        }
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.header.get(name)
    }
}

/// What was asked, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Received>>>);

impl Log {
    pub(crate) fn note(&self, received: &Received) {
        self.0.lock().unwrap().push(received.clone());
    }

    pub(crate) fn take(&self) -> Vec<Received> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    pub(crate) fn only(&self) -> Received {
        let mut all = self.take();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }
}

/// A site that notes what it is asked, and says "ok".
pub(crate) fn noting() -> (Site, Log) {
    let log = Log::default();
    let noted = log.clone();
    let site = Site::answering(move |received| {
        noted.note(received);
        Response::new("ok")
    });
    (site, log)
}

/// A server of bytes: each connection gets the next answer, as it is, and is closed. It ends with
/// the last one.
pub(crate) fn bytes(answers: Vec<Vec<u8>>) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let serve = |answer: Vec<u8>| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
                head.push(byte[0]);
            }
            // The client may have gone: that is a test's matter.
            let _ = stream.write_all(&answer);
            String::from_utf8(head).unwrap()
        };
        answers.into_iter().map(serve).collect()
    });
    (address, thread)
}

/// A directory of its own for a test, removed at its end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = Folder(std::env::temp_dir().join(format!("nethttp-get-{}-{number}", std::process::id())));
        std::fs::create_dir_all(&folder.0).unwrap();
        folder
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.0.join(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.0.join(name)).unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// The names in it, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<_> = std::fs::read_dir(&self.0).unwrap().map(name).collect();
        names.sort();
        names
    }

    /// Runs the command in it.
    pub(crate) fn get(&self, arguments: &[&str]) -> Ended {
        Ended(command(arguments).current_dir(&self.0).output().unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind, it only takes place.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The command, without the proxies of whoever runs the tests.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nethttp"));
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.arg("get").args(arguments).stdin(Stdio::null());
    command
}

/// The first answer, then silence: for as long as the other end is kept.
pub(crate) fn silent_after(answer: &'static [u8]) -> (SocketAddr, JoinHandle<()>, mpsc::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
            head.push(byte[0]);
        }
        stream.write_all(answer).unwrap();
        // The test has dropped its end: that is the signal.
        let _ = ended.recv();
    });
    (address, thread, end)
}

pub(crate) fn get(arguments: &[&str]) -> Ended {
    Ended(command(arguments).output().unwrap())
}

pub(crate) fn get_with_input(arguments: &[&str], input: &str) -> Ended {
    let mut child =
        command(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Ended(child.wait_with_output().unwrap())
}

/// The command, when it has ended.
pub(crate) struct Ended(Output);

impl Ended {
    pub(crate) fn of(output: Output) -> Ended {
        Ended(output)
    }

    #[track_caller]
    pub(crate) fn is(&self, code: i32) -> &Ended {
        assert_eq!(self.0.status.code(), Some(code), "stderr: {}", self.stderr());
        self
    }

    /// It has ended well, with this on standard output and nothing on standard error.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) {
        self.is(0);
        assert_eq!((self.stdout(), self.stderr()), (text, ""));
    }

    pub(crate) fn code(&self) -> i32 {
        self.0.status.code().unwrap()
    }

    pub(crate) fn stdout(&self) -> &str {
        std::str::from_utf8(&self.0.stdout).unwrap()
    }

    pub(crate) fn stderr(&self) -> &str {
        std::str::from_utf8(&self.0.stderr).unwrap()
    }
}
