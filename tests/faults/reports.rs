//! Where the server's own faults are told when nobody has asked for them.

use nethttp::{Error, Request, ResponseWriter, Result, ServeMux, Server};
use tokio::io::AsyncReadExt;

use crate::alone::{command, is_alone};
use crate::support::{GET, secs, start};

#[test]
fn own_faults_go_to_standard_error_in_a_program_without_a_dispatcher_and_what_peers_do_does_not() {
    let output = command("reports::fail_in_each_way", "").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    let told: Vec<&str> = said.lines().filter(|line| line.starts_with("nethttp: ")).collect();
    assert_eq!(
        told,
        [
            "nethttp: a handler failed on GET /error from memory client 1: the disk is full; answered 500",
            "nethttp: a handler panicked on GET /panic from memory client 2: at once",
            "nethttp: accepting a connection failed: out of descriptors; next try in 5ms",
        ]
    );
}

#[test]
fn a_closed_standard_error_harms_nothing() {
    let output = command("reports::fail_in_each_way", "exec 2>&-;").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[ignore = "a process of its own runs it"]
#[tokio::test(start_paused = true)]
async fn fail_in_each_way() {
    if !is_alone() {
        return;
    }
    let mux = ServeMux::new();
    mux.handle("/error", async |_: &mut ResponseWriter, _: &mut Request| Err(Error::other("the disk is full")));
    mux.handle("/panic", async |_: &mut ResponseWriter, _: &mut Request| -> Result<()> { panic!("at once") });
    mux.handle("/text", async |_: &mut ResponseWriter, r: &mut Request| r.body.text().await.map(drop));
    mux.handle("/forever", async |w: &mut ResponseWriter, _: &mut Request| {
        loop {
            w.write([b'x'; 10_000]).await?;
        }
    });
    let running = start(Server::new(mux));
    for path in ["/error", "/panic"] {
        let answer = running.dial().await.ask(&GET.replace("GET /", &format!("GET {path}"))).await;
        assert_eq!(answer.status, 500);
    }
    // What peers do: no request, content that is no text, leaving in the middle of an answer.
    let mut peer = running.dial().await;
    peer.send("no request\r\n\r\n").await;
    peer.end().await;
    let mut peer = running.dial().await;
    peer.send("POST /text HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nConnection: close\r\n\r\n\u{7f}").await;
    peer.end().await;
    let mut peer = running.dial().await;
    peer.send(GET.replace("GET /", "GET /forever")).await;
    peer.stream.read_exact(&mut [0; 10]).await.unwrap();
    drop(peer);
    running.dialer.fail_next_accept(std::io::Error::new(std::io::ErrorKind::OutOfMemory, "out of descriptors"));
    tokio::time::sleep(secs(1)).await;
}
