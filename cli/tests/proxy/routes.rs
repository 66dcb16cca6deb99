//! Where requests go: `--to`, `--route`, `--preserve-host`, and the fields that tell of the client.

use crate::support::{Folder, Proxy, Site, output, stderr};

#[test]
fn requests_go_to_the_server_and_the_log_has_its_name_and_times() {
    let site = Site::named("a");
    let mut proxy = Proxy::start(&["--to", &site.url()]);
    assert_eq!(proxy.first_line, format!("Proxying {} on http://{}/\n", site.url(), proxy.address()));
    assert_eq!(proxy.line(), "Press Ctrl-C to stop.\n");
    let answer = proxy.get("/x%2Fy//z?q=1");
    assert!(answer.content().starts_with(&format!("a GET /x%2Fy//z?q=1 HTTP/1.1 {}\n", site.address)), "{answer:?}");
    assert!(answer.content().contains("X-Forwarded-For: 127.0.0.1\n"), "{answer:?}");
    assert!(answer.content().contains("X-Forwarded-Host: cli.test\n"), "{answer:?}");
    let line = proxy.log_line();
    assert!(line.contains(" GET /x%2Fy//z?q=1 200 "), "{line}");
    assert!(line.contains(&format!(" {} queue=", site.url())) && line.contains("ms connect="), "{line}");
    assert!(line.contains(" retries=0 up=0 down="), "{line}");
}

#[test]
fn the_log_may_be_json_with_the_server_in_it() {
    let site = Site::named("a");
    let mut proxy = Proxy::start(&["--to", &site.url(), "--access-log", "json"]);
    proxy.get("/x");
    let line: serde_json::Value = serde_json::from_str(&proxy.log_line()).unwrap();
    assert_eq!((line["target"].as_str(), line["upstream"].as_str()), (Some("/x"), Some(&*site.url())));
    assert!(line["upstream_seconds"].as_f64().unwrap() >= line["upstream_first_byte_seconds"].as_f64().unwrap());
}

#[test]
fn routes_take_their_part_and_the_rest_goes_elsewhere() {
    let [api, host, rest] = ["api", "host", "rest"].map(Site::named);
    let api_route = format!("/api/={} strip=/api", api.url());
    let host_route = format!("other.test/={}", host.url());
    let old_route = format!("/old/={} rewrite=/new/", api.url());
    let proxy =
        Proxy::start(&["--route", &api_route, "--route", &host_route, "--route", &old_route, "--to", &rest.url()]);
    assert!(proxy.get("/api/x%20y?q").content().starts_with("api GET /x%20y?q "), "{:?}", proxy.get("/api/x%20y?q"));
    assert!(proxy.get("/old/x").content().starts_with("api GET /new/x "));
    assert_eq!(proxy.get("/").server(), "rest");
    let other = proxy.ask("GET / HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n");
    assert_eq!(other.server(), "host");
    let slash = proxy.get("/api");
    assert_eq!((slash.status(), slash.field("Location")), ("307", Some("/api/")));
    // Paths are not cleaned on the way.
    assert!(proxy.get("/x//y/../z").content().starts_with("rest GET /x//y/../z "));
}

#[test]
fn without_a_server_for_the_rest_what_no_route_takes_is_not_found() {
    let site = Site::named("a");
    let proxy = Proxy::start(&["--route", &format!("POST /only/={}", site.url())]);
    assert_eq!(proxy.get("/").status(), "404");
    let refused = proxy.get("/only/");
    assert_eq!((refused.status(), refused.field("Allow")), ("405", Some("POST")));
}

#[test]
fn the_clients_host_is_sent_on_where_that_is_said() {
    let site = Site::named("a");
    let proxy = Proxy::start(&["--to", &site.url(), "--preserve-host"]);
    assert!(proxy.get("/").content().starts_with("a GET / HTTP/1.1 cli.test\n"));
}

#[test]
fn what_proxies_say_of_the_client_is_believed_of_trusted_ones_alone() {
    let site = Site::named("a");
    let fields = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n";
    let unknown = Proxy::start(&["--to", &site.url()]);
    let answer = unknown.get_with("/", fields);
    assert!(answer.content().contains("X-Forwarded-For: 127.0.0.1\n") && !answer.content().contains("192.0.2.7"));
    let trusting = Proxy::start(&["--to", &site.url(), "--trust-forwarded", "127.0.0.0/8"]);
    let answer = trusting.get_with("/", fields);
    assert!(answer.content().contains("X-Forwarded-For: 192.0.2.7, 127.0.0.1\n"), "{answer:?}");
    assert!(answer.content().contains("X-Forwarded-Proto: https\n"), "{answer:?}");
}

#[cfg(unix)]
#[test]
fn both_sides_may_be_unix_sockets() {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    let folder = Folder::new();
    let (behind, front) = (format!("unix:{}", folder.path("b")), format!("unix:{}", folder.path("f")));
    let site = Site::named("a");
    let _behind = Proxy::start_as_written(&["-a", &behind, "--to", &site.url()]);
    let _front = Proxy::start_as_written(&["-a", &front, "--to", &behind]);
    let mut stream = UnixStream::connect(folder.path("f")).unwrap();
    stream.write_all(b"GET /x HTTP/1.1\r\nHost: cli.test\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\r\n\r\na GET /x "), "{answer}");
}

#[test]
fn options_that_make_no_sense_say_what_to_change() {
    for (arguments, message) in [
        (&[][..], "say where requests go, with --to http://127.0.0.1:3000 or with --route"),
        (&["--to", "nonsense"], "nonsense is no server: write the URL of a server, such as http://127.0.0.1:3000"),
        (&["--to", "ftp://a"], "ftp://a is no server"),
        (&["--route", "/a"], "write a pattern and its servers"),
        (&["--to", "http://a", "--policy", "fastest"], "write round-robin, least-connections"),
        (&["--to", "http://a", "--trust-forwarded", "lan"], "lan is no network"),
        (&["--to", "http://a", "--tls-cert", "a.pem"], "give a --tls-key for each --tls-cert"),
        (&["--to", "http://a", "--health-path", "healthz"], "write a path that begins with a slash"),
        (&["--to", "http://a", "--redirect-https=127.0.0.1:0"], "there is no TLS to send clients to"),
        (&["--to", "http://a", "--cacert", "/nowhere.pem"], "--cacert /nowhere.pem"),
    ] {
        let output = output(&[&["-a", "127.0.0.1:0"], arguments].concat());
        assert!(matches!(output.status.code(), Some(1 | 2)), "{arguments:?}");
        assert!(stderr(&output).contains(message), "{arguments:?} {}", stderr(&output));
    }
}
