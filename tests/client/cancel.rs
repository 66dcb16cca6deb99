//! Requests that are dropped at any poll: whatever was under way, nothing of it stays.

use std::sync::Arc;

use nethttp::{Body, Client, Request, Result, Transport};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::cut::Cut;
use crate::fake::{Conn, URL, client_of, counts, fake_with, millis, outcome, pieces, secs};

/// A small generator: what chance does here can be done again.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % most
    }
}

/// Answers in little pieces, with pauses, by the path.
async fn serve(mut conn: Conn, seed: u64) {
    let mut chance = Chance(seed * 7919 + conn.number as u64 + 1);
    while let Some(request) = conn.try_request().await {
        let path = request.line().split(' ').nth(1).unwrap().to_owned();
        let answer = match path.as_str() {
            "/redirect" => "HTTP/1.1 307 R\r\nLocation: /chunked\r\nContent-Length: 9\r\n\r\nsee there".to_owned(),
            "/away" => "HTTP/1.1 303 R\r\nLocation: http://b.test/length\r\nContent-Length: 0\r\n\r\n".to_owned(),
            "/chunked" => format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\nX: 1\r\n\r\n",
                "4\r\nabcd\r\n".repeat(20)
            ),
            "/close" => "HTTP/1.1 200 OK\r\n\r\nuntil the close".to_owned(),
            _ => format!(
                "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n{}",
                "x".repeat(200)
            ),
        };
        for piece in answer.as_bytes().chunks(1 + chance.below(60)) {
            if chance.below(3) == 0 {
                tokio::time::sleep(millis(1)).await;
            }
            if conn.stream.write_all(piece).await.is_err() {
                return;
            }
        }
        if path == "/close" {
            return;
        }
    }
}

/// One of several things to do with a client.
async fn one_exchange(client: Client, which: usize) -> Result<()> {
    let url = |path: &str| format!("{URL}{path}");
    let content = || Body::from_fn(|| Ok(pieces(&["some ", "content"])));
    let mut response = match which {
        0 => client.get(&*url("length")).await?,
        1 => client.get(&*url("chunked")).await?,
        2 => client.send(Request::put(&*url("redirect"), content()?)?).await?,
        3 => client.post(&*url("away"), "text/plain", vec![b'x'; 500]).await?,
        4 => client.get(&*url("close")).await?,
        5 => {
            let mut request = Request::post(&*url("length"), "content")?;
            request.header.set("Expect", "100-continue");
            client.send(request).await?
        }
        _ => {
            // Dropped with all of its body to come.
            client.get(&*url("chunked")).await?;
            return Ok(());
        }
    };
    while response.body.chunk().await?.is_some() {}
    Ok(())
}

/// Lets many exchanges run at a time and drops each at some poll.
async fn run(seed: u64, most_polls: usize) -> Arc<Transport> {
    let (mut transport, mut server) = fake_with(64);
    transport.max_conns_per_host = 2;
    let (client, transport) = client_of(transport);
    tokio::spawn(async move {
        while let Some(conn) = server.next().await {
            tokio::spawn(serve(conn, seed));
        }
    });
    let mut chance = Chance(seed + 1);
    let mut exchanges = JoinSet::new();
    for which in 0..14 {
        let polls = 1 + chance.below(most_polls);
        exchanges.spawn(Cut::after(polls as u64, one_exchange(client.clone(), which % 7)));
        if chance.below(4) == 0 {
            tokio::time::sleep(millis(1)).await;
        }
    }
    let done = timeout(secs(60), exchanges.join_all()).await.expect("no exchange hangs");
    for outcome in done.into_iter().flatten() {
        outcome.unwrap();
    }
    // What was dropped with its end near is read on for 50 ms.
    tokio::time::sleep(millis(100)).await;
    let (idle, in_use, dialing, waiting) = counts(&transport);
    assert_eq!((in_use, dialing, waiting), (0, 0, 0), "seed {seed}, {most_polls} polls");
    assert!(idle <= 4, "two hosts, two each: {idle}");
    // All places are free again: as many at a time as there may be, and each is served.
    for _ in 0..2 {
        let asked = timeout(secs(10), async {
            let (length, chunked) = (format!("{URL}length"), format!("{URL}chunked"));
            let (a, b) = tokio::join!(client.get(&*length), client.get(&*chunked));
            (outcome(a).await, outcome(b).await)
        });
        let (a, b) = asked.await.expect("the next requests are served");
        assert_eq!((a.unwrap().1.len(), b.unwrap().1.len()), (200, 80), "seed {seed}, {most_polls} polls");
    }
    transport
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_dropped_at_any_poll_leaves_nothing_behind() {
    for most_polls in [2, 5, 12, 30, 80] {
        for seed in 0..24 {
            run(seed, most_polls).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_task_is_left_over_by_what_was_dropped() {
    let metrics = tokio::runtime::Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    for seed in 100..110 {
        drop(run(seed, 20).await);
    }
    tokio::time::sleep(secs(1)).await;
    assert_eq!(metrics.num_alive_tasks(), before);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_dropped_while_it_waits_gives_up_its_place() {
    let (mut transport, mut server) = fake_with(1 << 16);
    transport.max_conns_per_host = 1;
    let (client, transport) = client_of(transport);
    let first = {
        let client = client.clone();
        tokio::spawn(async move { outcome(client.get(URL).await).await })
    };
    let mut conn = server.accept().await;
    conn.request().await;
    for _ in 0..100 {
        assert!(timeout(millis(5), client.get(URL)).await.is_err());
    }
    assert_eq!(counts(&transport), (0, 1, 0, 0));
    let (second, ()) = tokio::join!(client.get(URL), async {
        conn.send(crate::fake::OK).await;
        conn.serve(crate::fake::OK).await;
    });
    assert_eq!(outcome(second).await.unwrap().1, "ok");
    assert!(first.await.unwrap().is_ok());
    assert_eq!((server.dials(), counts(&transport)), (1, (1, 0, 0, 0)));
}
