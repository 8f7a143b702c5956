//! Finding a first member of the swarm: dialling the addresses given, again and again until one answers or time is
//! up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::error::{JoinAttempt, StartError};
use crate::transport::DialError;

/// Wait before addresses that did not answer are dialled again: nodes that start at the same moment find each other.
const REDIAL_INTERVAL: Duration = Duration::from_millis(300);
/// And once the time to try is up, for who goes on all the same.
const REDIAL_INTERVAL_LATER: Duration = Duration::from_secs(5);

/// Where to look for members.
#[derive(Debug, Clone, Default)]
pub(crate) struct JoinPlan {
    /// Resolved addresses, each with the text it was given as.
    pub(crate) addresses: Vec<(SocketAddr, String)>,
    /// Addresses at which members answered when this node last ran.
    pub(crate) known: Vec<SocketAddr>,
    /// How long to try.
    pub(crate) timeout: Duration,
    /// Try for ever.
    pub(crate) retry: bool,
}

impl JoinPlan {
    /// Whether there is nowhere to look.
    pub(crate) fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.known.is_empty()
    }
}

/// What to do about joining now.
#[derive(Debug)]
pub(crate) enum Step {
    Wait,
    Dial(Vec<SocketAddr>),
    /// Nobody was asked for and nobody known answers: be the first of a swarm.
    StartAlone,
    GiveUp(StartError),
}

/// One join under way, until the first member answers.
#[derive(Debug)]
pub(crate) struct Join {
    plan: JoinPlan,
    deadline: Instant,
    /// Addresses being dialled.
    dialling: BTreeSet<SocketAddr>,
    redial_at: Option<Instant>,
    failures: BTreeMap<SocketAddr, DialError>,
}

impl Join {
    pub(crate) fn new(plan: JoinPlan, now: Instant) -> Self {
        Self::after(plan, now)
    }

    /// A join that begins at some time.
    pub(crate) fn after(plan: JoinPlan, start: Instant) -> Self {
        let deadline = start + plan.timeout;
        Self { plan, deadline, dialling: BTreeSet::new(), redial_at: Some(start), failures: BTreeMap::new() }
    }

    /// What to do now.
    pub(crate) fn step(&mut self, now: Instant) -> Step {
        if self.plan.is_empty() {
            return Step::StartAlone;
        }
        if !self.plan.retry && (now >= self.deadline || self.is_hopeless()) {
            return if self.plan.addresses.is_empty() {
                Step::StartAlone
            } else {
                Step::GiveUp(self.error())
            };
        }
        if self.redial_at.take_if(|at| *at <= now).is_none() {
            return Step::Wait;
        }
        let given = self.plan.addresses.iter().map(|&(address, _)| address);
        let all: BTreeSet<_> = given.chain(self.plan.known.iter().copied()).collect();
        let fresh: Vec<_> = all.difference(&self.dialling).copied().collect();
        self.dialling.extend(&fresh);
        Step::Dial(fresh)
    }

    /// When [`step`](Self::step) has something to do next.
    pub(crate) fn next_timer(&self) -> Instant {
        match self.redial_at {
            Some(at) if self.plan.retry => at,
            Some(at) => at.min(self.deadline),
            // Dials end by themselves.
            None if self.plan.retry => self.deadline.max(Instant::now() + REDIAL_INTERVAL_LATER),
            None => self.deadline,
        }
    }

    /// Takes note that nobody of our swarm answered at an address.
    pub(crate) fn failed(&mut self, now: Instant, address: SocketAddr, reason: DialError) {
        if self.dialling.remove(&address) {
            self.failures.insert(address, reason);
            let wait = if now < self.deadline { REDIAL_INTERVAL } else { REDIAL_INTERVAL_LATER };
            self.redial_at.get_or_insert(now + wait);
        }
    }

    /// Whether this address is being dialled.
    pub(crate) fn is_dialling(&self, address: &SocketAddr) -> bool {
        self.dialling.contains(address)
    }

    /// Whether trying again cannot help: everybody answered, and nobody wants us or is wanted.
    fn is_hopeless(&self) -> bool {
        let addresses = self.plan.addresses.iter().map(|&(address, _)| address);
        let mut all = addresses.chain(self.plan.known.iter().copied());
        let no_use = |reason: &DialError| !matches!(reason, DialError::TimedOut | DialError::Failed { .. });
        self.dialling.is_empty() && all.all(|address| self.failures.get(&address).is_some_and(no_use))
    }

    fn error(&self) -> StartError {
        let attempt = |(address, text): &(SocketAddr, String)| {
            let reason = match self.failures.get(address) {
                Some(DialError::TimedOut) | None => {
                    format!("no answer within {} s", self.plan.timeout.as_secs_f32())
                }
                Some(reason) => reason.to_string(),
            };
            let address =
                if *text == address.to_string() { text.clone() } else { format!("{text} ({address})") };
            JoinAttempt { address, reason }
        };
        StartError::Join { attempts: self.plan.addresses.iter().map(attempt).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(addresses: &[&str], known: &[&str]) -> JoinPlan {
        JoinPlan {
            addresses: addresses.iter().map(|text| (text.parse().unwrap(), (*text).to_owned())).collect(),
            known: known.iter().map(|text| text.parse().unwrap()).collect(),
            timeout: Duration::from_secs(10),
            retry: false,
        }
    }

    #[test]
    fn dead_addresses_are_dialled_again_until_time_is_up() {
        let start = Instant::now();
        let mut join = Join::new(plan(&["127.0.0.1:1", "127.0.0.1:2"], &[]), start);
        assert!(matches!(join.step(start), Step::Dial(all) if all.len() == 2));
        let address = "127.0.0.1:1".parse().unwrap();
        join.failed(start, address, DialError::TimedOut);
        assert!(matches!(join.step(start), Step::Wait));
        assert!(matches!(join.step(join.next_timer()), Step::Dial(one) if one == [address]));
        let Step::GiveUp(error) = join.step(start + Duration::from_secs(10)) else { panic!("goes on") };
        assert_eq!(
            error.to_string(),
            "cannot join: 127.0.0.1:1: no answer within 10 s; 127.0.0.1:2: no answer within 10 s"
        );
    }

    #[test]
    fn a_swarm_that_does_not_want_us_is_not_asked_twice() {
        let start = Instant::now();
        let mut join = Join::new(plan(&["127.0.0.1:1"], &[]), start);
        join.step(start);
        let reason = DialError::Untrusted { reason: "unknown issuer".into() };
        join.failed(start, "127.0.0.1:1".parse().unwrap(), reason);
        assert!(matches!(join.step(start), Step::GiveUp(_)));
    }

    #[test]
    fn a_node_that_only_remembers_starts_alone_when_nobody_is_left() {
        let start = Instant::now();
        let mut join = Join::new(plan(&[], &["127.0.0.1:1"]), start);
        assert!(matches!(join.step(start), Step::Dial(_)));
        assert!(matches!(join.step(start + Duration::from_secs(10)), Step::StartAlone));
        assert!(matches!(Join::new(plan(&[], &[]), start).step(start), Step::StartAlone));
    }

    #[test]
    fn with_retry_there_is_no_end() {
        let start = Instant::now();
        let mut join = Join::new(JoinPlan { retry: true, ..plan(&["127.0.0.1:1"], &[]) }, start);
        join.step(start);
        assert!(matches!(join.step(start + Duration::from_secs(1_000)), Step::Wait));
    }
}
