//! The sums of all ranges of one node's records.

use super::{PATH_BITS, Prefix, path_of};
use crate::record::Version;
use crate::store::RecordId;

/// Records in one leaf before it is divided.
const LEAF_RECORDS_MAX: usize = 16;
/// Records in four leaves that are put together again; far below the other bound, so that one record that comes and
/// goes does not divide and join for ever.
const JOIN_RECORDS_MAX: u32 = 8;

/// What a range of records comes to: equal sums mean equal records.
///
/// The XOR of one 64-bit hash for each record's address and version.
/// It guards against accidents, not against a member of the swarm who forges collisions on purpose.
///
/// ```
/// assert_eq!(kadmap_core::ranges::Sum::default().records, 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    /// The XOR of the records' hashes.
    pub hash: u64,
    /// How many records there are.
    pub records: u64,
}

impl Sum {
    pub(crate) fn add(self, other: Self) -> Self {
        Self { hash: self.hash ^ other.hash, records: self.records + other.records }
    }
}

/// One record in the tree.
///
/// ```
/// assert_eq!(kadmap_core::ranges::Leaf::default().hash, 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Leaf {
    /// First half of its path; halves, because a 128-bit number would be padded to 16 bytes more.
    high: u64,
    low: u64,
    /// The hash of its address and version.
    pub hash: u64,
}

impl Leaf {
    /// The record's path.
    pub const fn path(&self) -> u128 {
        (self.high as u128) << 64 | self.low as u128
    }
}

/// One range: divided into its quarters, or the records themselves.
#[derive(Debug)]
struct Node {
    hash: u64,
    records: u32,
    parts: Parts,
}

#[derive(Debug)]
enum Parts {
    /// In path order.
    Leaves(Vec<Leaf>),
    /// Index of the first of four nodes that stand side by side.
    Quarters(u32),
}

/// A tree over all records of a node that knows the [`Sum`] of every range.
///
/// It divides by two bits of the path at a time where there are records, so a change and a sum cost O(log n), and a
/// record costs about 40 bytes.
///
/// ```
/// use kadmap_core::ranges::{Prefix, RangeTree};
/// use kadmap_core::{Key, RecordId, Version};
/// let id = RecordId::new(Key::of_name(b"colour"), "colour");
/// let mut tree = RangeTree::default();
/// tree.set(&id, Version::from_bytes([1; 16]));
/// assert_eq!(tree.sum(&Prefix::ALL).records, 1);
/// tree.set(&id, Version::ABSENT);
/// assert_eq!(tree.sum(&Prefix::ALL), Default::default());
/// ```
#[derive(Debug, Default)]
pub struct RangeTree {
    /// The root first; empty while there are no records.
    nodes: Vec<Node>,
    /// First nodes of fours that are free.
    free: Vec<u32>,
}

impl RangeTree {
    /// Takes note of the version in which a record is held; absent for not at all. Costs O(log n).
    pub fn set(&mut self, id: &RecordId, version: Version) {
        let path = path_of(id);
        let (high, low) = ((path >> 64) as u64, path as u64);
        let leaf = Leaf { high, low, hash: record_hash(high, low, version) };
        if self.nodes.is_empty() {
            self.nodes.push(Node::EMPTY);
        }
        self.set_below(0, 0, leaf, version.is_absent());
        if self.nodes.first().is_some_and(|root| root.records == 0) {
            *self = Self::default();
        }
    }

    /// The sum of all records in a range. Costs O(log n).
    pub fn sum(&self, range: &Prefix) -> Sum {
        let (mut at, mut depth) = (0, 0);
        loop {
            let Some(node) = self.nodes.get(at) else { return Sum::default() };
            if depth >= range.bits() {
                return node.sum();
            }
            match &node.parts {
                Parts::Leaves(leaves) => return sum_of(within(leaves, range)),
                Parts::Quarters(first) => {
                    let place = *first as usize + quarter(range.first(), depth);
                    if depth + 1 == range.bits() {
                        let half = self.nodes.get(place..place + 2).unwrap_or_default();
                        return half.iter().fold(Sum::default(), |sum, node| sum.add(node.sum()));
                    }
                    at = place;
                }
            }
            depth += 2;
        }
    }

    /// Up to `limit` records of a range in path order. Costs O(log n) and what it returns.
    pub fn leaves(&self, range: &Prefix, limit: usize) -> Vec<Leaf> {
        let mut found = Vec::new();
        let mut open = vec![(0, Prefix::ALL)];
        while let Some((at, place)) = open.pop()
            && found.len() < limit
        {
            let Some(node) = self.nodes.get(at).filter(|node| node.records > 0) else { continue };
            match &node.parts {
                Parts::Leaves(leaves) => found.extend_from_slice(within(leaves, range)),
                Parts::Quarters(first) => {
                    let quarters = (*first as usize..).zip(place.quarters());
                    let meets =
                        |(_, quarter): &(usize, Prefix)| range.covers(quarter) || quarter.covers(range);
                    let first_open = open.len();
                    open.extend(quarters.filter(meets));
                    open[first_open..].reverse();
                }
            }
        }
        found.truncate(limit);
        found
    }

    /// Puts a leaf where it belongs below a node, or takes it out; tells what that changes in the sums above.
    fn set_below(&mut self, at: usize, depth: u8, leaf: Leaf, remove: bool) -> Change {
        let change = match &mut self.nodes[at].parts {
            Parts::Leaves(leaves) => set_among(leaves, leaf, remove),
            Parts::Quarters(first) => {
                let below = *first as usize + quarter(leaf.path(), depth);
                self.set_below(below, depth + 2, leaf, remove)
            }
        };
        let node = &mut self.nodes[at];
        node.hash ^= change.hash;
        node.records = node.records.saturating_add_signed(change.records);
        let records = node.records;
        match &node.parts {
            Parts::Leaves(leaves) if leaves.len() > LEAF_RECORDS_MAX && depth < PATH_BITS => {
                self.divide(at, depth);
            }
            Parts::Quarters(_) if records <= JOIN_RECORDS_MAX => self.join(at),
            _ => {}
        }
        change
    }

    fn divide(&mut self, at: usize, depth: u8) {
        let first = self.free.pop().unwrap_or_else(|| {
            let first = self.nodes.len();
            self.nodes.extend([Node::EMPTY; 4]);
            first as u32
        });
        let parts = std::mem::replace(&mut self.nodes[at].parts, Parts::Quarters(first));
        let Parts::Leaves(leaves) = parts else { return };
        for leaf in leaves {
            let node = &mut self.nodes[first as usize + quarter(leaf.path(), depth)];
            node.hash ^= leaf.hash;
            node.records += 1;
            if let Parts::Leaves(leaves) = &mut node.parts {
                leaves.push(leaf);
            }
        }
    }

    /// Makes a node with few records hold them itself.
    fn join(&mut self, at: usize) {
        let Parts::Quarters(first) = self.nodes[at].parts else { return };
        let mut all = Vec::new();
        for below in first as usize..first as usize + 4 {
            // With so few records no quarter is divided: it would have been joined before.
            if let Parts::Leaves(leaves) = std::mem::replace(&mut self.nodes[below], Node::EMPTY).parts {
                all.extend(leaves);
            }
        }
        self.free.push(first);
        self.nodes[at].parts = Parts::Leaves(all);
    }
}

impl Node {
    const EMPTY: Self = Self { hash: 0, records: 0, parts: Parts::Leaves(Vec::new()) };

    fn sum(&self) -> Sum {
        Sum { hash: self.hash, records: u64::from(self.records) }
    }
}

/// What a change of one record does to the sums it is part of.
#[derive(Debug, Clone, Copy, Default)]
struct Change {
    hash: u64,
    records: i32,
}

fn set_among(leaves: &mut Vec<Leaf>, leaf: Leaf, remove: bool) -> Change {
    match (leaves.binary_search_by_key(&leaf.path(), Leaf::path), remove) {
        (Ok(place), true) => Change { hash: leaves.remove(place).hash, records: -1 },
        (Ok(place), false) => {
            let old = std::mem::replace(&mut leaves[place], leaf);
            Change { hash: old.hash ^ leaf.hash, records: 0 }
        }
        (Err(_), true) => Change::default(),
        (Err(place), false) => {
            leaves.insert(place, leaf);
            Change { hash: leaf.hash, records: 1 }
        }
    }
}

/// Those of some leaves, which are in path order, that lie in a range.
fn within<'a>(leaves: &'a [Leaf], range: &Prefix) -> &'a [Leaf] {
    let start = leaves.partition_point(|leaf| leaf.path() < range.first());
    let end = leaves.partition_point(|leaf| leaf.path() <= range.last());
    leaves.get(start..end).unwrap_or_default()
}

fn sum_of(leaves: &[Leaf]) -> Sum {
    let hash = leaves.iter().fold(0, |hash, leaf| hash ^ leaf.hash);
    Sum { hash, records: leaves.len() as u64 }
}

/// In which quarter of a node at this depth a path lies.
fn quarter(path: u128, depth: u8) -> usize {
    (path >> (PATH_BITS - 2 - depth)) as usize & 3
}

/// The hash of a record's address and version: part of the protocol, for two nodes compare what they make of it.
fn record_hash(high: u64, low: u64, version: Version) -> u64 {
    let version = u128::from_be_bytes(version.to_bytes());
    mix(mix(low ^ (version >> 64) as u64) ^ high ^ version as u64)
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014): every bit of the input changes half of the output's.
const fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::Key;
    use proptest::prelude::*;

    /// Few places, so that names share them, and places that begin alike, as in a large swarm.
    fn record(place: u16, name: u8) -> RecordId {
        let mut bytes = [0; 32];
        bytes[6..8].copy_from_slice(&place.to_be_bytes());
        RecordId::new(Key::from_bytes(bytes), vec![name])
    }

    fn version(number: u8) -> Version {
        Version::from_bytes([number; 16])
    }

    /// What a range comes to, computed from the records themselves.
    fn expected(records: &BTreeMap<RecordId, u8>, range: &Prefix) -> Sum {
        let inside = records.iter().filter(|(id, _)| range.contains(path_of(id)));
        inside.fold(Sum::default(), |sum, (id, number)| {
            let path = path_of(id);
            let hash = record_hash((path >> 64) as u64, path as u64, version(*number));
            sum.add(Sum { hash, records: 1 })
        })
    }

    proptest! {
        #[test]
        fn sums_are_those_of_the_records_whatever_came_and_went(
            changes in prop::collection::vec((any::<u16>(), 0u8..40, 0u8..3), 0..300),
            cuts in prop::collection::vec((any::<u16>(), 0u8..40, 0u8..=128), 1..20),
        ) {
            let mut tree = RangeTree::default();
            let mut records = BTreeMap::new();
            for (place, name, number) in changes {
                let id = record(place % 7 * 0x1111, name);
                tree.set(&id, version(number));
                if number == 0 { records.remove(&id) } else { records.insert(id, number) };
            }
            for (place, name, bits) in cuts {
                let range = Prefix::new(path_of(&record(place % 7 * 0x1111, name)), bits);
                prop_assert_eq!(tree.sum(&range), expected(&records, &range));
                let mut paths: Vec<_> = records.keys().map(path_of).filter(|path| range.contains(*path)).collect();
                paths.sort_unstable();
                let leaves: Vec<_> = tree.leaves(&range, usize::MAX).iter().map(Leaf::path).collect();
                prop_assert_eq!(leaves, paths);
            }
        }
    }

    #[test]
    fn the_order_of_changes_leaves_no_trace_and_an_emptied_tree_is_as_new() {
        let ids: Vec<_> = (0..2_000).map(|place| record(place, 1)).collect();
        let mut tree = RangeTree::default();
        ids.iter().for_each(|id| tree.set(id, version(1)));
        let all = tree.sum(&Prefix::ALL);
        let mut backwards = RangeTree::default();
        ids.iter().rev().for_each(|id| backwards.set(id, version(1)));
        assert_eq!((all, all.records), (backwards.sum(&Prefix::ALL), 2_000));
        ids.iter().for_each(|id| tree.set(id, Version::ABSENT));
        assert!(tree.nodes.is_empty() && tree.free.is_empty());
    }

    #[test]
    fn a_limit_takes_the_first_in_path_order() {
        let mut tree = RangeTree::default();
        (0..100).for_each(|place| tree.set(&record(place, 1), version(1)));
        let all = tree.leaves(&Prefix::ALL, usize::MAX);
        assert_eq!(tree.leaves(&Prefix::ALL, 30), all[..30]);
    }
}
