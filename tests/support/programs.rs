//! Programs that others wrote, run as peers for as long as a test. What is not on the machine is
//! left out, and that is said.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part of it; what fails here fails its test")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
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

    /// Writes a file, with the folders that it lies in.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self.path(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind, it only takes place.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

// ------------------------------------------------------------ what is there

/// Whether this program is there; if not, says so where the tests' own output is seen.
pub(crate) fn has(program: &str) -> bool {
    let found = find(program).is_some();
    if !found {
        left_out(&format!("{program} is not on this machine"));
    }
    found
}

/// Servers often lie where only an administrator looks.
fn find(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let others = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let mut paths = std::env::split_paths(&folders).chain(others).map(|folder| folder.join(program));
    paths.find(|path| path.is_file())
}

fn left_out(why: &str) {
    // Not `eprintln`: that is kept back where a test passes.
    let _ = writeln!(std::io::stderr(), "LEFT OUT: {why}");
}

/// A Python that has this module: the one that `NETHTTP_PEERS_PYTHON` names, for packages in a folder of
/// their own, or the machine's.
pub(crate) fn python_with(module: &str) -> Option<String> {
    let python = std::env::var("NETHTTP_PEERS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut command = Command::new(&python);
    let imported = command.args(["-c", &format!("import {module}")]).stdin(Stdio::null()).output();
    let has_it = imported.is_ok_and(|output| output.status.success());
    if !has_it {
        left_out(&format!("{python} has no {module} (pip install {module}; NETHTTP_PEERS_PYTHON names a python)"));
    }
    has_it.then_some(python)
}

// ------------------------------------------------------------ what runs

/// Runs a program to its end, on a thread that may block. Whether it went well, and what it said.
pub(crate) async fn run(program: &str, arguments: &[&str]) -> (bool, String) {
    let (code, said) = run_for_code(program, arguments, "").await;
    (code == Some(0), said)
}

/// The same with its exit code, and with this on its standard input.
pub(crate) async fn run_for_code(program: &str, arguments: &[&str], input: &'static str) -> (Option<i32>, String) {
    let mut command = Command::new(find(program).unwrap_or_else(|| program.into()));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = move || -> Output {
        let mut child = command.spawn().unwrap();
        // It may have ended already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    };
    let output = tokio::task::spawn_blocking(running).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said)
}

/// A program that is ended with the test.
pub(crate) struct Running {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Running {
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Running {
        let mut command = Command::new(find(program).unwrap_or_else(|| program.into()));
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Running { child, said }
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line
    }

    /// Waits until it listens on this port of this machine.
    pub(crate) async fn listens(&mut self, port: u16) {
        self.waits_until(|| TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
    }

    /// The same for a socket in the file system.
    #[cfg(unix)]
    pub(crate) async fn listens_at(&mut self, path: &str) {
        self.waits_until(|| std::os::unix::net::UnixStream::connect(path).is_ok()).await;
    }

    async fn waits_until(&mut self, mut connects: impl FnMut() -> bool) {
        for _ in 0..500 {
            if connects() {
                return;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "it has ended");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it does not listen");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago, for a program that cannot choose one itself.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

// ------------------------------------------------------------ nginx and HAProxy

/// nginx with this in its `http` block, all its files in this folder. `None` where there is none. Whoever
/// asks waits until it listens.
pub(crate) fn nginx(folder: &Folder, http: &str) -> Option<Running> {
    if !has("nginx") {
        return None;
    }
    let path = folder.path("");
    let config = format!(
        "daemon off; master_process off; pid {path}nginx.pid; error_log {path}nginx.log;
        events {{ worker_connections 256; }}
        http {{
            access_log off; default_type text/plain;
            client_body_temp_path {path}t/b; proxy_temp_path {path}t/p; fastcgi_temp_path {path}t/f;
            uwsgi_temp_path {path}t/u; scgi_temp_path {path}t/s;
            {http}
        }}"
    );
    std::fs::create_dir_all(Path::new(&path).join("t")).unwrap();
    let config = folder.file("nginx.conf", config);
    Some(Running::start("nginx", &["-p", &path, "-c", &config, "-e", &folder.path("nginx.log")]))
}

/// HAProxy with these frontends and backends. `None` where there is none.
pub(crate) fn haproxy(folder: &Folder, sections: &str) -> Option<Running> {
    if !has("haproxy") {
        return None;
    }
    let config = format!(
        "defaults
            mode http
            timeout connect 2s
            timeout client 5s
            timeout server 5s
            timeout http-keep-alive 40ms
        {sections}\n"
    );
    let config = folder.file("haproxy.conf", config);
    Some(Running::start("haproxy", &["-db", "-f", &config]))
}
