//! Which upstream a request goes to, and who waits: decisions without a clock, a socket or a task.
//!
//! Time is a number, the time since the group was made. Each call is one thing that has happened; what follows
//! from it for those that wait is left in `grants`, which the caller takes and hands out once its lock is
//! released.
//!
//! A member takes requests while it is *available*: neither draining nor removed, not failed by its health
//! check, not out after failures. Out ends by time, and then one request tries it alone: its success brings the
//! member back in, its failure takes it out for as long again, and if its client leaves, the next one tries.
//! A member has *room* while fewer requests are under way than it may have.
//!
//! Who finds room goes at once. Who finds none, though somebody is available, waits in one queue for all
//! members, and is refused when the queue is full. Who finds nobody available is refused at once, in the queue
//! too: waiting would be in vain. What always holds between two calls: no member that is available and has room
//! could take anybody who waits. So nobody overtakes, and room that becomes free is never forgotten. Only time
//! can break this (a member's being out ends), and so each call that may hand out room serves the queue first.

use std::collections::VecDeque;
use std::time::Duration;

use super::health::{Admission, MemberHealth, Report, UpstreamLimits};
use super::policy::{Candidate, RandomNumbers, pick};
use super::settings::LoadBalancing;

/// A member of a group. Never used twice, so that a late report finds the one that it means, or nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct MemberId(pub(super) u64);

/// A place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct QueueTicket(u64);

/// What a member is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MemberSpec {
    /// Distinguishes it from the others. A member of the same name is the same one, with its history.
    pub(super) name: Box<str>,
    /// Where the hash policies see it.
    pub(super) hash: u64,
    pub(super) weight: u32,
    /// 0 is no limit.
    pub(super) max_connections: usize,
}

/// What a request asks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// For the hash policies; without one, the request goes round robin.
    pub(super) key: Option<u64>,
    /// Those that have failed this request already.
    pub(super) tried: Vec<MemberId>,
}

/// What became of asking for an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Member(Admitted),
    /// All that are available have as many requests as they may.
    NoRoom,
    /// Nobody is available, or nobody that was not tried.
    NobodyAvailable,
}

/// A request that counts as under way at a member, until [`Balancer::finish`] is called with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Admitted {
    pub(super) member: MemberId,
    admission: Admission,
}

/// What one who waits is told. `None`: nobody is available any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) ticket: QueueTicket,
    pub(super) admitted: Option<Admitted>,
}

/// The members, and who waits for one.
pub(super) struct Balancer {
    pub(super) policy: LoadBalancing,
    pub(super) limits: UpstreamLimits,
    members: Vec<Member>,
    waiting: VecDeque<(QueueTicket, Wanted)>,
    grants: Vec<Grant>,
    random: RandomNumbers,
    last_id: u64,
}

/// One upstream and its history.
pub(super) struct Member {
    pub(super) id: MemberId,
    pub(super) spec: MemberSpec,
    pub(super) health: MemberHealth,
    pub(super) in_flight: usize,
    pub(super) duty: Duty,
    /// How often it was chosen.
    pub(super) chosen_count: u64,
    pub(super) failed_count: u64,
    /// How far it is behind its share, for round robin.
    credit: i64,
    abandoned: Abandoned,
}

/// Requests whose clients left before anything was answered. For as long as a failure would leave the member out,
/// and until it answers something, they count as load: else one that is stuck would look idle as soon as its
/// clients give up, and get the more requests the fewer it answers.
#[derive(Clone, Copy, Debug, Default)]
struct Abandoned {
    count: usize,
    until: Duration,
}

/// Whether a member is to take requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    Serving,
    /// Takes no more, until it is told to again.
    Draining,
    /// Is gone once its last request is over.
    Removed,
}

impl Member {
    fn is_available(&self, now: Duration) -> bool {
        self.duty == Duty::Serving && self.health.is_available(now)
    }

    /// The requests that it seems to be busy with.
    fn load(&self, now: Duration) -> usize {
        let abandoned = if now < self.abandoned.until { self.abandoned.count } else { 0 };
        self.in_flight.saturating_add(abandoned)
    }

    fn has_room(&self) -> bool {
        self.spec.max_connections == 0 || self.in_flight < self.spec.max_connections
    }
}

impl Balancer {
    /// Nobody yet. `seed` begins the random numbers.
    pub(super) fn new(policy: LoadBalancing, limits: UpstreamLimits, seed: u64) -> Balancer {
        Balancer {
            policy,
            limits,
            members: Vec::new(),
            waiting: VecDeque::new(),
            grants: Vec::new(),
            random: RandomNumbers::new(seed),
            last_id: 0,
        }
    }

    /// Chooses for a request that has just come. A member that it names has a request more.
    pub(super) fn choose(&mut self, now: Duration, wanted: &Wanted) -> Choice {
        self.serve_queue(now);
        self.choose_now(now, wanted)
    }

    /// Waits behind all others. `None` where as many wait as may.
    pub(super) fn wait(&mut self, wanted: Wanted) -> Option<QueueTicket> {
        if self.waiting.len() >= self.limits.max_waiting {
            return None;
        }
        self.last_id += 1;
        let ticket = QueueTicket(self.last_id);
        self.waiting.push_back((ticket, wanted));
        Some(ticket)
    }

    /// Gives up the place in the queue. Who was granted a member before has to [`finish`](Self::finish) that.
    pub(super) fn leave(&mut self, ticket: QueueTicket) {
        self.waiting.retain(|(waiting, _)| *waiting != ticket);
    }

    /// A request has shown how its member is.
    pub(super) fn report(&mut self, now: Duration, admitted: Admitted, report: Report) {
        let serving_count = self.members.iter().filter(|member| member.duty == Duty::Serving).count();
        // Who is alone stays in: to refuse all requests for a time would help nobody.
        let max_fails = if serving_count > 1 { self.limits.max_fails } else { 0 };
        let limits = UpstreamLimits { max_fails, ..self.limits };
        if let Some(member) = self.member_mut(admitted.member) {
            member.failed_count += u64::from(report == Report::Failed);
            member.abandoned = Abandoned::default();
            member.health.report(now, admitted.admission, report, &limits);
        }
        self.serve_queue(now);
    }

    /// The client of a request has left before there was anything to report.
    pub(super) fn abandon(&mut self, now: Duration, admitted: Admitted) {
        let until = now.saturating_add(self.limits.fail_timeout);
        if let Some(member) = self.member_mut(admitted.member) {
            let before = if now < member.abandoned.until { member.abandoned.count } else { 0 };
            member.abandoned = Abandoned { count: before.saturating_add(1), until };
        }
    }

    /// A request is over.
    pub(super) fn finish(&mut self, now: Duration, admitted: Admitted) {
        if let Some(member) = self.member_mut(admitted.member) {
            member.in_flight = member.in_flight.saturating_sub(1);
            member.health.end(admitted.admission);
        }
        self.forget_removed();
        self.serve_queue(now);
    }

    /// A health check has had its answer.
    pub(super) fn checked(&mut self, now: Duration, id: MemberId, passed: bool) {
        let limits = self.limits;
        if let Some(member) = self.member_mut(id) {
            member.health.checked(now, passed, &limits);
        }
        self.serve_queue(now);
    }

    /// Makes these the members. Those that were there keep their history, requests under way at others come to
    /// their end there. Returns the ids, in the order of `specs`.
    pub(super) fn set(&mut self, now: Duration, specs: Vec<MemberSpec>) -> Vec<MemberId> {
        let is_first = self.members.is_empty();
        for member in &mut self.members {
            if !specs.iter().any(|spec| spec.name == member.spec.name) {
                member.duty = Duty::Removed;
            }
        }
        let ids = specs.into_iter().map(|spec| self.set_one(now, spec, is_first)).collect();
        self.forget_removed();
        self.serve_queue(now);
        ids
    }

    fn set_one(&mut self, now: Duration, spec: MemberSpec, is_first: bool) -> MemberId {
        if let Some(member) = self.members.iter_mut().find(|member| member.spec.name == spec.name) {
            member.spec = spec;
            if member.duty == Duty::Removed {
                member.duty = Duty::Serving;
            }
            return member.id;
        }
        self.last_id += 1;
        let id = MemberId(self.last_id);
        // All that are there from the beginning are equally new.
        let health = if is_first { MemberHealth::new() } else { MemberHealth::risen(now) };
        let (in_flight, chosen_count, failed_count, credit) = (0, 0, 0, 0);
        let (duty, abandoned) = (Duty::Serving, Abandoned::default());
        self.members.push(Member { id, spec, health, in_flight, duty, chosen_count, failed_count, credit, abandoned });
        id
    }

    /// Has a member take no more requests, or take them again. `false` where there is none of this name.
    pub(super) fn set_duty(&mut self, now: Duration, is_meant: impl Fn(&MemberSpec) -> bool, duty: Duty) -> bool {
        let mut found = false;
        for member in &mut self.members {
            if member.duty != Duty::Removed && is_meant(&member.spec) {
                member.duty = duty;
                found = true;
            }
        }
        self.serve_queue(now);
        found
    }

    /// What those are to be told that waited.
    pub(super) fn take_grants(&mut self) -> Vec<Grant> {
        std::mem::take(&mut self.grants)
    }

    /// All of them, those too that take no more.
    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    fn member_mut(&mut self, id: MemberId) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == id)
    }

    /// Those that were removed go when their last request is over.
    fn forget_removed(&mut self) {
        self.members.retain(|member| member.duty != Duty::Removed || member.in_flight > 0);
    }

    /// Hands room out to those that wait, in order. One whose only members are full is passed over, which is
    /// no unfairness: what is handed out behind it, it could not use.
    fn serve_queue(&mut self, now: Duration) {
        let mut waiting = std::mem::take(&mut self.waiting);
        let mut at = 0;
        while let Some((ticket, wanted)) = waiting.get(at) {
            let admitted = match self.choose_now(now, wanted) {
                Choice::Member(admitted) => Some(admitted),
                Choice::NobodyAvailable => None,
                // Usually all are full, and nobody behind this one has a chance either.
                Choice::NoRoom if self.is_full(now) => break,
                Choice::NoRoom => {
                    at += 1;
                    continue;
                }
            };
            self.grants.push(Grant { ticket: *ticket, admitted });
            waiting.remove(at);
        }
        self.waiting = waiting;
    }

    fn is_full(&self, now: Duration) -> bool {
        !self.members.iter().any(|member| member.is_available(now) && member.has_room())
    }

    fn choose_now(&mut self, now: Duration, wanted: &Wanted) -> Choice {
        let slow_start = self.limits.slow_start;
        let could = |member: &Member| member.is_available(now) && !wanted.tried.contains(&member.id);
        let candidates = self.members.iter().enumerate().filter(|(_, member)| could(member) && member.has_room());
        let candidates = candidates.map(|(at, member)| Candidate {
            at,
            hash: member.spec.hash,
            weight: member.spec.weight,
            share: member.health.share(now, member.spec.weight, slow_start),
            load: member.load(now),
            credit: member.credit,
        });
        let Some(picked) = pick(&self.policy, candidates, wanted.key, &mut self.random) else {
            return if self.members.iter().any(could) { Choice::NoRoom } else { Choice::NobodyAvailable };
        };
        let mut total: u64 = 0;
        for member in self.members.iter_mut().filter(|member| could(member) && member.has_room()) {
            let share = member.health.share(now, member.spec.weight, slow_start);
            member.credit = member.credit.saturating_add_unsigned(share);
            total = total.saturating_add(share);
        }
        let Some(member) = self.members.get_mut(picked) else { return Choice::NobodyAvailable };
        member.credit = member.credit.saturating_sub_unsigned(total);
        member.in_flight += 1;
        member.chosen_count += 1;
        Choice::Member(Admitted { member: member.id, admission: member.health.begin() })
    }
}

#[cfg(test)]
mod tests;
