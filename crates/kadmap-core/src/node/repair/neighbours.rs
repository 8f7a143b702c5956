//! Who holds what together with this node, and who has to be given what.

use std::collections::{BTreeMap, BTreeSet};

use rand_core::Rng;

use crate::ranges::{Leaf, Member, Prefix, Region, joined, regions};
use crate::{Address, Consistency, Contact, NodeId};

use super::super::env::Env;

/// With how many other holders each range is compared in a round: with two, what one of twenty replicas knows is
/// known to all within three rounds.
pub(super) const PARTNERS_PER_RANGE: usize = 2;
/// Records that belong to others and are compared in one round at most: some hundred kilobytes with each partner.
const STRAYS_PER_ROUND_MAX: usize = 16_384;
/// Bits by which the range around a record that belongs to others is narrower than it takes to tell this node's own records
/// apart: the others have nothing else there, then, and nothing is learnt of what they have besides.
const STRAY_MARGIN_BITS: u32 = 24;
/// This node's position among the members.
const OWN: usize = 0;

/// A range, and the positions of those who hold it with this node.
pub(super) type Held = (Prefix, Vec<u16>);

/// The regions of this node, and who holds them with it.
pub(super) struct Neighbours<A> {
    /// By the members' positions; `None` where nobody can be asked: this node, and nodes that departed.
    contacts: Vec<Option<Contact<A>>>,
    /// Those of a round that said goodbye and may be back in a moment, with all they have: the last of the members.
    leavers: Vec<NodeId>,
    regions: Vec<Region>,
    /// For regions of others, by their positions: where in them this node holds anything.
    strays: BTreeMap<usize, Vec<Prefix>>,
    leaving: bool,
}

impl<A: Address> Neighbours<A> {
    /// What the coming of some and the going of others change.
    pub(super) fn of_change<S>(
        env: &Env<S, A>,
        arrived: &[Contact<A>],
        departed: &[NodeId],
        leaving: bool,
    ) -> Self {
        let mut contacts = vec![None];
        let mut members = vec![Member::new(&env.own.key(), true, !leaving)];
        let arrivals: BTreeSet<_> = arrived.iter().map(|contact| contact.id).collect();
        for contact in env.table.iter() {
            contacts.push(Some(contact));
            members.push(Member::new(&contact.id.key(), !arrivals.contains(&contact.id), true));
        }
        // Who leaves brings to others what is its own by now: who went before it counts no longer.
        let departed = if leaving { &[] } else { departed };
        for id in departed.iter().filter(|id| !arrivals.contains(id)) {
            contacts.push(None);
            members.push(Member::new(&id.key(), true, false));
        }
        // Who has gone just now may be back in a moment, with all it has: it keeps its place until it is looked after.
        for (id, _) in env.departed.iter().filter(|(id, _)| !arrivals.contains(id)) {
            contacts.push(None);
            members.push(Member::new(&id.key(), true, true));
        }
        // Where this node holds nothing there is nothing to hand over.
        let tree = env.store.tree();
        let holds = |range: &Prefix| tree.sum(range).records > 0;
        let regions = regions(&members, env.config.replication, Some(OWN), holds);
        Self { contacts, leavers: Vec::new(), regions, strays: BTreeMap::new(), leaving }
    }

    /// What is held together with whom as things are, nothing where nobody would have anything to compare; and what is held
    /// here and belongs to others. Who said goodbye a moment ago keeps its place.
    pub(super) fn of_round<S>(env: &mut Env<S, A>) -> Self {
        let departed = env.departed.iter().map(|(id, _)| *id);
        let leavers = departed.filter(|id| env.peers.said_goodbye(id)).collect();
        let is_empty = env.store.tree().sum(&Prefix::ALL).records == 0;
        let mut now = Self::of_members(env, leavers, |_| !is_empty);
        now.add_strays(env, STRAYS_PER_ROUND_MAX);
        now
    }

    /// What this node has to bring to others because it leaves: all that it holds, what belongs to others included, for
    /// somebody may have handed it over and be gone.
    pub(super) fn of_leaving<S>(env: &mut Env<S, A>) -> Self {
        let arrived: Vec<_> = env.arrived.iter().map(|arrival| arrival.contact).collect();
        let mut change = Self::of_change(env, &arrived, &[], true);
        change.add_strays(env, usize::MAX);
        change
    }

    /// Whether so many holders of something that is held here have gone and were not replaced, or would have if this node
    /// went as well, that a read could ask none but those who stand in for them and hold nothing.
    pub(super) fn may_read_past(&self) -> bool {
        let away = |region: &Region| {
            region.now.iter().filter(|holder| **holder == OWN || self.contacts[**holder].is_none()).count()
        };
        let may_read_past =
            |region: &Region| away(region) >= Consistency::Quorum.reads_needed(region.now.len());
        self.regions.iter().filter(|region| region.now.contains(&OWN)).any(may_read_past)
    }

    /// Adds the regions of others in which this node holds anything, as far as they come to so many records.
    fn add_strays<S>(&mut self, env: &mut Env<S, A>, most: usize) {
        let turn = env.rng.next_u64() as usize;
        let tree = env.store.tree();
        let members = self.members(env);
        let all = regions(&members, env.config.replication, None, |range| tree.sum(range).records > 0);
        let mut foreign: Vec<_> = all.into_iter().filter(|region| !region.now.contains(&OWN)).collect();
        // Where there is more than a round takes, another part comes first each time.
        let first = turn.checked_rem(foreign.len()).unwrap_or(0);
        foreign.rotate_left(first);
        let bits = tree.sum(&Prefix::ALL).records.max(1).ilog2() + STRAY_MARGIN_BITS;
        let mut room = most;
        for region in foreign {
            let leaves = tree.leaves(&region.range, room);
            let around = |leaf: &Leaf| Prefix::new(leaf.path(), region.range.bits().max(bits as u8));
            let strays: Vec<_> = joined(leaves.iter().map(around));
            room -= leaves.len();
            if !strays.is_empty() {
                self.strays.insert(self.regions.len(), strays);
                self.regions.push(region);
            }
        }
    }

    /// What of a region is to be compared.
    fn ranges_of(&self, position: usize) -> &[Prefix] {
        let all = std::slice::from_ref(&self.regions[position].range);
        self.strays.get(&position).map_or(all, |strays| &strays[..])
    }

    /// The ranges of this node.
    pub(super) fn own(&self) -> impl Iterator<Item = Prefix> {
        self.regions.iter().filter(|region| region.now.contains(&OWN)).map(|region| region.range)
    }

    /// The ranges of others, where in them this node holds anything, and how many they belong to.
    pub(super) fn foreign(&self) -> impl Iterator<Item = (Prefix, &[Prefix], usize)> {
        let region = |position: &usize| &self.regions[*position];
        self.strays.iter().map(move |(at, strays)| (region(at).range, &strays[..], region(at).now.len()))
    }

    /// What belongs to this node and others, whether it has it or not.
    pub(super) fn of_all<S>(env: &Env<S, A>) -> Self {
        Self::of_members(env, Vec::new(), |_| true)
    }

    fn of_members<S>(env: &Env<S, A>, leavers: Vec<NodeId>, wanted: impl Fn(&Prefix) -> bool) -> Self {
        let mut contacts = vec![None];
        contacts.extend(env.table.iter().map(Some));
        contacts.extend(leavers.iter().map(|_| None));
        let mut all =
            Self { contacts, leavers, regions: Vec::new(), strays: BTreeMap::new(), leaving: false };
        all.regions = regions(&all.members(env), env.config.replication, Some(OWN), wanted);
        all
    }

    /// This node, its contacts, and those whose places are kept; all of them count.
    fn members<S>(&self, env: &Env<S, A>) -> Vec<Member> {
        let own = std::iter::once(env.own);
        let contacts = self.contacts.iter().flatten().map(|contact| contact.id);
        let ids = own.chain(contacts).chain(self.leavers.iter().copied());
        ids.map(|id| Member::new(&id.key(), true, true)).collect()
    }

    /// The ranges that this node has to bring to others.
    ///
    /// Of those who held a range before, the one nearest to the new holder brings it, so that one or two bring all that a
    /// newcomer is to hold. Who leaves brings all of it to all new holders, and to those of which it is not sure that they
    /// held it.
    pub(super) fn handovers<S>(&self, env: &Env<S, A>) -> BTreeMap<Contact<A>, Vec<Prefix>> {
        let mut tasks: BTreeMap<_, Vec<Prefix>> = BTreeMap::new();
        for (position, region) in self.regions.iter().enumerate() {
            let is_foreign = self.strays.contains_key(&position);
            let is_new = |holder: &&usize| {
                !region.before.contains(holder) || self.leaving && region.doubtful.contains(holder)
            };
            let new_holders = region.now.iter().filter(|holder| is_foreign || is_new(holder));
            let most = if is_foreign { PARTNERS_PER_RANGE } else { usize::MAX };
            for contact in new_holders.filter_map(|&holder| self.contacts[holder]).take(most) {
                if self.leaving || self.brings(env, region, &contact.id) {
                    tasks.entry(contact).or_default().extend(self.ranges_of(position));
                }
            }
        }
        tasks
    }

    /// Whether it is this node that brings a region to a new holder.
    fn brings<S>(&self, env: &Env<S, A>, region: &Region, to: &NodeId) -> bool {
        let nearest = |holders: &mut dyn Iterator<Item = usize>| {
            let id = |holder: usize| {
                if holder == OWN { Some(env.own) } else { self.contacts[holder].map(|contact| contact.id) }
            };
            holders.filter_map(|holder| Some((id(holder)?.distance(&to.key()), holder))).min()
        };
        let mut still = region.before.iter().copied().filter(|holder| region.now.contains(holder));
        // Where newcomers have taken the places of all, those who had it before still do.
        let server = nearest(&mut still).or_else(|| nearest(&mut region.before.iter().copied()));
        server.is_some_and(|(_, holder)| holder == OWN)
    }

    /// What belongs to this node, and with whom it holds it: contacts, and for each range the positions of its holders
    /// among them.
    pub(super) fn shares(&self) -> (Vec<Contact<A>>, Vec<Held>) {
        let others = |region: &Region| {
            let others = region.now.iter().filter(|holder| **holder != OWN);
            // A table holds some hundred contacts, for it has a few buckets that are full.
            (region.range, others.map(|holder| (holder - 1) as u16).collect())
        };
        (self.contacts.iter().flatten().copied().collect(), self.regions.iter().map(others).collect())
    }

    fn has_just_come<S>(&self, env: &Env<S, A>, holder: usize) -> bool {
        let id = self.contacts[holder].map(|contact| contact.id);
        env.arrived.iter().any(|arrival| Some(arrival.contact.id) == id)
    }

    /// The ranges of one round and with whom to compare them: few partners, every range with so many of them.
    pub(super) fn partners<S>(
        &self,
        env: &mut Env<S, A>,
        per_range: usize,
    ) -> BTreeMap<Contact<A>, Vec<Prefix>> {
        let mut chosen: BTreeSet<usize> = BTreeSet::new();
        for region in &self.regions {
            let others: Vec<_> = stayed(region).filter(|&holder| holder != OWN).collect();
            let already = others.iter().filter(|holder| chosen.contains(holder)).count();
            let left = others.into_iter().filter(|holder| !chosen.contains(holder));
            // Who has come a moment ago may not be able to tell yet what it has.
            let (mut settled, mut fresh): (Vec<_>, Vec<_>) =
                left.partition(|holder| !self.has_just_come(env, *holder));
            for _ in already..per_range {
                let left = if settled.is_empty() { &mut fresh } else { &mut settled };
                let Some(drawn) = (env.rng.next_u64() as usize).checked_rem(left.len()) else { break };
                chosen.insert(left.swap_remove(drawn));
            }
        }
        let mut tasks: BTreeMap<_, Vec<Prefix>> = BTreeMap::new();
        for (position, region) in self.regions.iter().enumerate() {
            for holder in stayed(region).filter(|holder| chosen.contains(holder)) {
                if let Some(contact) = self.contacts[holder] {
                    tasks.entry(contact).or_default().extend(self.ranges_of(position));
                }
            }
        }
        tasks
    }
}

/// Those to whom a region belongs as before; who has moved up, or has just come, has nothing of it to compare yet.
fn stayed(region: &Region) -> impl Iterator<Item = usize> {
    region.before.iter().copied().filter(|holder| region.now.contains(holder))
}
