//! Options from a file: `--config`, `--check`, and SIGHUP.

use crate::support::{Folder, Proxy, Site, output, stderr};

#[test]
fn a_file_says_what_the_command_line_says_and_the_command_line_counts_first() {
    let (folder, site, other) = (Folder::new(), Site::named("a"), Site::named("b"));
    let text = format!("to = ['{}']\nroute = ['/b/={} strip=/b']\npreserve-host = true\n", site.url(), other.url());
    let file = folder.write("p.toml", &text);
    let proxy = Proxy::start(&["--config", &file]);
    assert!(proxy.get("/").content().starts_with("a GET / HTTP/1.1 cli.test\n"));
    assert!(proxy.get("/b/x").content().starts_with("b GET /x "));
    let proxy = Proxy::start(&["--config", &file, "--to", &other.url()]);
    assert_eq!(proxy.get("/").server(), "b");
}

#[test]
fn a_check_says_what_is_wrong_and_where() {
    let folder = Folder::new();
    let check = |text: &str| {
        let file = folder.write("p.toml", text);
        let output = output(&["--config", &file, "--check"]);
        (output.status.code(), stderr(&output).replace(&file, "FILE"))
    };
    assert_eq!(check("to = 'http://127.0.0.1:3000'\n"), (Some(0), String::new()));
    for (text, wrong) in [
        ("to = 'http://a'\npolicy = 'fastest'\n", "nethttp: FILE:2: invalid value 'fastest'"),
        ("to = [\n  'http://a',\n  'nonsense',\n]\n", "nethttp: FILE:3: "),
        ("to = 'http://a'\n\ntos = 'http://b'\n", "nethttp: FILE:3: there is no option tos; is it to?"),
        ("to = 'http://a'\ntls-cert = 'a.pem'\n", "nethttp: FILE:2: give a --tls-key for each --tls-cert"),
        ("to = 'http://a\n", "nethttp: FILE:1: "),
        ("to = 'http://a'\nfail-timeout = -3\n", "nethttp: FILE:2: invalid value '-3'"),
        ("to = 'http://a'\n\ncacert = '/no/ca.pem'\n", "nethttp: FILE:3: --cacert /no/ca.pem: "),
        ("to = 'http://a'\ntls-cert = '/no/a.pem'\ntls-key = '/no/a.key'\n", "nethttp: FILE:2: --tls-cert /no/a.pem: "),
        ("retries = 1\n", "nethttp: say where requests go"),
    ] {
        let (code, said) = check(text);
        assert!(code == Some(1) && said.starts_with(wrong), "{text} {said}");
    }
}

#[cfg(unix)]
#[test]
fn sighup_reads_the_file_again_and_a_mistake_in_it_changes_nothing() {
    let (folder, site, other) = (Folder::new(), Site::named("a"), Site::named("b"));
    let file = folder.write("p.toml", &format!("to = '{}'\n", site.url()));
    let mut proxy = Proxy::start(&["--config", &file]);
    assert_eq!(proxy.get("/").server(), "a");
    folder.write("p.toml", "to = 'nonsense'\n");
    proxy.signal("HUP");
    let line = proxy.log_line_with("the old options stay");
    assert!(line.contains("p.toml:1: "), "{line}");
    assert_eq!(proxy.get("/").server(), "a");
    folder.write("p.toml", &format!("to = '{}'\nworkers = 3\n", other.url()));
    proxy.signal("HUP");
    proxy.log_line_with("workers stays as it is until the command is started again");
    proxy.log_line_with("the options were read again");
    assert_eq!(proxy.get("/").server(), "b");
}
