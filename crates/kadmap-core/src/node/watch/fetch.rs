//! What a watch does about what it cannot explain: it fetches the whole record from a replica that holds it.

use std::time::Duration;

use super::slot::Slot;
use super::{PROBE_AFTER, Signal, SignalKind, Stage, Watch};
use crate::node::env::Env;
use crate::node::requests::Owner;
use crate::record::{Record, Version};
use crate::store::RecordStore;
use crate::wire::{Get, Request, Response, Want};
use crate::{Address, NodeId, Now};

/// How long a replica may hold something unexplained while enough others do not, before its record is fetched:
/// most often it is being repaired.
const STRAGGLER_PATIENCE: Duration = Duration::from_secs(1);

impl<A: Address> Watch<A> {
    /// Sees which replicas hold nothing unheard, and fetches the record of one that does.
    pub(super) fn sync<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now) {
        loop {
            self.sync_equals();
            let Some(index) = self.next_to_fetch(now) else { return };
            let slot = &mut self.slots[index];
            let (contact, key, name) = (slot.contact(), self.record.key, self.record.name.clone());
            slot.dirty = false;
            self.fetched_last = Some(contact.id);
            if contact.id == env.own {
                match env.load_here(now, &self.record) {
                    Ok((version, record)) => self.on_found(now, &contact.id, version, record),
                    Err(_) => self.drop_slot(env, now, &contact.id, true),
                }
            } else {
                let get = Request::Get(Get { key, name, want: Want::Record });
                let request = env.request(now, contact, get, Owner::Operation(self.id));
                self.fetching = Some((contact.id, request, now.instant));
                return;
            }
        }
    }

    /// Replicas that hold just what was heard, or nothing, hold nothing unheard.
    fn sync_equals(&mut self) {
        let is_open = |slot: &Slot<A>| slot.subscribed && !slot.synced;
        if !self.slots.iter().any(is_open) {
            return;
        }
        let heard = self.known.version_with(self.pending.iter().map(|waiting| &waiting.part));
        for slot in self.slots.iter_mut().filter(|slot| is_open(slot)) {
            if slot.version == heard {
                slot.sync();
                self.pending.iter_mut().for_each(|waiting| waiting.confirmed |= slot.bit());
            } else if slot.version.is_absent() {
                slot.sync();
            }
        }
    }

    /// The replica whose record is to be fetched now: those take turns that hold something unheard.
    fn next_to_fetch(&mut self, now: Now) -> Option<usize> {
        let open = |slot: &Slot<A>| slot.subscribed && !slot.synced;
        if !self.slots.iter().any(open) {
            self.straggler_at = None;
            return None;
        }
        let synced = self.slots.iter().filter(|slot| slot.synced).count();
        let straggler_at = *self.straggler_at.get_or_insert(now.instant + STRAGGLER_PATIENCE);
        let is_urgent =
            synced < self.need_now() || self.probe_wait > PROBE_AFTER || straggler_at <= now.instant;
        let may = self.stage != Stage::Muted && self.fetching.is_none() && self.fetch_after <= now.instant;
        if !is_urgent || !may {
            return None;
        }
        let last = self.fetched_last.map_or(0, |last| self.index_of(&last) + 1);
        let turns = (last..self.slots.len()).chain(0..last.min(self.slots.len()));
        turns.into_iter().find(|&index| open(&self.slots[index]))
    }

    /// Takes in what came of asking for a record.
    pub(super) fn on_fetch<S: RecordStore>(&mut self, env: &mut Env<S, A>, now: Now, signal: Signal<A>) {
        let Some((id, _, since)) = self.fetching else { return };
        let (version, record) = match signal.kind {
            SignalKind::Answer { response: Response::Found(found), .. } => (found.version, found.record),
            SignalKind::Answer { response: Response::Summary(summary), .. }
                if summary.version.is_absent() =>
            {
                (Version::ABSENT, Record::default())
            }
            SignalKind::Slow | SignalKind::Lost | SignalKind::Durable { .. } => return,
            SignalKind::Answer { .. } | SignalKind::Silent => {
                self.fetching = None;
                self.drop_slot(env, now, &id, true);
                return self.reselect(env, now);
            }
        };
        self.fetching = None;
        if self.stage == Stage::Telling {
            self.fetch_after = now.instant + now.instant.since(since);
        }
        if self.stage != Stage::Muted {
            self.on_found(now, &id, version, record);
        }
    }

    /// Takes in the whole record of a replica.
    fn on_found(&mut self, now: Now, from: &NodeId, version: Version, record: Record) {
        self.hear(now, record.clone());
        let mut holders = 0;
        for slot in &mut self.slots {
            let is_equal = slot.subscribed && slot.version == version;
            let is_it = slot.is(from);
            if is_it || is_equal {
                holders |= slot.bit();
            }
            if slot.subscribed && (is_equal || (is_it && !slot.dirty)) {
                slot.sync();
                let bit = slot.bit();
                self.pending.iter_mut().for_each(|waiting| waiting.confirmed |= waiting.said & bit);
            }
        }
        let held = self.pending.iter_mut().filter(|waiting| waiting.part.is_in(&record));
        held.for_each(|waiting| waiting.confirmed |= holders);
    }
}
