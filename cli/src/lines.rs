//! Lines for standard error, written by a thread that does nothing else.
//!
//! Standard error may be a pipe whose reader has stopped. A write to it waits then, and with it everything on its
//! thread: the connections of a runtime, and the end of the command. So those who serve put their lines into a queue.
//! When the queue is full lines are left out, and once there is room again a line says how many.

use std::io::Write as _;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// As much waits, some thousand lines, while as much at most is being written.
const MAX_WAITING_BYTES: usize = 1024 * 1024;

/// So long the end of the command waits for the reader.
const FINISH_TIMEOUT: Duration = Duration::from_secs(1);

static QUEUE: LineQueue = LineQueue::new();

/// Puts a line on standard error, soon. Never waits for the reader.
pub(crate) fn put_line(line: &str) {
    if QUEUE.push(line) {
        // Ends with the command.
        let started = thread::Builder::new().name("log".to_owned()).spawn(|| {
            loop {
                let text = QUEUE.take();
                // If standard error is closed, serving goes on.
                let _ = std::io::stderr().write_all(&text);
            }
        });
        if let Err(error) = started {
            QUEUE.lock().writer = LineWriter::Missing;
            let _ =
                writeln!(std::io::stderr(), "nethttp: there is no thread for the log, so nothing is logged: {error}");
        }
    }
}

/// Waits until all lines are written, but not for long where nobody reads them. Before the command ends.
pub(crate) fn finish() {
    QUEUE.finish(FINISH_TIMEOUT);
}

struct LineQueue {
    state: Mutex<WaitingLines>,
    /// Somebody has put a line, or the writer is done with all of them.
    changed: Condvar,
}

struct WaitingLines {
    text: Vec<u8>,
    lost_count: u64,
    writer: LineWriter,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LineWriter {
    NotStarted,
    Idle,
    Writing,
    /// It could not be started.
    Missing,
}

impl LineQueue {
    const fn new() -> LineQueue {
        let state = WaitingLines { text: Vec::new(), lost_count: 0, writer: LineWriter::NotStarted };
        LineQueue { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, WaitingLines> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether the writer is to be started.
    fn push(&self, line: &str) -> bool {
        let mut state = self.lock();
        if state.writer == LineWriter::Missing {
            return false;
        }
        if state.text.len().saturating_add(line.len()) >= MAX_WAITING_BYTES {
            state.lost_count = state.lost_count.saturating_add(1);
            return false;
        }
        state.text.extend_from_slice(line.as_bytes());
        state.text.push(b'\n');
        let starts = state.writer == LineWriter::NotStarted;
        if starts {
            // It is from now on.
            state.writer = LineWriter::Writing;
        }
        if state.writer == LineWriter::Idle {
            self.changed.notify_all();
        }
        starts
    }

    /// All lines that wait, once there are some.
    fn take(&self) -> Vec<u8> {
        let mut state = self.lock();
        while state.text.is_empty() && state.lost_count == 0 {
            state.writer = LineWriter::Idle;
            self.changed.notify_all();
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.writer = LineWriter::Writing;
        let mut text = std::mem::take(&mut state.text);
        let lost_count = std::mem::take(&mut state.lost_count);
        if lost_count > 0 {
            let line =
                format!("nethttp: {lost_count} lines of the log are lost: standard error took them too slowly\n");
            text.extend_from_slice(line.as_bytes());
        }
        text
    }

    fn finish(&self, limit: Duration) {
        let until = Instant::now() + limit;
        let mut state = self.lock();
        while matches!(state.writer, LineWriter::Writing) || !state.text.is_empty() || state.lost_count > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || state.writer == LineWriter::Missing {
                return;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_nobody_takes_are_counted_and_the_others_stay_in_order() {
        let queue = LineQueue::new();
        let line = "x".repeat(MAX_WAITING_BYTES / 4);
        assert!(queue.push("first"), "the first one starts the writer");
        for _ in 0..6 {
            assert!(!queue.push(&line));
        }
        let text = String::from_utf8(queue.take()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines[0], lines.len()), ("first", 5));
        assert!(lines[4].starts_with("nethttp: 3 lines of the log are lost"), "{}", lines[4]);
        queue.push("next");
        assert_eq!(queue.take(), b"next\n");
    }

    #[test]
    fn the_end_waits_for_the_writer_and_not_for_ever() {
        let queue = LineQueue::new();
        queue.finish(Duration::from_secs(60));
        queue.push("never written");
        queue.finish(Duration::from_millis(1));
    }
}
