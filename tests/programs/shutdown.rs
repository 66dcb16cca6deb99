//! A service that ends in good order: asked by a signal it stops accepting, answers whom it has, cuts who takes too
//! long, and says so.

use std::time::Duration;

use nethttp::{Request, ResponseWriter, Result, ServeMux, Server};

async fn slow(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    tokio::time::sleep(Duration::from_secs(r.path_parse("seconds")?)).await;
    w.write("done\n").await
}

fn service() -> Server {
    let mux = ServeMux::new();
    mux.handle("GET /slow/{seconds}", slow);
    let mut server = Server::new(mux);
    server.addr = "127.0.0.1:8000".into();
    server.shutdown_grace = Duration::from_secs(10);
    server
}

async fn run() -> Result<()> {
    let report = service().serve_until_signal().await?;
    println!("{} drained, {} cut", report.drained, report.cut);
    Ok(())
}

// ------------------------------------------------------------ tried

#[cfg(unix)]
#[test]
fn who_is_served_is_served_to_the_end_and_who_takes_too_long_is_cut() {
    // A signal is the whole process's, so this one has a process of its own.
    let program = std::env::current_exe().unwrap();
    let test = ["--exact", "shutdown::ends_by_a_signal", "--ignored", "--nocapture", "--test-threads=1"];
    let output = std::process::Command::new(program).args(test).env("NETHTTP_TEST_ALONE", "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
#[ignore = "sends a signal to its process"]
async fn ends_by_a_signal() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    if std::env::var_os("NETHTTP_TEST_ALONE").is_none() {
        return;
    }
    let (listener, dialer) = nethttp::testing::listener();
    let server = service();
    let is_ending = Arc::new(AtomicBool::new(false));
    let told = is_ending.clone();
    server.register_on_shutdown(move || told.store(true, Ordering::SeqCst));
    let running = tokio::spawn(async move { server.until_signal(server.serve(listener)).await });
    let ask = async |seconds: u64| {
        let mut stream = dialer.dial().await.unwrap();
        stream.write_all(format!("GET /slow/{seconds} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    };
    let (quick, late, ()) = tokio::join!(ask(5), ask(60), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM).unwrap();
        // Time stands while there is something to do: the signal comes when the system likes.
        while !is_ending.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    });
    assert!(quick.ends_with("done\n") && !late.contains("done"), "{quick} {late}");
    let report = running.await.unwrap().unwrap();
    assert_eq!((report.drained, report.cut), (1, 1));
}
