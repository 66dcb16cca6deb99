//! The command as its users run it.
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

fn nethttp(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nethttp"));
    command.args(arguments);
    command
}

fn output(arguments: &[&str]) -> Output {
    nethttp(arguments).output().unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// A directory of its own for a test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = Folder(std::env::temp_dir().join(format!("nethttp-cli-{}-{number}", std::process::id())));
        std::fs::create_dir_all(&folder.0).unwrap();
        std::fs::write(folder.0.join("a.txt"), "hello\n").unwrap();
        folder
    }

    fn path(&self) -> &str {
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
struct Serving {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
    stderr: BufReader<std::process::ChildStderr>,
    first_line: String,
}

impl Serving {
    fn start(folder: &Folder) -> Serving {
        let mut command = nethttp(&["serve", folder.path(), "-a", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut serving = Serving { child, stdout, stderr, first_line: String::new() };
        serving.stdout.read_line(&mut serving.first_line).unwrap();
        serving
    }

    fn address(&self) -> &str {
        self.first_line.trim_end().rsplit_once("http://").unwrap().1.trim_end_matches('/')
    }

    fn connect_and_send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    fn get(&self, target: &str) -> String {
        let request = format!("GET {target} HTTP/1.1\r\nHost: cli.test\r\nConnection: close\r\n\r\n");
        let mut answer = String::new();
        self.connect_and_send(&request).read_to_string(&mut answer).unwrap();
        answer
    }

    fn log_line(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).unwrap();
        line
    }

    #[cfg(unix)]
    fn signal(&self, name: &str) {
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

#[test]
fn the_version_is_printed() {
    let output = output(&["--version"]);
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("nethttp {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_help_names_the_defaults() {
    let output = output(&["serve", "--help"]);
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(help.contains("[default: .]") && help.contains("[default: 127.0.0.1:8000]"), "{help}");
}

#[test]
fn what_is_no_directory_is_said_to_be_none() {
    let folder = Folder::new();
    let file = folder.0.join("a.txt");
    let cases = [(Path::new("/nonexistent/dir"), "there is no such directory"), (&file, "it is not a directory")];
    for (path, reason) in cases {
        let output = output(&["serve", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(reason) && stderr(&output).contains(path.to_str().unwrap()));
    }
}

#[test]
fn what_is_no_address_is_refused_with_an_example() {
    for address in ["8000", "localhost", ":8000", "localhost:http", "127.0.0.1:99999", "::1:8000"] {
        let output = output(&["serve", "-a", address]);
        assert_eq!(output.status.code(), Some(2), "{address}");
        assert!(stderr(&output).contains("127.0.0.1:8000"), "{address}");
    }
}

#[test]
fn a_port_that_is_taken_is_one_line_that_says_what_to_change() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = output(&["serve", "-a", &address]);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!(
        "nethttp: {address} is taken: choose another port with -a 127.0.0.1:PORT, or any free one with -a 127.0.0.1:0\n"
    );
    assert_eq!(stderr(&output), expected);
}

#[test]
fn it_says_where_it_serves_what_and_logs_each_request() {
    let folder = Folder::new();
    let mut serving = Serving::start(&folder);
    assert_eq!(serving.first_line, format!("Serving {} on http://{}/\n", folder.path(), serving.address()));
    let mut second = String::new();
    serving.stdout.read_line(&mut second).unwrap();
    assert_eq!(second, "Press Ctrl-C to stop.\n");

    let answer = serving.get("/a.txt?q=1");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhello\n"), "{answer}");
    let line = serving.log_line();
    assert!(line.contains(" 127.0.0.1:") && line.contains(" GET /a.txt?q=1 200 6 "), "{line}");

    assert!(serving.get("/none").starts_with("HTTP/1.1 404 "));
    let line = serving.log_line();
    assert!(line.contains(" GET /none 404 "), "{line}");
}

#[cfg(unix)]
mod signals {
    use super::*;

    #[test]
    fn either_signal_ends_an_idle_server_in_good_order() {
        let folder = Folder::new();
        for name in ["INT", "TERM"] {
            let mut serving = Serving::start(&folder);
            let mut kept = serving.connect_and_send("GET /a.txt HTTP/1.1\r\nHost: cli.test\r\n\r\n");
            kept.read_exact(&mut [0; 12]).unwrap();
            serving.log_line();
            serving.signal(name);
            assert!(serving.child.wait().unwrap().success(), "{name}");
            let mut said = String::new();
            serving.stderr.read_to_string(&mut said).unwrap();
            assert!(said.starts_with("Stopping") && said.ends_with("Stopped.\n"), "{said}");
        }
    }

    #[test]
    fn a_second_interrupt_does_not_wait_for_a_request_under_way() {
        let folder = Folder::new();
        // Far more than socket buffers take, so that the answer waits for the client.
        std::fs::File::create(folder.0.join("big.bin")).unwrap().set_len(1 << 30).unwrap();
        let mut serving = Serving::start(&folder);
        let mut slow = serving.connect_and_send("GET /big.bin HTTP/1.1\r\nHost: cli.test\r\n\r\n");
        slow.read_exact(&mut [0; 12]).unwrap();
        serving.signal("INT");
        assert!(serving.log_line().starts_with("Stopping"));
        serving.signal("INT");
        assert_eq!(serving.child.wait().unwrap().code(), Some(130));
    }
}

/// curl on `serve` with these options, and what the command said on standard error until then.
fn curl_over_tls(folder: &Folder, options: &[&str], curl: &[&str]) -> Option<(Output, String)> {
    let mut child = nethttp(&["serve", folder.path(), "-a", "127.0.0.1:0"]);
    let mut child = child.args(options).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut first_line = String::new();
    stdout.read_line(&mut first_line).unwrap();
    let url = format!("https://{}a.txt", first_line.trim_end().rsplit_once("https://").unwrap().1);
    let answer = Command::new("curl").args(["-sS", "--max-time", "20"]).args(curl).arg(url).output();
    // Its first lines are there; what comes later nobody waits for.
    child.kill().unwrap();
    let said = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
    match answer {
        Ok(answer) => Some((answer, said)),
        Err(_) => {
            // Not `eprintln`: that is kept back where a test passes.
            let _ = writeln!(std::io::stderr(), "LEFT OUT: curl is not on this machine");
            None
        }
    }
}

#[test]
fn a_certificate_made_now_serves_and_its_fingerprint_is_said() {
    let folder = Folder::new();
    let Some((answer, said)) = curl_over_tls(&folder, &["--self-signed"], &["--insecure"]) else { return };
    assert_eq!(answer.stdout, b"hello\n", "{answer:?}");
    let (_, fingerprint) = said.lines().next().unwrap().split_once("certificate: ").unwrap();
    assert_eq!((fingerprint.len(), fingerprint.split(':').count()), (95, 32), "{said}");
    let (answer, _) = curl_over_tls(&folder, &["--self-signed"], &[]).unwrap();
    assert_eq!(answer.status.code(), Some(60), "nobody trusts it: {answer:?}");
}

#[test]
fn a_certificate_from_files_serves() {
    let folder = Folder::new();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (folder.0.join("c.pem"), folder.0.join("c.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let options = ["--tls-cert", certificate, "--tls-key", key];
    let Some((answer, _)) = curl_over_tls(&folder, &options, &["--cacert", certificate]) else { return };
    assert_eq!(answer.stdout, b"hello\n", "{answer:?}");
}

#[test]
fn options_of_tls_that_do_not_go_together_or_lead_nowhere_say_what_is_wrong() {
    let folder = Folder::new();
    for options in [&["--tls-cert", "a.pem"][..], &["--tls-key", "a.key"], &["--self-signed", "--tls-cert", "a.pem"]] {
        let arguments = [&["serve", folder.path(), "-a", "127.0.0.1:0"], options].concat();
        assert_eq!(output(&arguments).status.code(), Some(2), "{options:?}");
    }
    let missing = ["--tls-cert", "/nowhere/a.pem", "--tls-key", "/nowhere/a.key"];
    let output = output(&[&["serve", folder.path(), "-a", "127.0.0.1:0"][..], &missing].concat());
    assert!(stderr(&output).starts_with("nethttp: cannot read /nowhere/a.pem: "), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(1));
}
