//! HTTP as Python's strict packages speak it: h11 for HTTP/1.1 and h2 for HTTP/2, as clients of the
//! server and as servers of the client. What is not on the machine is left out, and that is said.

use std::sync::Arc;
use std::time::Duration;

use nethttp::client::{ClientProtocols, Proxy};
use nethttp::forms::{Form, FormPart};
use nethttp::server::ServerEvent;
use nethttp::{Body, Client, ErrorKind, Method, Request, Server, Transport, Version};
use tokio::net::TcpListener;

use crate::programs::{Folder, Running, python_with, run};
use crate::routes::{proto, routes};

const H11: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/h11_peer.py");
const H2: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/h2_peer.py");

/// That this program is served, and that no connection of it stays.
async fn assert_is_served(python: &str, program: &str) {
    let mut server = Server::new(routes());
    server.on_event = Some(Arc::new(|_: &ServerEvent| {}));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let serving = server.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    let (ended_well, said) = run(python, &[program, "client", &port]).await;
    assert!(ended_well && said == "all went well\n", "{said}");
    assert_eq!(server.shutdown(Duration::from_secs(10)).await.cut, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_by_h11_is_served() {
    let Some(python) = python_with("h11") else { return };
    assert_is_served(&python, H11).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_by_h2_is_served() {
    let Some(python) = python_with("h2") else { return };
    assert_is_served(&python, H2).await;
}

/// Reads a multipart content from a file as a message of mail, and says what it has.
const READ_PARTS: &str = "
import email, email.policy, sys
message = email.message_from_bytes(open(sys.argv[1], 'rb').read(), policy=email.policy.HTTP)
for part in message.iter_parts():
    names = [part.get_param(name, header='content-disposition') for name in ('name', 'filename')]
    print(names, part.get_content_type(), len(part.get_payload(decode=True)), part.defects)
print(message.defects)
";

#[tokio::test]
async fn a_form_with_files_is_read_by_pythons_own_parser() {
    let Some(python) = python_with("email") else { return };
    let folder = Folder::new();
    let photo = folder.file("beach.jpg", "x".repeat(100_000));
    let form = Form::new().text("album", "summer\r\n--x\r\n").file("photo", photo).await.unwrap();
    let form = form.part("odd", FormPart::new("{}").with_file_name("a \"b\".json"));
    let mut request = Request::post("http://a.test/", "").unwrap().with_multipart(form).unwrap();
    let content_type = request.header.get("Content-Type").unwrap().to_owned();
    let content = request.body.bytes(1 << 20).await.unwrap();
    let message = [format!("Content-Type: {content_type}\r\n\r\n").as_bytes(), &content].concat();
    let file = folder.file("message", message);
    let (ended_well, said) = run(&python, &["-c", READ_PARTS, &file]).await;
    let expected = "['album', None] text/plain 13 []\n['photo', 'beach.jpg'] image/jpeg 100000 []\n\
                    ['odd', 'a %22b%22.json'] application/json 2 []\n[]\n";
    assert!(ended_well && said == expected, "{said}");
}

/// A client of this program, which serves until it is dropped.
fn served_by(python: &str, program: &str, protocols: ClientProtocols) -> (Running, Client, String) {
    let mut running = Running::start(python, &[program, "server"]);
    let port = running.line();
    let mut transport = Transport::new();
    transport.proxy = Proxy::none();
    transport.protocols = protocols;
    transport.expect_continue_timeout = Duration::from_secs(10);
    let mut client = Client::new();
    client.transport = Arc::new(transport);
    client.timeout = Duration::from_secs(60);
    (running, client, format!("http://127.0.0.1:{}", port.trim()))
}

/// All that both of these servers can be asked.
async fn assert_is_understood(client: &Client, base: &str, version: Version) {
    let url = |path: &str| format!("{base}{path}");
    let ask = async |method: Method, path: &str, content: Body| {
        let mut response = client.send(Request::to(method, &*url(path), content).unwrap()).await.unwrap();
        (response.status.as_u16(), response.proto, response.text().await.unwrap())
    };
    for _ in 0..3 {
        assert_eq!(ask(Method::GET, "/proto", Body::empty()).await, (200, version, proto(version)));
    }
    assert_eq!(ask(Method::HEAD, "/proto", Body::empty()).await.2, "");
    let content = "0123456789".repeat(100_000);
    let echoed = ask(Method::POST, "/echo", Body::from(content.clone())).await;
    assert!(echoed == (200, version, content), "{} bytes came back", echoed.2.len());
    assert_eq!(ask(Method::GET, "/hints", Body::empty()).await.2, "done");

    let mut request = Request::post(&*url("/trailer"), "content").unwrap();
    request.trailer.set("X-Check", "sent");
    let mut response = client.send(request).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "sent");
    assert_eq!(response.body.trailer().unwrap().get("X-Sum"), Some("7"));

    let error = match client.get(&*url("/abort")).await {
        Ok(mut response) => response.text().await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::CutOff, "{error}");
    let many = (0..50).map(|_| {
        let (client, url) = (client.clone(), url("/proto"));
        tokio::spawn(async move { client.get(&*url).await.unwrap().text().await.unwrap() })
    });
    for one in many.collect::<Vec<_>>() {
        assert_eq!(one.await.unwrap(), proto(version));
    }
    assert_eq!(ask(Method::GET, "/close", Body::empty()).await.2, "bye");
    assert_eq!(ask(Method::GET, "/proto", Body::empty()).await.2, proto(version), "on a new connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_by_h11_is_understood() {
    let Some(python) = python_with("h11") else { return };
    let (_running, client, base) = served_by(&python, H11, ClientProtocols::Auto);
    assert_is_understood(&client, &base, Version::HTTP_11).await;
    for (path, status) in [("/echo", 200), ("/refuse", 413)] {
        let mut request = Request::put(&*format!("{base}{path}"), "content").unwrap();
        request.header.set("Expect", "100-continue");
        assert_eq!(client.send(request).await.unwrap().status.as_u16(), status);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_by_h2_is_understood() {
    let Some(python) = python_with("h2") else { return };
    let (_running, client, base) = served_by(&python, H2, ClientProtocols::Http2);
    assert_is_understood(&client, &base, Version::HTTP_2).await;
}
