//! One watch: it relies on enough replicas that every acknowledged write meets several of them, and tells a change
//! once a read quorum of them has confirmed it.
//!
//! Each replica numbers the changes it tells, so the watch knows of which replicas it has heard everything. What a read
//! quorum of those holds covers all that was acknowledged before they came to hold it: so a change that a read quorum
//! has told comes after all that its writer had acknowledged before it, and each is told in its turn. A change that was
//! missed shows as a gap in a replica's numbers, or as a version that what was heard does not explain; then the whole
//! record is fetched from that replica, one fetch at a time.

mod fetch;
mod known;
mod pending;
mod replicas;
mod slot;

use std::time::Duration;

use super::env::Env;
use super::finder::Finder;
use super::signal::{Signal, SignalKind};
use super::watches::Errand;
use crate::operation::{Event, News, OperationId, WatchError, WatchOptions};
use crate::record::Record;
use crate::store::{RecordId, RecordStore};
use crate::wire::{Changed, RequestId, Response};
use crate::{Address, Instant, NodeId, Now};
use known::{Known, Part};
use pending::Pending;
use slot::Slot;

/// How long a change waits for confirmation before those replicas are asked that have not told of it: longer than the
/// copies beyond a write's quorum take.
const PROBE_AFTER: Duration = Duration::from_millis(100);
/// The longest wait between such rounds of questions.
const PROBE_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long a change is waited for that is missing before one that was heard: longer than a replica repeats it.
const GAP_PATIENCE: Duration = Duration::from_millis(500);
/// Changes that wait at most; beyond it they are forgotten and the record is fetched.
const PENDING_MAX: usize = 4096;

/// How far a watch has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The first state is not known yet.
    Starting,
    /// The state after a pause is not known yet.
    Resuming,
    /// What is told are changes.
    Telling,
    /// Nobody listens for now.
    Muted,
}

/// A watch under way.
pub(super) struct Watch<A: Address> {
    id: OperationId,
    record: RecordId,
    options: WatchOptions,
    stage: Stage,
    finder: Option<Box<Finder<A>>>,
    /// The replicas it relies on.
    slots: Vec<Slot<A>>,
    /// A read quorum of the responsible nodes.
    need: usize,
    /// Those that would not tell of changes; asked again after the next renewal.
    refused: Vec<NodeId>,
    /// What has been told, and before anything has, what there is to tell.
    known: Known,
    pending: Pending,
    /// The state to tell first, as far as it is known.
    first: Option<Box<Record>>,
    /// A replica whose whole record is on its way, and since when.
    fetching: Option<(NodeId, RequestId, Instant)>,
    fetched_last: Option<NodeId>,
    /// Fetching takes at most half of the time, however much changes.
    fetch_after: Instant,
    straggler_at: Option<Instant>,
    probe_at: Option<Instant>,
    probe_wait: Duration,
    renew_at: Instant,
    reselect_at: Option<Instant>,
    reselect_wait: Duration,
    timer: Option<Instant>,
}

impl<A: Address> Watch<A> {
    pub(super) fn new<S>(
        env: &mut Env<S, A>,
        now: Now,
        id: OperationId,
        record: RecordId,
        options: WatchOptions,
    ) -> Self {
        env.watches.insert(record.clone(), id);
        let finder = Finder::new(env, now, record.key);
        Self {
            id,
            record,
            options,
            stage: Stage::Starting,
            finder: Some(Box::new(finder)),
            slots: Vec::new(),
            need: 1,
            refused: Vec::new(),
            known: Known::default(),
            pending: Pending::default(),
            first: None,
            fetching: None,
            fetched_last: None,
            fetch_after: now.instant,
            straggler_at: None,
            probe_at: None,
            probe_wait: PROBE_AFTER,
            renew_at: replicas::renewal(env, now),
            reselect_at: None,
            reselect_wait: replicas::RESELECT_WAIT,
            timer: None,
        }
    }

    /// Takes in news of a request of its own.
    pub(super) fn on_signal<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now, signal: Signal<A>) {
        let is_fetch = self.fetching.is_some_and(|(_, request, _)| request == signal.request);
        if is_fetch {
            self.on_fetch(env, now, signal);
        } else if let Some(index) = self.slot_asked(signal.request) {
            self.on_slot(env, now, index, signal);
        } else if let Some(finder) = self.finder.as_mut().filter(|_| is_of_lookup(&signal)) {
            finder.on_signal(env, now, &signal);
        }
        self.advance(env, now);
    }

    /// Takes in a change that a replica told.
    pub(super) fn on_changed<S: RecordStore>(
        &mut self,
        env: &mut Env<S, A>,
        now: Now,
        from: &NodeId,
        changed: Changed,
    ) {
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.is(from)) else { return };
        if slot.has_heard(changed.number) {
            return;
        }
        let index = self.index_of(from);
        if self.stage != Stage::Muted
            && let Some(delta) = &changed.delta
        {
            self.hear(now, delta.clone());
        }
        self.slots[index].keep(now.instant, changed);
        self.advance(env, now);
    }

    /// Does what its timer was set for.
    pub(super) fn on_timer<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) {
        self.timer = None;
        if now.instant >= self.renew_at {
            self.renew(env, now);
        }
        if self.probe_at.is_some_and(|at| at <= now.instant) {
            self.probe_at = None;
            self.probe(env, now);
        }
        let is_overdue = |slot: &&mut Slot<A>| {
            slot.asked.is_none() && slot.gap_since().is_some_and(|since| since + GAP_PATIENCE <= now.instant)
        };
        let mut overdue = Vec::new();
        for slot in self.slots.iter_mut().filter(is_overdue) {
            slot.start_over();
            overdue.push(slot.id());
        }
        self.ask_each(env, now, &overdue);
        if self.reselect_at.is_some_and(|at| at <= now.instant) {
            self.reselect(env, now);
        }
        self.advance(env, now);
    }

    /// Does what is to be done because of a peer.
    pub(super) fn on_errand<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now, errand: Errand) {
        match errand {
            Errand::Ask(peer) | Errand::Check(peer) => {
                let place = self.slots.iter().position(|slot| slot.is(&peer));
                if let Some(index) = place.filter(|&index| self.slots[index].asked.is_none()) {
                    self.ask(env, now, index, matches!(errand, Errand::Check(_)));
                }
            }
            Errand::Replace(peer) => {
                self.drop_slot(env, now, &peer, false);
                self.reselect(env, now);
            }
            Errand::End => {}
            Errand::Newcomers => {
                if self.is_nearer(&env.watches.newcomers) {
                    self.reselect(env, now);
                }
            }
        }
        self.advance(env, now);
    }

    /// The time to begin is over; tells whether the watch has failed.
    pub(super) fn expire<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) -> bool {
        if self.stage != Stage::Starting {
            return false;
        }
        let replicas = self.slots.iter().filter(|slot| slot.subscribed).count();
        let error = WatchError::TooFewReplicas { replicas, need: self.need };
        env.events.push_back(Event::Watching { operation: self.id, result: Err(error) });
        self.end(env, now);
        true
    }

    /// Ends the subscriptions; the watch is over.
    pub(super) fn end<S>(&mut self, env: &mut Env<S, A>, now: Now)
    where
        S: RecordStore,
    {
        env.watches.remove(&self.record, self.id);
        while let Some(slot) = self.slots.last() {
            let id = slot.id();
            self.drop_slot(env, now, &id, true);
        }
        env.watches.set_timer(self.id, self.timer.take(), None);
    }

    /// Stops telling until it is resumed.
    pub(super) fn mute(&mut self) {
        if self.stage == Stage::Telling {
            self.stage = Stage::Muted;
            self.pending.clear();
        }
    }

    /// Tells the record as it stands, and every change from there on.
    pub(super) fn resume<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) {
        if self.stage != Stage::Muted {
            return;
        }
        self.stage = Stage::Resuming;
        self.known = Known::default();
        for slot in &mut self.slots {
            slot.forget_heard();
        }
        self.fetch_after = now.instant;
        self.advance(env, now);
    }

    /// Does what can be done now.
    pub(super) fn advance<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) {
        self.go_on_finding(env, now);
        self.take_in_order(now);
        self.sync(env, now);
        self.tell(env, now);
        self.set_timer(env, now);
    }

    /// Takes in what a record or a delta holds that is news.
    fn hear(&mut self, now: Now, delta: Record) {
        if matches!(self.stage, Stage::Starting | Stage::Resuming) {
            for part in Part::all_of(delta.clone()) {
                self.known.take(&part);
            }
            self.first.get_or_insert_default().merge(delta);
            return;
        }
        for part in Part::all_of(delta) {
            if !self.known.covers(&part) {
                self.pending.hear(now.instant, part);
            }
        }
        if self.pending.len() > PENDING_MAX {
            self.pending.clear();
            for slot in &mut self.slots {
                slot.forget_heard();
            }
        }
    }

    /// Takes the changes of each replica in that replica's order.
    fn take_in_order(&mut self, now: Now) {
        for slot in &mut self.slots {
            while let Some(delta) = slot.next(now.instant) {
                let Some(delta) = delta else { continue };
                for part in Part::all_of(delta) {
                    let Some(waiting) = self.pending.find(&part) else { continue };
                    waiting.said |= slot.bit();
                    if slot.synced {
                        waiting.confirmed |= slot.bit();
                    }
                }
            }
        }
    }

    fn tell<S>(&mut self, env: &mut Env<S, A>, now: Now) {
        if matches!(self.stage, Stage::Starting | Stage::Resuming) {
            let synced = self.slots.iter().filter(|slot| slot.synced).count();
            if self.slots.is_empty() || synced < self.need_now() {
                return;
            }
            self.begin(env, now);
        }
        if self.stage == Stage::Telling {
            let need = self.need_now();
            let slots = &self.slots;
            let told = self.pending.release(|waiting| {
                let clean = |slot: &&Slot<A>| {
                    waiting.confirmed & slot.bit() != 0 || slot.clean_at >= Some(waiting.heard_at)
                };
                slots.iter().filter(clean).count() >= need
            });
            for part in told {
                env.observe(now, part.stamp());
                if self.known.take(&part) {
                    let news = part.into_news();
                    env.events.push_back(Event::Changed { operation: self.id, news });
                }
            }
        }
        while let Some(id) = self.known.pop_expired(now.unix_ms) {
            if self.stage == Stage::Telling {
                env.events.push_back(Event::Changed { operation: self.id, news: News::Expired(id) });
            }
        }
        self.plan_probe(now);
    }

    /// The first state is known.
    fn begin<S>(&mut self, env: &mut Env<S, A>, now: Now) {
        let is_first = self.stage == Stage::Starting;
        if is_first {
            env.events.push_back(Event::Watching { operation: self.id, result: Ok(()) });
        }
        let first = self.first.take().map_or_else(Record::default, |first| *first);
        env.observe(now, first.newest());
        // What is over by now is not part of that state, and nobody was told that it was there.
        while self.known.pop_expired(now.unix_ms).is_some() {}
        if !is_first || self.options.initial {
            env.events.push_back(Event::Changed { operation: self.id, news: News::State(first) });
        }
        self.stage = Stage::Telling;
    }

    /// Asks the replicas that have not confirmed the oldest change whether there is something unheard.
    fn probe<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) {
        let oldest = self.pending.iter().min_by_key(|waiting| waiting.heard_at);
        let overdue = oldest.filter(|oldest| oldest.heard_at + PROBE_AFTER <= now.instant);
        let Some((confirmed, heard_at)) = overdue.map(|oldest| (oldest.confirmed, oldest.heard_at)) else {
            // Others have come since it was planned.
            self.probe_wait = PROBE_AFTER;
            return;
        };
        self.probe_wait = (2 * self.probe_wait).min(PROBE_WAIT_MAX);
        let lacks = |slot: &&Slot<A>| confirmed & slot.bit() == 0 && slot.clean_at < Some(heard_at);
        let lacking: Vec<_> = self.slots.iter().filter(lacks).map(Slot::id).collect();
        self.ask_each(env, now, &lacking);
    }

    fn plan_probe(&mut self, now: Now) {
        match self.pending.oldest() {
            None => (self.probe_at, self.probe_wait) = (None, PROBE_AFTER),
            Some(oldest) => {
                let first = (oldest + PROBE_AFTER).max(now.instant);
                let at = if self.probe_wait > PROBE_AFTER { now.instant + self.probe_wait } else { first };
                self.probe_at = self.probe_at.or(Some(at));
            }
        }
    }

    fn set_timer<S>(&mut self, env: &mut Env<S, A>, now: Now) {
        let gap = self.slots.iter().filter(|slot| slot.asked.is_none()).filter_map(Slot::gap_since);
        let gap = gap.min().map(|since| since + GAP_PATIENCE);
        let death = self.known.next_death_ms().filter(|_| self.stage == Stage::Telling);
        let death =
            death.map(|at_ms| now.instant + Duration::from_millis(at_ms.saturating_sub(now.unix_ms).max(1)));
        // While nothing may be fetched there is no use in waking up for it.
        let wants_fetch = self.straggler_at.is_some() && self.fetching.is_none();
        let straggler = self.straggler_at.filter(|_| wants_fetch && self.stage != Stage::Muted);
        let fetch = (wants_fetch && self.fetch_after > now.instant).then_some(self.fetch_after);
        let straggler = straggler.filter(|at| *at > now.instant);
        let timers =
            [Some(self.renew_at), self.probe_at, gap, death, straggler, fetch, self.reselect_at].into_iter();
        let next = timers.flatten().min();
        env.watches.set_timer(self.id, self.timer, next);
        self.timer = next;
    }

    /// How many replicas must confirm: a read quorum, or all there are when fewer tell of changes.
    fn need_now(&self) -> usize {
        self.need.min(self.slots.len()).max(1)
    }

    fn index_of(&self, id: &NodeId) -> usize {
        self.slots.iter().position(|slot| slot.is(id)).unwrap_or(self.slots.len())
    }

    fn slot_asked(&self, request: RequestId) -> Option<usize> {
        self.slots.iter().position(|slot| slot.asked == Some(request))
    }
}

/// Whether news may be of a lookup's request, not of one to a replica that is relied on no more.
fn is_of_lookup<A>(signal: &Signal<A>) -> bool {
    !matches!(
        &signal.kind,
        SignalKind::Answer {
            response: Response::Watching(_)
                | Response::Found(_)
                | Response::Summary(_)
                | Response::Refused(_),
            ..
        }
    )
}
