//! What is told of a request when it is over.

use std::sync::{Arc, Mutex};

use nethttp::middleware::with_state;
use nethttp::server::{RequestRecord, ResponseEnd};
use nethttp::{Error, Next, Request, ResponseWriter, Result, ServeMux, StatusCode};
use tokio::time::sleep;

use crate::fake::fed;
use crate::site::{Mode, Site, in_all_modes};
use crate::support::{secs, settle};

type Records = Arc<Mutex<Vec<RequestRecord>>>;

/// Puts a record of each request into the list.
async fn recorded(records: &Records, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
    let records = records.clone();
    w.on_end(move |record| records.lock().unwrap().push(record.clone()));
    next.run(w, r).await
}

fn mux() -> ServeMux {
    let mux = ServeMux::new();
    mux.handle("GET /slow/{id}", async |w: &mut ResponseWriter, _: &mut Request| {
        sleep(secs(1)).await;
        w.write("begun").await?;
        w.flush().await?;
        sleep(secs(2)).await;
        w.write(" and done").await
    });
    mux.handle("GET /error", async |w: &mut ResponseWriter, _: &mut Request| {
        w.write("left behind").await?;
        Err(Error::answer(StatusCode::CONFLICT, "taken"))
    });
    mux.handle("GET /panic", async |_: &mut ResponseWriter, _: &mut Request| -> Result<()> { panic!("at once") });
    mux.handle("GET /cut", async |w: &mut ResponseWriter, _: &mut Request| {
        w.write("begun").await?;
        w.flush().await?;
        sleep(secs(1)).await;
        Err(Error::other("failed"))
    });
    mux.handle("GET /forever", async |w: &mut ResponseWriter, _: &mut Request| {
        let (feed, body) = fed();
        feed.send(Ok("begun".into())).unwrap();
        let response = nethttp::Response::new(body);
        w.send(response).await?;
        drop(feed);
        Ok(())
    });
    mux.handle("GET /late", async |_: &mut ResponseWriter, r: &mut Request| {
        r.context().cancelled().await;
        Ok(())
    });
    mux
}

/// A site whose requests are recorded by a middleware and by the server.
fn site(mode: Mode, by_middleware: &Records, by_server: &Records, set: impl FnOnce(&mut nethttp::Server)) -> Site {
    let mux = mux();
    mux.wrap(with_state(by_middleware.clone(), recorded));
    let by_server = by_server.clone();
    Site::with(
        mode,
        mux,
        |server| {
            server.on_request = Some(Arc::new(move |record| by_server.lock().unwrap().push(record.clone())));
            set(server);
        },
        |_| {},
    )
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_over_is_told_with_its_times_and_whose_it_was() {
    in_all_modes(async |mode| {
        let (inner, outer) = (Records::default(), Records::default());
        let site = site(mode, &inner, &outer, |_| {});
        let mut request = site.request(nethttp::Method::GET, "/slow/7?x=1", ());
        request.header.set("X-Asked", "yes");
        let mut response = site.client.send(request).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "begun and done");
        settle().await;
        for records in [&inner, &outer] {
            let records = records.lock().unwrap();
            let [record] = &records[..] else { panic!("{records:?}") };
            assert_eq!(
                (record.method.as_str(), record.target.as_str(), record.host.as_str()),
                ("GET", "/slow/7?x=1", "a.test")
            );
            assert_eq!((record.proto, record.tls.is_some()), (mode.version(), mode.is_secure()));
            assert_eq!(record.header.get("X-Asked"), Some("yes"));
            assert_eq!(record.pattern.as_deref(), Some("GET /slow/{id}"));
            assert_eq!((record.status, record.content_bytes), (Some(StatusCode::OK), 14));
            assert_eq!((record.first_byte, record.duration.as_secs()), (Some(secs(1)), 3));
            assert_eq!(record.end, ResponseEnd::Complete);
        }
        // What the record had is the request's again: the next one is served from the same memory.
        assert_eq!(site.ask("/error").await.0, 409);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_status_is_the_one_that_was_sent_in_the_end() {
    in_all_modes(async |mode| {
        let (inner, outer) = (Records::default(), Records::default());
        let site = site(mode, &inner, &outer, |_| {});
        for (path, status, end) in [
            ("/error", 409, ResponseEnd::Complete),
            ("/panic", 500, ResponseEnd::Panicked),
            ("/nothing", 404, ResponseEnd::Complete),
            ("/cut", 200, ResponseEnd::Cut),
        ] {
            if let Ok(mut response) = site.get(path).await {
                assert_eq!(response.status.as_u16(), status, "{path}");
                let _ = response.text().await;
            }
            settle().await;
            for records in [&inner, &outer] {
                let record = records.lock().unwrap().pop().unwrap();
                assert_eq!((record.status.map(|status| status.as_u16()), record.end), (Some(status), end), "{path}");
                assert!(record.first_byte.unwrap() <= record.duration);
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_left_is_told_from_one_that_was_cut_off() {
    in_all_modes(async |mode| {
        let (inner, outer) = (Records::default(), Records::default());
        let site = site(mode, &inner, &outer, |server| server.write_timeout = secs(5));
        let mut response = site.get("/forever").await.unwrap();
        assert_eq!(response.body.chunk().await.unwrap().unwrap(), "begun");
        drop(response);
        // A client over HTTP/1.1 reads on for a moment before it closes.
        sleep(secs(1)).await;
        assert_eq!(inner.lock().unwrap().pop().unwrap().end, ResponseEnd::ClientLeft);

        let _ = site.get("/late").await;
        settle().await;
        let record = inner.lock().unwrap().pop().unwrap();
        assert_eq!((record.end, record.duration.as_secs()), (ResponseEnd::TimedOut, 5));
        assert_eq!(outer.lock().unwrap().len(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_function_that_was_added_last_is_called_first_and_a_panic_in_one_harms_nothing() {
    async fn both(calls: &Arc<Mutex<Vec<u8>>>, w: &mut ResponseWriter, _: &mut Request, _: Next<'_>) -> Result<()> {
        for number in 1..=3 {
            let calls = calls.clone();
            w.on_end(move |_| {
                assert_ne!(number, 2, "the second one");
                calls.lock().unwrap().push(number);
            });
        }
        // They stay for the response that takes the place of this one.
        assert!(w.reset());
        w.write("hello").await
    }
    in_all_modes(async |mode| {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let mux = mux();
        mux.wrap(with_state(calls.clone(), both));
        let site = Site::start(mode, mux);
        for _ in 0..2 {
            assert_eq!(site.ask("/").await, (200, "hello".into()));
            settle().await;
            assert_eq!(std::mem::take(&mut *calls.lock().unwrap()), [3, 1]);
        }
        let events = site.events().await;
        assert_eq!(events.len(), 2);
        assert!(events[0].starts_with("the hook on_end panicked: "), "{events:?}");
    })
    .await;
}
