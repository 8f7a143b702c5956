//! How often a request is sent before its node counts as silent, and how long each time is waited.

use std::time::Duration;

use super::env::Env;
use super::requests::{InFlight, Owner, ProbeCause};
use crate::Address;
use crate::wire::Request;

/// Times that a lookup or a probe asks a node: somebody else is asked meanwhile, or nobody waits.
const ATTEMPTS_IN_PASSING: u32 = 2;
/// How many times the replication a swarm counts from which this is so. In a smaller one every node holds much of what
/// there is: one that is given up because packets were lost would be missed in quorums.
const SPARES_FROM_REPLICATIONS: usize = 2;

impl<S, A: Address> Env<S, A> {
    /// How often a request is sent before its node counts as silent.
    ///
    /// Lookups and probes are sent twice unless packets get lost, and are waited for as long as all attempts take: as
    /// many as the configured ones would mostly go to nodes that are gone.
    pub(super) fn attempts_max(&self, in_flight: &InFlight<A>) -> u32 {
        let in_passing = matches!(in_flight.request, Request::Ping(_) | Request::FindNode(_));
        let is_large = self.table.len() >= SPARES_FROM_REPLICATIONS * self.config.replication;
        let spares = in_passing && is_large && !self.peers.cries_wolf();
        let most = self.config.attempts_max;
        let most = if spares { most.min(ATTEMPTS_IN_PASSING) } else { most };
        if is_of_quiet(in_flight) { most.max(ATTEMPTS_IN_PASSING) + 1 } else { most }
    }

    /// How long the attempt is waited for that is being made after so many, of which the first is waited for `base`.
    ///
    /// Each waits twice as long as the one before, 20, 40, 80 ms with the default floor, and the last one as long as
    /// all that could have followed.
    pub(super) fn wait_after_repeat(&self, in_flight: &InFlight<A>, base: Duration) -> Duration {
        let done = in_flight.attempts;
        let cap = self.config.timeouts.timeout_cap.max(base);
        let wait = |attempt: u32| base.saturating_mul(1 << attempt.min(16)).min(cap);
        let attempts_max = self.attempts_max(in_flight);
        if is_of_quiet(in_flight) && done + 2 == attempts_max {
            return self.config.retry_silent_interval;
        }
        if done + 1 < attempts_max {
            return wait(done);
        }
        (done..self.config.attempts_max.max(done + 1)).map(wait).sum()
    }
}

/// Whether a request asks a contact that was not heard of for long: its last attempt comes a while after the others,
/// and tells as much as a second request, so that it counts as two misses when nobody answers.
pub(super) fn is_of_quiet<A>(in_flight: &InFlight<A>) -> bool {
    in_flight.owner == Owner::Probe(ProbeCause::Quiet)
}
