//! Programs that others wrote, run as peers for as long as a test. What is not on the machine is
//! left out, and that is said.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part of it; what fails here fails its test")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Files that are there for as long as a test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// With a short name: the path of a socket has about a hundred bytes at most.
    pub(crate) fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("nhp-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.0.join(name), content).unwrap();
        self.path(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind, it only takes place.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whether this program can be run; if not, says so where the tests' own output is seen.
pub(crate) fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        // Not `eprintln`: that is kept back where a test passes.
        let _ = writeln!(std::io::stderr(), "LEFT OUT: {program} is not on this machine");
    }
    found
}

/// Runs a program to its end, on a thread that may block. Whether it went well, and what it said.
pub(crate) async fn run(program: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    let output: Output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

/// A program that is ended with the test.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Running {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Running(command.spawn().unwrap())
    }

    /// The first line that it prints.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        line
    }

    /// Waits until it listens.
    pub(crate) async fn listens(&mut self, mut connects: impl FnMut() -> bool) {
        for _ in 0..500 {
            if connects() {
                return;
            }
            assert!(self.0.try_wait().unwrap().is_none(), "it has ended");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it does not listen");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that was free a moment ago, for a program that cannot choose one itself.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
