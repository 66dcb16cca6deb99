//! Another protocol on the same connection: lines, echoed, for those who ask for it; both sides.

use std::time::Duration;

use nethttp::{Client, Error, Request, ResponseWriter, Result, ServeMux, StatusCode};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

async fn echo(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    w.header().set("Upgrade", "echo");
    let context = r.context().clone();
    let mut lines = BufReader::new(w.upgrade().await?).lines();
    loop {
        let line = tokio::select! {
            line = tokio::time::timeout(Duration::from_secs(60), lines.next_line()) => line??,
            () = context.draining() => None, // the server ends, and would not wait for this connection
        };
        let Some(line) = line else { return Ok(lines.get_mut().shutdown().await?) };
        lines.get_mut().write_all(format!("{line}!\n").as_bytes()).await?;
    }
}

fn service() -> ServeMux {
    let mux = ServeMux::new();
    mux.handle("GET /echo", echo);
    mux
}

/// Sends lines, and returns what comes back of each.
async fn ask(client: &Client, url: &str, lines: &[&str]) -> Result<Vec<String>> {
    let request = Request::get(url)?.with_header("Connection", "Upgrade").with_header("Upgrade", "echo");
    let mut response = client.send(request).await?;
    if response.status != StatusCode::SWITCHING_PROTOCOLS {
        return Err(Error::other(format!("{url} does not speak echo: {}", response.status)));
    }
    let mut stream = BufReader::new(response.upgrade()?).lines();
    let mut answers = Vec::new();
    for line in lines {
        stream.get_mut().write_all(format!("{line}\n").as_bytes()).await?;
        answers.extend(stream.next_line().await?);
    }
    Ok(answers)
}

// ------------------------------------------------------------ tried

#[tokio::test(start_paused = true)]
async fn both_sides_change_to_the_other_protocol() {
    let server = nethttp::testing::Server::in_memory(service());
    let (client, url) = (server.client(), format!("{}/echo", server.url()));
    assert_eq!(ask(&client, &url, &["one", "two"]).await.unwrap(), ["one!", "two!"]);
    let plain = client.get(&*url).await.unwrap();
    assert_eq!(plain.status, StatusCode::BAD_REQUEST, "who does not ask for it");
    assert!(ask(&client, server.url(), &[]).await.unwrap_err().to_string().contains("does not speak echo"));
}
