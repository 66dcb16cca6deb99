//! The state of a group that its users, its requests and its tasks share.
//!
//! One lock holds the decisions, the endpoints and the senders of those that wait. It is held while something is
//! decided and never while anything is waited for; whoever gets room is told once it is released. A request that
//! was given room and is not there any more (its client left in that moment) gives the room back: its
//! [`QueuePlace`] does where it was told before it left, [`UpstreamGroup::tell`] where it left before. So none is lost.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::endpoint::Endpoint;
use super::health::Report;
use super::state::{Admitted, Balancer, Choice, QueueTicket, Wanted};

pub(super) struct UpstreamGroup {
    began: Instant,
    state: Mutex<GroupState>,
}

pub(super) struct GroupState {
    pub(super) balancer: Balancer,
    pub(super) endpoints: Vec<Arc<Endpoint>>,
    waiting: HashMap<QueueTicket, oneshot::Sender<Option<Given>>>,
}

/// Room at an endpoint that somebody has to take over, or give back.
type Given = (Arc<Endpoint>, Admitted);

/// What those are told that waited.
type Notices = VecDeque<(oneshot::Sender<Option<Given>>, Option<Given>)>;

/// Why a request has no endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoEndpoint {
    NobodyAvailable,
    QueueFull,
    WaitedTooLong,
}

impl GroupState {
    pub(super) fn endpoint(&self, admitted: Admitted) -> Option<Given> {
        let endpoint = self.endpoints.iter().find(|endpoint| endpoint.id == admitted.member)?;
        Some((endpoint.clone(), admitted))
    }

    fn take_told(&mut self) -> Notices {
        let grants = self.balancer.take_grants();
        let told = grants.into_iter().filter_map(|grant| {
            let sender = self.waiting.remove(&grant.ticket)?;
            Some((sender, grant.admitted.and_then(|admitted| self.endpoint(admitted))))
        });
        told.collect()
    }
}

impl UpstreamGroup {
    pub(super) fn new(balancer: Balancer) -> UpstreamGroup {
        let state = GroupState { balancer, endpoints: Vec::new(), waiting: HashMap::new() };
        UpstreamGroup { began: Instant::now(), state: Mutex::new(state) }
    }

    /// Decides something, and tells those whom it concerns.
    pub(super) fn decide<T>(&self, decision: impl FnOnce(Duration, &mut GroupState) -> T) -> T {
        let now = self.began.elapsed();
        let (decided, told) = {
            let mut state = self.state();
            let decided = decision(now, &mut state);
            (decided, state.take_told())
        };
        self.tell(told);
        decided
    }

    /// Room at an endpoint, now or when those before have had theirs. Dropped, it leaves the queue.
    pub(super) async fn room(
        self: &Arc<UpstreamGroup>,
        ask: impl FnOnce(&GroupState) -> Wanted,
    ) -> Result<Room, NoEndpoint> {
        let asked = self.decide(|now, state| {
            let wanted = ask(state);
            match state.balancer.choose(now, &wanted) {
                Choice::Member(admitted) => match state.endpoint(admitted) {
                    Some(given) => Asked::Given(given),
                    None => Asked::Refused(NoEndpoint::NobodyAvailable),
                },
                Choice::NobodyAvailable => Asked::Refused(NoEndpoint::NobodyAvailable),
                Choice::NoRoom => match state.balancer.wait(wanted) {
                    None => Asked::Refused(NoEndpoint::QueueFull),
                    Some(ticket) => {
                        let (sender, receiver) = oneshot::channel();
                        state.waiting.insert(ticket, sender);
                        Asked::Waits(ticket, receiver, state.balancer.limits.queue_timeout)
                    }
                },
            }
        });
        match asked {
            Asked::Given(given) => Ok(self.taken_over(given)),
            Asked::Refused(why) => Err(why),
            Asked::Waits(ticket, receiver, queue_timeout) => {
                let mut place = QueuePlace { group: self.clone(), ticket, receiver };
                match timeout(queue_timeout, &mut place.receiver).await {
                    Ok(Ok(Some(given))) => Ok(self.taken_over(given)),
                    Ok(_) => Err(NoEndpoint::NobodyAvailable),
                    Err(_) => Err(NoEndpoint::WaitedTooLong),
                }
            }
        }
    }

    fn taken_over(self: &Arc<UpstreamGroup>, (endpoint, admitted): Given) -> Room {
        Room { group: self.clone(), endpoint, admitted, has_reported: false }
    }

    fn tell(&self, mut told: Notices) {
        while let Some((sender, given)) = told.pop_front() {
            if let Err(Some((_, left))) = sender.send(given) {
                let now = self.began.elapsed();
                let mut state = self.state();
                state.balancer.finish(now, left);
                told.extend(state.take_told());
            }
        }
    }

    /// A panic under the lock could only be one of this module; the numbers are whole between two statements.
    fn state(&self) -> MutexGuard<'_, GroupState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Asked {
    Given(Given),
    Waits(QueueTicket, oneshot::Receiver<Option<Given>>, Duration),
    Refused(NoEndpoint),
}

/// A place in the queue, given up when it is dropped.
struct QueuePlace {
    group: Arc<UpstreamGroup>,
    ticket: QueueTicket,
    receiver: oneshot::Receiver<Option<Given>>,
}

impl Drop for QueuePlace {
    fn drop(&mut self) {
        self.group.decide(|_, state| {
            state.balancer.leave(self.ticket);
            state.waiting.remove(&self.ticket);
        });
        // Nothing is sent from here on: what was before lies in the channel, the rest finds it closed.
        self.receiver.close();
        if let Ok(Some((_, admitted))) = self.receiver.try_recv() {
            self.group.decide(|now, state| state.balancer.finish(now, admitted));
        }
    }
}

/// Room for one request at an endpoint, given back when it is dropped.
pub(super) struct Room {
    group: Arc<UpstreamGroup>,
    pub(super) endpoint: Arc<Endpoint>,
    admitted: Admitted,
    has_reported: bool,
}

impl Room {
    pub(super) fn report(&mut self, report: Report) {
        self.has_reported = true;
        self.group.decide(|now, state| state.balancer.report(now, self.admitted, report));
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.group.decide(|now, state| {
            if !self.has_reported {
                state.balancer.abandon(now, self.admitted);
            }
            state.balancer.finish(now, self.admitted);
        });
    }
}
