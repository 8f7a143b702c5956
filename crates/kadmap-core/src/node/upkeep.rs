//! What a node does on its own: it joins, probes, refreshes, retries and sweeps.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::env::Env;
use super::finder::Finder;
use super::requests::{Owner, ProbeCause, next_id};
use super::signal::Signal;
use crate::config::Config;
use crate::operation::{Event, OperationId};
use crate::store::RecordStore;
use crate::wire::{Ping, Request, RequestId};
use crate::{Address, Contact, Instant, NodeId, Now};

/// Lookups that one refresh makes at most.
const REFRESH_LOOKUPS_MAX: usize = 16;
/// The first refresh follows the join after this long: nodes that joined at the same moment find each other soon.
const FIRST_REFRESH: Duration = Duration::from_millis(500);
/// How much longer the wait for the next refresh is, up to the configured interval, while refreshes find new contacts.
const GROWTH_WHILE_FINDING: u32 = 4;
/// And when the last one found hardly anybody new.
const GROWTH_WHEN_SETTLED: u32 = 8;
/// Hardly anybody is one in so many contacts: where nodes come and go there is always somebody.
const FINDING_SHARE: usize = 16;
/// Nodes that a refresh finds closest to a random place of a bucket: these tell of all others there, so it need not ask
/// as many as hold a record.
const SAMPLE: usize = 4;
/// And closest to this node itself, which is asked for more carefully: who has come near has asked this node as well.
const NEIGHBOURS: usize = 8;
/// How much longer the wait is after each of the first times that a silent contact is tried again.
const RETRY_GROWTH: u32 = 4;
/// How often it is tried soon after it fell silent, unless its bucket does well without it: at 5 and 25 s with the default
/// interval. Later it is one of those of which one is tried in each `probe_interval`, however many there are: most of
/// them are gone for good.
const RETRIES_SOON: u32 = 2;
/// From one contact in so many on that fell silent within the time in which each is probed it looks like a cut: then each
/// of these is tried again and again, with waits that double until all is compared in that time anyway. Each wait is
/// drawn from half to one and a half of it: all nodes lost each other at the same moment, and of many tries spread over
/// a time one comes soon after the cut has healed.
const CUT_SHARE: usize = 4;
/// When a contact is back that had been silent, all others are tried within this time, for a cut may have healed.
const RETURN_SPREAD: Duration = Duration::from_secs(1);
/// How long a join waits for contacts it was told of to prove themselves.
const JOIN_PROBES_WAIT: Duration = Duration::from_secs(2);
/// Records swept for expiry in one turn.
const EXPIRE_PER_TURN: usize = 256;

/// Lookups that fill or refresh the routing table.
pub(super) struct Refresh<A: Address> {
    id: OperationId,
    finders: Vec<Finder<A>>,
    /// Which finder a request belongs to.
    owners: BTreeMap<RequestId, usize>,
}

impl<A: Address> Refresh<A> {
    /// Looks up this node itself and a random place of each bucket from which something is to be learned.
    pub(super) fn new<S>(env: &mut Env<S, A>, now: Now, id: OperationId, is_joining: bool) -> Self {
        let mut targets = vec![env.own.key()];
        // Half of what a lookup finds, as there may be newcomers among it.
        let covered = env.config.replication / 2;
        for bucket in env.table.refresh_buckets(now.instant, env.config.refresh_interval, covered) {
            if targets.len() < REFRESH_LOOKUPS_MAX {
                targets.push(env.table.random_key_in(bucket, &mut env.rng));
            }
        }
        let mut targets = targets.into_iter();
        let own = targets.next().map(|target| match is_joining {
            true => Finder::by_asking(env, now, target),
            false => Finder::sampling_news(env, now, target, NEIGHBOURS),
        });
        let mut finders: Vec<_> = own.into_iter().collect();
        finders.extend(targets.map(|target| match is_joining {
            true => Finder::sampling(env, now, target, SAMPLE),
            false => Finder::sampling_news(env, now, target, SAMPLE),
        }));
        Self { id, finders, owners: BTreeMap::new() }
    }

    /// Takes in news; tells whether all lookups are done.
    pub(super) fn on_signal<S>(&mut self, env: &mut Env<S, A>, now: Now, signal: &Signal<A>) -> bool {
        let owner = self.owners.get(&signal.request).copied();
        if let Some(index) = owner
            && let Some(finder) = self.finders.get_mut(index)
        {
            finder.on_signal(env, now, signal);
            self.advance_one(env, now, index);
        }
        self.is_done()
    }

    /// Sends what is to be sent; tells whether all lookups are done.
    pub(super) fn advance<S>(&mut self, env: &mut Env<S, A>, now: Now) -> bool {
        for index in 0..self.finders.len() {
            self.advance_one(env, now, index);
        }
        self.is_done()
    }

    fn advance_one<S>(&mut self, env: &mut Env<S, A>, now: Now, index: usize) {
        let Some(finder) = self.finders.get_mut(index) else { return };
        let first = env.requests.last_id();
        finder.advance(env, now, Owner::Operation(self.id));
        // Requests are numbered in order, so those made just now are the finder's.
        let mut request = first;
        while request != env.requests.last_id() {
            request = next_id(request);
            self.owners.insert(request, index);
        }
    }

    fn is_done(&self) -> bool {
        self.finders.iter().all(Finder::is_done)
    }
}

/// Where a node stands in coming to know its swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Idle,
    /// Its lookups run; after them probes may still be out until this time.
    Joining {
        probes_until: Option<Instant>,
    },
    Joined,
}

/// When a silent contact is tried again.
#[derive(Debug, Clone, Copy)]
struct Retry {
    at: Instant,
    /// When it fell silent.
    since: Instant,
    /// Times it was tried.
    tried: u32,
}

impl Retry {
    /// Whether it fell silent `within` so long before or after a moment.
    fn is_of(&self, about: Instant, within: Duration) -> bool {
        self.since.since(about).max(about.since(self.since)) <= within
    }
}

/// The node's own duties.
#[derive(Debug)]
pub(super) struct Upkeep {
    stage: Stage,
    probing: BTreeSet<NodeId>,
    refresh_at: Option<Instant>,
    refresh_after: Duration,
    /// Live contacts when the last refresh began.
    known_at_refresh: usize,
    probe_at: Option<Instant>,
    expire_at: Option<Instant>,
    /// Silent contacts.
    retries: BTreeMap<NodeId, Retry>,
}

impl Upkeep {
    pub(super) fn new() -> Self {
        Self {
            stage: Stage::Idle,
            probing: BTreeSet::new(),
            refresh_at: None,
            refresh_after: FIRST_REFRESH,
            known_at_refresh: 0,
            probe_at: None,
            expire_at: None,
            retries: BTreeMap::new(),
        }
    }

    /// The lookups of a join have started.
    pub(super) fn joining(&mut self) {
        self.stage = Stage::Joining { probes_until: None };
    }

    /// Whether this node does not know its swarm yet.
    pub(super) fn is_joining(&self) -> bool {
        matches!(self.stage, Stage::Joining { .. })
    }

    /// The lookups of a join or a refresh are over.
    pub(super) fn refreshed<S, A: Address>(&mut self, env: &mut Env<S, A>, now: Now) {
        env.tidy_up(now);
        if self.stage == Stage::Joined {
            // Whom it meets from now on has come after it.
            env.is_newcomer = false;
            // Buckets that were full meanwhile have been looked through again.
            env.table.mark_filled();
        }
        if let Stage::Joining { probes_until: None } = self.stage {
            self.stage = Stage::Joining { probes_until: Some(now.instant + JOIN_PROBES_WAIT) };
        }
        self.finish_join_if_probed(env, now);
    }

    /// This node knows its swarm, or is the first of it.
    pub(super) fn joined<S, A: Address>(&mut self, env: &mut Env<S, A>, now: Now) {
        env.attendance.has_joined = true;
        if env.table.is_empty() {
            env.attendance.begin(now);
        }
        env.is_syncing &= !env.table.is_empty();
        env.sync_due = env.is_syncing;
        env.tidy_up(now);
        self.stage = Stage::Joined;
        env.table.mark_filled();
        self.refresh_at = Some(now.instant + FIRST_REFRESH);
        self.probe_at = Some(now.instant + quiet_for(&env.config) / 2);
        env.events.push_back(Event::Joined { contacts: env.table.len() });
    }

    /// When there is something to do next.
    pub(super) fn next_timer<S, A: Address>(&self, env: &Env<S, A>, now: Instant) -> Option<Instant> {
        if env.peers.has_returned() && !self.retries.is_empty() {
            return Some(now);
        }
        if !env.hearsay.is_empty() && self.probing.len() < env.config.probes_in_flight_max {
            return Some(now);
        }
        let join = match self.stage {
            Stage::Joining { probes_until } => probes_until,
            _ => None,
        };
        let retry = self.retries.values().map(|retry| retry.at).min();
        [join, retry, self.refresh_at, self.probe_at, self.expire_at].into_iter().flatten().min()
    }

    /// Does what is due; tells whether a refresh is to be started.
    pub(super) fn run<S: RecordStore, A: Address>(&mut self, env: &mut Env<S, A>, now: Now) -> bool {
        self.probe_hearsay(env, now);
        self.probe_quiet_contacts(env, now);
        self.retry_silent_contacts(env, now);
        self.expire_records(env, now);
        self.finish_join_if_probed(env, now);
        if self.refresh_at.take_if(|at| *at <= now.instant).is_none() {
            return false;
        }
        let known = env.table.len();
        let found = known.saturating_sub(self.known_at_refresh);
        let settled = found <= known / FINDING_SHARE;
        let growth = if settled { GROWTH_WHEN_SETTLED } else { GROWTH_WHILE_FINDING };
        self.known_at_refresh = known;
        self.refresh_after = (self.refresh_after * growth).min(env.config.refresh_interval);
        let jitter = (self.refresh_after * 3 / 4, self.refresh_after * 5 / 4);
        self.refresh_at = Some(now.instant + env.jitter(jitter));
        !env.table.is_empty()
    }

    /// A probe was answered or given up.
    pub(super) fn probed<S, A: Address>(&mut self, env: &mut Env<S, A>, now: Now, id: &NodeId) {
        self.probing.remove(id);
        self.probe_hearsay(env, now);
        if env.requests.len() == 0 {
            // Nothing but probes: the next turn of them comes in some time.
            env.requests.shrink();
            self.probing = BTreeSet::new();
        }
        self.finish_join_if_probed(env, now);
    }

    /// A contact of the routing table fell silent: it is tried again later.
    pub(super) fn fell_silent<S, A: Address>(&mut self, env: &mut Env<S, A>, now: Now, id: NodeId) {
        // What is noted of one that was back meanwhile is of another time.
        if self.retries.contains_key(&id) && env.peers.silences(&id) > 1 {
            return;
        }
        let (since, first) = (now.instant, env.config.retry_silent_interval);
        let (wait, tried) = match env.table.does_well_without(&id) {
            true => (self.turn(env), RETRIES_SOON),
            false => (first, 0),
        };
        self.retries.insert(id, Retry { at: since + wait, since, tried });
        if self.is_cut(env, since) {
            // Those that were to wait for their turn fell silent before it looked like a cut.
            let quiet_for = quiet_for(&env.config);
            for retry in self.retries.values_mut() {
                if retry.is_of(since, quiet_for) && retry.at > since + quiet_for {
                    retry.at = since + env.jitter((first, quiet_for));
                }
            }
        }
    }

    /// Whether so many contacts fell silent about then that this node may be cut off from them.
    fn is_cut<S, A: Address>(&self, env: &Env<S, A>, about: Instant) -> bool {
        let quiet_for = quiet_for(&env.config);
        let silent = self.retries.values().filter(|retry| retry.is_of(about, quiet_for)).count();
        // Who is on the smaller side of a cut misses at least half of the others, and is found by one of its own tries.
        CUT_SHARE * silent >= env.table.len()
    }

    /// How long a silent contact waits for its turn among all of them; drawn from all of the time to come, so that
    /// somebody is tried all along.
    fn turn<S, A: Address>(&self, env: &mut Env<S, A>) -> Duration {
        let silent = u32::try_from(self.retries.len().max(1)).unwrap_or(u32::MAX);
        env.jitter((Duration::ZERO, 2 * env.config.probe_interval * silent))
    }

    fn probe<S, A: Address>(
        &mut self,
        env: &mut Env<S, A>,
        now: Now,
        contact: Contact<A>,
        cause: ProbeCause,
    ) {
        if self.probing.insert(contact.id) {
            env.request(now, contact, Request::Ping(Ping::default()), Owner::Probe(cause));
        }
    }

    fn probe_hearsay<S, A: Address>(&mut self, env: &mut Env<S, A>, now: Now) {
        while self.probing.len() < env.config.probes_in_flight_max
            && let Some(contact) = env.hearsay.pop()
        {
            // It may have proved itself since we were told of it.
            if env.table.lacks(&contact.id) {
                self.probe(env, now, contact, ProbeCause::Hearsay);
            }
        }
    }

    fn probe_quiet_contacts<S, A: Address>(&mut self, env: &mut Env<S, A>, now: Now) {
        if self.probe_at.take_if(|at| *at <= now.instant).is_none() {
            return;
        }
        env.tidy_up(now);
        let interval = quiet_for(&env.config);
        // Half of the probes that may be out, as those of the silent take seconds and newcomers are not to wait for them.
        let room = (env.config.probes_in_flight_max / 2).saturating_sub(self.probing.len());
        for contact in env.table.probe_candidates(now.instant, interval, room) {
            self.probe(env, now, contact, ProbeCause::Quiet);
        }
        // A twentieth of the interval, so that the probes of many contacts spread over it.
        self.probe_at = Some(now.instant + env.jitter((interval / 40, interval * 3 / 40)));
    }

    fn retry_silent_contacts<S, A: Address>(&mut self, env: &mut Env<S, A>, now: Now) {
        if env.peers.take_returned() {
            for retry in self.retries.values_mut() {
                retry.at = retry.at.min(now.instant + env.jitter((Duration::ZERO, RETURN_SPREAD)));
            }
        }
        let due = self.retries.iter().filter(|(_, retry)| retry.at <= now.instant);
        let due: Vec<_> = due.map(|(id, _)| *id).collect();
        for id in due {
            let contact = env.table.unresponsive().find(|contact| contact.id == id);
            let contact = contact.or_else(|| env.table.contact(&id).filter(|_| env.peers.silences(&id) > 0));
            let Some(contact) = contact else {
                self.retries.remove(&id);
                continue;
            };
            self.probe(env, now, contact, ProbeCause::Silent);
            let Some(Retry { since, tried, .. }) = self.retries.get(&id).copied() else { continue };
            let (first, tried) = (env.config.retry_silent_interval, tried + 1);
            let wait = if self.is_cut(env, since) {
                let wait = (first * 2_u32.pow(tried.min(16))).min(quiet_for(&env.config));
                env.jitter((wait / 2, wait * 3 / 2))
            } else if tried < RETRIES_SOON {
                first * RETRY_GROWTH.pow(tried)
            } else {
                self.turn(env)
            };
            self.retries.insert(id, Retry { at: now.instant + wait, since, tried });
        }
    }

    fn expire_records<S: RecordStore, A: Address>(&mut self, env: &mut Env<S, A>, now: Now) {
        if self.expire_at.is_some_and(|at| at > now.instant) {
            return;
        }
        // A failing store has been reported by the writes it refuses; its expired records wait.
        let until_ms = env.expiry_ms(now);
        let swept = env.store.expire(until_ms, EXPIRE_PER_TURN).map_or(0, |touched| touched.len());
        let again_at_once = swept == EXPIRE_PER_TURN;
        let wait = if again_at_once { Duration::from_millis(1) } else { env.config.expire_interval };
        self.expire_at = Some(now.instant + wait);
    }

    fn finish_join_if_probed<S, A: Address>(&mut self, env: &mut Env<S, A>, now: Now) {
        let Stage::Joining { probes_until: Some(until) } = self.stage else { return };
        let probed = self.probing.is_empty() && env.hearsay.is_empty();
        if probed || now.instant >= until {
            self.joined(env, now);
        }
    }
}

/// After how long without a word a contact is probed: where replicas are compared more often than that, nobody takes the
/// dead for holders for longer than from one comparison to the next.
fn quiet_for(config: &Config) -> Duration {
    config.probe_interval.min(config.repair_interval)
}
