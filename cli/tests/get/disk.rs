//! Disks that are full. A device that always is, and a limit on the size of files that stands in for a
//! full disk: what failed is named, and nothing that is half looks whole.

use std::fs::File;
use std::process::Command;

use nethttp::{Body, Response};

use crate::support::{Ended, Folder, Site, command, get};

const LENGTH: usize = 3 << 20;

fn content() -> Vec<u8> {
    (0..LENGTH).map(|at| (at / 1000 % 251) as u8).collect()
}

/// Serves content that can be gone on with, or not.
fn site(validator: Option<&'static str>) -> Site {
    Site::answering(move |received| {
        let from = received.field("Range").and_then(|range| range["bytes=".len()..range.len() - 1].parse().ok());
        let from: usize = from.unwrap_or(0);
        let mut response = Response::new(Body::from(content().split_off(from)));
        if from > 0 {
            response.status = nethttp::StatusCode::PARTIAL_CONTENT;
            response.header.set("Content-Range", format!("bytes {from}-{}/{LENGTH}", LENGTH - 1));
        }
        if let Some(validator) = validator {
            response.header.set("ETag", validator);
        }
        response
    })
}

/// Runs the command where files cannot grow beyond a megabyte.
fn get_with_little_room(folder: &Folder, arguments: &[&str]) -> Ended {
    let own = command(arguments);
    let mut shell = Command::new("sh");
    // Without the signal that would end it; the unit is 512 or 1024 bytes, by the shell.
    shell.arg("-c").arg("trap '' XFSZ; ulimit -f 1024; exec \"$0\" \"$@\"").arg(own.get_program());
    shell.args(own.get_args()).current_dir(&folder.0);
    for (name, value) in own.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    Ended::of(shell.output().unwrap())
}

#[test]
fn a_device_that_is_full_is_named_however_little_was_for_it() {
    let (small, large) = (Site::answering(|_| Response::new("hello")), site(None));
    for site in [&small, &large] {
        let ended = get(&["-o", "/dev/full", &site.url("/")]);
        let expected = "nethttp: /dev/full: No space left on device (os error 28)\n";
        assert_eq!(ended.is(1).stderr(), expected);
        let full = File::options().write(true).open("/dev/full").unwrap();
        let ended = Ended::of(command(&[&site.url("/")]).stdout(full).output().unwrap());
        let expected = "nethttp: standard output: No space left on device (os error 28)\n";
        assert_eq!(ended.is(1).stderr(), expected);
    }
}

#[test]
fn what_finds_the_disk_full_is_named_and_gone_on_with_when_there_is_room() {
    let (site, folder) = (site(Some("\"a\"")), Folder::new());
    folder.write("file", "old");
    let ended = get_with_little_room(&folder, &["-o", "file", &site.url("/")]);
    let said = ended.is(1).stderr();
    assert!(said.starts_with("nethttp: ") && said.ends_with("/file: File too large (os error 27)\n"), "{said}");
    assert_eq!(folder.names(), ["file", "file.part", "file.part.json"]);
    assert_eq!(folder.read("file"), b"old");
    let part = folder.read("file.part");
    assert!(!part.is_empty() && part.len() < LENGTH && content().starts_with(&part), "{} bytes", part.len());

    folder.get(&["-o", "file", &site.url("/")]).says("");
    assert_eq!(folder.names(), ["file"]);
    assert!(folder.read("file") == content());
}

#[test]
fn what_cannot_be_gone_on_with_leaves_nothing_on_a_full_disk() {
    let (site, folder) = (site(None), Folder::new());
    folder.write("file", "old");
    get_with_little_room(&folder, &["-o", "file", &site.url("/")]).is(1);
    assert_eq!((folder.names(), folder.read("file")), (vec!["file".to_owned()], b"old".to_vec()));
}
