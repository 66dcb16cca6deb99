//! Clients that die in each phase of a connection, by each way to die, in each mode: what the handler
//! hears, why and when the connection closes, and that nothing of it stays.

use std::sync::Arc;

use nethttp::error::Phase;
use nethttp::server::{CloseReason, ConnInfo, ConnState, ServerEvent};
use nethttp::{ErrorKind, Server, handle_with};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, timeout};

use crate::moments::{MOMENTS, Moment, Seen, WORK, bring, die_on, exists};
use crate::paths::{ENDINGS, Ending, listener, server_tls};
use crate::site::{MODES, Mode};
use crate::support::{millis, secs, settle};

/// What came of a death: what the handler saw, why the connection closed, and how many seconds later.
type Outcome = (Option<Seen>, CloseReason, u64);

/// A server whose clients die.
struct Mourner {
    server: Server,
    dialer: crate::paths::Dialer,
    seen: UnboundedReceiver<Seen>,
    closed: UnboundedReceiver<CloseReason>,
}

fn serve(mode: Mode) -> Mourner {
    let (told, seen) = unbounded_channel();
    let mut server = Server::new(handle_with(told, die_on));
    server.on_event = Some(Arc::new(|_: &ServerEvent| {}));
    let (told, closed) = unbounded_channel();
    server.conn_state = Some(Arc::new(move |info: &ConnInfo, state| {
        if state == ConnState::Closed {
            told.send(info.reason.unwrap()).unwrap();
        }
    }));
    let (listener, dialer) = listener();
    let serving = server.clone();
    tokio::spawn(async move {
        match mode.is_secure() {
            true => serving.serve_tls(listener, &server_tls()).await,
            false => serving.serve(listener).await,
        }
    });
    Mourner { server, dialer, seen, closed }
}

impl Mourner {
    /// Lets a client come so far and die so. `None` where this mode has no such moment.
    async fn outcome(&mut self, mode: Mode, moment: Moment, ending: Ending) -> Option<Outcome> {
        if !exists(mode, moment) {
            return None;
        }
        settle().await;
        let before = Handle::current().metrics().num_alive_tasks();
        let (stream, switch) = self.dialer.dial();
        let peer = bring(mode, moment, stream).await;
        settle().await;
        assert_eq!(self.server.connections(), 1, "it is there");
        let died = Instant::now();
        let silent = match ending {
            Ending::Fin => {
                drop(peer);
                None
            }
            Ending::Reset => {
                switch.reset();
                None
            }
            Ending::Silence => Some(peer),
        };
        let reason = timeout(secs(1000), self.closed.recv()).await.expect("it does not stay").unwrap();
        // The closest second: who lingers does so for half of one.
        let after = (died.elapsed() + millis(490)).as_secs();
        drop(silent);
        settle().await;
        assert_eq!(self.server.connections(), 0);
        assert_eq!(Handle::current().metrics().num_alive_tasks(), before, "a task is left");
        Some((self.seen.try_recv().ok(), reason, after))
    }

    async fn assert_serves(&mut self, mode: Mode) {
        let (stream, _) = self.dialer.dial();
        let served = timeout(secs(5), bring(mode, Moment::Idle, stream)).await;
        drop(served.expect("the next one is served"));
        self.closed.recv().await.unwrap();
    }
}

/// What the handler sees, why the connection closes, and after how many seconds; `None` where the mode
/// has no such moment.
fn expected(mode: Mode, moment: Moment, ending: Ending) -> Option<Outcome> {
    use CloseReason::{
        BodyBroken, BodyUnread, HandlerFailed, HandshakeFailed, HeadTimeout, IdleTimeout, PeerGone, WriteFailed,
    };
    use Ending::{Fin, Reset, Silence};
    let failed = |kind, phase| Some(Seen::Failed(kind, Some(phase)));
    // Of HTTP/1 the connection ends with its exchange, of HTTP/2 with its peer or its idle time.
    let either = |http1, http2| if mode.is_http2() { http2 } else { http1 };
    let idle = if mode.is_http2() { 120 } else { 0 };
    Some(match (moment, ending) {
        _ if !exists(mode, moment) => return None,
        (Moment::Accepted | Moment::Handshake | Moment::Head, Silence) => (None, HeadTimeout, 10),
        (Moment::Accepted | Moment::Handshake, _) if mode.is_secure() => (None, HandshakeFailed, 0),
        (Moment::Accepted | Moment::Handshake | Moment::Head | Moment::Idle, Fin | Reset) => (None, PeerGone, 0),
        (Moment::Content, Fin) => (failed(ErrorKind::CutOff, Phase::Body), either(WriteFailed, PeerGone), 0),
        (Moment::Content, Reset) => (failed(ErrorKind::Io, Phase::Body), either(WriteFailed, PeerGone), 0),
        (Moment::Content, Silence) => {
            (failed(ErrorKind::TimedOut, Phase::Body), either(BodyBroken, IdleTimeout), 30 + idle)
        }
        // Of HTTP/1 an end in order is behind the content, which may still be read. A reset is noticed, and
        // so is the end of a session without its last word.
        (Moment::Unread, Fin) if !mode.is_http2() && !mode.is_secure() => {
            (Some(Seen::Nothing), WriteFailed, WORK.as_secs())
        }
        (Moment::Handler | Moment::Unread, Fin | Reset) => (Some(Seen::Cancelled), either(WriteFailed, PeerGone), 0),
        // The server cannot notice that it is gone: the handler does its work, and its response is lost.
        (Moment::Handler, Silence) => (Some(Seen::Nothing), IdleTimeout, WORK.as_secs() + 120),
        // A second for the rest of the content to come, and half of one to linger.
        (Moment::Unread, Silence) => (Some(Seen::Nothing), either(BodyUnread, IdleTimeout), WORK.as_secs() + 1 + idle),
        (Moment::Answer, Fin | Reset) => (failed(ErrorKind::Io, Phase::Write), either(HandlerFailed, PeerGone), 0),
        (Moment::Answer, Silence) => {
            (failed(ErrorKind::TimedOut, Phase::Write), either(HandlerFailed, IdleTimeout), 30 + idle)
        }
        (Moment::Idle, Silence) => (None, IdleTimeout, 120),
    })
}

#[tokio::test(start_paused = true)]
async fn a_client_that_dies_in_any_phase_is_noticed_and_forgotten() {
    for mode in MODES {
        let mut mourner = serve(mode);
        for moment in MOMENTS {
            for ending in ENDINGS {
                let outcome = mourner.outcome(mode, moment, ending).await;
                assert_eq!(outcome, expected(mode, moment, ending), "{mode:?} {moment:?} {ending:?}");
                mourner.assert_serves(mode).await;
            }
        }
    }
}
