//! What is known of a group at one moment.

use std::time::Duration;

use super::endpoint::EndpointRecords;
use super::group::GroupState;
use super::latency::LatencyStats;
use super::state::{Duty, Member};

/// One server of [`Upstreams`](super::Upstreams), or one address of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpstreamStats {
    /// Its URL, or its socket as `unix:PATH`, and behind it in brackets the addresses of its name, once they are
    /// known.
    pub name: String,
    /// Whether it gets requests.
    pub health: UpstreamHealth,
    /// Its weight.
    pub weight: u32,
    /// The most requests at a time; 0 is no limit.
    pub max_connections: usize,
    /// Requests that are under way, tunnels among them.
    pub in_flight: usize,
    /// How often it was chosen.
    pub chosen: u64,
    /// How often it failed: made no connection, took too long, or answered with what is no whole response.
    pub failed: u64,
    /// Responses by the first digit of their status: 1xx (an upgrade) to 5xx.
    pub responses: [u64; 5],
    /// How long the heads of its responses took.
    pub latency: LatencyStats,
}

/// Whether a server gets requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpstreamHealth {
    /// It does.
    Up,
    /// Not, for its failures: for so long still. After that (zero), one request tries it.
    Out(Duration),
    /// Not, for its health check.
    CheckFailed,
    /// Not, because it [drains](super::Upstreams::drain).
    Draining,
    /// Not, because it is none of the group any more; requests are still under way there.
    Removed,
}

impl UpstreamHealth {
    fn of(member: &Member, now: Duration) -> UpstreamHealth {
        match member.duty {
            Duty::Removed => UpstreamHealth::Removed,
            Duty::Draining => UpstreamHealth::Draining,
            Duty::Serving if !member.health.passes_checks() => UpstreamHealth::CheckFailed,
            Duty::Serving => match member.health.out_until() {
                Some(until) => UpstreamHealth::Out(until.saturating_sub(now)),
                None => UpstreamHealth::Up,
            },
        }
    }
}

pub(super) fn of(state: &GroupState, now: Duration) -> Vec<UpstreamStats> {
    let members = state.balancer.members().iter();
    let stats = members.map(|member| {
        let records = state.endpoints.iter().find(|endpoint| endpoint.id == member.id).map(|found| &found.records);
        UpstreamStats {
            name: member.spec.name.to_string(),
            health: UpstreamHealth::of(member, now),
            weight: member.spec.weight,
            max_connections: member.spec.max_connections,
            in_flight: member.in_flight,
            chosen: member.chosen_count,
            failed: member.failed_count,
            responses: records.map(EndpointRecords::by_class).unwrap_or_default(),
            latency: records.map(|records| records.latency.stats()).unwrap_or_default(),
        }
    });
    stats.collect()
}
