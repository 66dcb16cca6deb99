//! Redirects over real exchanges: what is asked next, of whom, and what is no longer said.

use std::sync::{Arc, Mutex};

use nethttp::client::{RedirectChoice, Redirected};
use nethttp::cookie::Jar;
use nethttp::error::Phase;
use nethttp::{Body, Client, Error, ErrorKind, Method, Request, StatusCode, Transport};

use crate::fake::{Log, OK, Received, URL, client_of, counts, fake, fake_with, millis, outcome, pair, pieces, settle};

/// A redirect with this status to there.
fn to(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} R\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

/// A client whose server answers by path: the target of the request line.
fn site(answers: &'static [(&'static str, u16, &'static str)]) -> (Client, Arc<Transport>, Log) {
    let (client, transport, server) = pair();
    let log = server.answer(move |request| {
        let target = request.line().split(' ').nth(1).unwrap();
        let place = format!("{}{target}", request.field("Host").unwrap());
        let found = answers.iter().find(|(from, ..)| *from == target || *from == place);
        found.map_or_else(|| OK.to_owned(), |(_, status, location)| to(*status, location))
    });
    (client, transport, log)
}

#[tokio::test(start_paused = true)]
async fn method_and_content_go_on_as_the_status_says() {
    for (status, method, next, content) in [
        (301, "POST", "GET", ""),
        (302, "POST", "GET", ""),
        (303, "PUT", "GET", ""),
        (302, "HEAD", "HEAD", ""),
        (307, "POST", "POST", "content"),
        (308, "PUT", "PUT", "content"),
        (307, "GET", "GET", ""),
    ] {
        let (client, _, server) = pair();
        let log = server.answer(move |request| match request.line().contains("/end") {
            true => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(),
            false => to(status, "/end"),
        });
        let body = if matches!(method, "POST" | "PUT") { "content" } else { "" };
        let mut request = Request::to(method.parse::<Method>().unwrap(), URL, body).unwrap();
        request.header.set("Content-Type", "text/plain");
        let response = client.send(request).await.unwrap();
        assert_eq!(response.url().unwrap(), "http://a.test/end");
        let last = log.last();
        assert_eq!((last.line(), last.text().as_str()), (&*format!("{next} /end HTTP/1.1"), content), "{status}");
        assert_eq!(last.field("Content-Type").is_some(), matches!(status, 307 | 308), "{status}");
        assert_eq!(last.conn, 0, "the connection is used again");
    }
}

#[tokio::test(start_paused = true)]
async fn content_that_cannot_be_sent_again_makes_the_redirect_the_answer() {
    for (body, status, asked) in [
        (pieces(&["content"]), 307, 1),
        (Body::from_fn(|| Ok(pieces(&["content"]))).unwrap(), 200, 2),
        (Body::from("content"), 200, 2),
    ] {
        let (client, _, log) = site(&[("/", 307, "/end")]);
        let response = client.send(Request::post(URL, body).unwrap()).await.unwrap();
        assert_eq!((response.status.as_u16(), log.all().len()), (status, asked));
        assert_eq!(log.last().text(), "content");
    }
    // Dropped by the first redirect, it is not missed by the second.
    let (client, _, log) = site(&[("/", 303, "/then"), ("/then", 307, "/end")]);
    let response = client.send(Request::post(URL, pieces(&["content"])).unwrap()).await.unwrap();
    assert_eq!((response.status.as_u16(), log.last().line()), (200, "GET /end HTTP/1.1"));
}

#[tokio::test(start_paused = true)]
async fn secrets_are_dropped_at_another_origin_and_never_come_back() {
    for (location, kept) in [
        ("/then", true),
        ("http://A.TEST:80/then", true),
        ("http://sub.a.test/then", false),
        ("http://a.test:81/then", false),
        ("//b.test/then", false),
    ] {
        let (client, _, server) = pair();
        let log = server.answer(move |request| match request.line().split(' ').nth(1).unwrap() {
            "/" => to(302, location),
            "/then" => to(302, "http://a.test/home"),
            _ => OK.to_owned(),
        });
        let mut request = Request::get(URL).unwrap();
        for (name, value) in [("Authorization", "x"), ("Cookie", "a=1"), ("Proxy-Authorization", "y"), ("X-Mine", "z")]
        {
            request.header.set(name, value);
        }
        outcome(client.send(request).await).await.unwrap();
        let all = log.all();
        let said = |request: &Received| {
            ["Authorization", "Cookie", "Proxy-Authorization"].map(|name| request.field(name).is_some())
        };
        assert_eq!(said(&all[0]), [true, true, false], "no proxy is spoken to");
        assert_eq!((said(&all[1]), said(&all[2])), ([kept, kept, false], [kept, kept, false]), "{location}");
        assert!(all.iter().all(|request| request.field("X-Mine") == Some("z")));
    }
}

#[tokio::test(start_paused = true)]
async fn fields_that_are_said_to_be_secret_are_dropped_too() {
    let (mut client, _, log) = site(&[("/", 302, "http://b.test/end")]);
    client.sensitive_headers = vec!["x-api-key".into()];
    let mut request = Request::get(URL).unwrap();
    request.header.set("X-Api-Key", "secret");
    outcome(client.send(request).await).await.unwrap();
    assert_eq!(log.all().iter().map(|request| request.field("X-Api-Key").is_some()).collect::<Vec<_>>(), [true, false]);
}

#[tokio::test(start_paused = true)]
async fn user_and_password_of_a_url_are_for_that_request_alone() {
    // A relative reference keeps what stands before the host (RFC 3986 §5.2.2), as in Go.
    let (client, _, log) = site(&[
        ("/", 302, "/then"),
        ("/then", 302, "http://a.test/third"),
        ("/third", 302, "http://me:too@a.test/fourth"),
    ]);
    let response = client.get("http://user:secret@a.test/").await.unwrap();
    let fields: Vec<_> = log.all().iter().map(|request| request.field("Authorization").map(str::to_owned)).collect();
    let user = Some("Basic dXNlcjpzZWNyZXQ=".to_owned());
    assert_eq!(fields, [user.clone(), user, None, Some("Basic bWU6dG9v".to_owned())]);
    let text: String = log.all().iter().map(|request| request.head.clone()).collect();
    assert!(!text.contains("secret") && !text.contains("user:") && !text.contains("@"), "{text}");
    assert_eq!(log.all()[1].field("Referer"), Some("http://a.test/"));
    assert_eq!(response.history().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_referer_is_the_callers_or_else_what_led_here() {
    let (client, _, log) = site(&[("/", 302, "/then?q"), ("/then?q", 302, "http://b.test/end")]);
    outcome(client.get("http://a.test/#top").await).await.unwrap();
    let referers = |log: &Log| -> Vec<Option<String>> {
        log.all().iter().map(|request| request.field("Referer").map(str::to_owned)).collect()
    };
    assert_eq!(referers(&log), [None, Some("http://a.test/".into()), Some("http://a.test/then?q".into())]);

    let (client, _, log) = site(&[("/", 302, "/then"), ("/then", 302, "/end")]);
    let mut request = Request::get(URL).unwrap();
    request.header.set("Referer", "http://mine.test/");
    outcome(client.send(request).await).await.unwrap();
    assert_eq!(referers(&log), [const { Some("http://mine.test/") }; 3].map(|own| own.map(str::to_owned)));
}

#[tokio::test(start_paused = true)]
async fn a_response_has_its_url_and_the_redirects_before_it() {
    let (client, _, _log) = site(&[("/", 301, "/x/../then"), ("/then", 302, "end")]);
    let response = client.get(URL).await.unwrap();
    assert_eq!(response.url().unwrap(), "http://a.test/end");
    let history: Vec<_> = response.history().iter().map(|past| (past.url.to_string(), past.status.as_u16())).collect();
    assert_eq!(history, [(URL.to_owned(), 301), ("http://a.test/then".to_owned(), 302)]);
    assert_eq!(response.history()[1].header.get("Location"), Some("end"));
}

#[tokio::test(start_paused = true)]
async fn one_redirect_too_many_is_an_error_and_0_follows_none() {
    for (most, asked) in [(10, 11), (1, 2)] {
        let (mut client, transport, log) = site(&[("/", 302, "/")]);
        client.max_redirects = most;
        let error = client.get(URL).await.unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Redirect, Some(Phase::Redirect)));
        assert!(error.to_string().contains(&format!("stopped after {most} redirects")), "{error}");
        assert_eq!((log.all().len(), error.url()), (asked, Some(URL)));
        assert_eq!(counts(&transport), (1, 0, 0, 0));
    }
    let (mut client, _, log) = site(&[("/", 302, "/")]);
    client.max_redirects = 0;
    assert_eq!((client.get(URL).await.unwrap().status, log.all().len()), (StatusCode::FOUND, 1));
}

#[tokio::test(start_paused = true)]
async fn a_location_that_leads_nowhere_is_an_error_and_none_at_all_is_the_answer() {
    for location in ["ftp://a.test/", "file:///etc/passwd", "http://[::1", "http://a.test\\@b.test/", "javascript:1"] {
        let (client, _, server) = pair();
        let log = server.answer(move |_| to(302, location));
        let error = client.get(URL).await.unwrap_err();
        assert_eq!((error.kind(), log.all().len()), (ErrorKind::Redirect, 1), "{location}");
    }
    for answer in
        ["HTTP/1.1 302 F\r\nContent-Length: 2\r\n\r\nok".to_owned(), to(302, ""), to(304, "/x"), to(300, "/x")]
    {
        let (client, _, server) = pair();
        let log = server.answer(move |_| answer.clone());
        assert!(client.get(URL).await.unwrap().status.is_redirection());
        assert_eq!(log.all().len(), 1);
    }
}

type Hook = fn(&mut Request, &[Redirected]) -> nethttp::Result<RedirectChoice>;

#[tokio::test(start_paused = true)]
async fn a_hook_sees_each_redirect_and_may_change_it_take_the_response_or_refuse() {
    let change: Hook = |request, history| {
        assert_eq!((request.uri.path(), history.len()), ("/end", 1));
        request.header.set("X-Hook", "1");
        Ok(RedirectChoice::Follow)
    };
    let take: Hook = |_, _| Ok(RedirectChoice::UseResponse);
    let refuse: Hook = |_, _| Err(Error::other("not there"));
    for (hook, expected) in [(change, Ok(200)), (take, Ok(302)), (refuse, Err(()))] {
        let (mut client, _, log) = site(&[("/", 302, "/end")]);
        client.check_redirect = Some(Arc::new(hook));
        match (client.get(URL).await, expected) {
            (Ok(response), Ok(status)) => {
                assert_eq!(response.status.as_u16(), status);
                let (url, history) = if status == 302 { (URL, 0) } else { ("http://a.test/end", 1) };
                assert_eq!((response.url().unwrap().to_string().as_str(), response.history().len()), (url, history));
                assert_eq!(log.last().field("X-Hook").is_some(), status == 200);
            }
            (Err(error), Err(())) => {
                assert!(error.to_string().contains("not there"), "{error}");
                assert_eq!((error.phase(), error.url()), (Some(Phase::Redirect), Some("http://a.test/end")));
            }
            (other, _) => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_url_that_a_hook_sets_is_where_the_request_goes_and_which_host_it_names() {
    let (mut client, _, log) = site(&[("/", 302, "/end")]);
    client.check_redirect = Some(Arc::new(|request: &mut Request, _: &[Redirected]| {
        request.uri = "http://b.test:81/elsewhere".parse().unwrap();
        Ok(RedirectChoice::Follow)
    }));
    let response = client.get(URL).await.unwrap();
    assert_eq!(response.url().unwrap(), "http://b.test:81/elsewhere");
    let last = log.last();
    assert_eq!((last.place.as_str(), last.line()), ("b.test:81", "GET /elsewhere HTTP/1.1"));
    assert_eq!(last.field("Host"), Some("b.test:81"));
}

#[tokio::test(start_paused = true)]
async fn a_url_of_a_hook_that_is_none_is_an_error_that_names_it() {
    let (mut client, _, _log) = site(&[("/", 302, "/end")]);
    client.check_redirect = Some(Arc::new(|request: &mut Request, _: &[Redirected]| {
        request.uri = "ftp://b.test/x".parse().unwrap();
        Ok(RedirectChoice::Follow)
    }));
    let error = client.get(URL).await.unwrap_err();
    assert_eq!((error.kind(), error.url()), (ErrorKind::Invalid, Some("ftp://b.test/x")), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_host_of_the_callers_own_stays_until_a_redirect_names_another() {
    for (location, host) in [("/end", "mine.test"), ("http://a.test/end", "a.test")] {
        let (client, _, server) = pair();
        let log = server.answer(move |request| match request.line().contains("/end") {
            true => OK.to_owned(),
            false => to(302, location),
        });
        let mut request = Request::get(URL).unwrap();
        request.host = "mine.test".into();
        outcome(client.send(request).await).await.unwrap();
        assert_eq!(log.all()[0].field("Host"), Some("mine.test"));
        assert_eq!(log.last().field("Host"), Some(host));
    }
}

#[tokio::test(start_paused = true)]
async fn a_jar_keeps_what_redirects_set_and_sends_it_where_it_belongs() {
    let (mut client, _, server) = pair();
    let jar = Arc::new(Jar::new());
    client.jar = Some(jar.clone());
    let log = server.answer(|request| match request.line().split(' ').nth(1).unwrap() {
        "/" => "HTTP/1.1 302 F\r\nLocation: /then\r\nSet-Cookie: id=1\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "/then" => "HTTP/1.1 302 F\r\nLocation: http://b.test/other\r\nSet-Cookie: id=2\r\nContent-Length: 0\r\n\r\n"
            .to_owned(),
        "/other" => to(302, "http://a.test/home"),
        _ => OK.to_owned(),
    });
    outcome(client.get(URL).await).await.unwrap();
    let cookies: Vec<_> = log.all().iter().map(|request| request.field("Cookie").map(str::to_owned)).collect();
    assert_eq!(cookies, [None, Some("id=1".into()), None, Some("id=2".into())]);
    assert_eq!(jar.iter().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_has_its_own_cookies_and_the_jars() {
    let (mut client, _, server) = pair();
    client.jar = Some(Arc::new(Jar::new()));
    let log = server.answer(|_| "HTTP/1.1 200 OK\r\nSet-Cookie: jar=1\r\nContent-Length: 0\r\n\r\n".to_owned());
    outcome(client.get(URL).await).await.unwrap();
    let mut request = Request::get(URL).unwrap();
    request.header.add("Cookie", "own=1");
    request.header.add("Cookie", "more=2");
    request.header.add("Cookie", b"raw=\xff");
    outcome(client.send(request).await).await.unwrap();
    let head = log.last().head;
    let pairs = ["own=1", "more=2", "raw=\u{fffd}", "jar=1"];
    assert!(pairs.iter().all(|pair| head.matches(pair).count() == 1), "{head}");
    assert_eq!(head.matches("Cookie:").count(), 1, "one field: {head}");
}

#[tokio::test(start_paused = true)]
async fn a_redirect_with_a_long_body_costs_its_connection_and_a_short_one_does_not() {
    for (length, conn) in [(1000, 0), (300 * 1024, 1)] {
        let (transport, server) = fake_with(64 * 1024);
        let (client, _) = client_of(transport);
        let log = server.answer(move |request| match request.line().contains("/end") {
            true => OK.to_owned(),
            false => {
                format!("HTTP/1.1 302 F\r\nLocation: /end\r\nContent-Length: {length}\r\n\r\n{}", "x".repeat(length))
            }
        });
        outcome(client.get(URL).await).await.unwrap();
        assert_eq!(log.last().conn, conn);
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirect_while_the_request_is_on_its_way_does_not_wait_for_the_rest() {
    let (transport, mut server) = fake();
    let (client, transport) = client_of(transport);
    let (_feed, body) = crate::fake::fed();
    let seen = Arc::new(Mutex::new(String::new()));
    let told = seen.clone();
    let (response, ()) = tokio::join!(client.send(Request::post(URL, body).unwrap()), async {
        let mut first = server.accept().await;
        first.head().await;
        first.send(to(303, "/end")).await;
        let request = server.accept().await.serve(OK).await;
        *told.lock().unwrap() = request.line().to_owned();
        tokio::time::sleep(millis(60)).await;
        assert!(first.is_closed().await, "half a request cannot be followed by another");
    });
    assert_eq!(outcome(response).await, Ok((200, "ok".to_owned())));
    assert_eq!(*seen.lock().unwrap(), "GET /end HTTP/1.1");
    settle().await;
    assert_eq!(counts(&transport).0 + counts(&transport).1, counts(&transport).0);
}

#[tokio::test(start_paused = true)]
async fn cookies_are_those_of_the_host_that_is_asked_for() {
    let (mut client, _, server) = pair();
    client.jar = Some(Arc::new(Jar::new()));
    let log = server.answer(|_| "HTTP/1.1 200 OK\r\nSet-Cookie: id=1\r\nContent-Length: 0\r\n\r\n".to_owned());
    for (url, host, sent) in
        [(URL, "mine.test", None), (URL, "a.test", None), ("http://mine.test/", "mine.test", Some("id=1"))]
    {
        let mut request = Request::get(url).unwrap();
        request.host = host.into();
        outcome(client.send(request).await).await.unwrap();
        assert_eq!(log.last().field("Cookie"), sent, "{url} as {host}");
    }
}
