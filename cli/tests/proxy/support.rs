//! Servers to stand behind the proxy, the proxy itself, and clients in front of it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use nethttp::tls::TlsServerConfig;
use nethttp::{Handler, Request, ResponseWriter, Server};

/// A server in a thread of its own, closed when it is dropped.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    server: Server,
    thread: Option<JoinHandle<()>>,
}

impl Site {
    pub(crate) fn start(handler: impl Handler) -> Site {
        Site::start_with(handler, "127.0.0.1:0", None)
    }

    pub(crate) fn start_with(handler: impl Handler, address: &str, tls: Option<TlsServerConfig>) -> Site {
        let mut server = Server::new(handler);
        server.on_event = Some(Arc::new(|_| {}));
        let (tell, told) = mpsc::channel();
        let (serving, address) = (server.clone(), address.to_owned());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind(address).await.unwrap();
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

    /// A server that says its name, and what it was asked.
    pub(crate) fn named(name: &'static str) -> Site {
        Site::start(Named(name))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
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

pub(crate) struct Named(pub(crate) &'static str);

impl Handler for Named {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> nethttp::Result<()> {
        let content = r.body.bytes(1 << 20).await?;
        let mut text = format!("{} {} {} {:?} {}\n", self.0, r.method, r.request_uri, r.proto, r.host);
        for (name, value) in r.header.iter() {
            text.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value)));
        }
        text.push_str(&String::from_utf8_lossy(&content));
        w.header().set("Content-Type", "text/plain");
        w.write(text).await
    }
}

/// An address where nobody listens.
pub(crate) fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// A running `nethttp proxy`, killed when the test is over.
pub(crate) struct Proxy {
    pub(crate) child: Child,
    pub(crate) stdout: BufReader<ChildStdout>,
    log: mpsc::Receiver<String>,
    pub(crate) first_line: String,
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nethttp"));
    command.arg("proxy").args(arguments).stdin(Stdio::null());
    command
}

pub(crate) fn output(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

pub(crate) fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

impl Proxy {
    pub(crate) fn start(arguments: &[&str]) -> Proxy {
        Proxy::start_as_written(&[&["-a", "127.0.0.1:0"], arguments].concat())
    }

    pub(crate) fn start_as_written(arguments: &[&str]) -> Proxy {
        let mut child = command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let log = lines_of(child.stderr.take().unwrap());
        let mut proxy = Proxy { child, stdout, log, first_line: String::new() };
        proxy.first_line = proxy.line();
        if proxy.first_line.is_empty() {
            panic!("it has ended: {}", proxy.log_line());
        }
        proxy
    }

    /// The next line of standard output.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    /// The next line of standard error, empty when it has ended.
    pub(crate) fn log_line(&mut self) -> String {
        self.log.recv().unwrap_or_default()
    }

    /// The first line of standard error that has this in it.
    pub(crate) fn log_line_with(&mut self, text: &str) -> String {
        loop {
            let line = self.log_line();
            assert!(!line.is_empty(), "there is no line with {text}");
            if line.contains(text) {
                return line;
            }
        }
    }

    pub(crate) fn address(&self) -> &str {
        address_in(&self.first_line)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address()).unwrap()
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.ask(&format!("GET {target} HTTP/1.1\r\nHost: cli.test\r\nConnection: close\r\n\r\n"))
    }

    pub(crate) fn get_with(&self, target: &str, fields: &str) -> Answer {
        self.ask(&format!("GET {target} HTTP/1.1\r\nHost: cli.test\r\nConnection: close\r\n{fields}\r\n"))
    }

    /// What is answered to these bytes until the connection ends.
    pub(crate) fn ask(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        Answer(String::from_utf8_lossy(&answer).into_owned())
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines that a command writes, each with its line end. They are read whether or not the test
/// asks for them: a full pipe would stop the command.
fn lines_of(stderr: ChildStderr) -> mpsc::Receiver<String> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut stderr = BufReader::new(stderr);
        loop {
            let mut line = String::new();
            // It ends with the command, or with the test.
            if stderr.read_line(&mut line).unwrap_or(0) == 0 || tell.send(line).is_err() {
                break;
            }
        }
    });
    told
}

/// Host and port of the URL that a line ends with.
pub(crate) fn address_in(line: &str) -> &str {
    let (_, behind) = line.trim_end().rsplit_once("://").unwrap();
    behind.split('/').next().unwrap()
}

/// A response as it came.
#[derive(Debug)]
pub(crate) struct Answer(pub(crate) String);

impl Answer {
    pub(crate) fn status(&self) -> &str {
        self.0.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let (head, _) = self.0.split_once("\r\n\r\n").unwrap();
        let mut fields = head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn content(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, content)| content)
    }

    /// The name of the server that has answered.
    pub(crate) fn server(&self) -> &str {
        self.content().split(' ').next().unwrap_or_default()
    }
}

/// A directory of its own for a test, removed at its end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = Folder(std::env::temp_dir().join(format!("nethttp-proxy-{}-{number}", std::process::id())));
        std::fs::create_dir_all(&folder.0).unwrap();
        folder
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> String {
        std::fs::write(self.0.join(name), content).unwrap();
        self.path(name)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind, it only takes place.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
