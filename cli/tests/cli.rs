//! The command as its users run it.
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

use std::io::{BufRead as _, Read as _};
use std::net::TcpListener;
use std::path::Path;

mod kit;
use kit::{Folder, Serving, output, stderr};

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
fn the_manual_has_every_option_and_every_exit_code() {
    const MANUAL: &str = include_str!("../../docs/command.md");
    let is_told = |option: &str| {
        let mut told = MANUAL.match_indices(option).map(|(at, _)| &MANUAL[at + option.len()..]);
        told.any(|behind| behind.starts_with(['`', ' ', ',', '=', '[', '\\']))
    };
    for command in ["serve", "proxy", "get"] {
        let output = output(&[command, "--help"]);
        let help = String::from_utf8(output.stdout).unwrap();
        let options = help.lines().map(str::trim).filter(|line| line.starts_with('-') && !line.contains("--help"));
        for line in options {
            let names = line.split([' ', ',', '[', '=']).filter(|name| name.starts_with('-'));
            assert!(names.clone().count() > 0 && names.clone().any(is_told), "{command}: {line}");
        }
        let codes = help.lines().filter_map(|line| line.strip_prefix("  ")?.split_once("  "));
        for (code, _) in codes.filter(|(code, _)| code.parse::<u8>().is_ok()) {
            assert!(MANUAL.contains(&format!("\n| {code} | ")), "{code}");
        }
    }
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
