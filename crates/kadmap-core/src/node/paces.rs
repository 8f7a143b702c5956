//! How fast each node answers, in little memory: a process may hold the hundreds of contacts of 10,000 nodes.

use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::routing::RoutingTable;
use crate::rtt::RoundTrip;
use crate::time::Tick;
use crate::{Address, Instant, NodeId};

/// Nodes met lately that are remembered at most; beyond it the half that was confirmed longest ago is forgotten.
const PACES_MAX: usize = 4096;

/// The start of an id: as good as all of it where a mistake costs a wrong guess at a round trip, and it takes 2^64 keys
/// to bring one about.
type ShortId = [u8; 8];

/// The start of an id.
fn short(id: &NodeId) -> ShortId {
    std::array::from_fn(|at| id.as_bytes()[at])
}

/// What is known of a node that was met lately.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    round_trip: RoundTrip,
    /// When it was last confirmed in the routing table.
    pub(super) confirmed: Tick,
}

/// How fast those answer who were met lately; what is known of contacts that stay settles in the routing table, where it
/// takes no room of its own.
#[derive(Debug, Default)]
pub(super) struct Paces {
    recent: FxHashMap<ShortId, Pace>,
}

impl Paces {
    /// What a node's answers have taken so far.
    pub(super) fn round_trip<A: Address>(&self, table: &RoutingTable<A>, id: &NodeId) -> RoundTrip {
        self.recent.get(&short(id)).map_or_else(|| table.round_trip(id), |pace| pace.round_trip)
    }

    /// What is known of a node, if it was met lately: cheaper than to look among all.
    pub(super) fn recent_mut(&mut self, id: &NodeId) -> Option<&mut Pace> {
        self.recent.get_mut(&short(id))
    }

    /// Takes in what one of a node's answers has taken.
    pub(super) fn sample<A: Address>(
        &mut self,
        table: &mut RoutingTable<A>,
        now: Instant,
        id: &NodeId,
        took: Duration,
    ) {
        if let Some(pace) = self.recent_mut(id) {
            return pace.round_trip.sample(took);
        }
        if table.sample_settled(id, took) {
            return;
        }
        if self.recent.len() >= PACES_MAX {
            self.make_room();
        }
        let mut pace = Pace { round_trip: RoundTrip::default(), confirmed: Tick::at(now) };
        pace.round_trip.sample(took);
        self.recent.insert(short(id), pace);
    }

    pub(super) fn remove(&mut self, id: &NodeId) {
        self.recent.remove(&short(id));
    }

    /// Hands over to the routing table what is known of its contacts, forgets everybody else, and gives the memory back.
    pub(super) fn settle<A: Address>(&mut self, table: &mut RoutingTable<A>) {
        let recent = std::mem::take(&mut self.recent);
        if !recent.is_empty() {
            table.settle(|id| Some(recent.get(&short(id))?.round_trip));
        }
    }

    /// Forgets the half of those met lately that was confirmed longest ago.
    fn make_room(&mut self) {
        let mut confirmed: Vec<_> = self.recent.values().map(|pace| pace.confirmed).collect();
        confirmed.sort_unstable();
        let middle = confirmed[confirmed.len() / 2];
        self.recent.retain(|_, pace| pace.confirmed > middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Contact, TableConfig};

    fn id(n: usize) -> NodeId {
        NodeId::of_public_key(&n.to_be_bytes())
    }

    fn at(seconds: usize) -> Instant {
        Instant::from_micros(seconds as u64 * 1_000_000)
    }

    /// A table that knows these nodes.
    fn table_of(numbers: std::ops::Range<usize>) -> RoutingTable {
        let mut table = RoutingTable::new(NodeId::of_public_key(b"own"), TableConfig::default());
        for n in numbers {
            let address = "127.0.0.1:8339".parse().expect("that is an address");
            table.verified(at(0), Contact { id: id(n), address });
        }
        table
    }

    /// Notes a round trip of `n + 1` milliseconds to node `n`, at second `n`.
    fn measure(paces: &mut Paces, table: &mut RoutingTable, n: usize) {
        paces.sample(table, at(n), &id(n), Duration::from_millis(n as u64 + 1));
    }

    fn measured(paces: &Paces, table: &RoutingTable, n: usize) -> Option<Duration> {
        paces.round_trip(table, &id(n)).smoothed()
    }

    #[test]
    fn memory_is_bounded_and_those_confirmed_lately_stay() {
        let (mut paces, mut table) = (Paces::default(), table_of(0..0));
        (0..PACES_MAX + 10).for_each(|n| measure(&mut paces, &mut table, n));
        assert!(paces.recent.len() <= PACES_MAX);
        assert!(measured(&paces, &table, PACES_MAX - 1).is_some());
        assert!(measured(&paces, &table, 0).is_none());
    }

    #[test]
    fn what_is_known_of_contacts_survives_settling_and_nothing_else_does() {
        let (mut paces, mut table) = (Paces::default(), table_of(50..100));
        (0..100).for_each(|n| measure(&mut paces, &mut table, n));
        paces.settle(&mut table);
        measure(&mut paces, &mut table, 200);
        assert!(measured(&paces, &table, 49).is_none());
        let as_measured = |n: usize| {
            let found = measured(&paces, &table, n).expect("it was measured");
            found.abs_diff(Duration::from_millis(n as u64 + 1)) < Duration::from_millis(1)
        };
        assert!((50..100).chain([200]).all(as_measured));
    }

    #[test]
    fn what_is_settled_follows_further_samples_where_it_is() {
        let (mut paces, mut table) = (Paces::default(), table_of(60..61));
        measure(&mut paces, &mut table, 60);
        paces.settle(&mut table);
        (0..50).for_each(|_| paces.sample(&mut table, at(60), &id(60), Duration::from_millis(5)));
        assert!(paces.recent.is_empty());
        assert!(measured(&paces, &table, 60).is_some_and(|took| took < Duration::from_millis(6)));
        table.remove(&id(60));
        assert!(measured(&paces, &table, 60).is_none());
    }
}
