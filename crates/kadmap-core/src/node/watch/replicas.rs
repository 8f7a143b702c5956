//! Which replicas a watch relies on, and how it keeps them.

use std::time::Duration;

use super::slot::Slot;
use super::{Signal, SignalKind, Watch};
use crate::node::env::Env;
use crate::node::finder::Finder;
use crate::node::requests::Owner;
use crate::node::watches::Errand;
use crate::store::RecordStore;
use crate::wire::{self, Request, Response};
use crate::{Address, Consistency, Contact, Instant, NodeId, Now};

/// The wait before replicas are looked for again where too few were found; doubles to [`RESELECT_WAIT_MAX`].
pub(super) const RESELECT_WAIT: Duration = Duration::from_millis(500);
const RESELECT_WAIT_MAX: Duration = Duration::from_secs(30);

/// When a watch that begins or renews now renews next: within a third of the lease, so that two may fail.
pub(super) fn renewal<S, A: Address>(env: &mut Env<S, A>, now: Now) -> Instant {
    let lease = env.config.watch_lease;
    now.instant + env.jitter((lease / 4, lease / 3))
}

/// How many replicas to rely on of `nodes` responsible ones, of which `need` confirm a change.
///
/// The quorum of a write misses at most `need - 1` of the nodes. So twice as many less one include, whichever quorum a
/// write is acknowledged by, `need` that have it at once; and two more than needed bear two deaths at the least.
fn wanted(nodes: usize, need: usize) -> usize {
    (2 * need - 1).max(need + 2).min(nodes)
}

impl<A: Address> Watch<A> {
    /// Takes in what a replica said to a request for changes.
    pub(super) fn on_slot<S: RecordStore>(
        &mut self,
        env: &mut Env<S, A>,
        now: Now,
        index: usize,
        signal: Signal<A>,
    ) {
        match signal.kind {
            SignalKind::Answer { response, .. } => self.on_answer(env, now, index, response),
            SignalKind::Silent => {
                self.drop_slot(env, now, &signal.from.id, false);
                self.reselect(env, now);
            }
            SignalKind::Slow | SignalKind::Lost | SignalKind::Durable { .. } => {}
        }
    }

    fn on_answer<S: RecordStore>(
        &mut self,
        env: &mut Env<S, A>,
        now: Now,
        index: usize,
        response: Response<A>,
    ) {
        let slot = &mut self.slots[index];
        let id = slot.id();
        let Response::Watching(watching) = response else {
            self.refused.push(id);
            self.drop_slot(env, now, &id, false);
            return self.reselect(env, now);
        };
        let was_subscribed = slot.subscribed;
        let is_anew = slot.subscribe(now.instant, &watching);
        if is_anew && was_subscribed && std::mem::take(&mut slot.is_check) {
            // It has forgotten this watch, so it has forgotten the others too.
            env.watches.send_all(&id, Errand::Ask(id));
        }
    }

    /// Asks a replica to tell of changes from now on, or to go on with it.
    pub(super) fn ask<S: RecordStore>(
        &mut self,
        env: &mut Env<S, A>,
        now: Now,
        index: usize,
        is_check: bool,
    ) {
        let lease_ms = env.config.watch_lease.as_millis() as u64;
        let watch = self.request(env, lease_ms);
        let slot = &mut self.slots[index];
        slot.is_check = is_check;
        slot.asked_at = now.instant;
        if slot.is(&env.own) {
            let from = slot.contact();
            let response = env.serve_watch(now, from, false, watch);
            self.on_answer(env, now, index, response);
        } else {
            let contact = slot.contact();
            let request = env.request(now, contact, Request::Watch(watch), Owner::Operation(self.id));
            slot.asked = Some(request);
        }
    }

    /// Prolongs all leases, and sees whether there are closer nodes now.
    pub(super) fn renew<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) {
        self.renew_at = renewal(env, now);
        self.refused.clear();
        let ids: Vec<_> = self.slots.iter().map(Slot::id).collect();
        self.ask_each(env, now, &ids);
        self.reselect(env, now);
    }

    /// Asks replicas to go on, but for those that have been asked already. Our own may refuse at once, and then its place
    /// is gone.
    pub(super) fn ask_each<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now, ids: &[NodeId]) {
        for id in ids {
            let index = self.index_of(id);
            if self.slots.get(index).is_some_and(|slot| slot.asked.is_none()) {
                self.ask(env, now, index, false);
            }
        }
    }

    /// Looks for the replicas anew, unless that is under way.
    pub(super) fn reselect<S>(&mut self, env: &mut Env<S, A>, now: Now) {
        self.reselect_at = None;
        if self.finder.is_none() {
            self.finder = Some(Box::new(Finder::new(env, now, self.record.key)));
        }
    }

    /// Whether one of these nodes is nearer to the record than one it relies on.
    pub(super) fn is_nearer(&self, ids: &[NodeId]) -> bool {
        let distances = self.slots.iter().map(|slot| slot.id().distance(&self.record.key));
        let Some(farthest) = distances.max() else { return true };
        ids.iter().any(|id| id.distance(&self.record.key) < farthest)
    }

    pub(super) fn go_on_finding<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) {
        let Some(finder) = &mut self.finder else { return };
        finder.advance(env, now, Owner::Operation(self.id));
        if finder.is_done() {
            let closest = finder.candidates();
            self.finder = None;
            self.select(env, now, closest);
        }
    }

    /// Relies on the closest of those responsible that it may rely on, and lets go of those that are so no more.
    fn select<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now, mut closest: Vec<Contact<A>>) {
        if !env.is_client() {
            let own = env.own.distance(&self.record.key);
            let place = closest.partition_point(|contact| contact.id.distance(&self.record.key) < own);
            closest.insert(place, env.own_contact());
        }
        closest.truncate(env.config.replication);
        self.need = Consistency::Quorum.reads_needed(closest.len());
        let wanted = wanted(closest.len(), self.need);
        let left: Vec<_> = self.slots.iter().map(Slot::id).collect();
        for id in left.iter().filter(|id| !closest.iter().any(|contact| contact.id == **id)) {
            self.drop_slot(env, now, id, true);
        }
        self.slots.reserve_exact(wanted.saturating_sub(self.slots.len()));
        // Those in doubt come last: they count, but whoever answers is there sooner.
        let (prompt, doubtful): (Vec<_>, Vec<_>) =
            closest.into_iter().partition(|contact| !env.peers.is_unresponsive(&contact.id));
        for contact in prompt.into_iter().chain(doubtful) {
            let is_new = !self.slots.iter().any(|slot| slot.is(&contact.id));
            if self.slots.len() < wanted && is_new && !self.refused.contains(&contact.id) {
                self.add_slot(env, now, contact);
            }
        }
        if self.slots.len() < wanted || self.slots.is_empty() {
            self.reselect_at = Some(now.instant + self.reselect_wait);
            self.reselect_wait = (2 * self.reselect_wait).min(RESELECT_WAIT_MAX);
        } else {
            self.reselect_wait = RESELECT_WAIT;
        }
    }

    fn add_slot<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now, contact: Contact<A>) {
        let taken = self.slots.iter().fold(0, |taken, slot| taken | slot.bit());
        let Some(place) = (0..u64::BITS as u8).find(|place| taken & (1 << place) == 0) else { return };
        self.slots.push(Slot::new(contact, place));
        if contact.id != env.own {
            env.watches.rely(now.instant, contact.id, self.id);
        }
        self.ask(env, now, self.slots.len() - 1, false);
    }

    /// Relies on a replica no more; tells it so if it may hear it.
    pub(super) fn drop_slot<S: RecordStore>(
        &mut self,
        env: &mut Env<S, A>,
        now: Now,
        id: &NodeId,
        is_told: bool,
    ) {
        let Some(place) = self.slots.iter().position(|slot| slot.is(id)) else { return };
        let slot = self.slots.remove(place);
        for waiting in self.pending.iter_mut() {
            waiting.said &= !slot.bit();
            waiting.confirmed &= !slot.bit();
        }
        if self.fetching.is_some_and(|(fetching, ..)| fetching == *id) {
            self.fetching = None;
        }
        env.watches.rely_no_more(id, self.id);
        // Another watch of the same record may live on that subscription.
        let is_shared = env.watches.of(&self.record).iter().any(|other| *other != self.id);
        if !is_told || is_shared {
            return;
        }
        let watch = self.request(env, 0);
        if slot.is(&env.own) {
            env.serve_watch(now, slot.contact(), false, watch);
        } else {
            env.request(now, slot.contact(), Request::Watch(watch), Owner::Background);
        }
    }

    fn request<S>(&self, env: &mut Env<S, A>, lease_ms: u64) -> wire::Watch {
        let number = env.watches.next_number();
        wire::Watch { key: self.record.key, name: self.record.name.clone(), lease_ms, number }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_write_quorum_meets_a_read_quorum_of_those_relied_on() {
        for nodes in 1..=64 {
            let writes = Consistency::Quorum.writes_needed(nodes);
            let need = Consistency::Quorum.reads_needed(nodes);
            let slots = wanted(nodes, need);
            assert!(slots - (nodes - writes).min(slots) >= need, "{nodes} nodes");
        }
    }
}
