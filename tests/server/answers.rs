//! What an answer looks like on the wire, for everything that a handler may do with its writer.

use nethttp::server::AutoField;
use nethttp::{Body, IntoResponse, respond};
use nethttp::{Bytes, Error, ErrorKind, Json, Request, Response, ResponseWriter, Result, StatusCode};
use tokio::io::AsyncWriteExt;

use crate::wire::{Answer, GET, Host, closed, exchange, kept, post};

const HEAD: &str = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
const GET_10: &str = "GET / HTTP/1.0\r\n\r\n";
const GET_10_KEPT: &str = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";

/// Writes content in pieces of the sizes that the target lists: `/2048,1`.
async fn sizes(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    for size in r.escaped_path()[1..].split(',').filter(|size| !size.is_empty()) {
        w.write(vec![b'x'; size.parse()?]).await?;
    }
    Ok(())
}

async fn one_answer(handler: impl nethttp::Handler, request: &str) -> Answer {
    let (bytes, _) = Host::new(handler).connect().talk_bytes(request).await;
    let mut answers = Answer::all(&bytes);
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

// ------------------------------------------------------------ length and chunks

#[tokio::test(start_paused = true)]
async fn small_content_leaves_with_its_length() {
    let heard = exchange(async |w: &mut ResponseWriter, _: &mut Request| w.write("hello").await, GET).await;
    assert_eq!(
        heard,
        kept("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\nDate: -\r\n\r\nhello")
    );
}

#[tokio::test(start_paused = true)]
async fn content_of_2048_bytes_has_a_length_and_of_2049_bytes_chunks() {
    for (target, length, chunks) in [
        ("/1", Some(1), vec![]),
        ("/2047", Some(2047), vec![]),
        ("/2048", Some(2048), vec![]),
        ("/1024,1024", Some(2048), vec![]),
        ("/2000,0,48,0", Some(2048), vec![]),
        ("/2049", None, vec![2049]),
        ("/2048,1", None, vec![2049]),
        ("/1,2048", None, vec![2049]),
        ("/1024,1024,1,1000", None, vec![2049, 1000]),
        ("/5000,1,2,3", None, vec![5000, 6]),
    ] {
        let answer = one_answer(sizes, &format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert_eq!(answer.field("Content-Length").map(|n| n.parse().unwrap()), length, "{target}");
        assert_eq!(answer.field("Transfer-Encoding"), length.is_none().then_some("chunked"), "{target}");
        assert_eq!(answer.chunks, chunks, "{target}");
        let total: usize = target[1..].split(',').map(|size| size.parse::<usize>().unwrap()).sum();
        assert_eq!(answer.content, vec![b'x'; total], "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_small_writes_are_few_chunks() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        for _ in 0..10_000 {
            w.write("x").await?;
        }
        Ok(())
    };
    let answer = one_answer(handler, GET).await;
    assert_eq!(answer.content, vec![b'x'; 10_000]);
    assert_eq!(answer.chunks, [2049, 2049, 2049, 2049, 1804]);
}

#[tokio::test(start_paused = true)]
async fn without_content_there_is_one_length_of_zero_and_no_type() {
    const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: -\r\n\r\n";
    let nothing = async |_: &mut ResponseWriter, _: &mut Request| Ok(());
    assert_eq!(exchange(nothing, GET).await, kept(EMPTY));
    let no_bytes = async |w: &mut ResponseWriter, _: &mut Request| w.write("").await;
    assert_eq!(exchange(no_bytes, GET).await, kept(EMPTY));
    let declared = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("Content-Length", "0");
        Ok(())
    };
    assert_eq!(exchange(declared, GET).await, kept(EMPTY));
}

#[tokio::test(start_paused = true)]
async fn a_length_that_was_set_is_sent_and_large_content_then_comes_without_chunks() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("content-length", "5000");
        w.write(vec![b'x'; 4000]).await?;
        w.write(vec![b'y'; 1000]).await
    };
    let answer = one_answer(handler, GET).await;
    assert_eq!(answer.field("Content-Length"), Some("5000"));
    assert!(answer.chunks.is_empty());
    assert_eq!(answer.content, [vec![b'x'; 4000], vec![b'y'; 1000]].concat());
}

#[tokio::test(start_paused = true)]
async fn content_over_the_length_is_an_error_and_nothing_of_that_write_is_sent() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("Content-Length", "5");
        w.write("hel").await?;
        assert_eq!(w.write("lo!").await.unwrap_err().kind(), ErrorKind::ContentLength);
        assert_eq!(w.write_bytes(Bytes::from(vec![b'x'; 9000])).await.unwrap_err().kind(), ErrorKind::ContentLength);
        w.flush().await?;
        assert_eq!(w.write("lo!").await.unwrap_err().kind(), ErrorKind::ContentLength, "also once the head is sent");
        assert!(AsyncWriteExt::write_all(w, b"lo!").await.is_err());
        assert_eq!(w.written(), 3);
        w.write("lo").await
    };
    let heard = exchange(handler, GET).await;
    assert!(!heard.closed && heard.text.ends_with("Content-Length: 5\r\nDate: -\r\n\r\nhello"), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn content_short_of_the_length_closes_the_connection() {
    for wants_flush in [false, true] {
        let handler =
            nethttp::handle_with(wants_flush, async |flush: &bool, w: &mut ResponseWriter, _: &mut Request| {
                w.header().set("Content-Length", "5");
                w.write("hel").await?;
                if *flush { w.flush().await } else { Ok(()) }
            });
        let heard = exchange(handler, GET).await;
        assert!(heard.closed && heard.text.ends_with("Content-Length: 5\r\nDate: -\r\n\r\nhel"), "{heard:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_length_that_is_set_too_late_for_what_was_written_does_not_count() {
    let after_writing = async |w: &mut ResponseWriter, _: &mut Request| {
        w.write("hello").await?;
        w.header().set("Content-Length", "2");
        Ok(())
    };
    let in_a_hook = async |w: &mut ResponseWriter, _: &mut Request| {
        w.before_head(|_, header| header.set("Content-Length", "2"));
        w.write("hello").await
    };
    for answer in [one_answer(after_writing, GET).await, one_answer(in_a_hook, GET).await] {
        assert_eq!((answer.field("Content-Length"), answer.text()), (Some("5"), "hello"));
    }
    let in_a_hook_of_large_content = async |w: &mut ResponseWriter, _: &mut Request| {
        w.before_head(|_, header| header.set("Content-Length", "2"));
        w.write(vec![b'x'; 3000]).await
    };
    let answer = one_answer(in_a_hook_of_large_content, GET).await;
    assert_eq!((answer.field("Content-Length"), &answer.chunks), (None, &vec![3000]));
}

#[tokio::test(start_paused = true)]
async fn a_length_that_is_none_is_left_out_and_found_by_counting() {
    for bad in ["abc", "-1", "", "5, 5", "0x5", "18446744073709551616"] {
        let handler = nethttp::handle_with(bad, async |bad: &&str, w: &mut ResponseWriter, _: &mut Request| {
            w.header().set("Content-Length", bad);
            w.write("hello").await
        });
        let answer = one_answer(handler, GET).await;
        assert_eq!((answer.field("Content-Length"), answer.text()), (Some("5"), "hello"), "{bad}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_lengths_one_is_sent_and_held_to() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().add("Content-Length", "3");
        w.header().add("Content-Length", "4");
        assert_eq!(w.write("1234").await.unwrap_err().kind(), ErrorKind::ContentLength);
        w.write("123").await
    };
    let heard = exchange(handler, GET).await;
    assert_eq!(heard.text.matches("Content-Length").count(), 1);
    assert!(!heard.closed && heard.text.ends_with("Content-Length: 3\r\nDate: -\r\n\r\n123"), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn a_handlers_transfer_encoding_never_reaches_the_wire() {
    for (coding, expected) in [
        ("chunked", kept("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: -\r\n\r\nhello")),
        ("gzip, chunked", kept("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: -\r\n\r\nhello")),
        ("identity", closed("HTTP/1.1 200 OK\r\nDate: -\r\nConnection: close\r\n\r\nhello")),
    ] {
        let handler = nethttp::handle_with(coding, async |coding: &&str, w: &mut ResponseWriter, _: &mut Request| {
            w.header().set("Transfer-Encoding", coding);
            w.write("hello").await
        });
        assert_eq!(exchange(handler, GET).await, expected, "{coding}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_automatic_length_content_is_chunked() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.omit(AutoField::ContentLength);
        w.write("hello").await
    };
    let heard = exchange(handler, GET).await;
    assert_eq!(
        heard,
        kept(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nTransfer-Encoding: chunked\r\nDate: -\r\n\r\n\
             5\r\nhello\r\n0\r\n\r\n"
        )
    );
}

// ------------------------------------------------------------ HEAD, and statuses without content

#[tokio::test(start_paused = true)]
async fn head_has_a_length_only_when_something_was_written_or_declared() {
    for (target, length) in [("/", None), ("/0", None), ("/5", Some("5")), ("/2048", Some("2048")), ("/9000", None)] {
        let heard = exchange(sizes, format!("HEAD {target} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let content_type =
            if target.len() > 2 || target == "/5" { "Content-Type: text/plain; charset=utf-8\r\n" } else { "" };
        let length = length.map(|length| format!("Content-Length: {length}\r\n")).unwrap_or_default();
        assert_eq!(heard, kept(format!("HTTP/1.1 200 OK\r\n{content_type}{length}Date: -\r\n\r\n")), "{target}");
    }
    let declared = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("Content-Length", "123456");
        Ok(())
    };
    assert_eq!(exchange(declared, HEAD).await, kept("HTTP/1.1 200 OK\r\nContent-Length: 123456\r\nDate: -\r\n\r\n"));
    let flushed = async |w: &mut ResponseWriter, _: &mut Request| {
        w.write("hello").await?;
        w.flush().await?;
        tokio::io::copy(&mut &b" and more"[..], w).await?;
        w.trailer().set("X-Sum", "1");
        Ok(())
    };
    assert_eq!(
        exchange(flushed, HEAD).await,
        kept("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nDate: -\r\n\r\n")
    );
}

#[tokio::test(start_paused = true)]
async fn head_is_followed_by_the_next_request() {
    let requests =
        format!("{}{}{}", "HEAD /9000 HTTP/1.1\r\nHost: a\r\n\r\n", HEAD, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    let heard = exchange(sizes, requests).await;
    assert_eq!(heard.text.matches("HTTP/1.1 200 OK").count(), 3);
    assert!(heard.text.ends_with("\r\nContent-Length: 1\r\nDate: -\r\n\r\nx"));
}

#[tokio::test(start_paused = true)]
async fn a_204_has_no_content_and_no_framing_and_keeps_its_type() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("Content-Type", "text/x");
        w.header().set("Content-Length", "5");
        w.header().set("Transfer-Encoding", "chunked");
        w.write_header(StatusCode::NO_CONTENT);
        assert_eq!(w.write("hello").await.unwrap_err().kind(), ErrorKind::BodyNotAllowed);
        w.write("").await?;
        w.flush().await?;
        assert_eq!(w.write("hello").await.unwrap_err().kind(), ErrorKind::BodyNotAllowed);
        Ok(())
    };
    let expected = "HTTP/1.1 204 No Content\r\nContent-Type: text/x\r\nDate: -\r\n\r\n";
    assert_eq!(exchange(handler, GET).await, kept(expected), "and the connection is kept, whatever length was set");
}

#[tokio::test(start_paused = true)]
async fn a_304_has_no_content_no_framing_and_no_type() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("ETag", "\"1\"");
        w.header().set("Content-Type", "text/x");
        w.header().set("Content-Length", "5");
        w.write_header(StatusCode::NOT_MODIFIED);
        assert_eq!(w.write("hello").await.unwrap_err().kind(), ErrorKind::BodyNotAllowed);
        Ok(())
    };
    let expected = "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nDate: -\r\n\r\n";
    assert_eq!(exchange(handler, GET).await, kept(expected));
}

#[tokio::test(start_paused = true)]
async fn a_101_is_final_has_no_content_and_closes_when_nobody_takes_over() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("Upgrade", "chat");
        w.header().set("Content-Length", "5");
        w.write_header(StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(w.write("hello").await.unwrap_err().kind(), ErrorKind::BodyNotAllowed);
        Ok(())
    };
    let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\nDate: -\r\nConnection: Upgrade\r\n\r\n";
    assert_eq!(exchange(handler, GET).await, closed(expected));
}

#[tokio::test(start_paused = true)]
async fn a_205_has_no_content_and_says_so() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        w.write_header(StatusCode::RESET_CONTENT);
        w.header().set("Content-Length", "5");
        assert_eq!(w.write("hello").await.unwrap_err().kind(), ErrorKind::BodyNotAllowed);
        if r.method == "POST" {
            w.flush().await?;
        }
        Ok(())
    };
    let expected = "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\nDate: -\r\n\r\n";
    assert_eq!(exchange(handler, GET).await, kept(expected));
    assert_eq!(exchange(handler, post("/", b"")).await, kept(expected), "flushed before its end");
}

// ------------------------------------------------------------ HTTP/1.0

#[tokio::test(start_paused = true)]
async fn http_1_0_gets_its_own_version_and_the_connection_closes() {
    let heard = exchange(sizes, "GET /5 HTTP/1.0\r\n\r\n").await;
    assert_eq!(
        heard,
        closed(
            "HTTP/1.0 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\nDate: -\r\n\
             Connection: close\r\n\r\nxxxxx"
        )
    );
    assert_eq!(exchange(sizes, GET_10).await.text.lines().next(), Some("HTTP/1.0 200 OK"));
}

#[tokio::test(start_paused = true)]
async fn http_1_0_has_no_chunks_so_large_content_ends_with_the_connection() {
    for request in ["GET /3000,1 HTTP/1.0\r\n\r\n", "GET /3000,1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"] {
        let heard = exchange(sizes, request).await;
        let head = "HTTP/1.0 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nDate: -\r\nConnection: close\r\n\r\n";
        assert_eq!(heard, closed(format!("{head}{}", "x".repeat(3001))));
    }
}

#[tokio::test(start_paused = true)]
async fn http_1_0_keeps_the_connection_when_asked_and_the_length_is_known() {
    let host = Host::new(sizes);
    let mut peer = host.connect();
    for _ in 0..2 {
        assert_eq!(
            peer.talk("GET /1 HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").await,
            kept(
                "HTTP/1.0 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 1\r\nDate: -\r\n\
                 Connection: keep-alive\r\n\r\nx"
            )
        );
    }
}

#[tokio::test(start_paused = true)]
async fn http_1_0_has_no_trailers_and_no_informational_answers() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.trailer().set("X-Sum", "1");
        w.send_informational(StatusCode::EARLY_HINTS).await?;
        w.write("hello").await
    };
    let heard = exchange(handler, GET_10_KEPT).await;
    assert_eq!(
        heard,
        kept(
            "HTTP/1.0 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\nDate: -\r\n\
             Connection: keep-alive\r\n\r\nhello"
        )
    );
}

// ------------------------------------------------------------ Content-Type and Date

#[tokio::test(start_paused = true)]
async fn the_type_is_found_by_looking_at_the_first_512_bytes_however_they_were_written() {
    let html = async |w: &mut ResponseWriter, _: &mut Request| {
        for piece in ["<", "ht", "ml>", "<body>"] {
            w.write(piece).await?;
        }
        w.write(vec![b' '; 5000]).await
    };
    assert_eq!(one_answer(html, GET).await.field("Content-Type"), Some("text/html; charset=utf-8"));
    let png = async |w: &mut ResponseWriter, _: &mut Request| {
        let mut png = b"\x89PNG\x0D\x0A\x1A\x0A".to_vec();
        png.resize(100_000, 0);
        tokio::io::copy(&mut &png[..], w).await?;
        Ok(())
    };
    assert_eq!(one_answer(png, GET).await.field("Content-Type"), Some("image/png"));
}

#[tokio::test(start_paused = true)]
async fn the_type_is_not_guessed_when_the_handler_has_set_or_omitted_it() {
    const REST: &str = "Content-Length: 5\r\nDate: -\r\n\r\nhello";
    for (name, value, lines) in [
        ("Content-Type", "text/x", "Content-Type: text/x\r\n"),
        ("content-type", "", "content-type: \r\n"),
        ("Content-Encoding", "gzip", "Content-Encoding: gzip\r\n"),
        ("Content-Encoding", "", "Content-Encoding: \r\nContent-Type: text/plain; charset=utf-8\r\n"),
    ] {
        let handler = nethttp::handle_with(
            (name, value),
            async |field: &(&str, &str), w: &mut ResponseWriter, _: &mut Request| {
                w.header().set(field.0, field.1);
                w.write("hello").await
            },
        );
        assert_eq!(exchange(handler, GET).await, kept(format!("HTTP/1.1 200 OK\r\n{lines}{REST}")), "{name}: {value}");
    }
    let omitted = async |w: &mut ResponseWriter, _: &mut Request| {
        w.omit(AutoField::ContentType);
        w.write("hello").await
    };
    assert_eq!(exchange(omitted, GET).await, kept(format!("HTTP/1.1 200 OK\r\n{REST}")));
}

#[tokio::test(start_paused = true)]
async fn the_date_is_the_handlers_or_is_left_out() {
    let own = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("Date", "yesterday");
        Ok(())
    };
    assert_eq!(exchange(own, GET).await, kept("HTTP/1.1 200 OK\r\nDate: yesterday\r\nContent-Length: 0\r\n\r\n"));
    let omitted = async |w: &mut ResponseWriter, _: &mut Request| {
        w.omit(AutoField::Date);
        Ok(())
    };
    assert_eq!(exchange(omitted, GET).await, kept("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
}

#[tokio::test(start_paused = true)]
async fn what_one_answer_left_out_the_next_one_has_again() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        if r.path() == "/bare" {
            w.omit(AutoField::Date);
            w.omit(AutoField::ContentType);
            w.omit(AutoField::ContentLength);
            w.header().set("X-First", "1");
            w.trailer().set("X-Sum", "1");
            w.before_head(|_, header| header.set("X-Hook", "1"));
        }
        w.write("a").await
    };
    let mut peer = Host::new(handler).connect();
    let bare = peer.talk("GET /bare HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(
        bare,
        kept(
            "HTTP/1.1 200 OK\r\nX-First: 1\r\nX-Hook: 1\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
             1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n"
        )
    );
    let full = peer.talk(GET).await;
    let expected =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 1\r\nDate: -\r\n\r\na";
    assert_eq!(full, kept(expected));
}

// ------------------------------------------------------------ fields

#[tokio::test(start_paused = true)]
async fn fields_keep_their_order_and_spelling() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().add("x-b", "1");
        w.header().add("X-A", "2");
        w.header().add("X-B", "3");
        w.header().set("ETag", "\"4\"");
        Ok(())
    };
    let expected =
        "HTTP/1.1 200 OK\r\nx-b: 1\r\nX-A: 2\r\nX-B: 3\r\nETag: \"4\"\r\nContent-Length: 0\r\nDate: -\r\n\r\n";
    assert_eq!(exchange(handler, GET).await, kept(expected));
}

#[tokio::test(start_paused = true)]
async fn no_value_ends_a_line_and_no_bad_name_is_sent() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("Location", "/a\r\nSet-Cookie: b=c\r\n\r\nHTTP/1.1 200 OK\n\0x");
        w.header().set("X-Blank", "  padded\t ");
        w.header().set("X-High", b"caf\xC3\xA9\tau lait");
        for bad in ["", "a b", "a:b", "a\r\nb", "caf\u{e9}", "a(b"] {
            w.header().set(bad, "left out");
        }
        Ok(())
    };
    let expected = "HTTP/1.1 200 OK\r\nLocation: /a  Set-Cookie: b=c    HTTP/1.1 200 OK  x\r\nX-Blank: padded\r\n\
                    X-High: caf\u{e9}\tau lait\r\nContent-Length: 0\r\nDate: -\r\n\r\n";
    assert_eq!(exchange(handler, GET).await, kept(expected));
}

#[tokio::test(start_paused = true)]
async fn connection_close_of_the_handler_closes_and_is_said_once() {
    for (values, line) in [
        (&["close"][..], "close"),
        (&["Close", "close"], "close"),
        (&["x-hop, CLOSE"], "close, x-hop"),
        (&["close, keep-alive"], "close"),
    ] {
        let handler =
            nethttp::handle_with(values, async |values: &&[&str], w: &mut ResponseWriter, _: &mut Request| {
                values.iter().for_each(|value| w.header().add("Connection", value));
                w.header().set("Keep-Alive", "timeout=9");
                Ok(())
            });
        let expected = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: -\r\nConnection: {line}\r\n\r\n");
        assert_eq!(exchange(handler, GET).await, closed(expected), "{values:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn keep_alive_of_the_handler_promises_nothing() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("Connection", "keep-alive");
        Ok(())
    };
    let closing = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: -\r\n";
    assert_eq!(exchange(handler, closing).await, closed(format!("{head}Connection: close\r\n\r\n")));
    assert_eq!(exchange(handler, GET).await, kept(format!("{head}\r\n")));
}

// ------------------------------------------------------------ status

#[tokio::test(start_paused = true)]
async fn the_first_status_counts() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.write_header(StatusCode::EARLY_HINTS);
        assert_eq!(w.status(), None, "an informational status is none for the answer");
        w.write_header(StatusCode::CREATED);
        w.write_header(StatusCode::BAD_REQUEST);
        w.write("made").await?;
        w.write_header(StatusCode::BAD_REQUEST);
        w.flush().await?;
        w.write_header(StatusCode::BAD_REQUEST);
        assert_eq!(w.status(), Some(StatusCode::CREATED));
        Ok(())
    };
    assert_eq!(one_answer(handler, GET).await.head.lines().next(), Some("HTTP/1.1 201 Created"));
    let implied = async |w: &mut ResponseWriter, _: &mut Request| {
        w.write("").await?;
        w.write_header(StatusCode::BAD_REQUEST);
        Ok(())
    };
    assert_eq!(one_answer(implied, GET).await.status, 200, "a write implies 200");
}

#[tokio::test(start_paused = true)]
async fn a_status_without_a_reason_is_sent_with_its_number() {
    for (code, line) in [
        (200, "HTTP/1.1 200 OK"),
        (418, "HTTP/1.1 418 I'm a teapot"),
        (299, "HTTP/1.1 299 status code 299"),
        (599, "HTTP/1.1 599 status code 599"),
        (999, "HTTP/1.1 999 status code 999"),
    ] {
        let handler = nethttp::handle_with(code, async |code: &u16, w: &mut ResponseWriter, _: &mut Request| {
            w.write_header(StatusCode::from_u16(*code).unwrap());
            Ok(())
        });
        assert_eq!(one_answer(handler, GET).await.head.lines().next(), Some(line));
    }
}

#[tokio::test(start_paused = true)]
async fn header_and_status_are_those_of_the_moment_the_head_is_sent() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.write("a").await?;
        w.header().set("X-Before", "1");
        assert!(!w.is_sent());
        w.flush().await?;
        assert!(w.is_sent());
        w.header().set("X-After", "1");
        w.header().set("X-Before", "2");
        Ok(())
    };
    let answer = one_answer(handler, GET).await;
    assert_eq!((answer.field("X-Before"), answer.field("X-After")), (Some("1"), None));
}

// ------------------------------------------------------------ trailers

#[tokio::test(start_paused = true)]
async fn trailers_that_are_known_before_the_head_are_announced_and_bring_chunks() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.trailer().set("X-Sum", "0");
        w.trailer().set("Content-Length", "9");
        w.write("hello").await?;
        w.trailer().set("X-Sum", "5");
        Ok(())
    };
    assert_eq!(
        exchange(handler, GET).await,
        kept(
            "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Transfer-Encoding: chunked\r\nDate: -\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn trailers_that_the_header_lists_are_sent_with_the_values_set_later() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("Trailer", "X-Sum, Content-Length, X-Never");
        w.write("hello").await?;
        w.trailer().set("X-Sum", "5\r\nX-Split: 1");
        Ok(())
    };
    assert_eq!(
        exchange(handler, GET).await,
        kept(
            "HTTP/1.1 200 OK\r\nTrailer: X-Sum, X-Never\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Transfer-Encoding: chunked\r\nDate: -\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 5  X-Split: 1\r\n\r\n"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn unannounced_trailers_follow_chunks_and_forbidden_ones_never() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.write(vec![b'x'; 3]).await?;
        w.flush().await?;
        for name in ["X-Late", "Transfer-Encoding", "Content-Length", "Host", "Set-Cookie", "If-Match", "bad name"] {
            w.trailer().add(name, "1");
        }
        Ok(())
    };
    let heard = exchange(handler, GET).await;
    assert!(heard.text.ends_with("\r\n\r\n3\r\nxxx\r\n0\r\nX-Late: 1\r\n\r\n"), "{heard:?}");
    assert!(!heard.text.contains("Trailer:"));
}

#[tokio::test(start_paused = true)]
async fn content_with_a_length_has_no_trailer() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("Content-Length", "5");
        w.trailer().set("X-Sum", "5");
        w.write("hello").await
    };
    let heard = exchange(handler, GET).await;
    assert!(!heard.closed && heard.text.ends_with("\r\n\r\nhello") && !heard.text.contains("chunked"), "{heard:?}");
}

// ------------------------------------------------------------ informational answers

#[tokio::test(start_paused = true)]
async fn informational_answers_go_out_at_once_with_the_fields_so_far() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("Link", "</a.css>; rel=preload");
        w.header().set("Content-Length", "5");
        w.send_informational(StatusCode::EARLY_HINTS).await?;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        w.header().set("X-More", "1");
        w.send_informational(StatusCode::PROCESSING).await?;
        w.header().set("Content-Type", "text/x");
        w.write("hello").await
    };
    let mut peer = Host::new(handler).connect();
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
    assert_eq!(peer.talk(GET).await, kept(hints), "before the handler is done");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(
        peer.hear().await,
        kept(
            "HTTP/1.1 102 Processing\r\nLink: </a.css>; rel=preload\r\nX-More: 1\r\n\r\n\
             HTTP/1.1 200 OK\r\nLink: </a.css>; rel=preload\r\nX-More: 1\r\nContent-Type: text/x\r\n\
             Content-Length: 5\r\nDate: -\r\n\r\nhello"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn an_informational_answer_is_informational_and_comes_first() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        for bad in [StatusCode::OK, StatusCode::SWITCHING_PROTOCOLS, StatusCode::NOT_FOUND] {
            assert_eq!(w.send_informational(bad).await.unwrap_err().kind(), ErrorKind::Invalid);
        }
        w.send_informational(StatusCode::CONTINUE).await?;
        w.flush().await?;
        assert_eq!(w.send_informational(StatusCode::EARLY_HINTS).await.unwrap_err().kind(), ErrorKind::Invalid);
        Ok(())
    };
    let expected =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nDate: -\r\n\r\n0\r\n\r\n";
    assert_eq!(exchange(handler, GET).await, kept(expected));
}

// ------------------------------------------------------------ flush, AsyncWrite, large content

#[tokio::test(start_paused = true)]
async fn a_flush_sends_the_head_and_what_was_written() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        for part in ["", "one", "two"] {
            w.write(part).await?;
            w.flush().await?;
            w.flush().await?;
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
        Ok(())
    };
    let mut peer = Host::new(handler).connect();
    let mut next = async |request: &str| {
        let heard = peer.talk(request).await;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        heard
    };
    assert_eq!(next(GET).await, kept("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nDate: -\r\n\r\n"));
    assert_eq!(next("").await, kept("3\r\none\r\n"));
    assert_eq!(next("").await, kept("3\r\ntwo\r\n"));
    assert_eq!(next("").await, kept("0\r\n\r\n"));
}

fn a_mebibyte() -> Vec<u8> {
    (0..1_u32 << 20).map(|at| (at % 251) as u8).collect()
}

#[tokio::test(start_paused = true)]
async fn a_mebibyte_passes_a_small_buffer_by_every_way_of_writing() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        let content = a_mebibyte();
        if r.query("declared").is_some() {
            w.header().set("Content-Length", content.len().to_string());
        }
        match r.escaped_path() {
            "/copy" => assert_eq!(tokio::io::copy(&mut &content[..], w).await?, 1 << 20),
            "/bytes" => w.write_bytes(Bytes::from(content)).await?,
            "/pieces" => {
                for piece in content.chunks(777) {
                    w.write(piece).await?;
                }
            }
            _ => w.write(content).await?,
        }
        assert_eq!(w.written(), 1 << 20);
        Ok(())
    };
    let host = Host::new(handler);
    for buffer in [997, 1 << 16] {
        for target in ["/copy", "/bytes", "/pieces", "/write"] {
            for declared in ["", "?declared"] {
                let mut peer = host.connect_through(buffer);
                let request = format!("GET {target}{declared} HTTP/1.1\r\nHost: a\r\n\r\n");
                let (bytes, was_closed) = peer.talk_bytes(request).await;
                let answers = Answer::all(&bytes);
                assert_eq!(answers.len(), 1);
                assert!(answers[0].content == a_mebibyte(), "{target}{declared}");
                assert_eq!(answers[0].chunks.is_empty(), !declared.is_empty());
                assert!(!was_closed);
            }
        }
    }
}

// ------------------------------------------------------------ hooks

#[tokio::test(start_paused = true)]
async fn hooks_run_once_on_the_final_head_the_last_one_first() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.before_head(|status, header| header.add("X-Order", format!("first added, {status}")));
        w.before_head(|_, header| header.add("X-Order", "last added"));
        w.send_informational(StatusCode::PROCESSING).await?;
        w.header().set("X-Set", "1");
        w.write_header(StatusCode::CREATED);
        w.flush().await?;
        w.write("a").await
    };
    let expected = "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 201 Created\r\nX-Set: 1\r\nX-Order: last added\r\n\
                    X-Order: first added, 201 Created\r\nTransfer-Encoding: chunked\r\nDate: -\r\n\r\n\
                    1\r\na\r\n0\r\n\r\n";
    assert_eq!(exchange(handler, GET).await, kept(expected));
}

#[tokio::test(start_paused = true)]
async fn hooks_also_run_on_the_answer_that_an_error_becomes() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.before_head(|_, header| header.set("Access-Control-Allow-Origin", "*"));
        Err(Error::answer(StatusCode::CONFLICT, "taken"))
    };
    let answer = one_answer(handler, GET).await;
    assert_eq!((answer.status, answer.field("Access-Control-Allow-Origin")), (409, Some("*")));
}

// ------------------------------------------------------------ answers as values

#[tokio::test(start_paused = true)]
async fn a_response_is_sent_with_its_fields_in_place_of_the_writers() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("X-Kept", "1");
        w.header().set("X-Replaced", "old");
        let mut response = Response::new("made\n").with_status(StatusCode::CREATED);
        response.header.add("X-Replaced", "a");
        response.header.add("x-replaced", "b");
        w.send(response).await
    };
    let expected = "HTTP/1.1 201 Created\r\nX-Kept: 1\r\nX-Replaced: a\r\nx-replaced: b\r\n\
                    Content-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\nDate: -\r\n\r\nmade\n";
    assert_eq!(exchange(handler, GET).await, kept(expected));
}

#[tokio::test(start_paused = true)]
async fn a_response_of_known_length_has_it_and_one_of_unknown_length_has_chunks() {
    let known = respond(async |_: &mut Request| Bytes::from(vec![b'x'; 9000]));
    let answer = one_answer(known, GET).await;
    assert_eq!((answer.field("Content-Length"), answer.content.len()), (Some("9000"), 9000));

    struct Thrice(u8);
    impl futures_core::Stream for Thrice {
        type Item = Result<&'static str>;
        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            self.0 += 1;
            std::task::Poll::Ready((self.0 <= 3).then_some(Ok("abc")))
        }
    }
    let unknown = respond(async |_: &mut Request| {
        let large = Body::from_stream(Thrice(0));
        Response::new(large).with_header("Trailer", "X-Sum")
    });
    let answer = one_answer(unknown, GET).await;
    assert_eq!((answer.text(), &answer.chunks), ("abcabcabc", &vec![9]));
}

#[tokio::test(start_paused = true)]
async fn what_can_be_answered_looks_as_it_says() {
    const TEXT: &str = "Content-Type: text/plain; charset=utf-8\r\n";
    let target = async |r: &mut Request| match r.escaped_path() {
        "/text" => "hi".into_response(),
        "/status" => StatusCode::NOT_FOUND.into_response(),
        "/both" => (StatusCode::ACCEPTED, "hi".to_owned()).into_response(),
        "/json" => Json([1, 2]).into_response(),
        "/204" => StatusCode::NO_CONTENT.into_response(),
        _ => ().into_response(),
    };
    for (path, expected) in [
        ("/text", format!("200 OK\r\n{TEXT}Content-Length: 2\r\nDate: -\r\n\r\nhi")),
        ("/status", format!("404 Not Found\r\n{TEXT}Content-Length: 9\r\nDate: -\r\n\r\nNot Found")),
        ("/both", format!("202 Accepted\r\n{TEXT}Content-Length: 2\r\nDate: -\r\n\r\nhi")),
        ("/json", "200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\nDate: -\r\n\r\n[1,2]".into()),
        ("/204", "204 No Content\r\nDate: -\r\n\r\n".into()),
        ("/none", "200 OK\r\nContent-Length: 0\r\nDate: -\r\n\r\n".into()),
    ] {
        let heard = exchange(respond(target), format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert_eq!(heard, kept(format!("HTTP/1.1 {expected}")), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_head_is_the_one_to_get_without_its_content() {
    let heard = exchange(respond(async |_: &mut Request| vec![0_u8; 70_000]), HEAD).await;
    let expected =
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 70000\r\nDate: -\r\n\r\n";
    assert_eq!(heard, kept(expected));
}

// ------------------------------------------------------------ errors

#[tokio::test(start_paused = true)]
async fn an_error_becomes_a_500_that_hides_its_text() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("Content-Length", "9");
        w.header().set("X-Half", "1");
        w.write("half").await?;
        Err(Error::other("the password is swordfish"))
    };
    let host = Host::new(handler);
    let heard = host.connect().talk(GET).await;
    assert_eq!(
        heard,
        kept(
            "HTTP/1.1 500 Internal Server Error\r\nX-Half: 1\r\nContent-Type: text/plain; charset=utf-8\r\n\
             X-Content-Type-Options: nosniff\r\nContent-Length: 26\r\nDate: -\r\n\r\n500 Internal Server Error\n"
        )
    );
    let said = "a handler failed on GET / from peer: the password is swordfish; answered 500";
    assert_eq!(host.events(), [said], "the log has the text");
}

#[tokio::test(start_paused = true)]
async fn an_error_made_to_be_answered_is_shown() {
    let handler = respond(async |_: &mut Request| Err::<(), Error>(Error::answer(StatusCode::CONFLICT, "taken")));
    let heard = exchange(handler, GET).await;
    assert_eq!(
        heard,
        kept(
            "HTTP/1.1 409 Conflict\r\nContent-Type: text/plain; charset=utf-8\r\n\
             X-Content-Type-Options: nosniff\r\nContent-Length: 5\r\nDate: -\r\n\r\ntaken"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_keeps_the_handlers_wish_to_close_and_gives_head_no_content() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("Connection", "close");
        Err(Error::answer(StatusCode::NOT_FOUND, ""))
    };
    assert_eq!(
        exchange(handler, HEAD).await,
        closed(
            "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n\
             Content-Length: 14\r\nDate: -\r\nConnection: close\r\n\r\n"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_behind_a_head_that_was_sent_cuts_the_answer_visibly() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.write("half").await?;
        w.flush().await?;
        w.write(" and").await?;
        Err(Error::answer(StatusCode::CONFLICT, "too late"))
    };
    let host = Host::new(handler);
    let heard = host.connect().talk(GET).await;
    assert!(heard.closed && !heard.text.contains("0\r\n\r\n") && heard.text.contains("4\r\nhalf\r\n"), "{heard:?}");
    assert!(!heard.text.contains("late"));
    assert_eq!(host.events(), ["a handler failed on GET / from peer: too late; the answer was cut"]);
}

#[tokio::test(start_paused = true)]
async fn a_status_that_is_set_in_vain_is_reported_with_its_place_once() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.write_header(StatusCode::CREATED);
        w.write_header(StatusCode::BAD_REQUEST);
        w.write_header(StatusCode::GONE);
        Ok(())
    };
    let host = Host::new(handler);
    assert!(host.connect().talk(GET).await.text.starts_with("HTTP/1.1 201 Created\r\n"));
    let events = host.events();
    assert_eq!(events.len(), 1);
    assert!(events[0].starts_with("a status 400 was set in vain at tests/server/answers.rs:"), "{}", events[0]);
}
