//! The rules of a group of upstreams, with numbers as time.

use super::*;
use crate::reverse_proxy::upstreams::policy::hash_of;
use crate::reverse_proxy::upstreams::settings::HashKey;

const LIMITS: UpstreamLimits = UpstreamLimits {
    max_fails: 1,
    fail_timeout: Duration::from_secs(10),
    slow_start: Duration::ZERO,
    checks_to_fail: 1,
    checks_to_pass: 1,
    max_waiting: 3,
    queue_timeout: Duration::from_secs(1),
};

const NOW: Duration = Duration::ZERO;

fn spec(name: &str) -> MemberSpec {
    MemberSpec { name: name.into(), hash: hash_of(name.as_bytes()), weight: 1, max_connections: 0 }
}

fn group(policy: LoadBalancing, specs: Vec<MemberSpec>) -> Balancer {
    let mut balancer = Balancer::new(policy, LIMITS, 1);
    balancer.set(NOW, specs);
    balancer
}

fn named(names: &[&str]) -> Balancer {
    group(LoadBalancing::RoundRobin, names.iter().map(|name| spec(name)).collect())
}

/// Members that take one request at a time.
fn narrow(names: &[&str]) -> Balancer {
    let specs = names.iter().map(|name| MemberSpec { max_connections: 1, ..spec(name) }).collect();
    group(LoadBalancing::RoundRobin, specs)
}

impl Balancer {
    fn name(&self, id: MemberId) -> &str {
        &self.members.iter().find(|member| member.id == id).unwrap().spec.name
    }

    fn admit(&mut self, now: Duration, wanted: &Wanted) -> Admitted {
        match self.choose(now, wanted) {
            Choice::Member(admitted) => admitted,
            other => panic!("{other:?}"),
        }
    }

    /// The name of the next one, which stays under way.
    fn next(&mut self, now: Duration) -> String {
        let admitted = self.admit(now, &Wanted::default());
        self.name(admitted.member).to_owned()
    }

    /// The same for a request that is over at once.
    fn serve_one(&mut self, now: Duration, key: Option<u64>) -> String {
        let admitted = self.admit(now, &Wanted { key, tried: Vec::new() });
        let name = self.name(admitted.member).to_owned();
        self.report(now, admitted, Report::Responded);
        self.finish(now, admitted);
        name
    }

    fn fail(&mut self, now: Duration, name: &str) {
        let admitted = loop {
            let admitted = self.admit(now, &Wanted::default());
            if self.name(admitted.member) == name {
                break admitted;
            }
            self.finish(now, admitted);
        };
        self.report(now, admitted, Report::Failed);
        self.finish(now, admitted);
    }

    fn granted(&mut self) -> Vec<(QueueTicket, Option<String>)> {
        let grants = self.take_grants();
        let name = |admitted: Admitted| self.name(admitted.member).to_owned();
        grants.into_iter().map(|grant| (grant.ticket, grant.admitted.map(name))).collect()
    }
}

fn after(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn round_robin_goes_around_and_follows_the_weights_without_runs() {
    let mut equal = named(&["a", "b", "c"]);
    let order: String = (0..7).map(|_| equal.serve_one(NOW, None)).collect();
    assert_eq!(order, "abcabca");
    let heavy = MemberSpec { weight: 5, ..spec("a") };
    let mut weighted = group(LoadBalancing::RoundRobin, vec![heavy, spec("b"), spec("c")]);
    let order: String = (0..14).map(|_| weighted.serve_one(NOW, None)).collect();
    assert_eq!(order, "aabacaaaabacaa");
}

#[test]
fn one_that_is_stuck_gets_little_by_least_connections() {
    let mut balancer = group(LoadBalancing::LeastConnections, vec![spec("stuck"), spec("b"), spec("c")]);
    let mut stuck = 0;
    for _ in 0..1_000 {
        let admitted = balancer.admit(NOW, &Wanted::default());
        if balancer.name(admitted.member) == "stuck" {
            stuck += 1;
        } else {
            balancer.finish(NOW, admitted);
        }
    }
    assert_eq!(stuck, 1);
}

#[test]
fn one_whose_clients_give_up_counts_as_busy_for_the_fail_time_or_until_it_answers() {
    let mut balancer = group(LoadBalancing::LeastConnections, vec![spec("stuck"), spec("b")]);
    let stuck = balancer.admit(NOW, &Wanted::default());
    assert_eq!(balancer.name(stuck.member), "stuck");
    balancer.abandon(NOW, stuck);
    balancer.finish(NOW, stuck);
    assert!((0..5).all(|_| balancer.serve_one(after(9), None) == "b"));
    assert!((0..2).any(|_| balancer.serve_one(after(10), None) == "stuck"), "it may try again");
    // Of two requests at a time, it gets the second, and answers.
    let stuck = balancer.admit(after(11), &Wanted::default());
    balancer.abandon(after(11), stuck);
    balancer.report(after(12), stuck, Report::Responded);
    balancer.finish(after(12), stuck);
    let order: String = (0..4).map(|_| balancer.serve_one(after(12), None)).collect();
    assert!(order.contains("stuck"), "{order}");
}

#[test]
fn least_connections_of_equals_goes_around() {
    let mut balancer = group(LoadBalancing::LeastConnections, vec![spec("a"), spec("b"), spec("c")]);
    let order: String = (0..6).map(|_| balancer.serve_one(NOW, None)).collect();
    assert_eq!(order, "abcabc");
}

#[test]
fn one_that_fails_is_out_for_the_fail_time_and_back_in() {
    let mut balancer = named(&["a", "b"]);
    balancer.fail(NOW, "a");
    assert!((0..10).all(|_| balancer.serve_one(after(9), None) == "b"));
    let order: String = (0..4).map(|_| balancer.serve_one(after(10), None)).collect();
    assert!(order.contains('a') && order.contains('b'), "{order}");
}

#[test]
fn while_one_request_tries_whether_it_is_back_the_others_go_elsewhere() {
    let mut balancer = named(&["a", "b"]);
    balancer.fail(NOW, "a");
    let seen: Vec<String> = (0..6).map(|_| balancer.next(after(10))).collect();
    assert_eq!(seen.iter().filter(|name| *name == "a").count(), 1, "{seen:?}");
}

#[test]
fn when_all_are_out_nobody_is_available_at_once() {
    let mut balancer = named(&["a", "b"]);
    balancer.fail(NOW, "a");
    balancer.fail(NOW, "b");
    assert_eq!(balancer.choose(after(1), &Wanted::default()), Choice::NobodyAvailable);
    assert_eq!(group(LoadBalancing::RoundRobin, Vec::new()).choose(NOW, &Wanted::default()), Choice::NobodyAvailable);
}

#[test]
fn one_that_is_alone_is_never_out_for_its_failures() {
    let mut balancer = named(&["a"]);
    for _ in 0..5 {
        balancer.fail(NOW, "a");
    }
    assert_eq!(balancer.serve_one(NOW, None), "a");
}

#[test]
fn a_request_is_not_sent_to_one_that_it_has_tried() {
    let mut balancer = named(&["a", "b"]);
    let first = balancer.admit(NOW, &Wanted::default());
    let wanted = Wanted { key: None, tried: vec![first.member] };
    let second = balancer.admit(NOW, &wanted);
    assert_ne!(first.member, second.member);
    let wanted = Wanted { key: None, tried: vec![first.member, second.member] };
    assert_eq!(balancer.choose(NOW, &wanted), Choice::NobodyAvailable);
}

#[test]
fn live_hashes_do_not_move_when_one_goes_and_the_others_return_with_it() {
    let specs = ["a", "b", "c", "d"].map(spec).to_vec();
    let mut balancer = group(LoadBalancing::Hash(HashKey::ClientAddr), specs);
    let keys: Vec<u64> = (0..500_u32).map(|key| hash_of(&key.to_be_bytes())).collect();
    let all = |balancer: &mut Balancer, now| -> Vec<String> {
        keys.iter().map(|&key| balancer.serve_one(now, Some(key))).collect()
    };
    let before = all(&mut balancer, NOW);
    assert_eq!(all(&mut balancer, NOW), before);
    balancer.fail(NOW, "c");
    let meanwhile = all(&mut balancer, after(1));
    assert!(before.iter().zip(&meanwhile).all(|(before, now)| now != "c" && (before == "c" || before == now)));
    assert_eq!(all(&mut balancer, after(11)), before);
}

#[test]
fn one_that_fails_its_health_check_gets_nothing_until_it_passes() {
    let mut balancer = named(&["a", "b"]);
    let a = balancer.members()[0].id;
    balancer.checked(NOW, a, false);
    assert!((0..10).all(|_| balancer.serve_one(after(1_000), None) == "b"));
    balancer.checked(after(1_001), a, true);
    let order: String = (0..4).map(|_| balancer.serve_one(after(1_001), None)).collect();
    assert_eq!(order.matches('a').count(), 2, "{order}");
}

#[test]
fn one_that_has_come_back_gets_little_at_first() {
    let mut balancer = named(&["a", "b"]);
    balancer.limits.slow_start = after(100);
    let a = balancer.members()[0].id;
    balancer.checked(NOW, a, false);
    balancer.checked(NOW, a, true);
    let mut count_at = |seconds| (0..100).filter(|_| balancer.serve_one(after(seconds), None) == "a").count();
    assert_eq!([count_at(1), count_at(100)], [1, 50]);
}

#[test]
fn nobody_has_more_requests_than_it_may() {
    let mut balancer = narrow(&["a", "b"]);
    assert_eq!([balancer.next(NOW), balancer.next(NOW)], ["a", "b"]);
    assert_eq!(balancer.choose(NOW, &Wanted::default()), Choice::NoRoom);
}

#[test]
fn who_came_first_is_served_first_and_who_left_is_never_served() {
    let mut balancer = narrow(&["a"]);
    let mut under_way = balancer.admit(NOW, &Wanted::default());
    let tickets = [(); 3].map(|()| balancer.wait(Wanted::default()).unwrap());
    assert_eq!(balancer.wait(Wanted::default()), None, "three may wait");
    balancer.leave(tickets[1]);
    for ticket in [tickets[0], tickets[2]] {
        balancer.finish(NOW, under_way);
        let grants = balancer.take_grants();
        assert_eq!((grants.len(), grants[0].ticket), (1, ticket));
        under_way = grants[0].admitted.unwrap();
    }
    balancer.finish(NOW, under_way);
    assert_eq!((balancer.take_grants(), balancer.waiting_count(), balancer.members()[0].in_flight), (vec![], 0, 0));
}

#[test]
fn who_comes_when_time_has_made_room_does_not_overtake_those_that_wait() {
    let mut balancer = narrow(&["a", "b"]);
    balancer.fail(NOW, "a");
    let _under_way = balancer.admit(NOW, &Wanted::default());
    let ticket = balancer.wait(Wanted::default()).unwrap();
    // The time of `a` is over, and nothing has happened since.
    assert_eq!(balancer.choose(after(10), &Wanted::default()), Choice::NoRoom);
    assert_eq!(balancer.granted(), [(ticket, Some("a".to_owned()))]);
}

#[test]
fn those_that_wait_are_refused_when_nobody_is_left() {
    let mut balancer = narrow(&["a", "b"]);
    let under_way = [balancer.admit(NOW, &Wanted::default()), balancer.admit(NOW, &Wanted::default())];
    let tickets = [(); 2].map(|()| balancer.wait(Wanted::default()).unwrap());
    for admitted in under_way {
        balancer.report(NOW, admitted, Report::Failed);
    }
    assert_eq!(balancer.granted(), tickets.map(|ticket| (ticket, None)));
}

#[test]
fn one_that_can_use_no_room_that_is_free_holds_up_nobody_behind_it() {
    let mut balancer = narrow(&["a", "b"]);
    let a = balancer.admit(NOW, &Wanted::default());
    let b = balancer.admit(NOW, &Wanted::default());
    let picky = balancer.wait(Wanted { key: None, tried: vec![b.member] }).unwrap();
    let any = balancer.wait(Wanted::default()).unwrap();
    balancer.finish(NOW, b);
    assert_eq!(balancer.granted(), [(any, Some("b".to_owned()))]);
    balancer.finish(NOW, a);
    assert_eq!(balancer.granted(), [(picky, Some("a".to_owned()))]);
}

#[test]
fn members_that_are_set_anew_keep_their_history_and_the_others_come_to_their_end() {
    let mut balancer = named(&["a", "b"]);
    balancer.fail(NOW, "a");
    let at_b = balancer.admit(NOW, &Wanted::default());
    balancer.set(after(1), vec![spec("a"), spec("c")]);
    assert!((0..10).all(|_| balancer.serve_one(after(2), None) == "c"), "a is still out, and b is gone");
    assert_eq!(balancer.name(at_b.member), "b", "until its request is over");
    balancer.finish(after(3), at_b);
    assert_eq!(balancer.members().len(), 2);
    // A late report is about nobody.
    balancer.report(after(3), at_b, Report::Failed);
    balancer.finish(after(3), at_b);
}

#[test]
fn one_that_drains_gets_no_more_and_those_that_wait_go_where_room_comes() {
    let mut balancer = narrow(&["a", "b"]);
    let under_way = [balancer.admit(NOW, &Wanted::default()), balancer.admit(NOW, &Wanted::default())];
    let ticket = balancer.wait(Wanted::default()).unwrap();
    assert!(balancer.set_duty(NOW, |spec| &*spec.name == "a", Duty::Draining));
    assert!(!balancer.set_duty(NOW, |spec| &*spec.name == "nobody", Duty::Draining));
    balancer.finish(NOW, under_way[0]);
    assert_eq!(balancer.granted(), []);
    assert!(balancer.set_duty(NOW, |spec| &*spec.name == "a", Duty::Serving));
    assert_eq!(balancer.granted(), [(ticket, Some("a".to_owned()))]);
}

/// The invariants of the module, after each of many events in any order.
#[test]
fn after_any_events_no_room_is_forgotten_and_no_limit_is_broken() {
    let mut random = RandomNumbers::new(42);
    for _ in 0..200 {
        let mut balancer = narrow(&["a", "b", "c"]);
        let mut under_way = Vec::new();
        let mut now = NOW;
        for _ in 0..100 {
            now += Duration::from_millis(random.next() % 2_000);
            let at = (random.next() % 64) as usize;
            match random.next() % 6 {
                0 | 1 => match balancer.choose(now, &Wanted::default()) {
                    Choice::Member(admitted) => under_way.push(admitted),
                    Choice::NoRoom => _ = balancer.wait(Wanted::default()),
                    Choice::NobodyAvailable => assert_eq!(balancer.waiting_count(), 0),
                },
                2 if at < under_way.len() => balancer.finish(now, under_way.swap_remove(at)),
                3 if at < under_way.len() => balancer.report(now, under_way[at], Report::Failed),
                4 => balancer.checked(now, balancer.members()[at % 3].id, random.next() % 2 == 0),
                _ => balancer.leave(QueueTicket(random.next() % 64)),
            }
            under_way.extend(balancer.take_grants().into_iter().filter_map(|grant| grant.admitted));
            assert!(balancer.members().iter().all(|member| member.in_flight <= 1));
            assert_eq!(balancer.members().iter().map(|member| member.in_flight).sum::<usize>(), under_way.len());
            // `leave` hands out nothing, and what time changes is seen at the next event that does.
            balancer.serve_queue(now);
            under_way.extend(balancer.take_grants().into_iter().filter_map(|grant| grant.admitted));
            assert!(balancer.waiting_count() == 0 || balancer.is_full(now));
        }
    }
}
