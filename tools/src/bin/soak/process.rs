//! The server's process: how it is started, and what it holds, according to Linux.

use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::runtime::Handle;

use crate::raw;

pub(crate) struct Soaked {
    child: Child,
    pub(crate) plain: SocketAddr,
    pub(crate) secure: SocketAddr,
    /// The certificate of the server's authority, in PEM.
    pub(crate) root: String,
}

/// What both processes hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    pub(crate) server_kib: u64,
    pub(crate) server_descriptors: usize,
    pub(crate) server_tasks: usize,
    pub(crate) server_connections: usize,
    pub(crate) server_faults: usize,
    pub(crate) own_descriptors: usize,
    pub(crate) own_tasks: usize,
    own_kib: u64,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Held { server_kib, server_descriptors, server_tasks, server_connections, .. } = self;
        write!(f, "server {server_kib} KiB, {server_descriptors} descriptors, {server_tasks} tasks")?;
        write!(f, ", {server_connections} connections")?;
        write!(f, " | clients {} KiB, {} descriptors, {} tasks", self.own_kib, self.own_descriptors, self.own_tasks)
    }
}

impl Soaked {
    pub(crate) fn start() -> Result<Soaked, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        // It ends with its standard input, so also when this process is killed.
        let mut child = command
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("the server cannot be started: {error}"))?;
        let said = child.stdout.take().ok_or("the server has no output")?;
        let mut lines = BufReader::new(said).lines().map_while(Result::ok);
        let mut address = || lines.next().and_then(|line| line.parse().ok()).ok_or("the server does not listen");
        let (plain, secure) = (address()?, address()?);
        let root = lines.take_while(|line| line != "end").map(|line| line + "\n").collect();
        Ok(Soaked { child, plain, secure, root })
    }

    pub(crate) fn assert_lives(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            ended => Err(format!("the server has ended: {ended:?}")),
        }
    }

    /// What is held now.
    pub(crate) async fn ask(&self) -> Result<Held, String> {
        let request = "GET /state HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n";
        let answer = raw::exchange(self.plain, request.as_bytes()).await?;
        let content = answer.rsplit("\r\n\r\n").next().unwrap_or_default();
        let numbers: Vec<usize> = content.split(' ').filter_map(|number| number.parse().ok()).collect();
        let [server_tasks, server_connections, server_faults] = numbers[..] else { return Err(answer) };
        Ok(Held { server_tasks, server_connections, server_faults, ..self.held() })
    }

    /// What Linux knows of it.
    pub(crate) fn held(&self) -> Held {
        let server = self.child.id().to_string();
        Held {
            server_kib: resident(&server),
            server_descriptors: descriptors(&server),
            own_kib: resident("self"),
            own_descriptors: descriptors("self"),
            own_tasks: Handle::current().metrics().num_alive_tasks(),
            ..Held::default()
        }
    }

    /// What is held once only the asking client is connected; `None` where others stay for long.
    pub(crate) async fn quiet(&self) -> Option<Held> {
        for _ in 0..300 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let held = self.ask().await.ok()?;
            // The asking connection is one of them, with its task; its descriptor is closed by now, or soon.
            if held.server_connections == 1 && held.server_tasks <= 3 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                return Some(Held { server_connections: 0, ..self.with_own(&held) });
            }
        }
        None
    }

    fn with_own(&self, held: &Held) -> Held {
        let Held { server_tasks, server_connections, server_faults, .. } = *held;
        Held { server_tasks, server_connections, server_faults, ..self.held() }
    }
}

impl Drop for Soaked {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn resident(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn descriptors(process: &str) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd")).map_or(0, Iterator::count)
}
