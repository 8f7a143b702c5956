//! A lookup under way: the pure state machine of `lookup`, fed with real answers.

use std::time::Duration;

use rand_core::Rng;

use super::env::Env;
use super::gleaned::Gleaned;
use super::requests::Owner;
use super::signal::{Signal, SignalKind};
use crate::lookup::{Hop, HopOutcome, Lookup, LookupConfig};
use crate::wire::{FindNode, KnownIds, Request, Response, WireContact};
use crate::{Address, Contact, Instant, Key, NodeId, Now, RecordId};

/// Candidates beyond the replicas, to stand in for those that do not answer.
const SPARE_CANDIDATES: usize = 12;

/// Contacts asked for in one answer, as a multiple of what is wanted; most are told by several.
const TOLD_PER_WANTED: usize = 2;

/// A first look that took no longer is repeated when nobody has answered. One that had to wait for nodes of which it is not
/// known how fast they answer takes 5 s, and two of them would take longer than an operation may.
const MOMENT: Duration = Duration::from_secs(2);

/// When somebody else is asked in the place of a node that does not answer yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// When it is slow or its first attempt is lost: a user waits. Where answers take long an attempt is lost before the
    /// node was slow.
    OfUser,
    /// When it is slow.
    OfNode,
    /// When it has left all attempts unanswered: nobody waits for the end.
    Endless,
}

/// Finds the nodes closest to a place.
pub(super) struct Finder<A: Address> {
    target: Key,
    /// Contacts asked for in one answer.
    told: u32,
    /// Whom nobody has to name, whichever path asks.
    spared: Box<[NodeId]>,
    /// When somebody else is asked in the place of a node that takes long.
    patience: Patience,
    lookup: Lookup<A>,
    /// What the nodes asked tell of the record that is sought, if one is.
    gleaned: Option<Gleaned>,
    /// Whether somebody named a node that the routing table lacks.
    heard_news: bool,
    /// The answer when the routing table already knows everyone near.
    known: Option<Vec<Contact<A>>>,
    /// When a first look began; a second one asks all the same those that were silent lately.
    first_look: Option<Instant>,
    /// Whom the first look did not ask, because they were silent lately.
    passed_over: Vec<Contact<A>>,
}

impl<A: Address> Finder<A> {
    /// For what a user has asked for: starts from the routing table, and ends there when it knows everyone near the target.
    pub(super) fn new<S>(env: &mut Env<S, A>, now: Now, target: Key) -> Self {
        let want = env.config.replication + spare_candidates(env, now);
        if !env.table.knows_all_near(&target, want) {
            let mut config = env.config.lookup(false);
            config.want += back_lately(env, now);
            return Self { patience: Patience::OfUser, ..Self::wanting(env, now, target, config) };
        }
        let known = env.table.closest(&target, want, |_| true);
        let lookup = Lookup::new(target, env.own, Vec::new(), env.config.lookup(true));
        Self { known: Some(known), ..Self::begin(now, target, 0, lookup) }
    }

    /// As [`new`](Self::new), for a read of a record: has those asked tell of it on the way, and ends when the `enough`
    /// closest have answered. [`go_on`](Self::go_on) finds all.
    pub(super) fn of_record<S>(env: &mut Env<S, A>, now: Now, record: &RecordId, enough: usize) -> Self {
        let mut finder = Self::new(env, now, record.key);
        if finder.known.is_none() {
            finder.lookup.settle_for(enough);
            finder.gleaned = Some(Gleaned::new(record.name.clone()));
        }
        finder
    }

    /// Asks other nodes even when the routing table seems to know everyone.
    pub(super) fn by_asking<S>(env: &mut Env<S, A>, now: Now, target: Key) -> Self {
        let config = env.config.lookup(false);
        Self::wanting(env, now, target, config)
    }

    /// Asks for somewhat more than the lookup wants.
    fn wanting<S>(env: &mut Env<S, A>, now: Now, target: Key, config: LookupConfig) -> Self {
        let told = TOLD_PER_WANTED * config.want;
        Self::from_table(env, now, target, config, told)
    }

    /// Asks the `want` closest for what they tell of others there; nobody relies on what it finds. So one path will do:
    /// whoever is told of has to prove itself.
    pub(super) fn sampling<S>(env: &mut Env<S, A>, now: Now, target: Key, want: usize) -> Self {
        let config = LookupConfig { want, disjoint_paths: 1, ..env.config.lookup(false) };
        let told = env.config.limits.contacts_per_answer_max;
        Self::from_table(env, now, target, config, told)
    }

    /// As [`sampling`](Self::sampling), but nobody waits for it, and nobody has to name whom the routing table has: what it
    /// finds is not the closest.
    pub(super) fn sampling_news<S>(env: &mut Env<S, A>, now: Now, target: Key, want: usize) -> Self {
        let mut finder = Self::sampling(env, now, target, want);
        let near = env.table.closest(&target, finder.told as usize, |_| true);
        finder.spared = near.into_iter().map(|contact| contact.id).collect();
        finder.patience = Patience::Endless;
        finder
    }

    fn from_table<S>(env: &mut Env<S, A>, now: Now, target: Key, config: LookupConfig, told: usize) -> Self {
        // Twice as many as wanted, as reserves for those that do not answer.
        let seeds = env.table.closest(&target, 2 * config.want, |_| true);
        if let Some(bucket) = env.table.bucket_index(&target) {
            env.table.touch(bucket, now.instant);
        }
        let told = told.min(env.config.limits.contacts_per_answer_max) as u32;
        Self::begin(now, target, told, Lookup::new(target, env.own, seeds, config))
    }

    fn begin(now: Now, target: Key, told: u32, lookup: Lookup<A>) -> Self {
        Self {
            target,
            told,
            spared: Box::default(),
            patience: Patience::OfNode,
            lookup,
            gleaned: None,
            heard_news: false,
            known: None,
            first_look: Some(now.instant),
            passed_over: Vec::new(),
        }
    }

    /// Sends what is to be sent next.
    pub(super) fn advance<S>(&mut self, env: &mut Env<S, A>, now: Now, owner: Owner) {
        while self.known.is_none()
            && let Some(candidate) = self.next(env, now)
        {
            let known = Some(self.known_to(&candidate, env.rng.next_u64()));
            let value = self.gleaned.as_mut().map(|gleaned| gleaned.ask(candidate.id));
            let request = Request::FindNode(FindNode { target: self.target, count: self.told, known, value });
            env.request(now, candidate, request, owner);
        }
    }

    /// Whom a candidate need not name.
    fn known_to(&self, candidate: &Contact<A>, drawn: u64) -> KnownIds {
        let heard = self.lookup.heard_by_path_of(candidate, self.told as usize);
        let heard = heard.filter(|id| !self.spared.contains(id));
        KnownIds::new(heard.chain(self.spared.iter().copied()), drawn)
    }

    /// Whom to ask next. Nodes that were silent lately count as failed: a client, which knows nobody's neighbourhood and
    /// is told of the dead by everyone, would wait for them in every lookup.
    fn next<S>(&mut self, env: &Env<S, A>, now: Now) -> Option<Contact<A>> {
        loop {
            let Some(candidate) = self.lookup.next() else {
                let is_in_vain = self.lookup.is_done() && self.lookup.closest().is_empty();
                let began = self.first_look.take_if(|_| is_in_vain)?;
                self.look_again(env, now.instant.since(began));
                continue;
            };
            if self.first_look.is_none() || !env.peers.is_given_up(now.instant, &candidate.id) {
                return Some(candidate);
            }
            self.lookup.failed(&candidate);
            self.passed_over.push(candidate);
        }
    }

    /// Begins the second look, with those that were not asked, and with all if it was soon known that none answers:
    /// they may have stood still for a moment.
    fn look_again<S>(&mut self, env: &Env<S, A>, took: Duration) {
        let config = env.config.lookup(false);
        let mut seeds = std::mem::take(&mut self.passed_over);
        if took < MOMENT {
            seeds = env.table.closest(&self.target, 2 * config.want, |_| true);
        }
        self.lookup = Lookup::new(self.target, env.own, seeds, config);
    }

    /// Takes in what became of a request; ignores those that are not its own.
    pub(super) fn on_signal<S>(&mut self, env: &mut Env<S, A>, now: Now, signal: &Signal<A>) {
        let was_done = self.lookup.is_done();
        self.take_in(env, now, signal);
        let is_complete_now = !was_done && self.lookup.is_complete();
        if is_complete_now && !self.heard_news && self.lookup.trace().iter().any(Hop::is_answered) {
            env.table.told_of_nobody_new(&self.target);
        }
    }

    fn take_in<S>(&mut self, env: &mut Env<S, A>, now: Now, signal: &Signal<A>) {
        match &signal.kind {
            SignalKind::Answer { response: Response::Nodes(nodes), round_trip } => {
                self.heard_news |= env.hear_of(now, &nodes.contacts);
                if let Some(gleaned) = &mut self.gleaned {
                    gleaned.answered(signal.from.id, nodes.held.as_deref(), *round_trip);
                }
                let contacts = nodes.contacts.iter().map(|&WireContact(contact)| contact).collect();
                self.lookup.answered(&signal.from, contacts, *round_trip);
            }
            SignalKind::Answer { .. } | SignalKind::Silent => {
                self.expect_nothing_of(&signal.from.id);
                self.lookup.failed(&signal.from);
            }
            SignalKind::Slow | SignalKind::Lost if self.passes_over(&signal.kind) => {
                self.expect_nothing_of(&signal.from.id);
                self.lookup.slow(&signal.from);
            }
            SignalKind::Slow | SignalKind::Lost | SignalKind::Durable { .. } => {}
        }
    }

    /// Whether somebody else is asked in the place of a node of which this is heard.
    fn passes_over(&self, kind: &SignalKind<A>) -> bool {
        match self.patience {
            Patience::OfUser => true,
            Patience::OfNode => matches!(kind, SignalKind::Slow),
            Patience::Endless => false,
        }
    }

    fn expect_nothing_of(&mut self, id: &NodeId) {
        if let Some(gleaned) = &mut self.gleaned {
            gleaned.passed_over(id);
        }
    }

    /// Goes on to all of the closest when those that answered were not enough for a read.
    pub(super) fn go_on(&mut self) {
        self.lookup.go_on();
    }

    pub(super) fn is_done(&self) -> bool {
        self.known.is_some() || self.lookup.is_done()
    }

    /// The closest responsive nodes found, nearest first.
    pub(super) fn closest(&self) -> Vec<Contact<A>> {
        self.known.clone().unwrap_or_else(|| self.lookup.closest())
    }

    /// The closest nodes found, those included that were asked and are merely slow: of whom a quorum is taken.
    pub(super) fn candidates(&self) -> Vec<Contact<A>> {
        self.known.clone().unwrap_or_else(|| self.lookup.closest_asked())
    }

    /// The closest nodes heard of, asked or not, but for those that do not answer or were silent lately.
    pub(super) fn heard<S>(&self, env: &Env<S, A>, now: Now) -> Vec<Contact<A>> {
        let mut heard = self.lookup.closest_heard();
        heard.retain(|contact| !env.peers.is_given_up(now.instant, &contact.id));
        heard.truncate(env.config.replication + spare_candidates(env, now));
        heard
    }

    /// Those asked that do not answer, and those passed over because they were silent lately.
    pub(super) fn silent(&self) -> Vec<Contact<A>> {
        let failed = self.lookup.trace().iter().filter(|hop| hop.outcome == HopOutcome::Failed);
        failed.map(|hop| hop.contact).collect()
    }

    /// Whether all of the closest have answered, as far as they do, or were known from the first.
    pub(super) fn is_complete(&self) -> bool {
        self.known.is_some() || self.lookup.is_complete()
    }

    pub(super) fn gleaned(&self) -> Option<&Gleaned> {
        self.gleaned.as_ref()
    }

    pub(super) fn into_gleaned(self) -> Option<Gleaned> {
        self.gleaned
    }

    pub(super) fn lookup(&self) -> &Lookup<A> {
        &self.lookup
    }
}

/// Candidates beyond the replicas: to stand in, and those that have stood in until lately.
fn spare_candidates<S, A: Address>(env: &Env<S, A>, now: Now) -> usize {
    SPARE_CANDIDATES + back_lately(env, now)
}

/// Nodes that are back lately, as far as they may be among the replicas of one record.
fn back_lately<S, A: Address>(env: &Env<S, A>, now: Now) -> usize {
    env.peers.back_lately(now.instant).min(env.config.replication)
}
