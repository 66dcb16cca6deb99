//! The same scripts, into this engine and into the `h2` crate: where one judges otherwise, the reason is here.
//!
//! Each script of the other files runs against a server or a client of that crate too, which does what the
//! programs of `peer` do. Compared is what a peer can tell: which streams are answered (or, of a client, which
//! responses were seen), which are reset, and with which code the connection ends.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

use super::super::frame::FrameKind;
use super::peer::{self, Outcome, SentFrame};
use super::*;

/// Scripts that the crate judges otherwise: why, what it says, and which.
struct Difference {
    why: &'static str,
    theirs: &'static str,
    scripts: &'static [&'static str],
}

const DIFFERENT: [Difference; 13] = [
    Difference {
        why: "RFC 9113 §4.3: what cannot be decoded is COMPRESSION_ERROR. The crate has one code for all frames \
              that it cannot read",
        theirs: "G1",
        scripts: &[
            "client: a literal that is cut off",
            "client: a table size too large",
            "client: fields that cannot be decoded",
            "server: a block of padding alone",
            "server: a block that is cut off",
            "server: a literal that is cut off",
            "server: a name of an index that is not there",
            "server: a table size at the end",
            "server: a table size too large",
            "server: an empty table forgets",
            "server: an index that is not there",
            "server: an integer without an end",
            "server: eos in a string",
            "server: index 0",
            "server: padding of a string over 7 bits",
            "server: padding of a string with zeros",
        ],
    },
    Difference {
        why: "RFC 9113 §4.2: a wrong size is FRAME_SIZE_ERROR",
        theirs: "G1",
        scripts: &[
            "client: an acknowledgment with content",
            "client: data without room for its padding",
            "client: goaway of a wrong size",
            "client: headers without room for its padding",
            "client: ping of a wrong size",
            "client: rst_stream of 5 bytes",
            "client: rst_stream of a wrong size",
            "client: settings of a wrong size",
            "client: window_update of 5 bytes on a stream",
            "client: window_update of a wrong size",
            "server: an acknowledgment with content",
            "server: data without room for its length",
            "server: goaway of a wrong size",
            "server: headers without room for its length",
            "server: idle: priority of a wrong size",
            "server: no room for a priority",
            "server: ping of a wrong size",
            "server: rst_stream of 3 bytes",
            "server: rst_stream of 5 bytes",
            "server: settings of a wrong size",
            "server: window_update of a wrong size",
        ],
    },
    Difference {
        why: "RFC 9113 §6.5.2 names FLOW_CONTROL_ERROR for it",
        theirs: "G1",
        scripts: &["client: initial_window_size too large", "server: initial_window_size too large"],
    },
    Difference {
        why: "RFC 9113 §6.3 and §6.9: these are errors of the stream, and the connection goes on",
        theirs: "G1",
        scripts: &[
            "client: priority of a wrong size",
            "client: window_update by 0 on a stream",
            "server: priority of a wrong size",
            "server: reset here: all that comes",
            "server: window_update by 0 on a stream",
        ],
    },
    Difference {
        why: "RFC 9113 §8.1.1: a malformed message is an error of its stream, however it is malformed",
        theirs: "G1",
        scripts: &[
            "client: a field in capitals",
            "client: a status below 100",
            "client: a status of letters",
            "client: a status of two digits",
            "client: a status that is none",
            "client: a value with the end of a line",
            "client: an empty status",
            "client: an unknown pseudo-field",
            "client: content before it",
            "client: content behind an interim one",
            "server: a name",
            "server: a name in capitals",
            "server: a name with a colon inside",
            "server: a value",
            "server: a value with a line's end",
            "server: a value with nul",
            "server: an empty name",
            "server: an unknown pseudo-field",
            "server: one with a name in capitals",
        ],
    },
    Difference {
        why: "RFC 9113 §8.1.1: the same, where the crate gives the stream up and tells its peer nothing",
        theirs: "+",
        scripts: &[
            "client: 101",
            "client: a length with a sign",
            "client: an empty block",
            "client: an interim one that ends the stream",
            "client: no status",
            "client: none in place of some",
            "client: two lengths",
        ],
    },
    Difference {
        why: "RFC 9113 §8.1 and §8.3, RFC 9110 §5.1: the crate lets these pass",
        theirs: "",
        scripts: &[
            "client: a field of requests",
            "client: a trailer with a status",
            "server: a quotation mark in a name",
            "server: connect without a host",
            "server: one with a pseudo-field",
        ],
    },
    Difference {
        why: "RFC 9113 §6.5.2 (a server must not allow pushes), RFC 9218 §2.1 and §7.1: the crate does not look",
        theirs: "+",
        scripts: &[
            "client: enable_push of 1",
            "client: priority_update",
            "server: no_rfc7540_priorities of 2",
            "server: of a stream that only a push opens",
            "server: of a wrong size",
            "server: of stream 0",
            "server: on a stream",
        ],
    },
    Difference {
        why: "RFC 9113 §5.1 leaves the choice: here DATA that is late ends its stream, and a head that is late the \
              connection (see `oracle`); the crate does the opposite as a client, and ends the connection for \
              both as a server",
        theirs: "R1:5 +",
        scripts: &["client: closed: headers", "client: half-closed: data"],
    },
    Difference {
        why: "the same, of a server; §5.1 has half-closed (remote) as an error of the stream",
        theirs: "G1",
        scripts: &[
            "server: closed: data",
            "server: closed: headers",
            "server: half-closed: data",
            "server: half-closed: headers",
            "server: reset by the peer: headers",
            // RFC 9113 §6.5.3 says nothing of it.
            "server: an acknowledgment that nobody waits for",
        ],
    },
    Difference {
        why: "RFC 9113 §6.4: a stream that is idle cannot be reset",
        theirs: "R3:1 +",
        scripts: &["server: the same on an idle stream"],
    },
    Difference {
        why: "RFC 9113 §6.8: a client that goes opens no streams, and what it has begun is served; the crate says \
              GOAWAY too",
        theirs: "G0",
        scripts: &[
            "server: a client that goes still gets its answers",
            "server: goaway",
            "server: unknown goaway code",
        ],
    },
    Difference {
        why: "the programs differ here: that of `peer` resets a stream whose answer has come, and the crate's has \
              not answered yet when the reset comes",
        theirs: "",
        scripts: &[
            "client: an early answer, and no more of the request wanted",
            "server: closed: window_update, rst_stream and priority",
        ],
    },
];

/// What a peer can tell of what became of its script.
#[derive(Debug, PartialEq, Eq)]
struct Judgement {
    /// What a server answered with 200 and to the end, or the final statuses that a client saw.
    answered: BTreeMap<u32, u16>,
    resets: BTreeSet<(u32, u32)>,
    goaway: Option<u32>,
    /// The PING behind the script was answered.
    goes_on: bool,
}

/// `A1` for an answer, `R1:5` for a reset with code 5, `G1` for the end of the connection with code 1, and `+`
/// where it goes on.
impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(code) = self.goaway {
            // What was done of a script before the fault depends on when a program was polled.
            return write!(f, "G{code}");
        }
        for (id, status) in &self.answered {
            match status {
                200 => write!(f, "A{id} ")?,
                other => write!(f, "A{id}:{other} ")?,
            }
        }
        self.resets.iter().try_for_each(|(id, code)| write!(f, "R{id}:{code} "))?;
        f.write_str(if self.goes_on { "+" } else { "." })
    }
}

impl Judgement {
    fn of(frames: &[SentFrame], mut answered: BTreeMap<u32, u16>) -> Judgement {
        let number = |frame: &SentFrame, at: usize| u32::from_be_bytes(frame.payload[at..at + 4].try_into().unwrap());
        let of_kind = |kind| frames.iter().filter(move |frame| frame.kind == kind);
        let resets: BTreeSet<_> = of_kind(FrameKind::RstStream).map(|frame| (frame.id, number(frame, 0))).collect();
        // The same: one is answered before it is reset, or only reset.
        answered.retain(|id, _| !resets.iter().any(|(reset, _)| reset == id));
        Judgement {
            answered,
            resets,
            goaway: of_kind(FrameKind::Goaway).next_back().map(|frame| number(frame, 4)),
            goes_on: of_kind(FrameKind::Ping).any(|frame| frame.payload == b"behind!!"),
        }
    }
}

/// Holds what came of a script against what the crate makes of it.
pub(super) fn compare(role: Role, name: &str, script: &[u8], outcome: &Outcome) {
    let ours = match role {
        Role::Server => Judgement::of(&outcome.frames, answers(&outcome.frames)),
        Role::Client => Judgement::of(&outcome.frames, told_responses(&outcome.told)),
    };
    let (ours, theirs) = (ours.to_string(), judged_by_the_crate(role, script));
    let key = format!("{role:?}: {name}").to_lowercase();
    match DIFFERENT.iter().find(|difference| difference.scripts.contains(&&*key)) {
        Some(Difference { why, theirs: expected, .. }) => {
            assert!(expected.is_empty() || theirs == *expected, "{key}: {theirs}, of which it says: {why}");
            assert_ne!(theirs, ours, "{key} is judged alike now: {why}");
        }
        None => assert_eq!(theirs, ours, "{key}: the crate, and this engine: {:?}", outcome.told),
    }
}

#[test]
fn a_script_is_among_the_differences_once() {
    let mut all: Vec<_> = DIFFERENT.iter().flat_map(|difference| difference.scripts).collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
}

fn answers(frames: &[SentFrame]) -> BTreeMap<u32, u16> {
    peer::answered(frames).into_iter().map(|id| (id, 200)).collect()
}

/// `response 200 of 1, …`, and no interim one.
fn told_responses(told: &[String]) -> BTreeMap<u32, u16> {
    let of = |told: &String| {
        let (status, id) = told.strip_prefix("response ")?.split(',').next()?.split_once(" of ")?;
        Some((id.parse().ok()?, status.parse().ok()?))
    };
    told.iter().filter_map(of).filter(|(_, status)| *status >= 200).collect()
}

fn judged_by_the_crate(role: Role, script: &[u8]) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (mut peer, io) = tokio::io::duplex(1 << 20);
        let seen = Arc::new(Mutex::new(BTreeMap::new()));
        let program = match role {
            Role::Server => tokio::spawn(serve(io)),
            Role::Client => tokio::spawn(ask(io, Arc::clone(&seen))),
        };
        let mut sent = Vec::new();
        until_quiet(&mut peer, &mut sent).await;
        // A program that has ended takes no more, and its bytes are here all the same.
        let _ = peer.write_all(script).await;
        until_quiet(&mut peer, &mut sent).await;
        if program.is_finished() && program.await.is_err_and(|error| error.is_panic()) {
            return "panic".to_owned();
        }
        let frames = peer::frames(&sent);
        let seen = seen.lock().unwrap().clone();
        let answered = if role == Role::Server { answers(&frames) } else { seen };
        Judgement::of(&frames, answered).to_string()
    })
}

/// Reads until nothing has come for a while, in which all that could be done was done: time is paused.
async fn until_quiet(peer: &mut DuplexStream, sent: &mut Vec<u8>) {
    while let Ok(Ok(1..)) = tokio::time::timeout(Duration::from_millis(100), peer.read_buf(sent)).await {}
}

/// Answers each request once it is whole. Ends with its connection.
async fn serve(io: DuplexStream) {
    let handshake = ::h2::server::Builder::new().max_concurrent_streams(10).handshake::<_, Bytes>(io);
    let Ok(mut connection) = handshake.await else { return };
    while let Some(accepted) = connection.accept().await {
        let Ok((request, respond)) = accepted else { break };
        // Ends with its stream.
        tokio::spawn(answer(request.into_body(), respond));
    }
    // A fault is said to the peer before all ends.
    let _ = std::future::poll_fn(|cx| connection.poll_closed(cx)).await;
}

async fn answer(mut content: ::h2::RecvStream, mut respond: ::h2::server::SendResponse<Bytes>) -> Option<()> {
    read_all(&mut content).await?;
    let mut sender = respond.send_response(http::Response::new(()), false).ok()?;
    sender.send_data(Bytes::from_static(b"hello"), true).ok()
}

async fn read_all(content: &mut ::h2::RecvStream) -> Option<()> {
    while let Some(piece) = content.data().await {
        content.flow_control().release_capacity(piece.ok()?.len()).ok()?;
    }
    content.trailers().await.ok().map(|_| ())
}

/// Sends a GET and a POST that never ends, and keeps what is answered.
async fn ask(io: DuplexStream, seen: Arc<Mutex<BTreeMap<u32, u16>>>) {
    let mut builder = ::h2::client::Builder::new();
    let Ok((mut client, connection)) = builder.enable_push(false).handshake::<_, Bytes>(io).await else { return };
    // Ends with its connection.
    let connection: JoinHandle<_> = tokio::spawn(connection);
    let mut open = Vec::new();
    for (method, ends) in [(http::Method::GET, true), (http::Method::POST, false)] {
        let request = http::Request::builder().method(method).uri("http://a/").body(()).unwrap();
        let Ok((response, sender)) = client.send_request(request, ends) else { return };
        open.push(sender);
        let (id, seen) = (response.stream_id().as_u32(), Arc::clone(&seen));
        // Ends with its stream.
        tokio::spawn(async move {
            let Ok(response) = response.await else { return };
            seen.lock().unwrap().insert(id, response.status().as_u16());
            read_all(&mut response.into_body()).await;
        });
    }
    if let Err(error) = connection.await {
        assert!(!error.is_panic(), "{error}");
    }
}
