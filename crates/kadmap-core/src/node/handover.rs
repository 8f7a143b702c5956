//! Keeping records on the nodes that are responsible for them as nodes come and go.
//!
//! When a node arrives that belongs to the closest of a record, the closest of the others hands it over; when one
//! departs, the closest holder gives the record to the node that moves up.
//! One sweep over the store serves all arrivals and departures since the last one, a page at a time.
//! Before a record travels, its receiver is asked whether it lacks it: most often a writer was faster, and a line in a
//! list costs a fiftieth of a copy.

use std::collections::{BTreeMap, VecDeque};

use crate::record::Version;
use crate::store::{RecordId, RecordStore};
use crate::wire::{Compare, Put, PutMode, RecordState, Request, RequestId, Response};
use crate::{Address, Contact, Instant, NodeId, Now};

use super::env::Env;
use super::requests::Owner;
use super::signal::{Signal, SignalKind};

/// Records looked at in one turn: at a few microseconds each a turn stays below a millisecond.
const RECORDS_PER_TURN: usize = 128;

/// The sweeps of one node.
#[derive(Debug)]
pub(super) struct Handover<A> {
    /// When the next sweep for arrivals starts, if any are known.
    arrivals_at: Option<Instant>,
    /// When the next sweep for departures starts, if any are known.
    departures_at: Option<Instant>,
    sweep: Option<Sweep<A>>,
    /// What was offered in each comparison that is not answered yet.
    offered: BTreeMap<RequestId, Vec<RecordId>>,
    /// Records that a receiver said it lacks, not sent yet: at most a page for each receiver.
    lacking: VecDeque<(RecordId, Contact<A>)>,
    /// Copies sent and not answered.
    in_flight: usize,
    pub(super) handed_over: u64,
}

/// One sweep over the store.
#[derive(Debug)]
struct Sweep<A> {
    after: Option<RecordId>,
    arrived: Vec<Contact<A>>,
    departed: Vec<NodeId>,
    /// Whether this node itself departs.
    leaving: bool,
}

impl<A> Default for Handover<A> {
    fn default() -> Self {
        Self {
            arrivals_at: None,
            departures_at: None,
            sweep: None,
            offered: BTreeMap::new(),
            lacking: VecDeque::new(),
            in_flight: 0,
            handed_over: 0,
        }
    }
}

impl<A: Address> Handover<A> {
    /// When there is something to do next.
    pub(super) fn next_timer<S>(&self, env: &Env<S, A>, now: Instant) -> Option<Instant> {
        if !self.lacking.is_empty() {
            return (self.in_flight < env.config.handover_in_flight_max).then_some(now);
        }
        if self.sweep.is_some() {
            return self.offered.is_empty().then_some(now);
        }
        self.arrivals_at.into_iter().chain(self.departures_at).min()
    }

    /// Does what is due: plans, starts and continues sweeps.
    pub(super) fn run<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) {
        self.plan(env, now);
        if self.sweep.is_none() {
            self.start(env, now);
        }
        self.hand_over(env, now);
        if self.lacking.is_empty() && self.offered.is_empty() {
            self.offer_next_page(env, now);
        }
    }

    /// Plans a sweep for what has changed since the last look.
    pub(super) fn plan<S>(&mut self, env: &mut Env<S, A>, now: Now) {
        if env.is_client() {
            env.arrived.clear();
            env.departed.clear();
            return;
        }
        if !env.arrived.is_empty() && self.arrivals_at.is_none() {
            self.arrivals_at = Some(now.instant + env.jitter(env.config.handover_delay));
        }
        if !env.departed.is_empty() && self.departures_at.is_none() {
            self.departures_at = Some(now.instant + env.jitter(env.config.repair_delay));
        }
    }

    /// Hands everything over at once, because this node leaves.
    pub(super) fn leave<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) {
        let arrived = std::mem::take(&mut env.arrived);
        let departed = std::mem::take(&mut env.departed);
        self.sweep = Some(Sweep { after: None, arrived, departed, leaving: true });
        self.run(env, now);
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.sweep.is_none() && self.offered.is_empty() && self.lacking.is_empty() && self.in_flight == 0
    }

    /// Takes note of what became of an offer or of a copy.
    pub(super) fn on_signal(&mut self, signal: Signal<A>) {
        if !signal.kind.is_final() {
            return;
        }
        let Some(offered) = self.offered.remove(&signal.request) else {
            let stored = matches!(signal.kind, SignalKind::Answer { response: Response::Stored(_), .. });
            self.in_flight = self.in_flight.saturating_sub(1);
            self.handed_over += u64::from(stored);
            return;
        };
        match signal.kind {
            SignalKind::Answer { response: Response::Lacking(lacking), .. } => {
                let indices = lacking.indices.into_iter().take(offered.len());
                let lacking = indices.filter_map(|index| offered.get(usize::try_from(index).ok()?));
                self.lacking.extend(lacking.map(|id| (id.clone(), signal.from)));
            }
            // Whoever cannot compare is sent everything.
            SignalKind::Answer { .. } => {
                self.lacking.extend(offered.into_iter().map(|id| (id, signal.from)));
            }
            _ => {}
        }
    }

    fn start<S>(&mut self, env: &mut Env<S, A>, now: Now) {
        let due = |at: &mut Option<Instant>| at.take_if(|at| *at <= now.instant).is_some();
        let arrived = if due(&mut self.arrivals_at) { std::mem::take(&mut env.arrived) } else { Vec::new() };
        let departed =
            if due(&mut self.departures_at) { std::mem::take(&mut env.departed) } else { Vec::new() };
        if !arrived.is_empty() || !departed.is_empty() {
            self.sweep = Some(Sweep { after: None, arrived, departed, leaving: false });
        }
    }

    /// Looks at the next page of records and asks their receivers which of them they lack.
    fn offer_next_page<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) {
        let Some(sweep) = self.sweep.take() else { return };
        let page = env.store.heads(sweep.after.as_ref(), RECORDS_PER_TURN).unwrap_or_default();
        let Some((last, _)) = page.last() else { return };
        let after = Some(last.clone());
        let mut offers: BTreeMap<Contact<A>, Vec<(RecordId, Version)>> = BTreeMap::new();
        for (id, head) in &page {
            for to in sweep.receivers(env, id) {
                offers.entry(to).or_default().push((id.clone(), head.version));
            }
        }
        for (to, records) in offers {
            self.offer(env, now, to, records);
        }
        self.sweep = Some(Sweep { after, ..sweep });
    }

    fn offer<S>(&mut self, env: &mut Env<S, A>, now: Now, to: Contact<A>, records: Vec<(RecordId, Version)>) {
        let state = |(id, version): &(RecordId, Version)| RecordState {
            key: id.key,
            name: id.name.clone(),
            version: *version,
        };
        let compare = Compare { records: records.iter().map(state).collect() };
        let request = env.request(now, to, Request::Compare(compare), Owner::Handover);
        self.offered.insert(request, records.into_iter().map(|(id, _)| id).collect());
    }

    /// Sends what is lacking, as far as the bound allows.
    fn hand_over<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) {
        while self.in_flight < env.config.handover_in_flight_max
            && let Some((id, to)) = self.lacking.pop_front()
        {
            // A store that fails has reported itself; another holder has the record as well.
            let Ok((_, delta)) = env.load_here(now, &id) else { continue };
            if delta.is_empty() {
                continue;
            }
            let mode = PutMode::Replicate;
            let put = Put { key: id.key, name: id.name, mode, delta, if_newest: None };
            self.in_flight += 1;
            env.request(now, to, Request::Put(put), Owner::Handover);
        }
    }
}

impl<A: Address> Sweep<A> {
    /// The nodes to which this node has to hand a record.
    fn receivers<S>(&self, env: &Env<S, A>, id: &RecordId) -> Vec<Contact<A>> {
        let replication = env.config.replication;
        let own = env.own.distance(&id.key);
        let closest = env.table.closest(&id.key, replication, |_| true);
        let mut receivers = self.arrivals_to_serve(&closest, own, id, replication);
        // Whoever moves up when somebody departs is the last of the closest.
        let place = replication.checked_sub(1 + usize::from(!self.leaving));
        let last = place.and_then(|place| closest.get(place));
        let moved_up =
            |gone: &NodeId| last.is_some_and(|last| gone.distance(&id.key) < last.id.distance(&id.key));
        let nearest = closest.first().is_none_or(|first| own < first.id.distance(&id.key));
        let lost_a_holder =
            self.leaving && moved_up(&env.own) || nearest && self.departed.iter().any(moved_up);
        if lost_a_holder && let Some(last) = last {
            receivers.push(*last);
        }
        receivers
    }

    /// The arrivals that belong to the closest and that nobody closer than this node will serve.
    fn arrivals_to_serve(
        &self,
        closest: &[Contact<A>],
        own: crate::Distance,
        id: &RecordId,
        replication: usize,
    ) -> Vec<Contact<A>> {
        let is_arrival = |contact: &Contact<A>| self.arrived.iter().any(|arrived| arrived.id == contact.id);
        let rank_limit = |rank: usize, contact: &Contact<A>| {
            rank + usize::from(own < contact.id.distance(&id.key)) < replication
        };
        let holder = closest.iter().find(|contact| !is_arrival(contact));
        if holder.is_some_and(|holder| holder.id.distance(&id.key) < own) {
            return Vec::new();
        }
        let ranked = closest.iter().enumerate().filter(|(_, contact)| is_arrival(contact));
        ranked.filter(|(rank, contact)| rank_limit(*rank, contact)).map(|(_, contact)| *contact).collect()
    }
}
