//! `nethttp serve` over TLS.
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]
#![allow(dead_code, reason = "not every test needs all of the kit")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Output, Stdio};

mod kit;
use kit::{Folder, nethttp, output, stderr};

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
