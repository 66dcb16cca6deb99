//! Access logs: one line for each request, however it ended.

use std::sync::{Arc, Mutex};

use nethttp::middleware::{AccessLog, LogFormat};
use nethttp::{Error, Request, ResponseWriter, Result, ServeMux, StatusCode};
use serde_json::Value;

use crate::site::{Site, in_all_modes};
use crate::support::{hello, millis, secs, settle};

type Lines = Arc<Mutex<Vec<String>>>;

fn log(format: LogFormat, lines: &Lines) -> AccessLog {
    let lines = lines.clone();
    AccessLog::new(format).to(move |line| lines.lock().unwrap().push(line.to_owned()))
}

fn mux() -> ServeMux {
    let mux = ServeMux::new();
    mux.handle("GET /ok/{name}", hello);
    mux.handle("/error", async |_: &mut ResponseWriter, _: &mut Request| -> Result<()> {
        Err(Error::answer(StatusCode::CONFLICT, "no"))
    });
    mux.handle("/panic", async |_: &mut ResponseWriter, _: &mut Request| -> Result<()> { panic!("as it is told to") });
    mux.handle("/wait", async |_: &mut ResponseWriter, r: &mut Request| -> Result<()> {
        r.context().cancelled().await;
        Ok(())
    });
    mux
}

#[tokio::test(start_paused = true)]
async fn every_request_has_a_line_with_the_status_that_was_sent() {
    in_all_modes(async |mode| {
        let lines = Lines::default();
        let mux = mux();
        mux.wrap(log(LogFormat::Json, &lines));
        let site = Site::start(mode, mux);
        for path in ["/ok/a?q=%22", "/none", "/error", "/panic"] {
            site.ask(path).await;
        }
        assert!(tokio::time::timeout(secs(1), site.get("/wait")).await.is_err());
        tokio::time::sleep(millis(100)).await;
        settle().await;
        let lines = lines.lock().unwrap();
        let seen: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = |name: &str| seen.iter().map(|line| line[name].clone()).collect::<Vec<_>>();
        assert_eq!(of("target"), ["/ok/a?q=%22", "/none", "/error", "/panic", "/wait"]);
        assert_eq!(of("status")[..4], [200, 404, 409, 500]);
        assert_eq!(of("end"), ["complete", "complete", "complete", "panicked", "client left"]);
        assert_eq!(of("pattern")[..2], [Value::from("GET /ok/{name}"), Value::Null]);
        assert_eq!(of("host")[0], "a.test");
        assert_eq!(of("bytes")[0], 5);
        assert_eq!(of("tls")[0].is_null(), !mode.is_secure());
        assert_eq!(of("protocol")[0], format!("{:?}", mode.version()));
        assert_eq!(of("seconds")[4], 1.0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_log_of_the_whole_server_has_the_same_lines() {
    in_all_modes(async |mode| {
        let lines = Lines::default();
        let log = log(LogFormat::Combined, &lines);
        let set = move |server: &mut nethttp::Server| {
            server.on_request = Some(Arc::new(move |record| log.log(record)));
        };
        let site = Site::with(mode, mux(), set, |_| {});
        let mut request = site.request(nethttp::Method::GET, "/ok/a", ());
        request.header.set("Referer", "https://b.test/\"");
        request.header.set("User-Agent", "a\tb");
        site.client.send(request).await.unwrap().text().await.unwrap();
        settle().await;
        let lines = lines.lock().unwrap();
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("- - - ["), "{}", lines[0]);
        let version = if mode.is_http2() { "HTTP/2.0" } else { "HTTP/1.1" };
        let end = format!("\"GET /ok/a {version}\" 200 5 \"https://b.test/\\\"\" \"a\\x09b\"");
        assert!(lines[0].ends_with(&end), "{}", lines[0]);
    })
    .await;
}
