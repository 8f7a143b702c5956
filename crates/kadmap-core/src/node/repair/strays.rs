//! Records that a node holds although they do not belong to it, or no longer: others have come closer to them.
//!
//! Nobody else would tell such a node what is deleted, so that it could bring it back when it moves up again, and its store
//! would only ever grow. So they are compared in each round with two of those to whom they belong, and dropped once
//! these hold the same; not in the first round, for there may be nodes that do not yet know who has come, and not what
//! has come to belong to this node meanwhile.

use std::collections::BTreeMap;

use super::super::env::Env;
use super::neighbours::PARTNERS_PER_RANGE;
use crate::ranges::{Prefix, RangeTree, joined};
use crate::store::RecordStore;
use crate::{Address, NodeId};

/// Ranges of mostly one record dropped in one turn: a turn stays around a millisecond.
const DROPPED_PER_TURN: usize = 128;

/// A range in which this node holds something that belongs to others, and mostly nothing but one record.
#[derive(Debug)]
struct Stray {
    /// The hash of what is held there.
    hash: u64,
    /// Those to whom it belongs and who hold the same.
    even: Vec<NodeId>,
    /// How many of them are wanted.
    wanted: usize,
}

/// The strays of one round.
#[derive(Debug, Default)]
pub(super) struct Strays {
    ranges: BTreeMap<Prefix, Stray>,
    /// What belonged to this node in the round before.
    own_before: Vec<Prefix>,
    /// Ranges that are being dropped, and the hash of what is there.
    dropping: Vec<(Prefix, u64)>,
}

impl Strays {
    /// Begins a round in which these ranges are this node's, and in each of those something is held that belongs to so many
    /// others.
    pub(super) fn begin_round<'a>(
        &mut self,
        tree: &RangeTree,
        own: impl Iterator<Item = Prefix>,
        foreign: impl Iterator<Item = (Prefix, &'a [Prefix], usize)>,
    ) {
        let own: Vec<_> = joined(own);
        let own_before = std::mem::replace(&mut self.own_before, own);
        let is_settled = |range: &Prefix| {
            !own_before.iter().any(|own| own.covers(range) || range.covers(own)) && !own_before.is_empty()
        };
        self.ranges.clear();
        for (_, strays, holders) in foreign.filter(|(range, ..)| is_settled(range)) {
            let wanted = holders.min(PARTNERS_PER_RANGE);
            let stray = |range: &Prefix| Stray { hash: tree.sum(range).hash, even: Vec::new(), wanted };
            self.ranges.extend(strays.iter().map(|range| (*range, stray(range))));
        }
    }

    /// Takes note that a holder has the same as this node in some ranges, told in path order.
    pub(super) fn confirm(&mut self, tree: &RangeTree, even: &[Prefix], holder: NodeId) {
        if self.ranges.is_empty() {
            return;
        }
        let dropping = &mut self.dropping;
        self.ranges.retain(|range, stray| {
            let before = even.partition_point(|even| even.first() <= range.first());
            if !even[..before].last().is_some_and(|even| even.covers(range)) {
                return true;
            }
            if tree.sum(range).hash != stray.hash {
                // Something was written there meanwhile: the next round will see.
                return false;
            }
            if !stray.even.contains(&holder) {
                stray.even.push(holder);
            }
            let is_safe = stray.even.len() >= stray.wanted;
            if is_safe {
                dropping.push((*range, stray.hash));
            }
            !is_safe
        });
    }

    /// Whether something is to be dropped.
    pub(super) fn is_dropping(&self) -> bool {
        !self.dropping.is_empty()
    }

    /// Drops some of what others are known to hold.
    pub(super) fn drop_some<S: RecordStore, A: Address>(&mut self, env: &mut Env<S, A>) {
        let last = self.dropping.len().saturating_sub(DROPPED_PER_TURN);
        let due = self.dropping.split_off(last);
        let ranges: Vec<_> = due.iter().map(|(range, _)| *range).collect();
        let is_foreign = env.foreign(&ranges, &env.own);
        for ((range, hash), is_foreign) in due.into_iter().zip(is_foreign) {
            // Since the round began somebody may have died, so that this node has moved up, or written there.
            if !is_foreign || env.store.tree().sum(&range).hash != hash {
                continue;
            }
            let leaves = env.store.tree().leaves(&range, usize::MAX);
            // A store that fails has reported itself; the next round tries again.
            let Ok(records) = env.store.records_of(&range, &leaves) else { return };
            for (id, _) in records {
                if env.store.forget(&id).is_err() {
                    return;
                }
                env.counters.strays_dropped += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::super::Node;
    use super::*;
    use crate::indexed::Indexed;
    use crate::testing::MapStore;
    use crate::{Base, Codec, Config, Contact, Instant, Key, Now, Payload, Record, RecordId, Shape, Stamp};

    fn holder(number: u8) -> NodeId {
        NodeId::of_public_key(&[number])
    }

    fn value(ms: u64) -> Record {
        let stamp = Stamp { time: ms << 16, writer: 1 };
        let payload = Some(Payload::new(Codec::Json, "1"));
        Record::from(Base { stamp, shape: Shape::Value, payload, expires_ms: None })
    }

    fn filled() -> Indexed<MapStore> {
        let mut store = Indexed::new(MapStore::default());
        fill(&mut store);
        store
    }

    fn fill(store: &mut Indexed<MapStore>) {
        for number in 0..100u32 {
            let name = number.to_be_bytes();
            store.merge(&RecordId::new(Key::of_name(&name), name.to_vec()), value(1)).unwrap();
        }
    }

    /// The halves of the space: one is this node's, the other belongs to two others.
    fn halves() -> (Prefix, Prefix) {
        (Prefix::ALL.child(false), Prefix::ALL.child(true))
    }

    fn begun(store: &Indexed<MapStore>, rounds: usize) -> Strays {
        let (own, foreign) = halves();
        let mut strays = Strays::default();
        for _ in 0..rounds {
            strays.begin_round(store.tree(), [own].into_iter(), [(foreign, &[foreign][..], 20)].into_iter());
        }
        strays
    }

    #[test]
    fn two_holders_that_have_the_same_are_enough_and_one_is_not() {
        let store = filled();
        let (_, foreign) = halves();
        let mut strays = begun(&store, 2);
        strays.confirm(store.tree(), &[Prefix::ALL], holder(1));
        strays.confirm(store.tree(), &[foreign], holder(1));
        assert!(!strays.is_dropping());
        strays.confirm(store.tree(), &[foreign.child(true)], holder(2));
        assert!(!strays.is_dropping(), "half of it tells nothing of the whole");
        strays.confirm(store.tree(), &[foreign], holder(2));
        assert!(strays.is_dropping());
    }

    #[test]
    fn what_belonged_to_this_node_a_round_ago_stays() {
        let store = filled();
        for (rounds, expected) in [(1, false), (2, true)] {
            let mut strays = begun(&store, rounds);
            (1..3).for_each(|number| strays.confirm(store.tree(), &[Prefix::ALL], holder(number)));
            assert_eq!(strays.is_dropping(), expected, "after {rounds} rounds");
        }
    }

    #[test]
    fn what_is_written_meanwhile_is_not_taken_for_held() {
        let mut store = filled();
        let (_, foreign) = halves();
        let mut strays = begun(&store, 2);
        strays.confirm(store.tree(), &[foreign], holder(1));
        let id =
            (0..100u32).map(u32::to_be_bytes).map(|name| RecordId::new(Key::of_name(&name), name.to_vec()));
        let there = id.into_iter().find(|id| foreign.contains(crate::ranges::path_of(id))).unwrap();
        store.merge(&there, value(2)).unwrap();
        strays.confirm(store.tree(), &[foreign], holder(2));
        assert!(!strays.is_dropping());
    }

    /// A node of the half of the space that begins with zeros, with all records, and two that are closer to the other half.
    fn node() -> Node<MapStore> {
        let config = Config { replication: 2, ..Config::default() };
        let mut node = Node::new(NodeId::from_bytes([0; 32]), config, MapStore::default(), 1, now());
        fill(&mut node.env.store);
        for number in [1, 2] {
            let address = (Ipv4Addr::LOCALHOST, number).into();
            let id = NodeId::from_bytes([128 + number as u8; 32]);
            node.env.table.verified(now().instant, Contact { id, address });
        }
        node
    }

    fn now() -> Now {
        Now { instant: Instant::default(), unix_ms: 1 }
    }

    /// How many are left after the others' half was seen to be held twice, and `meanwhile` happened before it was dropped.
    fn left_after(meanwhile: impl FnOnce(&mut Node<MapStore>)) -> u64 {
        let mut node = node();
        let mut strays = begun(&node.env.store, 2);
        let (_, foreign) = halves();
        (1..3).for_each(|number| strays.confirm(node.env.store.tree(), &[foreign], holder(number)));
        meanwhile(&mut node);
        strays.drop_some(&mut node.env);
        node.env.store.tree().sum(&Prefix::ALL).records
    }

    #[test]
    fn what_has_come_to_belong_to_this_node_since_the_round_began_stays() {
        assert!(left_after(|_| ()) < 100, "others are closer");
        let closer = NodeId::from_bytes([129; 32]);
        assert_eq!(left_after(|node| _ = node.env.table.remove(&closer)), 100);
    }
}
