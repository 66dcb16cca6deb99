//! Clients that die on real sockets, many at a time: every task and every descriptor comes back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nethttp::server::ServerEvent;
use nethttp::{Server, handle_with};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;

use crate::alone::{alone, descriptors, is_alone, until};
use crate::moments::{MOMENTS, Moment, bring, die_on, exists};
use crate::paths::{Ending, server_tls};
use crate::site::{MODES, Mode};

const PEERS: usize = 20;

#[test]
fn clients_that_die_on_sockets_leave_no_task_and_no_descriptor() {
    alone("sockets::die_on_sockets", "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the test above, in a process of its own"]
async fn die_on_sockets() {
    if !is_alone() {
        return;
    }
    let (told, _seen) = unbounded_channel();
    let mut server = Server::new(handle_with(told, die_on));
    server.on_event = Some(Arc::new(|_: &ServerEvent| {}));
    let (plain, secure) = (listen(&server, false).await, listen(&server, true).await);
    // What is made once and kept: the system's own and TLS's.
    for mode in MODES {
        round(&server, mode, address(mode, plain, secure), Moment::Idle, Ending::Fin).await;
    }
    let metrics = Handle::current().metrics();
    until("the listeners are left alone", || metrics.num_alive_tasks() == 2).await;
    let open = descriptors();
    for mode in MODES {
        for moment in MOMENTS.into_iter().filter(|moment| exists(mode, *moment) && is_noticed(mode, *moment)) {
            for ending in [Ending::Fin, Ending::Reset] {
                round(&server, mode, address(mode, plain, secure), moment, ending).await;
                let what = format!("{mode:?} {moment:?} {ending:?} left tasks behind");
                until(&what, || metrics.num_alive_tasks() == 2).await;
                until(&what, || descriptors() == open).await;
            }
        }
    }
}

/// Over HTTP/1 a handler that leaves content unread goes on, a minute long here.
fn is_noticed(mode: Mode, moment: Moment) -> bool {
    mode.is_http2() || moment != Moment::Unread
}

fn address(mode: Mode, plain: SocketAddr, secure: SocketAddr) -> SocketAddr {
    if mode.is_secure() { secure } else { plain }
}

async fn listen(server: &Server, secure: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = server.clone();
    tokio::spawn(async move {
        match secure {
            true => server.serve_tls(listener, &server_tls()).await,
            false => server.serve(listener).await,
        }
    });
    addr
}

/// Brings many clients there at once, and lets all of them die.
async fn round(server: &Server, mode: Mode, addr: SocketAddr, moment: Moment, ending: Ending) {
    let mut coming = JoinSet::new();
    for _ in 0..PEERS {
        coming.spawn(async move {
            let stream = TcpStream::connect(addr).await.unwrap();
            if ending == Ending::Reset {
                // Closed without waiting for what is unsent, which is a reset.
                SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
            }
            bring(mode, moment, stream).await
        });
    }
    let peers: Vec<_> = coming.join_all().await.into_iter().collect();
    until("all of them are there", || server.connections() == PEERS).await;
    drop(peers);
    until(&format!("{mode:?} {moment:?} {ending:?} ends"), || server.connections() == 0).await;
}
