//! Which nodes hold which ranges.
//!
//! The order in which nodes are close to a key depends only on the bits at which any two of them first differ, so the
//! set of the `replication` closest is the same for all keys of a range that fixes those bits.
//! A range is halved until that holds; the ranges that one node shares with others come to some hundred at most, in
//! the smallest part of the space around it.

use std::ops::Range;

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
    /// Of those before, the ones to whom only some of the keys belonged: their ids begin with the same many bits. Mostly none.
    pub doubtful: Vec<usize>,
}

/// The regions of the whole space, in path order, as far as they are wanted.
///
/// Whose turn it is between two members whose ids begin with the same many bits changes from key to key, all over the
/// space. Such ranges are not followed to the end: they belong to both.
///
/// With `own` only those that belong to this member, before or now.
/// `wanted` is asked of a range before it is looked at; when it says no, so it would of all its parts.
/// Costs O(m log m) once and O(log² m) for each range looked at, m being the members; each region found costs
/// O(r log r) more.
pub fn regions(
    members: &[Member],
    replication: usize,
    own: Option<usize>,
    wanted: impl Fn(&Prefix) -> bool,
) -> Vec<Region> {
    let mut found = Vec::new();
    let space = Space::new(members, replication);
    let own_rank = own.and_then(|own| space.rank_of(own));
    let is_still = members.iter().all(|member| member.was == member.is);
    let bits_max = bits_max(members.len());
    let mut open = vec![Prefix::ALL];
    let (mut before, mut now) = (Holders::default(), Holders::default());
    while let Some(range) = open.pop() {
        if !wanted(&range) {
            continue;
        }
        space.find(&range, Moment::Before, &mut before);
        if is_still {
            now.clone_from(&before);
        } else {
            space.find(&range, Moment::Now, &mut now);
        }
        if own.is_some() && !own_rank.is_some_and(|own| before.may_be(own) || now.may_be(own)) {
            continue;
        }
        if (before.open.is_some() || now.open.is_some()) && range.bits() < bits_max {
            open.push(range.child(true));
            open.push(range.child(false));
            continue;
        }
        let doubtful = space.open_positions(Moment::Before, &before);
        before.take_in_open();
        now.take_in_open();
        let earlier = space.positions(&range, Moment::Before, &before);
        let later = if is_still { earlier.clone() } else { space.positions(&range, Moment::Now, &now) };
        // It may stand among them without counting.
        if own.is_none_or(|own| earlier.contains(&own) || later.contains(&own)) {
            found.push(Region { range, before: earlier, now: later, doubtful });
        }
    }
    found
}

/// Bits past which a range is not halved any more: 8 more than it takes to tell so many members apart on average. A
/// boundary between two of them makes 256 regions at most then, and one in 256 has a holder too many.
fn bits_max(members: usize) -> u8 {
    (members.max(1).ilog2() as u8 + 8).min(KEY_BITS)
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

/// One of the two moments at which members count.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Before,
    Now,
}

/// All members in the order of their ids, in which those of any range stand side by side.
struct Space {
    replication: usize,
    /// Place and position.
    ranked: Vec<(u128, usize)>,
    /// How many of those before each rank count, before and now.
    counts: Vec<[u32; 2]>,
}

/// Who is closest to the keys of a range, by ranks.
#[derive(Debug, Clone, Default)]
struct Holders {
    /// Those who are for all keys.
    certain: Vec<Range<usize>>,
    /// Those of whom some are for some keys.
    open: Option<Range<usize>>,
}

impl Holders {
    /// Counts those who are close to some of the keys as close to all.
    fn take_in_open(&mut self) {
        self.certain.extend(self.open.take());
    }

    fn may_be(&self, rank: usize) -> bool {
        self.certain.iter().chain(&self.open).any(|ranks| ranks.contains(&rank))
    }
}

impl Space {
    fn new(members: &[Member], replication: usize) -> Self {
        let mut ranked: Vec<_> = members.iter().map(|member| member.place).zip(0..).collect();
        ranked.sort_unstable();
        let mut counts = Vec::with_capacity(ranked.len() + 1);
        let mut count = [0; 2];
        counts.push(count);
        for &(_, position) in &ranked {
            let member = &members[position];
            count = [count[0] + u32::from(member.was), count[1] + u32::from(member.is)];
            counts.push(count);
        }
        Self { replication, ranked, counts }
    }

    fn rank_of(&self, position: usize) -> Option<usize> {
        self.ranked.iter().position(|(_, known)| *known == position)
    }

    fn count(&self, ranks: &Range<usize>, moment: Moment) -> usize {
        (self.counts[ranks.end][moment as usize] - self.counts[ranks.start][moment as usize]) as usize
    }

    /// Finds the closest to the keys of a range.
    ///
    /// Whoever shares more first bits with a key is closer to it: the bits that are the same for all keys of the range
    /// are followed, taking those who share more whole, until enough are found or the keys differ.
    fn find(&self, range: &Prefix, moment: Moment, found: &mut Holders) {
        found.certain.clear();
        found.open = None;
        let (mut ranks, mut missing) = (0..self.ranked.len(), self.replication);
        let mut depth = 0;
        while self.count(&ranks, moment) > missing {
            if missing == 0 {
                return;
            }
            if depth >= range.bits() {
                found.open = Some(ranks);
                return;
            }
            let bit = 1 << (PATH_BITS - 1 - depth);
            let ones =
                ranks.start + self.ranked[ranks.clone()].partition_point(|(place, _)| place & bit == 0);
            let (near, far) = if range.first() & bit == 0 {
                (ranks.start..ones, ones..ranks.end)
            } else {
                (ones..ranks.end, ranks.start..ones)
            };
            let nearer = self.count(&near, moment);
            if nearer > missing {
                ranks = near;
            } else {
                missing -= nearer;
                found.certain.push(near);
                ranks = far;
            }
            depth += 1;
        }
        found.certain.push(ranks);
    }

    /// The positions of those who count and of whom some are the closest.
    fn open_positions(&self, moment: Moment, holders: &Holders) -> Vec<usize> {
        let ranks = holders.open.iter().cloned().flatten();
        let counting = ranks.filter(|rank| self.count(&(*rank..*rank + 1), moment) > 0);
        counting.map(|rank| self.ranked[rank].1).collect()
    }

    /// The positions of those who count, nearest to the range's first key first.
    fn positions(&self, range: &Prefix, moment: Moment, holders: &Holders) -> Vec<usize> {
        let ranks = holders.certain.iter().cloned().flatten();
        let counting = ranks.filter(|rank| self.count(&(*rank..*rank + 1), moment) > 0);
        let mut closest: Vec<_> = counting.map(|rank| self.ranked[rank]).collect();
        closest.sort_unstable_by_key(|(place, _)| place ^ range.first());
        closest.into_iter().map(|(_, position)| position).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeId;
    use proptest::prelude::*;

    fn was(member: &Member) -> bool {
        member.was
    }

    fn is(member: &Member) -> bool {
        member.is
    }

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

    /// Whether all of these are found, and nobody else whose id does not begin like that of one of them.
    fn is_exact_but_for_twins(members: &[Member], found: &[usize], closest: &[usize]) -> bool {
        let alike = |one: usize, other: usize| (members[one].place ^ members[other].place).leading_zeros();
        let is_twin = |extra: usize| {
            closest.iter().any(|&known| alike(extra, known) >= u32::from(bits_max(members.len())))
        };
        closest.iter().all(|known| found.contains(known))
            && found.iter().all(|&holder| closest.contains(&holder) || is_twin(holder))
    }

    #[test]
    fn ids_that_begin_with_the_same_many_bits_make_few_regions() {
        let (_, mut all) = members(&(0..100).map(|n| (n, true, true)).collect::<Vec<_>>());
        // Each has a twin: one of the two is the last of the closest to every key there is.
        let twins: Vec<_> =
            all.iter().map(|member| Member { place: member.place ^ (1 << 88), ..*member }).collect();
        all.extend(twins);
        let found = regions(&all, 19, Some(0), |_| true);
        assert!(found.len() < 20_000, "{} regions", found.len());
        let own: Vec<_> = found.iter().map(|region| region.now.len()).collect();
        assert!(own.iter().all(|holders| (19..=20).contains(holders)));
    }

    #[test]
    fn of_those_whose_ids_begin_alike_it_is_told_that_only_some_keys_belong_to_each() {
        let (_, mut all) = members(&[(0, true, false), (1, true, true)]);
        let told_apart = regions(&all, 1, Some(0), |_| true);
        assert!(told_apart.iter().all(|region| region.doubtful.is_empty()));
        all[1].place = all[0].place ^ 1;
        let twins = [0, 1].map(|own| regions(&all, 1, Some(own), |_| true)).concat();
        assert!(twins.iter().all(|region| region.doubtful == [0, 1] && region.now == [1]));
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
                        prop_assert!(is_exact_but_for_twins(&members, &region.before, &before));
                        prop_assert!(is_exact_but_for_twins(&members, &region.now, &now));
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
