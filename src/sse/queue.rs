//! A bounded queue of events, between those who have them and the response that sends them.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use tokio::sync::Notify;

use super::event::Event;
use crate::error::{Error, ErrorKind, Result};

/// What becomes of an event when the queue is full, because its reader is slower than the events come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SlowReader {
    /// The sender waits.
    Wait,
    /// The oldest event in the queue is dropped: for events of which the newest says all.
    DropOldest,
    /// The reader is disconnected, and the queue dropped. A browser connects again with `Last-Event-ID`, and can be
    /// sent what it has missed.
    Disconnect,
}

/// A queue of this many events at most (at least one), with a rule for a reader that is slow.
///
/// One queue has one reader, so that each client has a pace of its own.
///
/// ```
/// use nethttp::sse::{self, Event, SlowReader};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> nethttp::Result<()> {
/// let (sender, mut events) = sse::channel(2, SlowReader::DropOldest);
/// for number in 1..=3 {
///     sender.send(Event::new(number.to_string())).await?;
/// }
/// assert_eq!(events.recv().await.unwrap().data, "2");
/// assert_eq!(sender.dropped(), 1);
/// # Ok(())
/// # }
/// ```
pub fn channel(capacity: usize, rule: SlowReader) -> (EventSender, EventReceiver) {
    let queue = Arc::new(EventQueue {
        capacity: capacity.max(1),
        rule,
        state: Mutex::new(QueueState { senders: 1, ..QueueState::default() }),
        room: Notify::new(),
    });
    (EventSender(queue.clone()), EventReceiver(queue))
}

/// The end of a [`channel`] where events go in. Clones send into the same queue.
pub struct EventSender(Arc<EventQueue>);

/// The end of a [`channel`] where events come out: for [`EventStream::send_from`](super::EventStream::send_from),
/// and a [`Stream`] for [`response`](super::response()). Dropping it makes every later send fail.
pub struct EventReceiver(Arc<EventQueue>);

struct EventQueue {
    capacity: usize,
    rule: SlowReader,
    state: Mutex<QueueState>,
    /// Wakes one sender for each event that was taken, and all when the reader is gone.
    room: Notify,
}

#[derive(Default)]
struct QueueState {
    events: VecDeque<Event>,
    senders: usize,
    dropped: u64,
    reader: ReaderState,
    /// Of the reader, which waits for an event, or while it writes for its being disconnected.
    waker: Option<Waker>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum ReaderState {
    #[default]
    Reads,
    /// The queue was full, and its rule is to disconnect.
    Overrun,
    Gone,
}

impl EventSender {
    /// Puts an event into the queue. It waits only where that is the rule for a queue that is full. Dropped while it
    /// waits, it has sent nothing.
    ///
    /// # Errors
    /// Those of [`Event::encode`]; [`ErrorKind::RequestOver`] when the reader has left or was disconnected.
    pub async fn send(&self, event: Event) -> Result<()> {
        event.encode()?;
        let mut event = Some(event);
        loop {
            // Made before the look at the queue: a reader that leaves in between wakes it too.
            let room = self.0.room.notified();
            if self.0.push(&mut event)? {
                return Ok(());
            }
            room.await;
        }
    }

    /// Whether the reader has left or was disconnected.
    pub fn is_closed(&self) -> bool {
        self.0.lock().reader != ReaderState::Reads
    }

    /// How many events were dropped because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.0.lock().dropped
    }
}

impl Clone for EventSender {
    fn clone(&self) -> EventSender {
        self.0.lock().senders += 1;
        EventSender(self.0.clone())
    }
}

impl Drop for EventSender {
    fn drop(&mut self) {
        let waker = {
            let mut state = self.0.lock();
            state.senders = state.senders.saturating_sub(1);
            if state.senders == 0 { state.waker.take() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl EventReceiver {
    /// The next event; `None` when all senders are gone and the queue is empty, and when the reader was disconnected
    /// because it was too slow. Cancel safe.
    pub async fn recv(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Whether the reader was disconnected because the queue was full.
    pub fn is_overrun(&self) -> bool {
        self.0.lock().reader == ReaderState::Overrun
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let event = {
            let mut state = self.0.lock();
            if let Some(event) = state.events.pop_front() {
                event
            } else if state.senders == 0 || state.reader == ReaderState::Overrun {
                return Poll::Ready(None);
            } else {
                state.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
        };
        self.0.room.notify_one();
        Poll::Ready(Some(event))
    }

    /// Ready when the reader was disconnected.
    pub(super) fn poll_overrun(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if state.reader == ReaderState::Overrun {
            return Poll::Ready(());
        }
        if self.0.rule == SlowReader::Disconnect {
            state.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Stream for EventReceiver {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.get_mut().poll_recv(cx)
    }
}

impl Drop for EventReceiver {
    fn drop(&mut self) {
        let events = {
            let mut state = self.0.lock();
            state.reader = ReaderState::Gone;
            std::mem::take(&mut state.events)
        };
        drop(events);
        self.0.room.notify_waiters();
    }
}

impl EventQueue {
    /// Takes the event, if there is room or the rule makes some; `false` where the sender has to wait.
    fn push(&self, event: &mut Option<Event>) -> Result<bool> {
        let (waker, is_overrun) = {
            let mut state = self.lock();
            if state.reader != ReaderState::Reads {
                return Err(closed());
            }
            let is_full = state.events.len() >= self.capacity;
            match self.rule {
                SlowReader::Wait if is_full => return Ok(false),
                SlowReader::DropOldest if is_full => {
                    state.events.pop_front();
                    state.dropped += 1;
                }
                SlowReader::Disconnect if is_full => {
                    state.dropped += state.events.len() as u64 + 1;
                    state.events = VecDeque::new();
                    state.reader = ReaderState::Overrun;
                }
                _ => {}
            }
            let is_overrun = state.reader == ReaderState::Overrun;
            if !is_overrun {
                state.events.extend(event.take());
            }
            (state.waker.take(), is_overrun)
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        if is_overrun { Err(closed()) } else { Ok(true) }
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::RequestOver, "the reader of these events is gone")
}

impl fmt::Debug for EventSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.format("EventSender", f)
    }
}

impl fmt::Debug for EventReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.format("EventReceiver", f)
    }
}

impl EventQueue {
    fn format(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queued = self.lock().events.len();
        f.debug_struct(name)
            .field("rule", &self.rule)
            .field("capacity", &self.capacity)
            .field("queued", &queued)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: u32) -> Event {
        Event::new(number.to_string())
    }

    async fn rest(mut events: EventReceiver) -> Vec<String> {
        let mut texts = Vec::new();
        while let Some(event) = events.recv().await {
            texts.push(event.data);
        }
        texts
    }

    #[tokio::test]
    async fn a_full_queue_holds_its_senders_up_and_each_event_that_is_taken_lets_one_go_on() {
        let (sender, mut events) = channel(1, SlowReader::Wait);
        sender.send(event(0)).await.unwrap();
        let tasks = [1, 2].map(|number| {
            let sender = sender.clone();
            tokio::spawn(async move { sender.send(event(number)).await })
        });
        tokio::task::yield_now().await;
        assert!(tasks.iter().all(|task| !task.is_finished()));
        assert_eq!(events.recv().await.unwrap().data, "0");
        assert_eq!(events.recv().await.unwrap().data, "1");
        drop(sender);
        assert_eq!(rest(events).await, ["2"]);
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn the_oldest_are_dropped_where_the_newest_count() {
        let (sender, events) = channel(2, SlowReader::DropOldest);
        for number in 0..5 {
            sender.send(event(number)).await.unwrap();
        }
        assert_eq!(sender.dropped(), 3);
        drop(sender);
        assert_eq!(rest(events).await, ["3", "4"]);
    }

    #[tokio::test]
    async fn a_reader_that_is_overrun_is_gone_and_its_queue_too() {
        let (sender, events) = channel(2, SlowReader::Disconnect);
        sender.send(event(0)).await.unwrap();
        sender.send(event(1)).await.unwrap();
        assert_eq!(sender.send(event(2)).await.unwrap_err().kind(), ErrorKind::RequestOver);
        assert!(sender.is_closed() && events.is_overrun());
        assert_eq!(sender.dropped(), 3);
        assert_eq!(sender.send(event(3)).await.unwrap_err().kind(), ErrorKind::RequestOver);
        assert!(rest(events).await.is_empty(), "it ends though a sender is there");
    }

    #[tokio::test]
    async fn a_reader_that_leaves_fails_those_who_wait() {
        let (sender, events) = channel(1, SlowReader::Wait);
        sender.send(event(0)).await.unwrap();
        let waits = tokio::spawn({
            let sender = sender.clone();
            async move { sender.send(event(1)).await }
        });
        tokio::task::yield_now().await;
        drop(events);
        assert_eq!(waits.await.unwrap().unwrap_err().kind(), ErrorKind::RequestOver);
        assert!(sender.is_closed());
    }

    #[tokio::test]
    async fn an_event_that_cannot_be_sent_is_refused_before_it_is_in_the_queue() {
        let (sender, events) = channel(1, SlowReader::Wait);
        assert_eq!(sender.send(Event::named("a\nb", "")).await.unwrap_err().kind(), ErrorKind::Invalid);
        drop(sender);
        assert!(rest(events).await.is_empty());
    }
}
