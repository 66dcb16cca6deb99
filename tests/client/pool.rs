//! Which connection a request gets, how many there are, and when they are closed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nethttp::net::{DialedStream, dial_fn};
use nethttp::{Client, Response, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::task::JoinSet;

#[cfg(unix)]
use crate::alone::{alone, is_alone};
use crate::fake::{Conn, FakeServer, OK, URL, client_of, counts, fake, millis, outcome, pair, secs, settle};

/// Opens so many connections, each held by a response whose content is still to come.
async fn open(client: &Client, server: &mut FakeServer, count: usize) -> Vec<(Response, Conn)> {
    let mut held = Vec::new();
    for _ in 0..count {
        let (response, conn) = tokio::join!(client.get(URL), async {
            let mut conn = server.accept().await;
            conn.serve("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n").await;
            conn
        });
        held.push((response.unwrap(), conn));
    }
    held
}

/// Has the responses end, in order.
async fn release(held: Vec<(Response, Conn)>) -> Vec<Conn> {
    let mut conns = Vec::new();
    for (mut response, mut conn) in held {
        conn.send("ok").await;
        response.text().await.unwrap();
        conns.push(conn);
    }
    conns
}

#[tokio::test(start_paused = true)]
async fn the_most_connections_to_a_host_are_never_exceeded_and_requests_are_served_in_order() {
    let (mut transport, server) = fake();
    transport.max_conns_per_host = 3;
    let (client, transport) = client_of(transport);
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (dials, order) = (server.dials.clone(), Arc::new(Mutex::new(Vec::new())));
    let mut incoming = server;
    let (now, ever) = (open.clone(), most.clone());
    let serving = tokio::spawn(async move {
        loop {
            let mut conn = incoming.accept().await;
            let (now, ever) = (now.clone(), ever.clone());
            tokio::spawn(async move {
                while let Some(request) = conn.try_request().await {
                    ever.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::time::sleep(millis(10)).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    // Every fifth connection is not kept.
                    let closes = request.line().contains('5');
                    let close = if closes { "Connection: close\r\n" } else { "" };
                    conn.send(format!("HTTP/1.1 200 OK\r\n{close}Content-Length: 2\r\n\r\nok")).await;
                    if closes {
                        break;
                    }
                }
            });
        }
    });
    let mut asking = JoinSet::new();
    for number in 0..50 {
        let (client, order) = (client.clone(), order.clone());
        asking.spawn(async move {
            let response = client.get(&*format!("{URL}{number}")).await;
            order.lock().unwrap().push(number);
            outcome(response).await.unwrap();
        });
        tokio::task::yield_now().await;
    }
    settle().await;
    let (idle, in_use, dialing, waiting) = counts(&transport);
    assert_eq!((idle, in_use + dialing, waiting), (0, 3, 47));
    asking.join_all().await;
    let order = order.lock().unwrap();
    for (at, number) in order.iter().enumerate() {
        assert!(at.abs_diff(*number) < 4, "{number} was served as {at}: {order:?}");
    }
    assert_eq!((most.load(Ordering::SeqCst), open.load(Ordering::SeqCst)), (3, 0));
    assert!(dials.load(Ordering::Relaxed) <= 3 + 14, "one anew for each that closed");
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn of_the_idle_connections_the_one_used_last_is_taken_first() {
    let (client, _, mut server) = pair();
    let held = open(&client, &mut server, 3).await;
    let mut conns = release(held).await;
    conns.rotate_left(1);
    // First, second, third became idle in this order: the third serves.
    for _ in 0..2 {
        let (response, request) = tokio::join!(client.get(URL), conns[1].serve(OK));
        assert!(response.unwrap().is_reused());
        assert_eq!(request.conn, 2);
    }
    assert_eq!(server.dials(), 3);
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_limited_for_a_host_and_over_all() {
    let (mut transport, mut server) = fake();
    transport.max_idle_conns_per_host = 2;
    let (client, transport) = client_of(transport);
    let held = open(&client, &mut server, 4).await;
    let mut conns = release(held).await;
    assert_eq!(counts(&transport), (2, 0, 0, 0));
    let mut closed = 0;
    for conn in &mut conns {
        closed += usize::from(conn.is_closed().await);
    }
    assert_eq!(closed, 2);

    let (mut transport, server) = fake();
    transport.max_idle_conns = 2;
    let (client, transport) = client_of(transport);
    let _log = server.answer(|_| OK.into());
    for host in ["a", "b", "c"] {
        outcome(client.get(&*format!("http://{host}.test/")).await).await.unwrap();
    }
    let mut hosts: Vec<String> = transport.pool_stats().into_iter().map(|host| host.host).collect();
    hosts.sort();
    assert_eq!(hosts, ["http://b.test:80", "http://c.test:80"], "the one idle longest went");

    let (mut transport, server) = fake();
    transport.max_idle_conns_per_host = 0;
    let (client, transport) = client_of(transport);
    let log = server.answer(|_| OK.into());
    for _ in 0..2 {
        outcome(client.get(URL).await).await.unwrap();
    }
    assert_eq!((log.last().conn, counts(&transport)), (1, (0, 0, 0, 0)));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_in_time_without_any_traffic() {
    let (mut transport, mut server) = fake();
    transport.idle_conn_timeout = secs(20);
    let (client, transport) = client_of(transport);
    let mut conns = release(open(&client, &mut server, 1).await).await;
    tokio::time::sleep(secs(19)).await;
    assert!(!conns[0].is_closed().await);
    tokio::time::sleep(secs(2)).await;
    assert!(conns[0].is_closed().await);
    assert_eq!(counts(&transport), (0, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_too_old_serves_no_more_however_busy_it_is() {
    let (mut transport, server) = fake();
    transport.max_conn_lifetime = secs(100);
    let (client, _) = client_of(transport);
    let log = server.answer(|_| OK.into());
    for _ in 0..21 {
        outcome(client.get(URL).await).await.unwrap();
        tokio::time::sleep(secs(10)).await;
    }
    // 90 to 100 s each.
    let last = log.last().conn;
    assert!((2..=3).contains(&last), "{last}");
    assert_eq!(log.all()[8].conn, 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_not_used_for_longer_nor_more_often_than_its_server_says() {
    // The field; how long the client waits between requests; the connection of each.
    for (field, pause, conns) in [
        ("timeout=5", millis(3900), [0, 0, 0]),
        ("timeout=5, max=100", millis(4000), [0, 1, 2]),
        ("timeout=5", millis(5150), [0, 1, 2]),
        // A margin of a second would leave nothing.
        ("timeout=1", millis(450), [0, 0, 0]),
        ("Timeout = 1 ,x", millis(500), [0, 1, 2]),
        ("timeout=0", millis(0), [0, 1, 2]),
        ("max=2", millis(0), [0, 0, 0]),
        ("max=1", millis(0), [0, 0, 1]),
        ("MAX=0", millis(0), [0, 1, 2]),
        ("", secs(50), [0, 0, 0]),
        ("timeout=x, max=-1, timeout", secs(50), [0, 0, 0]),
        ("timeout=99999999999999999999", secs(50), [0, 0, 0]),
        ("timeout=18446744073709551615", secs(50), [0, 0, 0]),
    ] {
        let (client, _, server) = pair();
        let log =
            server.answer(move |_| format!("HTTP/1.1 200 OK\r\nKeep-Alive: {field}\r\nContent-Length: 2\r\n\r\nok"));
        for _ in 0..3 {
            client.post(URL, "text/plain", "x").await.unwrap().text().await.unwrap();
            tokio::time::sleep(pause).await;
        }
        assert_eq!(log.all().iter().map(|request| request.conn).collect::<Vec<_>>(), conns, "{field:?} {pause:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn idle_connections_can_be_closed_and_those_in_use_live_on_until_they_are_idle() {
    let (client, transport, mut server) = pair();
    let mut held = open(&client, &mut server, 2).await;
    let busy = held.pop().unwrap();
    let mut idle = release(held).await;
    client.close_idle_connections();
    assert!(idle[0].is_closed().await);
    assert_eq!(counts(&transport), (0, 1, 0, 0));
    let mut late = release(vec![busy]).await;
    assert!(late[0].is_closed().await, "what becomes idle afterwards is not kept either");
    let _log = server.answer(|_| OK.into());
    outcome(client.get(URL).await).await.unwrap();
    assert_eq!(counts(&transport), (1, 0, 0, 0), "until the next request");
}

#[tokio::test(start_paused = true)]
async fn a_connection_with_unsolicited_bytes_is_not_used_again() {
    let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    for (with_answer, later) in [(evil, ""), ("", evil), ("x", ""), ("", "\r\n")] {
        let (client, _, mut server) = pair();
        let (response, mut conn) = tokio::join!(client.get(URL), async {
            let mut conn = server.accept().await;
            conn.serve(&format!("{OK}{with_answer}")).await;
            conn
        });
        assert_eq!(outcome(response).await, Ok((200, "ok".to_owned())));
        let _ = conn.stream.write_all(later.as_bytes()).await;
        let (response, ()) = tokio::join!(client.get(URL), async {
            server.accept().await.serve(OK).await;
        });
        assert_eq!(outcome(response).await, Ok((200, "ok".to_owned())));
        assert_eq!((conn.is_closed().await, server.dials()), (true, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_the_server_closed_while_idle_is_not_used_again() {
    let (client, _, mut server) = pair();
    drop(release(open(&client, &mut server, 2).await).await);
    let (response, ()) = tokio::join!(client.get(URL), async {
        server.accept().await.serve(OK).await;
    });
    assert!(!response.unwrap().is_reused());
}

/// A transport whose second dial and all later ones wait until they are let go.
fn slow() -> (Client, Arc<Transport>, FakeServer, Arc<Notify>) {
    let (mut transport, server) = fake();
    let (inner, go, dials) = (transport.dial.clone(), Arc::new(Notify::new()), AtomicUsize::new(0));
    let gate = go.clone();
    transport.dial = Arc::new(dial_fn(move |host, port| {
        let (inner, gate) = (inner.clone(), gate.clone());
        let waits = dials.fetch_add(1, Ordering::Relaxed) > 0;
        async move {
            if waits {
                gate.notified().await;
            }
            inner.dial(&nethttp::net::DialTarget::new(&host, port)).await
        }
    }));
    let (client, transport) = client_of(transport);
    (client, transport, server, go)
}

#[tokio::test(start_paused = true)]
async fn a_request_gets_a_connection_that_is_freed_before_its_own_dial_is_done() {
    let (client, transport, mut server, go) = slow();
    let held = open(&client, &mut server, 1).await;
    let other = client.clone();
    let waiting = tokio::spawn(async move { other.get(URL).await });
    settle().await;
    assert_eq!(counts(&transport), (0, 1, 1, 1));
    let mut conns = release(held).await;
    conns[0].serve(OK).await;
    let response = waiting.await.unwrap().unwrap();
    assert!(response.is_reused());
    go.notify_one();
    settle().await;
    assert_eq!(counts(&transport), (2, 0, 0, 0), "the dial went on: its connection is of use to the next");
}

#[tokio::test(start_paused = true)]
async fn a_dial_goes_on_when_its_request_is_given_up() {
    let (client, transport, mut server, go) = slow();
    let held = open(&client, &mut server, 1).await;
    let given_up = tokio::time::timeout(secs(1), client.get(URL)).await;
    assert!(given_up.is_err());
    assert_eq!(counts(&transport), (0, 1, 1, 0));
    go.notify_one();
    settle().await;
    assert_eq!(counts(&transport), (1, 1, 0, 0));
    let (response, ()) = tokio::join!(client.get(URL), async {
        server.accept().await.serve(OK).await;
    });
    assert!(!response.unwrap().is_reused(), "it has served nobody yet");
    assert_eq!(server.dials(), 2);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_dial_without_a_waiter_ends_when_idle_connections_are_closed() {
    let (client, transport, mut server, _go) = slow();
    let held = open(&client, &mut server, 1).await;
    assert!(tokio::time::timeout(secs(1), client.get(URL)).await.is_err());
    client.close_idle_connections();
    settle().await;
    assert_eq!(counts(&transport), (0, 1, 0, 0));
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn connections_are_kept_apart_by_scheme_host_and_port() {
    let (client, transport, server) = pair();
    let log = server.answer(|_| OK.into());
    for url in ["http://a.test/", "http://A.test:80/x", "http://a.test:81/", "http://b.test/"] {
        outcome(client.get(url).await).await.unwrap();
    }
    let places: Vec<(usize, String)> = log.all().into_iter().map(|request| (request.conn, request.place)).collect();
    let expected = [(0, "a.test:80"), (0, "a.test:80"), (1, "a.test:81"), (2, "b.test:80")];
    assert_eq!(places, expected.map(|(conn, place)| (conn, place.to_owned())));
    assert_eq!(counts(&transport), (3, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn keep_alives_can_be_turned_off() {
    let (mut transport, server) = fake();
    transport.disable_keep_alives = true;
    let (client, transport) = client_of(transport);
    let log = server.answer(|_| OK.into());
    for conn in 0..2 {
        outcome(client.get(URL).await).await.unwrap();
        assert_eq!((log.last().field("Connection"), log.last().conn), (Some("close"), conn));
    }
    assert_eq!(counts(&transport), (0, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_is_dropped_closes_what_is_idle_and_leaves_no_task() {
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let (client, transport, mut server) = pair();
    let mut conns = release(open(&client, &mut server, 3).await).await;
    drop((client, transport));
    for conn in &mut conns {
        assert!(conn.is_closed().await);
    }
    settle().await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), before);
}

#[cfg(unix)]
#[test]
fn twenty_thousand_requests_leave_no_task_and_no_connection_over() {
    alone("pool::send_twenty_thousand_requests", "");
}

/// Over real sockets. It looks at the memory of the whole process, so it has one of its own.
#[cfg(unix)]
#[tokio::test]
#[ignore = "run by the test above, in a process of its own"]
async fn send_twenty_thousand_requests() {
    if !is_alone() {
        return;
    }
    let (listener, place) = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap();
        (listener, place)
    };
    let accepted = Arc::new(AtomicUsize::new(0));
    let (count, open) = (accepted.clone(), Arc::new(AtomicUsize::new(0)));
    let now = open.clone();
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            now.fetch_add(1, Ordering::Relaxed);
            let now = now.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 4096];
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    if stream.write_all(OK.as_bytes()).await.is_err() {
                        break;
                    }
                }
                now.fetch_sub(1, Ordering::Relaxed);
            });
        }
    });
    let mut transport = Transport::new();
    transport.proxy = nethttp::client::Proxy::none();
    transport.dial =
        Arc::new(dial_fn(
            move |_, _| async move { tokio::net::TcpStream::connect(place).await.map(DialedStream::from) },
        ));
    let (client, transport) = client_of(transport);
    let metrics = tokio::runtime::Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    let mut memory = Vec::new();
    for _ in 0..4 {
        let mut asking = JoinSet::new();
        for _ in 0..8 {
            let client = client.clone();
            asking.spawn(async move {
                for _ in 0..625 {
                    assert_eq!(client.get(URL).await.unwrap().text().await.unwrap(), "ok");
                }
            });
        }
        asking.join_all().await;
        memory.push(resident());
    }
    let connections = accepted.load(Ordering::Relaxed);
    assert!(connections <= 16, "{connections} connections for eight at a time");
    let (idle, in_use, dialing, waiting) = counts(&transport);
    assert_eq!((in_use, dialing, waiting), (0, 0, 0));
    assert!(memory[3] <= memory[0] + 1024, "kB after each quarter: {memory:?}");
    // The reaper, and the server's tasks for what is idle.
    assert!(metrics.num_alive_tasks() <= before + idle + 1, "{}", metrics.num_alive_tasks());
    drop((client, transport));
    for _ in 0..1000 {
        if open.load(Ordering::Relaxed) == 0 && metrics.num_alive_tasks() <= before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!((open.load(Ordering::Relaxed), metrics.num_alive_tasks()), (0, before));
    serving.abort();
}

/// Kilobytes of memory; 0 where the system does not say.
#[cfg(unix)]
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

#[test]
fn a_transport_has_these_settings_by_default() {
    let transport = Transport::new();
    let counts = (transport.max_idle_conns, transport.max_idle_conns_per_host, transport.max_conns_per_host);
    assert_eq!(counts, (100, 32, 0));
    let making = [transport.connect_timeout, transport.tls_handshake_timeout];
    assert_eq!(making.map(|limit| limit.as_secs()), [30, 10]);
    let asking = [transport.expect_continue_timeout, transport.response_header_timeout, transport.stall_timeout];
    assert_eq!(asking.map(|limit| limit.as_secs()), [1, 60, 0]);
    assert_eq!([transport.idle_conn_timeout, transport.max_conn_lifetime].map(|limit| limit.as_secs()), [90, 0]);
    assert!(!transport.disable_keep_alives && !transport.disable_compression);
}

#[tokio::test(start_paused = true)]
async fn the_steps_of_a_dial_count_from_the_request_that_waited_for_it() {
    let (mut transport, mut server) = fake();
    transport.max_conns_per_host = 1;
    let (client, _) = client_of(transport);
    let held = open(&client, &mut server, 1).await;
    let (response, ()) = tokio::join!(client.get(URL), async {
        tokio::time::sleep(secs(5)).await;
        // Given up before its end: its connection is closed, and another is dialled.
        drop(held);
        server.accept().await.serve(OK).await;
    });
    let timings = response.unwrap().timings();
    assert!(timings.connected >= Some(secs(5)) && timings.connected <= timings.got_connection, "{timings:?}");
}
