//! How fast each node answers, in little memory: a process may hold the hundreds of contacts of 10,000 nodes.

use rustc_hash::FxHashMap;

use crate::rtt::RoundTrip;
use crate::time::Tick;
use crate::{Instant, NodeId};

/// Nodes met lately that are remembered at most; beyond it the half that was confirmed longest ago is forgotten.
const PACES_MAX: usize = 4096;

/// The start of an id: as good as all of it where a mistake costs a wrong guess at a round trip, and it takes 2^64 keys
/// to bring one about.
pub(super) type ShortId = [u8; 8];

/// The start of an id.
pub(super) fn short(id: &NodeId) -> ShortId {
    std::array::from_fn(|at| id.as_bytes()[at])
}

/// Many ids, to look others up in.
pub(super) struct ShortIds(Vec<ShortId>);

impl ShortIds {
    pub(super) fn of(ids: impl Iterator<Item = NodeId>) -> Self {
        let mut ids: Vec<_> = ids.map(|id| short(&id)).collect();
        ids.sort_unstable();
        Self(ids)
    }

    pub(super) fn contain(&self, id: &ShortId) -> bool {
        self.0.binary_search(id).is_ok()
    }
}

/// What is known of a node that was met lately.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    round_trip: RoundTrip,
    /// When it was last confirmed in the routing table.
    pub(super) confirmed: Tick,
}

/// How fast each node answers.
///
/// Two stores, and nobody is in both: a hash table for those met lately, which takes newcomers quickly, and a sorted
/// vector for contacts that stay, which takes a third of its room.
#[derive(Debug, Default)]
pub(super) struct Paces {
    recent: FxHashMap<ShortId, Pace>,
    settled: Vec<(ShortId, RoundTrip)>,
}

impl Paces {
    /// What a node's answers have taken so far.
    pub(super) fn round_trip(&self, id: &NodeId) -> RoundTrip {
        let id = short(id);
        let settled = || self.place(&id).ok().map(|place| self.settled[place].1);
        self.recent.get(&id).map(|pace| pace.round_trip).or_else(settled).unwrap_or_default()
    }

    /// What is known of a node, if it was met lately: cheaper than to look among all.
    pub(super) fn recent_mut(&mut self, id: &NodeId) -> Option<&mut Pace> {
        self.recent.get_mut(&short(id))
    }

    /// What a node's answers have taken so far, to add the next; nothing when it is new.
    pub(super) fn round_trip_mut(&mut self, now: Instant, id: &NodeId) -> &mut RoundTrip {
        let id = short(id);
        if let Ok(place) = self.place(&id) {
            return &mut self.settled[place].1;
        }
        if self.recent.len() >= PACES_MAX && !self.recent.contains_key(&id) {
            self.make_room();
        }
        let new = Pace { round_trip: RoundTrip::default(), confirmed: Tick::at(now) };
        &mut self.recent.entry(id).or_insert(new).round_trip
    }

    pub(super) fn remove(&mut self, id: &NodeId) {
        let id = short(id);
        self.recent.remove(&id);
        if let Ok(place) = self.place(&id) {
            self.settled.remove(place);
        }
    }

    /// Forgets all but `contacts`, and gives back all memory but what they need.
    pub(super) fn settle(&mut self, contacts: &ShortIds) {
        let recent = std::mem::take(&mut self.recent).into_iter();
        self.settled.extend(recent.map(|(id, pace)| (id, pace.round_trip)));
        self.settled.retain(|(id, _)| contacts.contain(id));
        self.settled.sort_unstable_by_key(|(id, _)| *id);
        self.settled.shrink_to_fit();
    }

    /// Forgets the half of those met lately that was confirmed longest ago.
    fn make_room(&mut self) {
        let mut confirmed: Vec<_> = self.recent.values().map(|pace| pace.confirmed).collect();
        confirmed.sort_unstable();
        let middle = confirmed[confirmed.len() / 2];
        self.recent.retain(|_, pace| pace.confirmed > middle);
    }

    fn place(&self, id: &ShortId) -> Result<usize, usize> {
        let word = |id: &ShortId| u64::from_be_bytes(*id);
        let wanted = word(id);
        self.settled.binary_search_by_key(&wanted, |(id, _)| word(id))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn id(n: usize) -> NodeId {
        NodeId::of_public_key(&n.to_be_bytes())
    }

    fn at(seconds: usize) -> Instant {
        Instant::from_micros(seconds as u64 * 1_000_000)
    }

    /// Notes a round trip of `n + 1` milliseconds to node `n`, at second `n`.
    fn measure(paces: &mut Paces, n: usize) {
        paces.round_trip_mut(at(n), &id(n)).sample(Duration::from_millis(n as u64 + 1));
    }

    fn measured(paces: &Paces, n: usize) -> Option<Duration> {
        paces.round_trip(&id(n)).smoothed()
    }

    #[test]
    fn memory_is_bounded_and_those_confirmed_lately_stay() {
        let mut paces = Paces::default();
        (0..PACES_MAX + 10).for_each(|n| measure(&mut paces, n));
        assert!(paces.recent.len() <= PACES_MAX);
        assert!(measured(&paces, PACES_MAX - 1).is_some());
        assert!(measured(&paces, 0).is_none());
    }

    #[test]
    fn what_is_known_of_contacts_survives_settling() {
        let mut paces = Paces::default();
        (0..100).for_each(|n| measure(&mut paces, n));
        paces.settle(&ShortIds::of((50..100).map(id)));
        measure(&mut paces, 200);
        assert!(measured(&paces, 49).is_none());
        let as_measured = |n: usize| measured(&paces, n) == Some(Duration::from_millis(n as u64 + 1));
        assert!((50..100).chain([200]).all(as_measured));
        measure(&mut paces, 60);
        assert_eq!(paces.recent.len(), 1, "a settled one stays where it is");
        paces.remove(&id(60));
        assert!(measured(&paces, 60).is_none());
    }

    #[test]
    fn a_settled_node_is_small() {
        assert_eq!(size_of::<(ShortId, RoundTrip)>(), 16);
    }
}
