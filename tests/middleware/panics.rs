//! `PanicPolicy`: what becomes of a panic, and what is none.

use nethttp::middleware::{PanicPolicy, ResponseFields};
use nethttp::{Request, ResponseWriter, Result, ServeMux, StatusCode};

use crate::site::{Site, in_all_modes, whole};
use crate::{answer, field, get};

async fn begun(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.write("begun").await?;
    w.flush().await?;
    // Until the client has it: over HTTP/2 a reset overtakes what is still to be sent.
    crate::support::settle().await;
    panic!("too late");
}

async fn written(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.header().set("Content-Type", "application/pdf");
    w.write("half a page").await?;
    tokio::task::yield_now().await;
    panic!("at {}", 7);
}

fn policy() -> PanicPolicy {
    PanicPolicy::answer(|message: &str, r: &Request| {
        (StatusCode::BAD_GATEWAY, format!("{message} on {}", r.escaped_path()))
    })
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_answered_by_the_function_and_the_connection_goes_on() {
    in_all_modes(async |mode| {
        let mux = ServeMux::new();
        mux.handle("GET /", answer);
        mux.handle("GET /written", written);
        mux.wrap(ResponseFields::new().set("X-Around", "1"));
        mux.wrap(policy());
        let site = Site::start(mode, mux);
        for (path, text) in [("/panic", "on purpose on /panic"), ("/written", "at 7 on /written")] {
            let response = get(&site, path, &[]).await;
            assert_eq!(field(&response.header, "Content-Type"), "text/plain; charset=utf-8");
            assert_eq!(field(&response.header, "X-Around"), "1");
            assert_eq!(whole(Ok(response)).await, (502, text.into()));
        }
        let response = get(&site, "/", &[]).await;
        assert!(response.is_reused(), "the connection goes on");
        let events = site.events().await;
        assert_eq!(events.len(), 2, "{events:?}");
        assert!(events[1].contains("a handler panicked: at 7"), "{events:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_has_begun_is_cut_and_what_is_aborted_is_no_panic() {
    in_all_modes(async |mode| {
        let abort = async |_: &mut ResponseWriter, _: &mut Request| -> Result<()> { nethttp::server::abort() };
        let mux = ServeMux::new();
        mux.handle("GET /begun", begun);
        mux.handle("GET /abort", abort);
        mux.wrap(policy());
        let site = Site::start(mode, mux);
        let mut response = get(&site, "/begun", &[]).await;
        assert_eq!(response.status.as_u16(), 200);
        response.text().await.unwrap_err();
        site.get("/abort").await.unwrap_err();
        let events = site.events().await;
        assert_eq!(events.len(), 1, "an abort is in no log: {events:?}");
        assert!(events[0].contains("panicked") && events[0].contains("too late"), "{events:?}");
    })
    .await;
}

#[cfg(unix)]
mod process {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;
    use crate::alone;

    #[test]
    fn a_policy_can_end_the_process() {
        let name = "panics::process::alone_a_panic_ends_the_process";
        let output = alone::command(name, "ulimit -c 0;").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(6), "{said}");
        assert!(said.contains("on purpose") && said.contains("as its policy for panics says"), "{said}");
    }

    #[tokio::test]
    #[ignore = "run by the one above, in a process that it may end"]
    async fn alone_a_panic_ends_the_process() {
        if !alone::is_alone() {
            return;
        }
        let mux = ServeMux::new();
        mux.handle("GET /", answer);
        mux.wrap(PanicPolicy::abort_process());
        let site = Site::start(crate::site::Mode::Http1, mux);
        _ = site.get("/panic").await;
    }
}
