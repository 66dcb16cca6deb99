//! A service that ends in good order: it stops accepting, answers whom it has, cuts who takes too long, and says so.

use std::future::Future;
use std::time::Duration;

use nethttp::net::Listener;
use nethttp::server::ShutdownReport;
use nethttp::{ErrorKind, Request, ResponseWriter, Result, ServeMux, Server};

async fn slow(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    tokio::time::sleep(Duration::from_secs(r.path_parse("seconds")?)).await;
    w.write("done\n").await
}

fn service() -> ServeMux {
    let mux = ServeMux::new();
    mux.handle("GET /slow/{seconds}", slow);
    mux
}

/// Serves until `ended` is, and then for at most `grace`.
async fn run(listener: impl Listener, ended: impl Future<Output = ()>, grace: Duration) -> Result<ShutdownReport> {
    let server = Server::new(service());
    let serving = server.serve(listener);
    let ending = async {
        ended.await;
        server.shutdown(grace).await
    };
    // Serving ends with this error as soon as the shutdown begins; any other ends the program.
    match tokio::join!(serving, ending) {
        (Err(error), report) if error.kind() == ErrorKind::ServerClosed => Ok(report),
        (result, report) => result.map(|()| report),
    }
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("the runtime has signals");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

// ------------------------------------------------------------ tried

#[tokio::test(start_paused = true)]
async fn who_is_served_is_served_to_the_end_and_who_takes_too_long_is_cut() {
    let (listener, dialer) = nethttp::testing::listener();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let ending = async { ended.await.unwrap_or(()) };
    let running = tokio::spawn(run(listener, ending, Duration::from_secs(10)));
    let ask = async |seconds: u64| {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = dialer.dial().await.unwrap();
        stream.write_all(format!("GET /slow/{seconds} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    };
    let (quick, late, ()) = tokio::join!(ask(5), ask(60), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        end.send(()).unwrap();
    });
    assert!(quick.ends_with("done\n") && !late.contains("done"), "{quick} {late}");
    let report = running.await.unwrap().unwrap();
    assert_eq!((report.drained, report.cut), (1, 1));
}
