//! The command, run as its users run it: what its tests share.
#![allow(dead_code, reason = "each program of tests uses some of it")]
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) fn nethttp(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nethttp"));
    command.args(arguments);
    command
}

pub(crate) fn output(arguments: &[&str]) -> Output {
    nethttp(arguments).output().unwrap()
}

pub(crate) fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// A directory of its own for a test, removed at its end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = Folder(std::env::temp_dir().join(format!("nethttp-cli-{}-{number}", std::process::id())));
        std::fs::create_dir_all(&folder.0).unwrap();
        std::fs::write(folder.0.join("a.txt"), "hello\n").unwrap();
        folder
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind, it only takes place.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running `nethttp serve`, killed when the test is over.
pub(crate) struct Serving {
    pub(crate) child: Child,
    pub(crate) stdout: BufReader<std::process::ChildStdout>,
    pub(crate) stderr: BufReader<std::process::ChildStderr>,
    pub(crate) first_line: String,
}

impl Serving {
    pub(crate) fn start(folder: &Folder) -> Serving {
        Serving::with(folder, &["-a", "127.0.0.1:0"])
    }

    pub(crate) fn with(folder: &Folder, options: &[&str]) -> Serving {
        let mut command = nethttp(&["serve", folder.path()]);
        let mut child = command.args(options).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut serving = Serving { child, stdout, stderr, first_line: String::new() };
        serving.first_line = serving.line();
        serving
    }

    /// The next line of standard output.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    pub(crate) fn address(&self) -> &str {
        self.first_line.trim_end().rsplit_once("http://").unwrap().1.split('/').next().unwrap()
    }

    /// The answer to a request with these fields, each with its line end.
    pub(crate) fn ask(&self, method: &str, target: &str, fields: &str) -> String {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: cli.test\r\nConnection: close\r\n{fields}\r\n");
        let mut answer = Vec::new();
        self.connect_and_send(&request).read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub(crate) fn connect_and_send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    pub(crate) fn get(&self, target: &str) -> String {
        self.ask("GET", target, "")
    }

    pub(crate) fn log_line(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).unwrap();
        line
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
