//! Whether one upstream is fit to take requests: by its failures, and by its health checks.

use std::time::Duration;

/// The numbers that decide about health and waiting. Zero stands for "not at all".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UpstreamLimits {
    /// So many failures within `fail_timeout` take an upstream out.
    pub(super) max_fails: u32,
    pub(super) fail_timeout: Duration,
    /// How long its share grows when it has come back in.
    pub(super) slow_start: Duration,
    /// So many health checks in a row must say the other thing until it is believed. At least 1.
    pub(super) checks_to_fail: u32,
    pub(super) checks_to_pass: u32,
    /// How many requests may wait for room.
    pub(super) max_waiting: usize,
    pub(super) queue_timeout: Duration,
}

/// What a request shows of its upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    Responded,
    Failed,
}

/// Whether a request is the one that tries an upstream that was out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Usual,
    Trial,
}

/// The state of one upstream.
#[derive(Clone, Copy, Debug)]
pub(super) struct MemberHealth {
    checked: Checked,
    fails: u32,
    /// When the first of the failures that are counted was.
    first_fail: Duration,
    out: Option<Out>,
    /// Since when it is back in, or there: its share grows from then on.
    risen: Option<Duration>,
}

/// What the health checks say. Without any, and before the first, it passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checked {
    Passes { failed_in_a_row: u32 },
    Fails { passed_in_a_row: u32 },
}

/// Taken out for its failures.
#[derive(Clone, Copy, Debug)]
struct Out {
    until: Duration,
    /// A request tries whether it is well again.
    is_tried: bool,
}

impl MemberHealth {
    /// One that has been there from the beginning.
    pub(super) fn new() -> MemberHealth {
        let checked = Checked::Passes { failed_in_a_row: 0 };
        MemberHealth { checked, fails: 0, first_fail: Duration::ZERO, out: None, risen: None }
    }

    /// One that has just come.
    pub(super) fn risen(now: Duration) -> MemberHealth {
        MemberHealth { risen: Some(now), ..MemberHealth::new() }
    }

    /// Whether it takes a request. Once its time out is over, it takes one, and the others when that went well.
    pub(super) fn is_available(&self, now: Duration) -> bool {
        self.passes_checks() && self.out.is_none_or(|out| now >= out.until && !out.is_tried)
    }

    pub(super) fn passes_checks(&self) -> bool {
        matches!(self.checked, Checked::Passes { .. })
    }

    /// Until when it is out for its failures.
    pub(super) fn out_until(&self) -> Option<Duration> {
        self.out.map(|out| out.until)
    }

    /// A request goes to it.
    pub(super) fn begin(&mut self) -> Admission {
        match &mut self.out {
            Some(out) => {
                out.is_tried = true;
                Admission::Trial
            }
            None => Admission::Usual,
        }
    }

    /// The request has shown something of it. What began before it was taken out says nothing new.
    pub(super) fn report(&mut self, now: Duration, admission: Admission, report: Report, limits: &UpstreamLimits) {
        match (self.out, admission, report) {
            (Some(_), Admission::Trial, Report::Responded) => {
                self.out = None;
                self.fails = 0;
                self.risen = Some(now);
            }
            (Some(_), Admission::Trial, Report::Failed) => self.take_out(now, limits),
            (Some(_), Admission::Usual, _) | (None, _, Report::Responded) => {}
            (None, _, Report::Failed) => self.count_failure(now, limits),
        }
    }

    /// The request is over. A trial that has shown nothing lets another one try.
    pub(super) fn end(&mut self, admission: Admission) {
        if let (Some(out), Admission::Trial) = (&mut self.out, admission) {
            out.is_tried = false;
        }
    }

    fn count_failure(&mut self, now: Duration, limits: &UpstreamLimits) {
        if limits.max_fails == 0 || limits.fail_timeout.is_zero() {
            return;
        }
        // Failures that lie further apart are no sign of anything.
        if self.fails == 0 || now.saturating_sub(self.first_fail) > limits.fail_timeout {
            self.fails = 0;
            self.first_fail = now;
        }
        self.fails += 1;
        if self.fails >= limits.max_fails {
            self.take_out(now, limits);
        }
    }

    fn take_out(&mut self, now: Duration, limits: &UpstreamLimits) {
        self.fails = 0;
        self.out = Some(Out { until: now.saturating_add(limits.fail_timeout), is_tried: false });
    }

    /// A health check has had its answer.
    pub(super) fn checked(&mut self, now: Duration, passed: bool, limits: &UpstreamLimits) {
        self.checked = match (self.checked, passed) {
            (Checked::Passes { .. }, true) => Checked::Passes { failed_in_a_row: 0 },
            (Checked::Passes { failed_in_a_row }, false) if failed_in_a_row + 1 < limits.checks_to_fail => {
                Checked::Passes { failed_in_a_row: failed_in_a_row + 1 }
            }
            (_, false) => Checked::Fails { passed_in_a_row: 0 },
            (Checked::Fails { passed_in_a_row }, true) if passed_in_a_row + 1 < limits.checks_to_pass => {
                Checked::Fails { passed_in_a_row: passed_in_a_row + 1 }
            }
            (Checked::Fails { .. }, true) => {
                self.risen = Some(now);
                Checked::Passes { failed_in_a_row: 0 }
            }
        };
    }

    /// How much of the requests it is to get, in thousandths of a weight of 1: less than its weight while its slow
    /// start lasts, and never nothing.
    pub(super) fn share(&self, now: Duration, weight: u32, slow_start: Duration) -> u64 {
        let whole = u64::from(weight.max(1)) * WHOLE_SHARE;
        let Some(since) = self.risen.map(|risen| now.saturating_sub(risen)).filter(|&since| since < slow_start) else {
            return whole;
        };
        let part = u128::from(whole) * since.as_nanos() / slow_start.as_nanos().max(1);
        u64::try_from(part).unwrap_or(whole).max(1)
    }
}

/// The share of an upstream of weight 1.
const WHOLE_SHARE: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: UpstreamLimits = UpstreamLimits {
        max_fails: 2,
        fail_timeout: Duration::from_secs(10),
        slow_start: Duration::from_secs(20),
        checks_to_fail: 3,
        checks_to_pass: 2,
        max_waiting: 0,
        queue_timeout: Duration::ZERO,
    };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn out_at(now: u64) -> MemberHealth {
        let mut health = MemberHealth::new();
        for _ in 0..LIMITS.max_fails {
            health.report(at(now), Admission::Usual, Report::Failed, &LIMITS);
        }
        assert!(!health.is_available(at(now)));
        health
    }

    #[test]
    fn so_many_failures_within_the_fail_time_take_it_out_and_fewer_do_not() {
        let mut health = MemberHealth::new();
        for seconds in [0, 11, 22] {
            health.report(at(seconds), Admission::Usual, Report::Failed, &LIMITS);
            assert!(health.is_available(at(seconds)), "{seconds}: they lie too far apart");
        }
        health.report(at(25), Admission::Usual, Report::Failed, &LIMITS);
        assert_eq!(health.out_until(), Some(at(35)));
    }

    #[test]
    fn no_number_of_failures_takes_it_out_where_none_is_set() {
        for limits in
            [UpstreamLimits { max_fails: 0, ..LIMITS }, UpstreamLimits { fail_timeout: Duration::ZERO, ..LIMITS }]
        {
            let mut health = MemberHealth::new();
            for _ in 0..100 {
                health.report(at(0), Admission::Usual, Report::Failed, &limits);
            }
            assert!(health.is_available(at(0)));
        }
    }

    #[test]
    fn after_its_time_one_request_tries_it_and_brings_it_back_in() {
        let mut health = out_at(0);
        assert!(!health.is_available(at(9)) && health.is_available(at(10)));
        assert_eq!(health.begin(), Admission::Trial);
        assert!(!health.is_available(at(11)), "one at a time");
        health.report(at(12), Admission::Trial, Report::Responded, &LIMITS);
        assert!(health.is_available(at(12)));
        assert_eq!(health.begin(), Admission::Usual);
    }

    #[test]
    fn a_trial_that_fails_takes_it_out_again_and_one_that_shows_nothing_is_followed_by_another() {
        let mut health = out_at(0);
        let admission = health.begin();
        health.report(at(13), admission, Report::Failed, &LIMITS);
        health.end(admission);
        assert_eq!(health.out_until(), Some(at(23)));
        assert!(!health.is_available(at(22)) && health.is_available(at(23)));
        let left = health.begin();
        health.end(left);
        assert!(health.is_available(at(24)));
    }

    #[test]
    fn what_began_before_it_was_out_neither_brings_it_in_nor_keeps_it_out_longer() {
        let mut health = out_at(0);
        health.report(at(5), Admission::Usual, Report::Responded, &LIMITS);
        health.report(at(6), Admission::Usual, Report::Failed, &LIMITS);
        health.end(Admission::Usual);
        assert_eq!(health.out_until(), Some(at(10)));
        assert!(!health.is_available(at(9)));
    }

    #[test]
    fn health_checks_are_believed_when_so_many_in_a_row_say_the_same() {
        let mut health = MemberHealth::new();
        let mut says = |passed: bool| {
            health.checked(at(1), passed, &LIMITS);
            health.passes_checks()
        };
        assert!([false, false, true, false, false].into_iter().all(&mut says), "never three in a row");
        assert!(!says(false));
        assert!(!says(true) && !says(false) && !says(true));
        assert!(says(true));
    }

    #[test]
    fn its_share_grows_from_little_to_all_of_its_weight_after_it_came_back() {
        let health = MemberHealth::risen(at(100));
        let share = |seconds| health.share(at(seconds), 4, LIMITS.slow_start);
        assert_eq!([share(100), share(105), share(110), share(120), share(999)], [1, 1000, 2000, 4000, 4000]);
        assert_eq!(MemberHealth::new().share(at(0), 4, LIMITS.slow_start), 4000, "from the beginning, it has all");
        assert_eq!(health.share(at(100), 4, Duration::ZERO), 4000, "there is no slow start");
    }
}
