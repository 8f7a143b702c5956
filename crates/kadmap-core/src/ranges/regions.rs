//! Which nodes hold which ranges.
//!
//! The order in which nodes are close to a key depends only on the bits at which any two of them first differ, so the
//! set of the `replication` closest is the same for all keys of a range that fixes those bits.
//! A range is halved until that holds; the ranges that one node shares with others come to some hundred at most, in
//! the smallest part of the space around it.

use super::{KEY_BITS, PATH_BITS, Prefix};
use crate::Key;

/// A node as far as ranges go; two moments can be looked at in one walk.
///
/// ```
/// use kadmap_core::{NodeId, ranges::Member};
/// let member = Member::new(&NodeId::of_public_key(b"key").key(), true, false);
/// assert!(member.was && !member.is);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The first bits of its id: enough to tell nodes apart, for ids are hashes.
    place: u128,
    /// Whether it counted before.
    pub was: bool,
    /// Whether it counts now.
    pub is: bool,
}

impl Member {
    /// A node whose id stands at this place.
    pub fn new(id: &Key, was: bool, is: bool) -> Self {
        let mut first = [0; 16];
        first.copy_from_slice(&id.as_bytes()[..16]);
        Self { place: u128::from_be_bytes(first), was, is }
    }
}

/// A range of keys that all belong to the same nodes.
///
/// ```
/// use kadmap_core::{NodeId, ranges::{Member, Prefix, regions}};
/// let members: Vec<_> = (0..3u8).map(|n| Member::new(&NodeId::of_public_key(&[n]).key(), true, true)).collect();
/// let all = regions(&members, 20, Some(0), |_| true);
/// assert_eq!((all.len(), all[0].range, all[0].now.len()), (1, Prefix::ALL, 3));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// The keys.
    pub range: Prefix,
    /// Positions of those to whom they belonged before, nearest to the range's first key first.
    pub before: Vec<usize>,
    /// Positions of those to whom they belong now, in the same order.
    pub now: Vec<usize>,
}

/// The regions of the whole space, in path order, as far as they are wanted.
///
/// With `own` only those that belong to this member, before or now.
/// `wanted` is asked of a range before it is looked at; when it says no, so it would of all its parts.
/// Costs O(m log m) for each range looked at, m being the members that may be among the closest there.
pub fn regions(
    members: &[Member],
    replication: usize,
    own: Option<usize>,
    wanted: impl Fn(&Prefix) -> bool,
) -> Vec<Region> {
    let mut found = Vec::new();
    let everybody: Vec<usize> = (0..members.len()).collect();
    let mut open = vec![(Prefix::ALL, everybody)];
    while let Some((range, candidates)) = open.pop() {
        if !wanted(&range) {
            continue;
        }
        let mut view = View::new(members, &candidates, range, replication);
        if own.is_some_and(|own| !view.may_belong_to(own)) {
            continue;
        }
        view.ranked.sort_unstable();
        if view.is_settled() {
            let region = view.region();
            if own.is_none_or(|own| region.before.contains(&own) || region.now.contains(&own)) {
                found.push(region);
            }
            continue;
        }
        let relevant = view.relevant();
        open.push((range.child(true), relevant.clone()));
        open.push((range.child(false), relevant));
    }
    found
}

/// Makes one range of each pair of halves, and leaves out what another covers: what stood there twice would cancel itself
/// out of a sum. The ranges are in path order, the wider of two that begin alike first.
pub(crate) fn joined(ranges: impl IntoIterator<Item = Prefix>) -> Vec<Prefix> {
    let mut all: Vec<Prefix> = Vec::new();
    for mut range in ranges {
        if all.last().is_some_and(|last| last.covers(&range)) {
            continue;
        }
        while let Some(parent) = all.last().and_then(|last| last.joined_with(&range)) {
            all.pop();
            range = parent;
        }
        all.push(range);
    }
    all
}

/// The members around one range, nearest to its first key first once they are sorted.
struct View<'a> {
    members: &'a [Member],
    range: Prefix,
    replication: usize,
    /// Distance to the range's first key, and position.
    ranked: Vec<(u128, usize)>,
}

impl<'a> View<'a> {
    fn new(members: &'a [Member], candidates: &[usize], range: Prefix, replication: usize) -> Self {
        let rank = |&position: &usize| (members[position].place ^ range.first(), position);
        // Most ranges turn out to belong to others before they need to be sorted.
        Self { members, range, replication, ranked: candidates.iter().map(rank).collect() }
    }

    /// Those who count at one moment, nearest first.
    fn at(&self, counts: fn(&Member) -> bool) -> impl Iterator<Item = (u128, usize)> {
        self.ranked.iter().copied().filter(move |&(_, position)| counts(&self.members[position]))
    }

    /// The part of a distance that is the same for all keys of the range.
    fn certain(&self, distance: u128) -> u128 {
        distance.checked_shr(u32::from(PATH_BITS - self.range.bits())).unwrap_or(0)
    }

    /// Whether a member is among the closest for any key of the range, as far as can be told.
    fn may_belong_to(&self, own: usize) -> bool {
        let Some(&(distance, _)) = self.ranked.iter().find(|(_, position)| *position == own) else {
            return false;
        };
        [was as fn(&Member) -> bool, is].into_iter().any(|counts| {
            let nearer = |&(other, _): &(u128, usize)| self.certain(other) < self.certain(distance);
            counts(&self.members[own]) && self.at(counts).filter(nearer).count() < self.replication
        })
    }

    /// Whether the closest are the same for all keys of the range, before and now.
    fn is_settled(&self) -> bool {
        self.range.bits() >= KEY_BITS
            || [was as fn(&Member) -> bool, is].into_iter().all(|counts| {
                let mut beyond = self.at(counts).skip(self.replication.saturating_sub(1));
                match (beyond.next(), beyond.next()) {
                    (Some((last, _)), Some((first_out, _))) => self.certain(last) < self.certain(first_out),
                    _ => true,
                }
            })
    }

    fn region(&self) -> Region {
        let closest = |counts| self.at(counts).take(self.replication).map(|(_, position)| position).collect();
        Region { range: self.range, before: closest(was), now: closest(is) }
    }

    /// Those who may be among the closest, or the first who are not, for any key of the range.
    fn relevant(&self) -> Vec<usize> {
        let reach =
            |counts| self.at(counts).nth(self.replication).map(|(distance, _)| self.certain(distance));
        let cut = match (reach(was as fn(&Member) -> bool), reach(is)) {
            (Some(before), Some(now)) => before.max(now),
            _ => u128::MAX,
        };
        let near = |&&(distance, _): &&(u128, usize)| self.certain(distance) <= cut;
        self.ranked.iter().filter(near).map(|&(_, position)| position).collect()
    }
}

fn was(member: &Member) -> bool {
    member.was
}

fn is(member: &Member) -> bool {
    member.is
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeId;
    use proptest::prelude::*;

    fn members(states: &[(u32, bool, bool)]) -> (Vec<NodeId>, Vec<Member>) {
        let key =
            |(position, state): (usize, &(u32, bool, bool))| [position as u32, state.0].map(u32::to_be_bytes);
        let ids: Vec<_> =
            states.iter().enumerate().map(|at| NodeId::of_public_key(key(at).as_flattened())).collect();
        let member = |(id, state): (&NodeId, &(u32, bool, bool))| Member::new(&id.key(), state.1, state.2);
        let all = ids.iter().zip(states).map(member).collect();
        (ids, all)
    }

    /// The closest to a key among those who count, as the paper says it.
    fn closest(
        ids: &[NodeId],
        members: &[Member],
        key: &Key,
        r: usize,
        counts: fn(&Member) -> bool,
    ) -> Vec<usize> {
        let mut all: Vec<_> = (0..ids.len()).filter(|&n| counts(&members[n])).collect();
        all.sort_by_key(|&n| ids[n].distance(key));
        all.truncate(r);
        all.sort_unstable();
        all
    }

    proptest! {
        #[test]
        fn a_key_belongs_to_the_nodes_of_its_region_and_no_region_of_a_node_is_missed(
            states in prop::collection::vec((0u32..5_000, any::<bool>(), any::<bool>()), 1..120),
            r in 1usize..25,
            names in prop::collection::vec(any::<u32>(), 1..40),
        ) {
            let (ids, members) = members(&states);
            let found = regions(&members, r, Some(0), |_| true);
            for name in names {
                let key = Key::of_name(&name.to_be_bytes());
                let path = u128::from(key.first_word()) << KEY_BITS;
                let region = found.iter().find(|region| region.range.contains(path));
                let before = closest(&ids, &members, &key, r, was);
                let now = closest(&ids, &members, &key, r, is);
                match region {
                    Some(region) => {
                        let sorted = |mut all: Vec<usize>| { all.sort_unstable(); all };
                        prop_assert_eq!(sorted(region.before.clone()), before);
                        prop_assert_eq!(sorted(region.now.clone()), now);
                    }
                    None => prop_assert!(!before.contains(&0) && !now.contains(&0)),
                }
            }
        }

        #[test]
        fn the_regions_of_everybody_make_up_the_space(
            states in prop::collection::vec((0u32..5_000, Just(true), any::<bool>()), 0..60),
            r in 1usize..8,
        ) {
            let found = regions(&members(&states).1, r, None, |_| true);
            prop_assert_eq!(joined(found.iter().map(|region| region.range)), vec![Prefix::ALL]);
        }
    }

    proptest! {
        #[test]
        fn joined_ranges_cover_the_same_and_nothing_twice(
            ranges in prop::collection::vec((any::<u8>(), 0u8..=8), 0..20), path in any::<u128>(),
        ) {
            let range = |(start, bits): (u8, u8)| Prefix::new(u128::from(start) << 120, bits);
            let mut ranges: Vec<_> = ranges.into_iter().map(range).collect();
            ranges.sort_unstable();
            let all = joined(ranges.clone());
            let holders = all.iter().filter(|range| range.contains(path)).count();
            prop_assert_eq!(holders, usize::from(ranges.iter().any(|range| range.contains(path))));
        }
    }

    #[test]
    fn in_a_large_swarm_a_node_has_few_regions() {
        let states: Vec<_> = (0..5_000).map(|n| (n, true, true)).collect();
        let found = regions(&members(&states).1, 20, Some(7), |_| true);
        assert!((10..400).contains(&found.len()), "{} regions", found.len());
    }
}
