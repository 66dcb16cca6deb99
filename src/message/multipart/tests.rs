//! Multipart content, whole and in every way that it may be cut.

use std::cell::Cell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use http::StatusCode;

use super::boundary::Boundary;
use super::parser::MultipartLimits;
use super::reader::Multipart;
use crate::error::{Error, ErrorKind};
use crate::message::body::Body;

thread_local! {
    static SCANNED: Cell<usize> = const { Cell::new(0) };
}

/// Counts the bytes that are looked at, for tests of linearity.
pub(super) fn count_scanned(bytes: usize) {
    SCANNED.set(SCANNED.get() + bytes);
}

struct Pieces(VecDeque<Bytes>);

impl Stream for Pieces {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

fn body(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Body {
    Body::from_stream(Pieces(pieces.into_iter().map(|piece| Bytes::copy_from_slice(piece.as_ref())).collect()))
}

/// Reads all parts: each as a line of name, file name, number of fields and content, and the
/// error that ends them, if one does. Content that an error cuts is not told: how much of it came
/// through depends on the cuts.
async fn read(body: Body, boundary: &str, limits: &MultipartLimits) -> String {
    let mut multipart = Multipart::new(body, boundary).expect("a good boundary");
    multipart.limits = limits.clone();
    let mut told = String::new();
    match tell(&mut multipart, &mut told).await {
        Ok(()) => assert!(multipart.next_part().await.unwrap().is_none(), "the end stays the end"),
        Err(error) => {
            assert_eq!(multipart.next_part().await.unwrap_err().kind(), error.kind(), "an error is told again");
            let status = error.status().map_or(0, |status| status.as_u16());
            write!(told, "{:?} {status}: {error}", error.kind()).unwrap();
        }
    }
    told
}

async fn tell(multipart: &mut Multipart, told: &mut String) -> Result<(), Error> {
    while let Some(mut part) = multipart.next_part().await? {
        let (name, file_name, fields) =
            (part.name().to_owned(), part.file_name().map(str::to_owned), part.header.len());
        let mut content = Vec::new();
        while let Some(chunk) = part.chunk().await? {
            assert!(!chunk.is_empty());
            content.extend_from_slice(&chunk);
        }
        assert!(part.chunk().await?.is_none(), "the end stays the end");
        writeln!(told, "{name:?} {file_name:?} {fields} {}", content.escape_ascii()).unwrap();
    }
    Ok(())
}

/// Whole, cut once at every byte, and byte by byte.
async fn at_every_cut(content: &[u8], boundary: &str, limits: &MultipartLimits) -> String {
    let whole = read(body([content]), boundary, limits).await;
    for cut in 0..=content.len() {
        let (first, second) = content.split_at(cut);
        assert_eq!(read(body([first, second]), boundary, limits).await, whole, "cut at {cut}");
    }
    assert_eq!(read(body(content.chunks(1)), boundary, limits).await, whole, "byte by byte");
    whole
}

async fn assert_reads(content: &str, expected: &str) {
    let told = at_every_cut(content.as_bytes(), "b", &MultipartLimits::default()).await;
    assert_eq!(told, expected, "{content:?}");
}

const NAMED: &str = "Content-Disposition: form-data; name=n";
const CUT_OFF: &str = "CutOff 400: the content ends before its last multipart boundary (while reading the body)";

#[tokio::test]
async fn parts_are_read_whole_at_every_cut() {
    let one = |content: &str| format!("\"n\" None 1 {content}\n");
    let none = |content: &str| format!("\"\" None 0 {content}\n");
    let cases = [
        (format!("--b\r\n{NAMED}\r\n\r\nhello\r\n--b--\r\n"), one("hello")),
        (format!("--b\r\n{NAMED}\r\n\r\nhello\r\n--b--"), one("hello")),
        (
            format!("--b\r\n{NAMED}; filename=\"a/f.txt\"\r\nContent-Type: text/plain\r\n\r\n\r\n--b--"),
            "\"n\" Some(\"f.txt\") 2 \n".into(),
        ),
        (format!("--b\r\n{NAMED}\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--"), one("one") + &none("two")),
        // What stands around the parts is nothing, though it may look like something.
        (
            format!(
                "preamble --b\r\n--bc\r\n\n--b\r\n\r\n--b\r\n{NAMED}\r\n\r\nx\r\n--b--\r\n\r\n--b\r\n{NAMED}\r\n\r\nno"
            ),
            one("x"),
        ),
        ("--b--".into(), String::new()),
        ("preamble\r\n--b--epilogue\r\n--b--\r\nmore".into(), String::new()),
        // Blanks after a boundary are of the line.
        (format!("--b \t\r\n{NAMED}\r\n\r\nx\r\n--b  \r\n\r\ny\r\n--b-- "), one("x") + &none("y")),
        // Empty content, with and without an empty line of its own; empty heads.
        ("--b\r\n\r\n\r\n--b--".into(), none("")),
        ("--b\r\n\r\n--b--".into(), none("")),
        (format!("--b\r\n{NAMED}\r\n\r\n--b\r\n\r\n--b--"), one("") + &none("")),
        // Line ends of the content are its own, and what only looks like a boundary is content.
        ("--b\r\n\r\n\r\n\r\n\r\n--b--".into(), none("\\r\\n\\r\\n")),
        ("--b\r\n\r\n\r\r\n\n\r\r\n--b--".into(), none("\\r\\r\\n\\n\\r")),
        ("--b\r\n\r\n--b\r--b\n--b\r\n-b\r\n--\r\n--b--".into(), none("--b\\r--b\\n--b\\r\\n-b\\r\\n--")),
        ("--b\r\n\r\nx\n--b\n--b--\n\r\n--b--".into(), none("x\\n--b\\n--b--\\n")),
        (
            "--b\r\n\r\nx\r\n--bc\r\n--b-\r\n--b-x\r\n--b--x\r\n--b x\r\n--b\rx\r\n--b--".into(),
            none("x\\r\\n--bc\\r\\n--b-\\r\\n--b-x\\r\\n--b--x\\r\\n--b x\\r\\n--b\\rx"),
        ),
        ("--b\r\n\r\n\0\u{ff}\r\n--b--".into(), none("\\x00\\xc3\\xbf")),
    ];
    for (content, expected) in cases {
        assert_reads(&content, &expected).await;
    }
}

#[tokio::test]
async fn a_multipart_message_inside_a_part_is_its_content() {
    let inner = "--b-inner\r\n\r\nx\r\n--b-inner--";
    let told = format!("\"\" None 0 {}\n", inner.as_bytes().escape_ascii());
    assert_reads(&format!("--b\r\n\r\n{inner}\r\n--b--"), &told).await;
}

#[tokio::test]
async fn content_that_ends_early_is_an_error() {
    let whole = format!("--b\r\n{NAMED}\r\n\r\nhello\r\n--b\r\n\r\nyou\r\n--b--");
    for length in 0..whole.len() {
        let told = read(body([&whole.as_bytes()[..length]]), "b", &MultipartLimits::default()).await;
        let error = told.lines().last().unwrap_or_default();
        assert!(error.starts_with("CutOff 400: "), "{length}: {told}");
    }
    for content in
        ["--b\r\n\r\nhello\r\n--b", "--b\r\n\r\nhello\r\n--b--\r", "--b\r\n\r\nhello\n--b--\r\n", "--b\r\nX: y"]
    {
        assert_reads(content, CUT_OFF).await;
    }
    for content in ["", "--b", "\n--b--", " --b--", "nothing\r\n-b\r\n"] {
        assert_reads(content, "CutOff 400: the content has no multipart boundary (while reading the body)").await;
    }
}

#[tokio::test]
async fn malformed_heads_and_lines_are_refused_at_every_cut() {
    let line_end = "Malformed 400: a line feed alone, or a control character, in the head of a part";
    let no_field = "Malformed 400: a line in the head of a part that is no field";
    let cases = [
        ("--b\r\nX: 1\nY: 2\r\n\r\n", line_end),
        ("--b\r\nX: 1\rY: 2\r\n\r\n", line_end),
        ("--b\r\nX: 1\r\n folded\r\n\r\n", no_field),
        ("--b\r\nX : 1\r\n\r\n", no_field),
        ("--b\r\n--b--\r\n\r\n", no_field),
    ];
    for (content, expected) in cases {
        assert_reads(content, expected).await;
    }
    // Go's rule: a part whose names cannot be told has none, and spoils no other.
    let unnamed = "--b\r\nContent-Disposition: form-data; name\r\n\r\nx\r\n--b--";
    assert_reads(unnamed, "\"\" None 1 x\n").await;
    let padded = |count: usize| format!("--b{}\r\n\r\nx\r\n--b--", " ".repeat(count));
    assert_reads(&padded(64), "\"\" None 0 x\n").await;
    assert_reads(&padded(65), "Malformed 400: too many blanks behind a multipart boundary").await;
}

#[tokio::test]
async fn each_limit_lets_as_much_through_and_no_more() {
    let head = "A: 1\r\nB: 2";
    let content = format!("--b\r\n{head}\r\n\r\nx\r\n--b\r\n{head}\r\n\r\ny\r\n--b--");
    let both = "\"\" None 2 x\n\"\" None 2 y\n";
    let with =
        |parts, lines, bytes| MultipartLimits { max_parts: parts, max_header_lines: lines, max_head_bytes: bytes };
    assert_eq!(at_every_cut(content.as_bytes(), "b", &with(2, 4, head.len() + 2)).await, both);
    for (limits, message) in [
        (with(1, 4, 99), "\"\" None 2 x\nBodyTooLarge 413: too many parts"),
        (with(2, 3, 99), "\"\" None 2 x\nBodyTooLarge 413: too many header lines in all parts"),
        (with(2, 4, head.len() + 1), "BodyTooLarge 413: the head of a part is too large"),
        (with(0, 4, 99), "BodyTooLarge 413: too many parts"),
    ] {
        assert_eq!(at_every_cut(content.as_bytes(), "b", &limits).await, message);
    }
    assert_eq!(at_every_cut(b"--b\r\n\r\nx\r\n--b--", "b", &with(1, 0, 0)).await, "\"\" None 0 x\n");
}

#[tokio::test]
async fn by_default_there_are_a_thousand_parts_ten_thousand_lines_and_ten_mib_of_a_head() {
    let parts = |count: usize, head: &str| format!("{}--b--", format!("--b\r\n{head}\r\nx\r\n").repeat(count));
    let fails = async |content: String| {
        let told = read(body([content.as_bytes()]), "b", &MultipartLimits::default()).await;
        told.lines().last().is_some_and(|line| line.starts_with("BodyTooLarge 413"))
    };
    assert!(!fails(parts(1000, "")).await);
    assert!(fails(parts(1001, "")).await);
    assert!(!fails(parts(1000, &"A: b\r\n".repeat(10))).await);
    assert!(fails(parts(1000, &"A: b\r\n".repeat(11))).await);
    let head_of = |bytes: usize| parts(1, &format!("A: {}\r\n", "b".repeat(bytes - 5)));
    assert!(!fails(head_of(10 << 20)).await);
    assert!(fails(head_of((10 << 20) + 1)).await);
}

#[test]
fn boundaries_are_of_1_to_70_bytes_that_rfc_2046_allows() {
    for good in ["x", "0'()+_,-./:=?", "a b", "--", &"x".repeat(70)] {
        assert!(Boundary::new(good.as_bytes()).is_some(), "{good}");
    }
    for bad in ["", " ", "a ", "a\r\nb", "a\"b", "a;b", "a\tb", "\u{e9}", "a*b", "a\0", &"x".repeat(71)] {
        assert!(Boundary::new(bad.as_bytes()).is_none(), "{bad:?}");
    }
    let error = Multipart::new("", "a\"b").unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Malformed, Some(StatusCode::BAD_REQUEST)));
}

#[tokio::test]
async fn a_part_that_is_left_half_read_is_passed_over() {
    let content = format!("--b\r\n\r\n{}\r\n--b\r\n\r\nnext\r\n--b--", "x".repeat(1000));
    let mut multipart = Multipart::new(body(content.as_bytes().chunks(100)), "b").unwrap();
    let mut part = multipart.next_part().await.unwrap().unwrap();
    assert!(part.chunk().await.unwrap().is_some());
    let mut next = multipart.next_part().await.unwrap().unwrap();
    assert_eq!(next.text().await.unwrap(), "next");
}

#[tokio::test]
async fn a_part_is_read_whole_up_to_its_limit_and_the_next_one_can_be_read_after_it() {
    let content = "--b\r\n\r\nhello\r\n--b\r\n\r\nhello\r\n--b\r\n\r\n\u{e9}\r\n--b\r\n\r\n";
    let content = [content.as_bytes(), b"\xff\r\n--b--"].concat();
    let mut multipart = Multipart::new(body([&content[..]]), "b").unwrap();
    let error = multipart.next_part().await.unwrap().unwrap().bytes(4).await.unwrap_err();
    assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::BodyTooLarge, 413));
    assert_eq!(multipart.next_part().await.unwrap().unwrap().bytes(5).await.unwrap(), "hello");
    assert_eq!(multipart.next_part().await.unwrap().unwrap().text().await.unwrap(), "\u{e9}");
    let error = multipart.next_part().await.unwrap().unwrap().text().await.unwrap_err();
    assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::Malformed, 400));
    assert!(multipart.next_part().await.unwrap().is_none());
}

#[tokio::test]
async fn the_limit_of_the_body_holds_for_its_parts() {
    let mut content = Body::from("--b\r\n\r\nhello\r\n--b--");
    content.limit(10);
    let mut multipart = Multipart::new(content, "b").unwrap();
    assert_eq!(multipart.next_part().await.unwrap_err().kind(), ErrorKind::BodyTooLarge);
}

#[tokio::test]
async fn what_is_looked_at_grows_with_the_content_and_not_with_its_square() {
    let boundary = "x".repeat(70);
    let almost = format!("\r\n--{}", "x".repeat(69));
    let cases = [
        almost.repeat(1000),
        format!("\r\n--{boundary}{}y", " ".repeat(60)).repeat(500),
        format!("--{boundary}\r\n\r\n{}", "\r".repeat(60_000)),
        format!("--{boundary}\r\n\r\n{}", almost.repeat(1000)),
        format!("--{boundary}\r\n\r\n{}", format!("\r\n--{boundary}--y").repeat(1000)),
        format!("--{boundary}\r\nA: {}", "b".repeat(60_000)),
        format!("--{boundary}\r\n{}", "A: b\r\n".repeat(9_000)),
        format!("--{boundary}\r\n\r\n").repeat(900),
    ];
    for content in cases {
        // A piece is looked at together with what was undecided before it: at most a delimiter.
        for (piece, times) in [(1, 150), (64, 4), (4096, 2), (content.len(), 2)] {
            SCANNED.set(0);
            read(body(content.as_bytes().chunks(piece)), &boundary, &MultipartLimits::default()).await;
            let scanned = SCANNED.get();
            assert!(scanned <= times * content.len() + 1000, "{scanned} of {} by {piece}", content.len());
        }
    }
}

#[tokio::test]
async fn random_parts_come_back_as_they_were_written() {
    let mut random = RandomCuts(0x9e37_79b9_7f4a_7c15);
    for round in 0..200 {
        let boundary = random.boundary();
        // Pieces of delimiters, so that content comes close to them.
        let delimiter = format!("\r\n--{boundary}");
        let mut content = random.bytes(b"\r\nab", 20);
        content.extend_from_slice(b"\r\n");
        let mut expected = String::new();
        for n in 0..random.below(6) {
            let part = random.content(&delimiter);
            content.extend_from_slice(format!("--{boundary}\r\n{NAMED}{n}\r\n\r\n").as_bytes());
            content.extend_from_slice(&part);
            content.extend_from_slice(b"\r\n");
            writeln!(expected, "\"n{n}\" None 1 {}", part.escape_ascii()).unwrap();
        }
        content.extend_from_slice(format!("--{boundary}--").as_bytes());
        let mut pieces = Vec::new();
        let mut rest = &content[..];
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(1 + random.below(40)));
            pieces.push(piece);
            rest = after;
        }
        let told = read(body(pieces), &boundary, &MultipartLimits::default()).await;
        assert_eq!(told, expected, "round {round}: {}", content.escape_ascii());
    }
}

/// Xorshift: the same numbers each time.
struct RandomCuts(u64);

impl RandomCuts {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn bytes(&mut self, of: &[u8], most: usize) -> Vec<u8> {
        (0..self.below(most)).map(|_| of[self.below(of.len())]).collect()
    }

    fn boundary(&mut self) -> String {
        (0..=self.below(70)).map(|_| ["a", "b", "-", "'"][self.below(4)]).collect()
    }

    /// Bytes among which beginnings of the delimiter stand, and never the whole.
    fn content(&mut self, delimiter: &str) -> Vec<u8> {
        let mut content = Vec::new();
        for _ in 0..self.below(8) {
            content.extend_from_slice(&delimiter.as_bytes()[..self.below(delimiter.len())]);
            content.extend_from_slice(&self.bytes(b"\r\nxyz\0\xff", 30));
            content.push(b'#');
        }
        content
    }
}

#[tokio::test]
async fn quoted_printable_content_is_decoded_unless_it_is_asked_for_raw() {
    let content = "--b\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r\ncaf=C3=A9 =\r\nau lait \r\n--b\r\n\
         Content-Transfer-Encoding: base64\r\n\r\nPT09\r\n--b\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\n=zz\r\n--b--";
    for size in 1..content.len() {
        let mut multipart = Multipart::new(body(content.as_bytes().chunks(size)), "b").unwrap();
        let mut part = multipart.next_part().await.unwrap().unwrap();
        assert!(!part.header.contains("Content-Transfer-Encoding"));
        assert_eq!(part.text().await.unwrap(), "caf\u{e9} au lait", "in pieces of {size}");
        let mut part = multipart.next_part().await.unwrap().unwrap();
        assert_eq!(part.text().await.unwrap(), "PT09", "other encodings stay");
        let mut part = multipart.next_part().await.unwrap().unwrap();
        assert_eq!(part.text().await.unwrap_err().kind(), ErrorKind::Malformed);
        assert_eq!(multipart.next_part().await.unwrap_err().kind(), ErrorKind::Malformed, "the end of it all");
    }
    let mut multipart = Multipart::new(content, "b").unwrap();
    let mut part = multipart.next_raw_part().await.unwrap().unwrap();
    assert_eq!(part.header.get("Content-Transfer-Encoding"), Some("Quoted-Printable"));
    assert_eq!(part.text().await.unwrap(), "caf=C3=A9 =\r\nau lait ");
}

#[test]
fn no_two_boundaries_are_alike_and_each_is_one() {
    let (one, other) = (super::random_boundary(), super::random_boundary());
    assert_ne!(one, other);
    assert_eq!((one.len(), other.len()), (32, 32));
    assert!(super::Boundary::new(one.as_bytes()).is_some());
}
