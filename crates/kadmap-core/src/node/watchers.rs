//! The replica's side of watching: who is to be told of which record, for how long.

use std::collections::BTreeSet;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::env::{Env, LARGE_BYTES, record_bytes};
use super::requests::Owner;
use crate::config::Limits;
use crate::record::{Record, Version};
use crate::store::{RecordId, RecordStore};
use crate::wire::{Changed, Refusal, Request, Response, Watch, Watching};
use crate::{Address, Contact, Instant, NodeId, Now};

/// The longest lease granted, whatever is asked for: an hour, after which what a crashed watcher left is gone.
const LEASE_MAX: Duration = Duration::from_secs(3600);
/// Changes on their way to one watcher of one record at most; a slower watcher is told once it has caught up, and
/// then only that something changed. 32 packets of 1 KiB are what it costs the replica.
const UNHEARD_MAX: u16 = 32;
/// Bits for the changes told in one millisecond: a replica that begins anew starts from its clock, above all it told
/// before.
const TOLD_BITS: u32 = 16;

/// By which one subscription is told from the others.
pub(super) type SubscriptionId = u64;

/// One watcher of one record.
#[derive(Debug)]
struct Subscription<A> {
    record: RecordId,
    to: Contact<A>,
    /// The number of its last request.
    number: u64,
    ends: Instant,
    /// The number of the last change told.
    told: u64,
    /// Changes told and not acknowledged.
    unheard: u16,
    /// Whether something changed that was not told because too much is unheard.
    behind: bool,
}

/// All watchers of what this node holds.
#[derive(Debug)]
pub(super) struct Watchers<A> {
    subscriptions: FxHashMap<SubscriptionId, Subscription<A>>,
    /// Invariant: names every subscription, once.
    by_record: FxHashMap<RecordId, Vec<SubscriptionId>>,
    /// Invariant: one entry for each subscription.
    ends: BTreeSet<(Instant, SubscriptionId)>,
    per_peer: FxHashMap<NodeId, usize>,
    last_id: SubscriptionId,
}

impl<A> Default for Watchers<A> {
    fn default() -> Self {
        Self {
            subscriptions: FxHashMap::default(),
            by_record: FxHashMap::default(),
            ends: BTreeSet::new(),
            per_peer: FxHashMap::default(),
            last_id: 0,
        }
    }
}

impl<A: Address> Watchers<A> {
    /// Watchers of all records together.
    pub(super) fn len(&self) -> usize {
        self.subscriptions.len()
    }

    /// Whether anybody watches a record.
    pub(super) fn has(&self, record: &RecordId) -> bool {
        !self.by_record.is_empty() && self.by_record.contains_key(record)
    }

    /// When the next lease ends.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.ends.first().map(|&(at, _)| at)
    }

    /// Forgets those whose lease is over; costs as much as ends.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.ends.first()
            && at <= now
        {
            self.remove(id);
        }
    }

    /// Forgets a watcher that is gone or wants to hear no more.
    pub(super) fn remove(&mut self, id: SubscriptionId) {
        let Some(subscription) = self.subscriptions.remove(&id) else { return };
        self.ends.remove(&(subscription.ends, id));
        if let Some(ids) = self.by_record.get_mut(&subscription.record) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_record.remove(&subscription.record);
            }
        }
        if let Some(count) = self.per_peer.get_mut(&subscription.to.id) {
            *count -= 1;
            if *count == 0 {
                self.per_peer.remove(&subscription.to.id);
            }
        }
    }

    fn find(&self, record: &RecordId, watcher: &NodeId) -> Option<SubscriptionId> {
        let ids = self.by_record.get(record)?;
        ids.iter().copied().find(|id| self.subscriptions.get(id).is_some_and(|it| it.to.id == *watcher))
    }

    /// Begins a subscription or prolongs it; the limit in its way if it cannot.
    fn grant(
        &mut self,
        now: Now,
        record: RecordId,
        to: Contact<A>,
        number: u64,
        lease: Duration,
        limits: &Limits,
    ) -> Result<SubscriptionId, usize> {
        let ends = now.instant + lease;
        if let Some(id) = self.find(&record, &to.id) {
            if let Some(subscription) = self.subscriptions.get_mut(&id) {
                self.ends.remove(&(subscription.ends, id));
                self.ends.insert((ends, id));
                (subscription.ends, subscription.number, subscription.to) = (ends, number, to);
            }
            return Ok(id);
        }
        if self.subscriptions.len() >= limits.watchers_max {
            return Err(limits.watchers_max);
        }
        let of_peer = self.per_peer.entry(to.id).or_default();
        if *of_peer >= limits.watchers_per_peer_max {
            return Err(limits.watchers_per_peer_max);
        }
        *of_peer += 1;
        self.last_id += 1;
        let id = self.last_id;
        let told = now.unix_ms << TOLD_BITS;
        let subscription =
            Subscription { record: record.clone(), to, number, ends, told, unheard: 0, behind: false };
        self.subscriptions.insert(id, subscription);
        self.by_record.entry(record).or_insert_with(|| Vec::with_capacity(1)).push(id);
        self.ends.insert((ends, id));
        Ok(id)
    }
}

impl<S: RecordStore, A: Address> Env<S, A> {
    /// Begins, prolongs or ends a watch of a node that asks for it, this one included.
    pub(super) fn serve_watch(
        &mut self,
        now: Now,
        from: Contact<A>,
        from_client: bool,
        watch: Watch,
    ) -> Response<A> {
        let record = RecordId { key: watch.key, name: watch.name };
        if watch.lease_ms == 0 {
            let held = self.watchers.find(&record, &from.id);
            let is_current = |id: &SubscriptionId| {
                self.watchers.subscriptions.get(id).is_some_and(|held| held.number <= watch.number)
            };
            if let Some(id) = held.filter(is_current) {
                self.watchers.remove(id);
            }
            return Response::Watching(Watching { version: Version::ABSENT, lease_ms: 0, told: 0 });
        }
        if record.name.len() > self.config.limits.name_bytes_max {
            let (bytes, bytes_max) = (record.name.len() as u64, self.config.limits.name_bytes_max as u64);
            return Response::Refused(Refusal::TooLarge { bytes, bytes_max });
        }
        let version = match self.head_here(&record) {
            Ok(head) => head.unwrap_or_default().version,
            Err(refusal) => return Response::Refused(refusal),
        };
        let lease = Duration::from_millis(watch.lease_ms).min(LEASE_MAX);
        // A client is told over the connection that it opened; it has no address to be dialled at.
        let to = if from_client { Contact { address: A::FIRST, ..from } } else { from };
        match self.watchers.grant(now, record, to, watch.number, lease, &self.config.limits) {
            Ok(id) => {
                self.catch_up(now, id, version);
                let told = self.watchers.subscriptions.get(&id).map_or(0, |held| held.told);
                Response::Watching(Watching { version, lease_ms: lease.as_millis() as u64, told })
            }
            Err(watches_max) => {
                self.counters.watches_refused += 1;
                Response::Refused(Refusal::TooManyWatches { watches_max: watches_max as u64 })
            }
        }
    }

    /// Tells everyone who watches a record what was merged into it.
    pub(super) fn tell_watchers(&mut self, now: Now, record: &RecordId, version: Version, delta: Record) {
        let Some(ids) = self.watchers.by_record.get(record).cloned() else { return };
        let fits = record_bytes(&delta) + record.name.len() as u64 <= LARGE_BYTES;
        let delta = fits.then_some(delta);
        for id in ids {
            self.tell_watcher(now, id, version, delta.clone());
        }
    }

    /// Takes note of what a watcher said to a change, or that it said nothing however often it was told.
    pub(super) fn watcher_heard(&mut self, now: Now, id: SubscriptionId, interested: bool) {
        if !interested {
            return self.watchers.remove(id);
        }
        let Some(held) = self.watchers.subscriptions.get_mut(&id) else { return };
        held.unheard = held.unheard.saturating_sub(1);
        if held.behind && held.unheard == 0 {
            let record = held.record.clone();
            if let Ok(head) = self.head_here(&record) {
                self.catch_up(now, id, head.unwrap_or_default().version);
            }
        }
    }

    /// Tells a watcher that more has changed than it was told.
    fn catch_up(&mut self, now: Now, id: SubscriptionId, version: Version) {
        if let Some(held) = self.watchers.subscriptions.get_mut(&id)
            && std::mem::take(&mut held.behind)
        {
            held.unheard = 0;
            self.tell_watcher(now, id, version, None);
        }
    }

    fn tell_watcher(&mut self, now: Now, id: SubscriptionId, version: Version, delta: Option<Record>) {
        let Some(held) = self.watchers.subscriptions.get_mut(&id) else { return };
        if held.unheard >= UNHEARD_MAX {
            held.behind = true;
            return;
        }
        held.told += 1;
        let (key, name) = (held.record.key, held.record.name.clone());
        let changed = Changed { key, name, number: held.told, version, delta };
        self.counters.changes_told += 1;
        if held.to.id == self.own {
            return self.watches.hear(self.own, changed);
        }
        held.unheard += 1;
        let to = held.to;
        self.request(now, to, Request::Changed(changed), Owner::Watcher(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    const LEASE: Duration = Duration::from_secs(60);

    fn record(name: &str) -> RecordId {
        RecordId::new(Key::of_name(name.as_bytes()), name.to_owned())
    }

    fn contact(n: u8) -> Contact {
        Contact { id: NodeId::of_public_key(&[n]), address: ([127, 0, 0, 1], 1).into() }
    }

    fn at(seconds: u64) -> Now {
        Now { instant: Instant::from_micros(seconds * 1_000_000), unix_ms: 1_000 * seconds }
    }

    #[test]
    fn a_lease_ends_unless_it_is_prolonged() {
        let (mut watchers, limits) = (Watchers::default(), Limits::default());
        let one = watchers.grant(at(0), record("a"), contact(1), 1, LEASE, &limits).unwrap();
        let two = watchers.grant(at(0), record("a"), contact(2), 1, LEASE, &limits).unwrap();
        assert_eq!(watchers.grant(at(30), record("a"), contact(1), 2, LEASE, &limits), Ok(one));
        assert_eq!(watchers.next_timer(), Some(at(60).instant));
        watchers.expire(at(60).instant);
        assert_eq!((watchers.len(), watchers.find(&record("a"), &contact(2).id)), (1, None));
        assert!(!watchers.subscriptions.contains_key(&two));
        watchers.expire(at(90).instant);
        assert!(watchers.len() == 0 && !watchers.has(&record("a")) && watchers.per_peer.is_empty());
    }

    #[test]
    fn the_watches_of_a_node_and_of_one_peer_are_bounded() {
        let mut watchers = Watchers::default();
        let limits = Limits { watchers_max: 3, watchers_per_peer_max: 2, ..Limits::default() };
        let mut grant =
            |name: &str, peer: u8| watchers.grant(at(0), record(name), contact(peer), 1, LEASE, &limits);
        assert!(grant("a", 1).is_ok() && grant("b", 1).is_ok());
        assert_eq!(grant("c", 1), Err(2));
        assert!(grant("b", 1).is_ok(), "prolonging is not beginning");
        assert!(grant("a", 2).is_ok());
        assert_eq!(grant("a", 3), Err(3));
    }
}
