//! The client against the cases of `vectors/client.json`: raw answers, whole, and cut off at every
//! byte. What the keys mean is in `conformance/README.md`; `conformance/client.py` plays the same
//! cases over sockets.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use nethttp::{Body, Client, Error, Method, Request, Response, Result};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};

use crate::fake::{client_of, fake, millis, secs, settle};

fn cases() -> Vec<Value> {
    let mut cases: Vec<Value> = serde_json::from_str(include_str!("../vectors/client.json")).unwrap();
    // Asked for and decoded with this feature alone.
    cases.retain(|case| cfg!(feature = "gzip") || text(case, "group") != "encoding");
    // It is of a coding that is asked for with this feature.
    cases.retain(|case| !cfg!(feature = "brotli") || text(case, "id") != "z-010");
    cases
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_default()
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(u32::from(character)).expect("latin-1")).collect()
}

/// What the server answers.
fn script(case: &Value) -> Vec<u8> {
    let part = |from: &Value, raw: &str, base64: &str| match from[base64].as_str() {
        Some(encoded) => base64::engine::general_purpose::STANDARD.decode(encoded).unwrap(),
        None => latin1(text(from, raw)),
    };
    match case["raw_parts"].as_array() {
        Some(parts) => parts
            .iter()
            .flat_map(|each| part(each, "s", "b64").repeat(usize::try_from(each["n"].as_u64().unwrap_or(1)).unwrap()))
            .collect(),
        None => part(case, "raw", "raw_b64"),
    }
}

/// The places of redirects, in place of what stands for them.
fn placed(script: Vec<u8>) -> Vec<u8> {
    match String::from_utf8(script) {
        Ok(text) => text.replace("@PORT2@", "81").replace("@PORT@", "80").into_bytes(),
        Err(raw) => raw.into_bytes(),
    }
}

/// What the server does behind its answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    KeepOpen,
    Close,
}

/// All that the client sent, and how many second requests came on a connection that had served.
#[derive(Default)]
struct Seen {
    wire: Vec<u8>,
    connections: usize,
    second: Vec<bool>,
}

/// Plays the server of a case with these bytes.
fn play(mut server: crate::fake::FakeServer, case: &Value, script: Vec<u8>, then: Then) -> Arc<Mutex<Seen>> {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let (told, case) = (seen.clone(), case.clone());
    tokio::spawn(async move {
        while let Some(conn) = server.next().await {
            told.lock().unwrap().connections += 1;
            tokio::spawn(serve(conn, case.clone(), script.clone(), then, told.clone()));
        }
    });
    seen
}

async fn serve(mut conn: crate::fake::Conn, case: Value, script: Vec<u8>, then: Then, seen: Arc<Mutex<Seen>>) {
    let early = case["before_request_body"] == true;
    let mut requests = 0;
    loop {
        let request = if early && requests == 0 {
            let Ok(head) = timeout(secs(60), conn.head()).await else { return };
            crate::fake::Received { conn: 0, place: String::new(), head, content: Vec::new(), trailer: String::new() }
        } else {
            let Some(request) = conn.try_request().await else { return };
            request
        };
        requests += 1;
        seen.lock().unwrap().wire.extend(request.head.bytes().chain(request.content.iter().copied()));
        let target = request.line().split(' ').nth(1).unwrap_or_default().to_owned();
        let path = target.split('?').next().unwrap_or_default();
        let (answer, goes_on) = if path == "/ok" || target.ends_with("?2") {
            seen.lock().unwrap().second.push(requests > 1);
            if case["second_request_gets"] == "close" && requests > 1 {
                return;
            }
            (report(&request), true)
        } else if path == "/hop2" {
            (b"HTTP/1.1 302 F\r\nLocation: /ok?2\r\nContent-Length: 0\r\n\r\n".to_vec(), true)
        } else {
            (script.clone(), then == Then::KeepOpen)
        };
        if conn.stream.write_all(&answer).await.is_err() {
            return;
        }
        if let (Some(later), 1) = (case["after_100ms_write"].as_str(), requests) {
            sleep(millis(100)).await;
            if conn.stream.write_all(&latin1(later)).await.is_err() || case["after_100ms_close"] == true {
                return;
            }
        }
        if case["server_then"] == "read-rest-of-request-keep-open" && requests == 1 {
            let length = request.field("Content-Length").map_or(0, |length| length.parse().unwrap());
            if conn.take(length).await.is_none() {
                return;
            }
        }
        if !goes_on {
            return;
        }
    }
}

/// What a redirect's target, or the second request, is answered with.
fn report(request: &crate::fake::Received) -> Vec<u8> {
    let secrets = ["authorization", "cookie", "cookie2", "proxy-authorization", "www-authenticate"];
    let secrets: Vec<&str> = secrets.into_iter().filter(|name| request.field(name).is_some()).collect();
    let content = serde_json::json!({"line": request.line(), "body_len": request.content.len(), "secrets": secrets});
    let content = content.to_string();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{content}", content.len()).into_bytes()
}

/// The request of a case. An error is a refusal before anything is sent.
fn request(case: &Value) -> Result<Request> {
    let wanted = &case["request"];
    let path = wanted["path"].as_str().map_or_else(|| format!("/{}", text(case, "id")), str::to_owned);
    let query = wanted["query"].as_str().map(|query| format!("?{query}")).unwrap_or_default();
    let method = wanted["method"].as_str().unwrap_or("GET");
    let method = Method::from_bytes(&latin1(method)).map_err(Error::other)?;
    let content = vec![b'b'; usize::try_from(wanted["body_bytes"].as_u64().unwrap_or(0)).unwrap()];
    let mut streamed = None;
    if wanted["trailer"].is_object() || wanted["declared_content_length"].is_u64() {
        let (feed, body) = crate::fake::fed();
        feed.send(Ok(content.clone().into())).unwrap();
        streamed = Some(body);
    }
    let body = streamed.unwrap_or_else(|| Body::from(content));
    let mut request = Request::to(method, &*format!("http://a.test{path}{query}"), body)?;
    if let Some(host) = wanted["host"].as_str() {
        request.host = host.to_owned();
    }
    let fields = |from: &Value| from.as_object().cloned().unwrap_or_default();
    for (name, value) in fields(&wanted["headers"]) {
        request.header.add(name, latin1(value.as_str().unwrap()));
    }
    for (name, value) in fields(&wanted["trailer"]) {
        request.trailer.add(name, latin1(value.as_str().unwrap()));
    }
    if let Some(length) = wanted["declared_content_length"].as_u64() {
        request.content_length = Some(length);
    }
    Ok(request)
}

/// What came of a request.
#[derive(Debug)]
struct Outcome {
    name: &'static str,
    response: Option<Response>,
    content: Vec<u8>,
}

async fn ask(client: &Client, request: Result<Request>, reads: Option<u64>) -> Outcome {
    let failed = |error: &Error, or| if error.is_timeout() { "timeout" } else { or };
    let none = |name| Outcome { name, response: None, content: Vec::new() };
    let response = match request {
        Ok(request) => client.send(request).await,
        Err(_) => return none("error"),
    };
    let mut response = match response {
        Ok(response) => response,
        Err(error) => return none(failed(&error, "error")),
    };
    let (mut content, mut read) = (Vec::new(), 0);
    let name = loop {
        match response.body.chunk().await {
            Ok(None) => break "ok",
            Ok(Some(chunk)) => {
                read += chunk.len() as u64;
                content.extend(chunk);
                if reads.is_some_and(|most| read >= most) {
                    response.body = Body::empty();
                    break "ok";
                }
            }
            Err(error) => break failed(&error, "body-error"),
        }
    };
    Outcome { name, response: Some(response), content }
}

fn client_for() -> (Client, crate::fake::FakeServer) {
    let (mut transport, server) = fake();
    transport.expect_continue_timeout = secs(1);
    let (mut client, _) = client_of(transport);
    client.timeout = millis(2500);
    (client, server)
}

/// What is wrong with a case; nothing when it passes.
async fn problems(case: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let (client, server) = client_for();
    let then = if text(case, "server_then").ends_with("keep-open") { Then::KeepOpen } else { Then::Close };
    let seen = play(server, case, placed(script(case)), then);
    let first = ask(&client, request(case), case["client_reads_only"].as_u64()).await;
    judge_first(case, &first, &mut problems);
    drop(first.response);
    sleep(if case["after_100ms_write"].is_string() { millis(250) } else { millis(60) }).await;
    judge_second(case, first.name, &client, &seen, &mut problems).await;
    let seen = seen.lock().unwrap();
    for forbidden in list(&case["wire_must_not_contain"]) {
        let forbidden = latin1(forbidden);
        if seen.wire.windows(forbidden.len()).any(|piece| piece == forbidden) {
            problems.push(format!("{:?} was sent", String::from_utf8_lossy(&forbidden)));
        }
    }
    problems
}

fn list(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

fn judge_first(case: &Value, first: &Outcome, problems: &mut Vec<String>) {
    if !list(&case["expect"]).contains(&first.name) {
        problems.push(format!("outcome {}, expected {}", first.name, case["expect"]));
    }
    let (Some(response), "ok") = (&first.response, first.name) else { return };
    if case["want_status"].as_u64().is_some_and(|wanted| wanted != u64::from(response.status.as_u16())) {
        problems.push(format!("status {}", response.status));
    }
    if case["want_body"].as_str().is_some_and(|wanted| latin1(wanted) != first.content) {
        problems.push(format!("body {:?}", String::from_utf8_lossy(&first.content)));
    }
    for (name, wanted) in case["want_headers"].as_object().into_iter().flatten() {
        let wanted: Vec<Vec<u8>> = list(wanted).into_iter().map(latin1).collect();
        if !response.header.values_bytes(name).eq(wanted.iter().map(Vec::as_slice)) {
            problems.push(format!("fields of {name}: {:?}", response.header));
        }
    }
    for (name, wanted) in case["want_redirected"].as_object().into_iter().flatten() {
        let report: Value = serde_json::from_slice(&first.content).unwrap_or_default();
        if report[name] != *wanted {
            problems.push(format!("after the redirect: {name} {}", report[name]));
        }
    }
}

async fn judge_second(case: &Value, first: &str, client: &Client, seen: &Mutex<Seen>, problems: &mut Vec<String>) {
    let before = seen.lock().unwrap().second.len();
    let method: Method = case["second_request_method"].as_str().unwrap_or("GET").parse().unwrap();
    let body = if method == Method::POST { "x" } else { "" };
    let url = format!("http://a.test/{}?2", text(case, "id"));
    let second = ask(client, Request::to(method, &*url, body), None).await;
    let times: Vec<bool> = seen.lock().unwrap().second[before..].to_vec();
    if case["second_request_expect"].is_array() {
        if times.len() > 1 {
            problems.push("the second request was sent again".into());
        }
        return;
    }
    if second.name != "ok" || !second.content.starts_with(b"{\"") {
        problems.push(format!("the second request: {} {:?}", second.name, String::from_utf8_lossy(&second.content)));
        return;
    }
    let reused = times.last() == Some(&true);
    if case["reuse"] == false && reused {
        problems.push("the connection was used again".into());
    }
    if case["reuse"] == true && !reused && first == "ok" {
        problems.push("the connection was not used again".into());
    }
}

#[tokio::test(start_paused = true)]
async fn every_case_is_as_the_rfcs_say() {
    let cases = cases();
    assert!(cases.len() > 100, "only {} cases", cases.len());
    let mut failures = Vec::new();
    for case in &cases {
        for problem in problems(case).await {
            failures.push(format!("{}: {problem} ({})", text(case, "id"), text(case, "why")));
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

/// The server sends a beginning of its answer, and closes.
#[tokio::test(start_paused = true)]
async fn no_beginning_of_an_answer_is_taken_for_the_whole_and_none_is_kept() {
    let mut failures = Vec::new();
    for case in cases() {
        let (whole, group) = (placed(script(&case)), text(&case, "group"));
        // Behind these comes something else, which is whole.
        let more = case["after_100ms_write"].is_string() || matches!(group, "redirect" | "request-injection" | "early");
        if whole.len() > 3000 || more {
            continue;
        }
        let (client, server) = client_for();
        drop(play(server, &case, whole.clone(), Then::Close));
        let complete = ask(&client, request(&case), None).await;
        for cut in 0..whole.len() {
            let (client, server) = client_for();
            let beginning = whole[..cut].to_vec();
            let seen = play(server, &case, beginning, Then::Close);
            let outcome = ask(&client, request(&case), None).await;
            if outcome.name == "ok" && !ends_whole(&whole, &outcome, &complete) {
                failures.push(format!("{} cut at {cut}: {outcome:?}", text(&case, "id")));
            }
            settle().await;
            let connections = seen.lock().unwrap().connections;
            if connections != 1 {
                failures.push(format!("{} cut at {cut}: sent on {connections} connections", text(&case, "id")));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures[..failures.len().min(20)].join("\n"));
}

/// Whether a cut answer may have succeeded: it has the content of the whole one, or none of them
/// could tell, as the close is what ends it.
fn ends_whole(whole: &[u8], outcome: &Outcome, complete: &Outcome) -> bool {
    let fields = String::from_utf8_lossy(whole).to_ascii_lowercase();
    let until_close = !fields.contains("content-length") && !fields.contains("transfer-encoding");
    outcome.content == complete.content || (until_close && complete.content.starts_with(&outcome.content))
}
