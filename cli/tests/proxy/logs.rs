//! The log, and readers of it that have stopped.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

use crate::support::{Site, address_in, command};

#[cfg(unix)]
#[test]
fn a_log_that_nobody_reads_holds_up_no_request_and_no_end_and_what_is_lost_is_counted() {
    let site = Site::named("a");
    for is_read_at_last in [false, true] {
        let mut starting = command(&["-a", "127.0.0.1:0", "--to", &site.url()]);
        let mut child = starting.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        // It is kept open: the command has more to say there.
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut first).unwrap();
        let mut client = TcpStream::connect(address_in(&first)).unwrap();
        // More than a pipe holds and the command keeps: 4 MB.
        let request = format!("GET /{} HTTP/1.1\r\nHost: cli.test\r\n\r\n", "x".repeat(4_000));
        let mut answers = BufReader::new(client.try_clone().unwrap());
        for _ in 0..1_000 {
            client.write_all(request.as_bytes()).unwrap();
            let mut length = 0;
            loop {
                let mut line = String::new();
                answers.read_line(&mut line).unwrap();
                if let Some(value) = line.strip_prefix("Content-Length: ") {
                    length = value.trim().parse().unwrap();
                }
                if line == "\r\n" {
                    break;
                }
            }
            answers.read_exact(&mut vec![0; length]).unwrap();
        }
        let mut log = BufReader::new(child.stderr.take().unwrap());
        if is_read_at_last {
            let (mut lost, mut written) = (0, 0);
            while lost + written < 1_000 {
                let mut line = String::new();
                log.read_line(&mut line).unwrap();
                match line.strip_suffix(" lines of the log are lost: standard error took them too slowly\n") {
                    Some(told) => lost += told.rsplit(' ').next().unwrap().parse::<usize>().unwrap(),
                    None => written += usize::from(line.contains(" /xxx")),
                }
                assert!(!line.is_empty(), "{lost} lost, {written} written");
            }
            assert!(lost > 0, "{written} written");
        }
        drop((client, answers));
        let sent = std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
        assert!(sent.success() && child.wait().unwrap().success());
    }
}
