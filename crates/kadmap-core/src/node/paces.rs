//! How fast each node answers, in little memory: a process may hold the hundreds of contacts of 10,000 nodes.

use rustc_hash::FxHashMap;

use crate::NodeId;
use crate::rtt::RoundTrip;
use crate::time::Tick;

/// Nodes remembered at most; beyond it the half that was confirmed longest ago is forgotten.
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

/// What is known of one node.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    pub(super) round_trip: RoundTrip,
    /// When it was last confirmed in the routing table; the start of the clock before.
    pub(super) confirmed: Tick,
}

/// What is known of all nodes.
///
/// Two stores, and nobody is in both: a hash table for those met lately, which takes newcomers quickly, and a sorted
/// vector for those that stay, which takes a third of its room.
#[derive(Debug, Default)]
pub(super) struct Paces {
    recent: FxHashMap<ShortId, Pace>,
    settled: Vec<(ShortId, Pace)>,
}

impl Paces {
    pub(super) fn get(&self, id: &NodeId) -> Option<&Pace> {
        let id = short(id);
        let settled = || self.place(&id).ok().map(|place| &self.settled[place].1);
        self.recent.get(&id).or_else(settled)
    }

    /// What is known of a node, to add to; nothing when it is new.
    pub(super) fn entry(&mut self, id: &NodeId) -> &mut Pace {
        let id = short(id);
        if let Ok(place) = self.place(&id) {
            return &mut self.settled[place].1;
        }
        if self.recent.len() + self.settled.len() >= PACES_MAX && !self.recent.contains_key(&id) {
            self.make_room();
        }
        self.recent.entry(id).or_default()
    }

    pub(super) fn remove(&mut self, id: &NodeId) {
        let id = short(id);
        self.recent.remove(&id);
        if let Ok(place) = self.place(&id) {
            self.settled.remove(place);
        }
    }

    /// Forgets those that are not to be kept, and gives back all memory but what the others need.
    pub(super) fn settle(&mut self, keep: impl Fn(&ShortId, &Pace) -> bool) {
        self.settled.extend(std::mem::take(&mut self.recent));
        self.settled.retain(|(id, pace)| keep(id, pace));
        self.settled.sort_unstable_by_key(|(id, _)| *id);
        self.settled.shrink_to_fit();
    }

    fn make_room(&mut self) {
        let all = self.recent.values().chain(self.settled.iter().map(|(_, pace)| pace));
        let mut confirmed: Vec<_> = all.map(|pace| pace.confirmed).collect();
        confirmed.sort_unstable();
        let middle = confirmed[confirmed.len() / 2];
        self.settle(|_, pace| pace.confirmed > middle);
    }

    fn place(&self, id: &ShortId) -> Result<usize, usize> {
        let word = |id: &ShortId| u64::from_be_bytes(*id);
        let wanted = word(id);
        self.settled.binary_search_by_key(&wanted, |(id, _)| word(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Instant;

    fn id(n: usize) -> NodeId {
        NodeId::of_public_key(&n.to_be_bytes())
    }

    fn tick(seconds: usize) -> Tick {
        Tick::at(Instant::from_micros(seconds as u64 * 1_000_000))
    }

    #[test]
    fn memory_is_bounded_and_those_confirmed_lately_stay() {
        let mut paces = Paces::default();
        for n in 0..PACES_MAX + 10 {
            paces.entry(&id(n)).confirmed = tick(n);
        }
        assert!(paces.recent.len() + paces.settled.len() <= PACES_MAX);
        assert!(paces.get(&id(PACES_MAX - 1)).is_some());
        assert!(paces.get(&id(0)).is_none());
    }

    #[test]
    fn what_is_known_survives_settling() {
        let mut paces = Paces::default();
        for n in 0..100 {
            paces.entry(&id(n)).confirmed = tick(n);
        }
        paces.settle(|_, pace| pace.confirmed >= tick(50));
        paces.entry(&id(200)).confirmed = tick(200);
        assert!(paces.get(&id(49)).is_none());
        assert!(
            (50..100).chain([200]).all(|n| paces.get(&id(n)).map(|pace| pace.confirmed) == Some(tick(n)))
        );
        paces.entry(&id(60)).confirmed = Tick::default();
        assert_eq!(paces.recent.len(), 1, "a settled one stays where it is");
        paces.remove(&id(60));
        assert!(paces.get(&id(60)).is_none());
    }

    #[test]
    fn a_settled_node_is_small() {
        assert_eq!(size_of::<(ShortId, Pace)>(), 20);
    }
}
