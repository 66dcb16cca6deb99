//! Bytes to send, with things to do between them: the byte 0xff and a letter.
//!
//! So seeds are readable HTTP, and each mutation of them is a script too.

/// One step of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Send(Vec<u8>),
    /// Lets all tasks run, or just ends a piece of what is sent.
    Settle,
    /// A second passes.
    Wait,
    /// More time passes than any limit on a peer that does nothing.
    WaitLong,
    /// No more bytes in this direction.
    HalfClose,
    /// The connection is gone in both directions.
    Reset,
    /// No more bytes are taken, until `ReadOn`.
    StopReading,
    ReadOn,
    /// So many bytes are taken.
    ReadSome,
    /// Where a script has two parts: the second begins.
    Next,
    /// Anywhere in a script: the connection holds few bytes.
    SmallBuffers,
}

/// More steps than this find nothing new.
const MAX_STEP_COUNT: usize = 64;

pub fn script(data: &[u8]) -> Vec<Step> {
    let (mut steps, mut rest) = (Vec::new(), data);
    while !rest.is_empty() && steps.len() < MAX_STEP_COUNT {
        let at = rest.iter().position(|b| *b == 0xff).unwrap_or(rest.len());
        let (bytes, from_escape) = rest.split_at(at);
        if !bytes.is_empty() {
            steps.push(Step::Send(bytes.to_vec()));
        }
        let (step, len) = match from_escape.get(1) {
            _ if from_escape.is_empty() => break,
            Some(b',') => (Step::Settle, 2),
            Some(b'w') => (Step::Wait, 2),
            Some(b'W') => (Step::WaitLong, 2),
            Some(b'h') => (Step::HalfClose, 2),
            Some(b'r') => (Step::Reset, 2),
            Some(b's') => (Step::StopReading, 2),
            Some(b'g') => (Step::ReadOn, 2),
            Some(b't') => (Step::ReadSome, 2),
            Some(b'n') => (Step::Next, 2),
            Some(b'b') => (Step::SmallBuffers, 2),
            // More than is copied into a buffer of the connection's own.
            Some(b'x') => (Step::Send(vec![b'x'; 5000]), 2),
            // A byte 0xff to be sent.
            _ => (Step::Send(vec![0xff]), 1),
        };
        steps.push(step);
        rest = &from_escape[len..];
    }
    steps
}

/// How many bytes may be on their way in each direction.
pub fn buffer(steps: &[Step]) -> usize {
    if steps.contains(&Step::SmallBuffers) { 16 } else { 64 * 1024 }
}
