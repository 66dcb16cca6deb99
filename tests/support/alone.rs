//! Tests that need a process of their own: the program of these tests is run again for one of them.
//!
//! The inner test is marked `#[ignore]` and begins with [`is_alone`]; the outer one runs it.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part of it; what fails here fails its test")]

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

const MARK: &str = "NETHTTP_TEST_ALONE";

/// Whether this process is one test's alone. It does nothing where ignored tests are run by hand.
pub(crate) fn is_alone() -> bool {
    std::env::var_os(MARK).is_some()
}

/// This program for one ignored test, behind these commands of a shell.
pub(crate) fn command(test: &str, before: &str) -> Command {
    let mut command = Command::new("sh");
    let program = std::env::current_exe().unwrap();
    command.arg("-c").arg(format!("{before} exec \"$0\" \"$@\"")).arg(program);
    command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(MARK, "1").stdin(Stdio::null());
    command
}

/// Runs an ignored test in a process of its own, behind these commands of a shell.
pub(crate) fn alone(test: &str, before: &str) {
    let output = command(test, before).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    // A test that is not there would pass.
    assert!(output.status.success() && said.contains("1 passed"), "{test}: {said}");
}

/// How many descriptors this process has.
pub(crate) fn descriptors() -> usize {
    // One of them is the folder's own.
    std::fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

/// Waits until this holds. What is said of sockets arrives when the system likes, so there is no event
/// to wait for.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..20_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it never came about that {what}");
}

/// Files that are there for as long as a test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("nethttp-faults-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind, it only takes place.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
