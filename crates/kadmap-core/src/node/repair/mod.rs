//! Keeping replicas equal as nodes come, go and miss things.
//!
//! Three things make a node compare ranges of its records with another holder: a node that arrived, a node that
//! departed, so that another has moved up, and time: every `repair_interval` each range is compared with two other
//! holders, drawn at random.
//! A comparison that finds nothing costs one small request, whatever the number of records; one that finds something
//! costs what differs.
//! What differs is sent both ways as copies, which merge; so it does not matter who is right.
//!
//! Differs from the paper: no record is republished by the clock.

mod belonging;
mod farewell;
mod misplaced;
mod neighbours;
mod outbox;
mod rival;
mod serve;
mod session;
mod strays;
mod sync;
mod wish;

use std::collections::BTreeMap;
use std::time::Duration;

use super::env::Env;
use super::requests::Owner;
use super::signal::{Signal, SignalKind};
use crate::ranges::{Prefix, joined};
use crate::store::RecordStore;
use crate::wire::{Refusal, RequestId, Response};
use crate::{Address, Consistency, Contact, Instant, NodeId, Now};
use farewell::Farewell;
pub(super) use misplaced::Misplaced;
use neighbours::{Neighbours, PARTNERS_PER_RANGE};
pub(super) use outbox::Outbox;
use session::Session;
use strays::Strays;
pub(super) use sync::Awaited;
use sync::Sync;

/// Comparisons that one node has under way at once: enough to keep busy, few enough to leave its peers alone.
const SESSIONS_MAX: usize = 4;
/// Ranges in one comparison, so that its request fits a packet or a few.
const RANGES_PER_SESSION_MAX: usize = 512;
/// Records taken into the tree in one turn after a start: a turn stays around a millisecond.
const INDEXED_PER_TURN: usize = 512;
/// How long to wait with a holder that is still reading its own records, or learning from others what belongs to it: long
/// enough for most to be done, as what they learn need not be sent.
const BUSY_WAIT: Duration = Duration::from_secs(3);
/// And how long while this node leaves, again and again: a holder that was restarted a moment ago is done soon.
const BUSY_WAIT_LEAVING: Duration = Duration::from_millis(100);
/// After so long in leaving, whoever cannot tell yet what it lacks is sent everything, for there is no more time to wait.
const LEAVING_PATIENCE: Duration = Duration::from_secs(2);

/// Which of the ranges of a comparison the other is to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// What belongs to it, as far as it knows.
    Shared,
    /// All of them: it may not know yet whose place it takes.
    All,
}

/// Ranges that wait to be compared with a holder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Task {
    /// In path order.
    ranges: Vec<Prefix>,
    not_before: Instant,
    reach: Reach,
}

/// One node's part in keeping replicas equal.
#[derive(Debug)]
pub(super) struct Repair<A: Address> {
    /// When nodes that arrived are looked after, if there are any.
    arrivals_at: Option<Instant>,
    /// When nodes that departed are, if there are any.
    departures_at: Option<Instant>,
    /// When everything is compared again; `None` until the node has met somebody.
    round_at: Option<Instant>,
    tasks: BTreeMap<Contact<A>, Task>,
    /// By the request whose answer each waits for.
    sessions: BTreeMap<RequestId, Session<A>>,
    /// While this node comes to hold what belongs to it.
    sync: Option<Sync<A>>,
    /// While this node leaves.
    farewell: Option<Box<Farewell<A>>>,
    /// What is held here and belongs to others; nothing for most nodes.
    strays: Option<Box<Strays>>,
}

impl<A: Address> Default for Repair<A> {
    fn default() -> Self {
        Self {
            arrivals_at: None,
            departures_at: None,
            round_at: None,
            tasks: BTreeMap::new(),
            sessions: BTreeMap::new(),
            sync: None,
            farewell: None,
            strays: None,
        }
    }
}

impl<A: Address> Repair<A> {
    /// When there is something to do next.
    pub(super) fn next_timer<S>(&self, env: &Env<S, A>, now: Instant) -> Option<Instant> {
        if env.is_client() || env.attendance.is_doubting() {
            return None;
        }
        if !env.store.is_indexed() {
            return Some(now);
        }
        let task = self.tasks.values().map(|task| task.not_before).min();
        let task = task.filter(|_| self.sessions.len() < SESSIONS_MAX);
        let sync = self.sync.as_ref().map(|sync| sync.next_timer(env, now));
        let strays = self.strays.as_ref().filter(|strays| strays.is_dropping()).map(|_| now);
        let (outbox, misplaced) = (env.outbox.next_timer(env), env.misplaced.next_timer());
        let own = [self.arrivals_at, self.departures_at, self.round_at, task, sync, strays];
        let timers = own.into_iter().chain([outbox, misplaced]);
        timers.flatten().min()
    }

    /// Does what is due: indexes, plans, compares, sends.
    pub(super) fn run<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) {
        self.plan(env, now);
        if env.attendance.is_doubting() {
            return;
        }
        if !env.store.is_indexed() {
            env.store.index_more(INDEXED_PER_TURN);
            return;
        }
        self.plan_due(env, now);
        self.go_on_syncing(env, now);
        self.start_sessions(env, now);
        env.hand_misplaced_on(now);
        env.send_parcels(now);
        if let Some(strays) = &mut self.strays {
            strays.drop_some(env);
        }
        self.tidy_up();
    }

    /// Sets the times for what has changed since the last look.
    pub(super) fn plan<S>(&mut self, env: &mut Env<S, A>, now: Now) {
        if env.is_client() {
            env.arrived.clear();
            env.departed.clear();
            return;
        }
        if env.attendance.is_doubting() || self.farewell.is_some() {
            return;
        }
        if env.sync_due && env.store.is_indexed() {
            env.sync_due = false;
            self.start_sync(env, now);
        }
        if !env.arrived.is_empty() && self.arrivals_at.is_none() {
            self.arrivals_at = Some(now.instant + env.jitter(env.config.handover_delay));
        }
        if env.departed.is_empty() {
            // Whoever was to be replaced is back. The next one to go has all the time that was granted to it.
            self.departures_at = None;
        } else if self.departures_at.is_none() {
            self.departures_at = Some(now.instant + env.jitter(env.config.repair_delay));
        }
        if self.round_at.is_none() && !env.table.is_empty() {
            self.round_at = Some(now.instant + round_wait(env));
        }
    }

    /// Whether nothing is under way.
    fn is_idle<S>(&self, env: &Env<S, A>) -> bool {
        self.tasks.is_empty() && self.sessions.is_empty() && env.outbox.is_idle()
    }

    /// Whether this node learns from others what belongs to it.
    pub(super) fn is_syncing(&self) -> bool {
        self.sync.is_some()
    }

    /// Forgets what was to be compared with a node that does not answer; what became of its place is another task.
    pub(super) fn fell_silent<S>(&mut self, env: &mut Env<S, A>, now: Now, id: &NodeId) {
        let tasks = self.tasks.len();
        self.tasks.retain(|contact, _| contact.id != *id);
        if let Some(farewell) = &mut self.farewell {
            farewell.is_incomplete |= self.tasks.len() < tasks;
            farewell.is_incomplete |= env.outbox.forget(id);
        }
        if let Some(sync) = &mut self.sync {
            sync.let_go(id);
            // Who is alone now has a say at once: an operation may hear of this silence next, and count whoever is left.
            self.go_on_syncing(env, now);
        }
    }

    /// Takes note of what became of a step of a comparison, or of a copy.
    pub(super) fn on_signal<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now, signal: Signal<A>) {
        if !signal.kind.is_final() {
            return;
        }
        let Some(mut session) = self.sessions.remove(&signal.request) else {
            if let SignalKind::Answer { response: Response::Copied(copied), .. } = signal.kind {
                return env.outbox.settled(copied.stored);
            }
            self.was_not_taken(env, now, signal.from, signal.kind.is_of_leaver());
            return env.outbox.settled(0);
        };
        let leaves = signal.kind.is_of_leaver();
        let response = match signal.kind {
            SignalKind::Answer { response, .. } if !leaves => response,
            _ => {
                self.was_not_taken(env, now, signal.from, leaves);
                return self.go_on_without(env, now, &signal.from.id);
            }
        };
        if let Response::Refused(Refusal::Starting) = response {
            return self.put_off(env, now, session);
        }
        if let (Response::Sums(sums), Some(_)) = (&response, &self.sync) {
            env.attendance.told(sums.member_ms);
        }
        let next = session.on_answer(env, &response);
        if let (Response::Sums(_), Some(strays)) = (&response, &mut self.strays) {
            strays.confirm(env.store.tree(), session.even(), signal.from.id);
        }
        if let Some(request) = next {
            let id = env.request(now, session.partner(), request, Owner::Repair);
            self.sessions.insert(id, session);
        } else if let Some(sync) = &mut self.sync {
            sync.compared(env, now.instant, &session);
        }
        self.go_on_syncing(env, now);
        self.tidy_up();
    }

    /// Goes on without a holder that cannot tell yet what it has.
    fn put_off<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now, session: Session<A>) {
        let (partner, reach) = (session.partner(), session.reach());
        let Some(farewell) = &self.farewell else {
            if self.sync.is_some() {
                // It has no more to tell than this node.
                return self.go_on_without(env, now, &partner.id);
            }
            return self.add([(partner, session.into_ranges())], now.instant + BUSY_WAIT, reach);
        };
        if farewell.lasts(now.instant) < LEAVING_PATIENCE {
            return self.add([(partner, session.into_ranges())], now.instant + BUSY_WAIT_LEAVING, reach);
        }
        session.into_ranges().into_iter().for_each(|range| env.outbox.push_range(partner, range));
        env.send_parcels(now);
    }

    /// Goes on learning what belongs to this node without a holder that tells nothing.
    fn go_on_without<S>(&mut self, env: &mut Env<S, A>, now: Now, id: &NodeId) {
        if let Some(sync) = &mut self.sync {
            sync.let_go(id);
        }
        self.go_on_syncing(env, now);
    }

    /// Begins to learn what belongs to this node, which has just come to know the swarm.
    fn start_sync<S>(&mut self, env: &mut Env<S, A>, now: Now) {
        let needed = read_quorum(env);
        let (contacts, shares) = Neighbours::of_all(env).shares();
        self.sync = Some(Sync::new(now.instant, contacts, shares, needed));
        self.go_on_syncing(env, now);
    }

    fn go_on_syncing<S>(&mut self, env: &mut Env<S, A>, now: Now) {
        let is_done = |sync: &Option<Sync<A>>| sync.as_ref().is_some_and(|sync| sync.is_done(now.instant));
        if !is_done(&self.sync)
            && let Some(next) = self.sync.as_mut().and_then(|sync| sync.next(env, now.instant))
        {
            self.add([next], now.instant, Reach::Shared);
        }
        // That nobody is left to be asked is known only now.
        if is_done(&self.sync) {
            self.sync = None;
            env.awaited = None;
            env.is_syncing = false;
            env.attendance.inherit(now, read_quorum(env));
        }
    }

    fn plan_due<S>(&mut self, env: &mut Env<S, A>, now: Now) {
        let is_due = |at: &mut Instant| *at <= now.instant;
        let arrivals = self.arrivals_at.take_if(is_due).is_some();
        let departures = self.departures_at.take_if(is_due).is_some();
        if arrivals || departures {
            let arrived = if arrivals { std::mem::take(&mut env.arrived) } else { Vec::new() };
            let departed = if departures {
                departed_for(env, now.instant, env.config.repair_delay.0)
            } else {
                Vec::new()
            };
            if departures && !env.departed.is_empty() {
                // Who has gone just now has as much time to return as the others had.
                let (least, most) = env.config.repair_delay;
                self.departures_at =
                    Some(now.instant + env.jitter((least, most.saturating_sub(least).max(least))));
            }
            let arrived: Vec<_> = arrived.into_iter().map(|arrival| arrival.contact).collect();
            let neighbours = Neighbours::of_change(env, &arrived, &departed, false);
            let reach = if departed.is_empty() { Reach::Shared } else { Reach::All };
            self.add(neighbours.handovers(env), now.instant, reach);
        }
        if self.round_at.take_if(is_due).is_some() {
            self.round_at = Some(now.instant + round_wait(env));
            env.counters.repair_rounds += 1;
            let neighbours = Neighbours::of_round(env);
            self.begin_round_of_strays(env, &neighbours);
            self.add(neighbours.partners(env, PARTNERS_PER_RANGE), now.instant, Reach::Shared);
        }
    }

    fn begin_round_of_strays<S>(&mut self, env: &Env<S, A>, neighbours: &Neighbours<A>) {
        if self.strays.is_none() && neighbours.foreign().next().is_none() {
            return;
        }
        let strays = self.strays.get_or_insert_default();
        strays.begin_round(env.store.tree(), neighbours.own(), neighbours.foreign());
    }

    fn add(
        &mut self,
        tasks: impl IntoIterator<Item = (Contact<A>, Vec<Prefix>)>,
        not_before: Instant,
        reach: Reach,
    ) {
        for (contact, ranges) in tasks {
            let task = self.tasks.entry(contact).or_insert(Task { ranges: Vec::new(), not_before, reach });
            task.reach = task.reach.max(reach);
            task.ranges.extend(ranges);
            task.ranges.sort_unstable();
            task.ranges = joined(std::mem::take(&mut task.ranges));
            task.not_before = task.not_before.min(not_before);
        }
    }

    /// Gives back the memory of busier times: a map keeps room for some entries when it is empty, each of hundreds of
    /// bytes here.
    fn tidy_up(&mut self) {
        if self.tasks.is_empty() {
            self.tasks = BTreeMap::new();
        }
        if self.sessions.is_empty() {
            self.sessions = BTreeMap::new();
        }
    }

    fn start_sessions<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) {
        while self.sessions.len() < SESSIONS_MAX {
            let due = |task: &Task| task.not_before <= now.instant;
            let Some(contact) = self.tasks.iter().find(|(_, task)| due(task)).map(|(contact, _)| *contact)
            else {
                return;
            };
            let Some(mut task) = self.tasks.remove(&contact) else { return };
            if env.peers.has_left(now.instant, &contact.id) {
                self.was_not_taken(env, now, contact, true);
                self.go_on_without(env, now, &contact.id);
                continue;
            }
            if task.ranges.len() > RANGES_PER_SESSION_MAX {
                let rest = task.ranges.split_off(RANGES_PER_SESSION_MAX);
                self.tasks.insert(contact, Task { ranges: rest, ..task });
            }
            let (session, request) = Session::start(env, contact, task.ranges, task.reach);
            env.counters.repair_comparisons += 1;
            let id = env.request(now, contact, request, Owner::Repair);
            self.sessions.insert(id, session);
        }
    }
}

/// Takes those that have been gone for some time at least.
fn departed_for<S, A: Address>(env: &mut Env<S, A>, now: Instant, least: Duration) -> Vec<NodeId> {
    let departed = env.departed.extract_if(.., |(_, at)| now.since(*at) >= least);
    departed.map(|(id, _)| id).collect()
}

/// Of how many holders of a record one has whatever was acknowledged.
fn read_quorum<S, A: Address>(env: &Env<S, A>) -> usize {
    Consistency::Quorum.reads_needed(env.config.replication.min(env.table.len() + 1))
}

/// The time from one round to the next, a quarter more or less, so that neighbours drift apart.
fn round_wait<S, A: Address>(env: &mut Env<S, A>) -> Duration {
    let interval = env.config.repair_interval;
    env.jitter((interval * 3 / 4, interval * 5 / 4))
}
