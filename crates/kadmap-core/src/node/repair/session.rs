//! One comparison with another holder: from the sum of all ranges down to the records that differ.

use rand_core::Rng;

use super::super::env::Env;
use super::Reach;
use super::rival::{Rival, flag};
use super::wish::Wish;
use crate::ranges::{Leaf, PART_RECORDS_MAX, PATH_BITS, PREFIXES_MAX, Prefix, PrefixList, RangeTree, Sum};
use crate::store::{RecordId, RecordStore};
use crate::wire::{Compare, Divide, Fetch, Fetching, Parts, Request, Response, Sums};
use crate::{Address, Contact};

/// Ranges in one request for their parts; a few packets' worth.
const RANGES_PER_REQUEST_MAX: usize = 256;
/// Records named one by one to be sent or fetched in a range; beyond, the range as a whole is.
const NAMED_RECORDS_MAX: usize = 64;
/// Bits of a hash by which its part may begin: 48, so that 16 follow.
const ROTATIONS: u8 = 48;
/// Stands for a divided range in [`Parts`].
const DIVIDED: u8 = 0xff;
/// Stands for a range whose only difference is being sent.
const SENT: u8 = 0xfe;
/// Records in a range of which one may be told by its short hash alone: it is the wrong one in one of five hundred cases at
/// most, and then the next comparison finds the right one. Half as many would make finding a fifth dearer.
pub(super) const GUESSED_AMONG_MAX: usize = 128;
/// Bytes of a short hash.
pub(super) const SHORT_BYTES: usize = 2;

/// A range that differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Open {
    range: Prefix,
    /// The other's hash of it.
    theirs: u16,
    /// By how much it differs, where that may be the hash of the one record that this node lacks.
    difference: Option<u16>,
}

/// A comparison under way.
#[derive(Debug)]
pub(super) struct Session<A> {
    partner: Contact<A>,
    ranges: Vec<Prefix>,
    reach: Reach,
    rotation: u8,
    /// Ranges that differ and were not asked about yet.
    open: Vec<Open>,
    /// Those whose parts have been asked for.
    asked: Vec<Open>,
    /// What the other has and this node lacks.
    wanted: Vec<(Prefix, Wish)>,
    /// The rivals of all wishes, in order: sent unless the other's are newer.
    held_back: Vec<RecordId>,
    lacked: bool,
    /// Records that the other is sending.
    awaited: u64,
    /// Ranges in which both hold the same.
    even: Vec<Prefix>,
    /// Ranges that the other says to leave alone.
    foreign: Vec<Prefix>,
}

impl<A: Address> Session<A> {
    /// Begins a comparison of some ranges; tells the first request.
    pub(super) fn start<S>(
        env: &mut Env<S, A>,
        partner: Contact<A>,
        ranges: Vec<Prefix>,
        reach: Reach,
    ) -> (Self, Request) {
        let tree = env.store.tree();
        let hash = ranges.iter().fold(0, |hash, range| hash ^ tree.sum(range).hash);
        let joins = env.is_syncing.then_some(true);
        let shared = (reach == Reach::Shared).then_some(true);
        let request = Request::Compare(Compare { ranges: PrefixList(ranges.clone()), hash, joins, shared });
        let rotation = (env.rng.next_u64() % u64::from(ROTATIONS)) as u8;
        let (open, asked, wanted, held_back) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        (
            Self {
                partner,
                ranges,
                reach,
                rotation,
                open,
                asked,
                wanted,
                held_back,
                lacked: false,
                awaited: 0,
                even: Vec::new(),
                foreign: Vec::new(),
            },
            request,
        )
    }

    /// With whom.
    pub(super) fn partner(&self) -> Contact<A> {
        self.partner
    }

    /// Whether the other had anything that this node lacked.
    pub(super) fn lacked(&self) -> bool {
        self.lacked
    }

    /// How many records the other is sending.
    pub(super) fn awaited_copies(&self) -> u64 {
        self.awaited
    }

    /// The ranges in which the first look has found no difference.
    pub(super) fn even(&self) -> &[Prefix] {
        &self.even
    }

    /// The ranges that the other says to leave alone.
    pub(super) fn foreign(&self) -> &[Prefix] {
        &self.foreign
    }

    /// Which of it the other was to look at.
    pub(super) fn reach(&self) -> Reach {
        self.reach
    }

    /// What was to be compared.
    pub(super) fn into_ranges(self) -> Vec<Prefix> {
        self.ranges
    }

    /// Takes in an answer; tells the next request, or `None` at the end.
    pub(super) fn on_answer<S: RecordStore>(
        &mut self,
        env: &mut Env<S, A>,
        response: &Response<A>,
    ) -> Option<Request> {
        match response {
            Response::Sums(sums) => self.on_sums(env, sums),
            Response::Parts(parts) => self.on_parts(env, parts),
            Response::Fetching(fetching) => self.on_fetching(env, fetching),
            // Whoever cannot compare is left alone until the next round.
            _ => return None,
        }
        self.next_request()
    }

    fn next_request(&mut self) -> Option<Request> {
        if !self.open.is_empty() {
            // The deepest ones first, so that few ranges wait; sorted, so that they travel in few bytes.
            let first = self.open.len().saturating_sub(RANGES_PER_REQUEST_MAX);
            self.asked = self.open.split_off(first);
            self.asked
                .sort_unstable_by_key(|open| (open.difference.is_some(), open.range.bits(), open.range));
            let ranges = PrefixList(self.asked.iter().map(|open| open.range).collect());
            let differences = self.asked.iter().filter_map(|open| open.difference);
            let differences: Vec<u8> = differences.flat_map(u16::to_be_bytes).collect();
            let rotation = self.rotation;
            return Some(Request::Divide(Divide { ranges, rotation, differences: differences.into() }));
        }
        if self.wanted.is_empty() {
            return None;
        }
        // All at once, for the answer tells of the rivals in the order of their ranges.
        let mut wanted = Vec::new();
        self.wanted.iter().for_each(|(_, wish)| wish.write(&mut wanted));
        let ranges = PrefixList(self.wanted.drain(..).map(|(range, _)| range).collect());
        Some(Request::Fetch(Fetch { ranges, rotation: self.rotation, wanted: wanted.into() }))
    }

    fn on_sums<S: RecordStore>(&mut self, env: &mut Env<S, A>, sums: &Sums) {
        let (hashes, _) = sums.hashes.as_chunks::<8>();
        if hashes.is_empty() {
            self.even.clone_from(&self.ranges);
        }
        for (at, (range, hash)) in self.ranges.clone().into_iter().zip(hashes).enumerate() {
            if flag(sums.foreign.as_deref().unwrap_or_default(), at) {
                self.foreign.push(range);
                continue;
            }
            let theirs = u64::from_be_bytes(*hash);
            let own = env.store.tree().sum(&range);
            if theirs == own.hash {
                self.even.push(range);
                continue;
            }
            if theirs == 0 {
                self.send_all(env, range, own);
            } else {
                self.examine(env, range, own, short(theirs, self.rotation));
            }
        }
    }

    fn on_parts<S: RecordStore>(&mut self, env: &mut Env<S, A>, parts: &Parts) {
        let mut bytes = &parts.parts[..];
        for asked in std::mem::take(&mut self.asked) {
            let Some((&tag, rest)) = bytes.split_first() else { return };
            let hashes = match tag {
                DIVIDED => 3,
                SENT => 0,
                records => usize::from(records),
            };
            let Some((part, rest)) = rest.split_at_checked(hashes * SHORT_BYTES) else { return };
            bytes = rest;
            let hashes: Vec<u16> = part.as_chunks().0.iter().copied().map(u16::from_be_bytes).collect();
            match hashes[..] {
                // A range of a single path has no parts, whatever the other says: it would be asked about for ever.
                [a, b, c] if tag == DIVIDED && asked.range.bits() + 2 <= PATH_BITS => {
                    let theirs = [a, b, c, asked.theirs ^ a ^ b ^ c];
                    for (range, theirs) in asked.range.quarters().into_iter().zip(theirs) {
                        let own = env.store.tree().sum(&range);
                        if short(own.hash, self.rotation) != theirs {
                            self.examine(env, range, own, theirs);
                        }
                    }
                }
                [] if tag == SENT => {
                    self.lacked = true;
                    self.awaited += 1;
                }
                [] => self.send_all(env, asked.range, env.store.tree().sum(&asked.range)),
                _ => self.settle(env, asked.range, hashes),
            }
        }
    }

    /// Looks closer at a range that differs, or wants all of it where this node has nothing.
    fn examine<S: RecordStore>(&mut self, env: &mut Env<S, A>, range: Prefix, own: Sum, theirs: u16) {
        if own.records == 0 {
            self.wish(range, Wish::default());
            return;
        }
        let mut difference = None;
        if own.records <= GUESSED_AMONG_MAX as u64 {
            let by = theirs ^ short(own.hash, self.rotation);
            let leaves = env.store.tree().leaves(&range, GUESSED_AMONG_MAX);
            if let Some(only) = the_one(&leaves, by, self.rotation) {
                self.send(env, &range, &[only], true);
                return;
            }
            difference = Some(by);
        }
        self.open.push(Open { range, theirs, difference });
    }

    /// Wants something, as far as one request holds it; tells whether it does.
    fn wish(&mut self, range: Prefix, wish: Wish) -> bool {
        self.lacked = true;
        let has_room = self.wanted.len() < PREFIXES_MAX;
        if has_room {
            self.wanted.push((range, wish));
        }
        has_room
    }

    fn send_all<S>(&self, env: &mut Env<S, A>, range: Prefix, own: Sum) {
        if own.records > 0 {
            env.outbox.push_range(self.partner, range);
        }
    }

    /// Compares the few records of a range, of which the other has told its own.
    fn settle<S: RecordStore>(&mut self, env: &mut Env<S, A>, range: Prefix, theirs: Vec<u16>) {
        let mut missing = theirs;
        let mut surplus: Vec<Leaf> = Vec::new();
        for leaf in env.store.tree().leaves(&range, usize::MAX) {
            let hash = short(leaf.hash, self.rotation);
            match missing.iter().position(|theirs| *theirs == hash) {
                Some(place) => drop(missing.swap_remove(place)),
                None => surplus.push(leaf),
            }
        }
        if surplus.len() > NAMED_RECORDS_MAX {
            // The few of these that the other has as well change nothing there.
            env.outbox.push_range(self.partner, range);
            surplus.clear();
        }
        let rivals = self.send(env, &range, &surplus, missing.is_empty());
        if !missing.is_empty() {
            let (ids, rivals): (Vec<_>, _) = rivals.into_iter().unzip();
            if self.wish(range, Wish { hashes: missing, rivals }) {
                self.held_back.extend(ids);
            } else {
                // Nothing will be told of these: what turns out to be old is ignored.
                ids.into_iter().for_each(|id| env.outbox.push_record(self.partner, id));
            }
        }
    }

    /// Sends what the other lacks, but for plain values of which it may have a newer version; tells those.
    fn send<S: RecordStore>(
        &self,
        env: &mut Env<S, A>,
        range: &Prefix,
        surplus: &[Leaf],
        all: bool,
    ) -> Vec<(RecordId, Rival)> {
        let mut rivals = Vec::new();
        for (id, head) in env.records_behind(range, surplus) {
            match Rival::of(&id, &head) {
                Some(rival) if !all => rivals.push((id, rival)),
                _ => env.outbox.push_record(self.partner, id),
            }
        }
        rivals
    }

    fn on_fetching<S>(&mut self, env: &mut Env<S, A>, fetching: &Fetching) {
        self.awaited += fetching.records;
        for (at, id) in std::mem::take(&mut self.held_back).into_iter().enumerate() {
            if !flag(&fetching.newer, at) {
                env.outbox.push_record(self.partner, id);
            }
        }
    }
}

/// The 16 bits of a hash from a given one on; the XOR of two short hashes is the short hash of their XOR.
pub(super) fn short(hash: u64, rotation: u8) -> u16 {
    (hash >> rotation.min(ROTATIONS)) as u16
}

/// The one record of some that accounts for a difference all alone, if there is one.
pub(super) fn the_one(leaves: &[Leaf], difference: u16, rotation: u8) -> Option<Leaf> {
    let mut those = leaves.iter().filter(|leaf| short(leaf.hash, rotation) == difference);
    those.next().copied().filter(|_| those.next().is_none())
}

/// Tells that the one record of a range that differs is being sent.
pub(super) fn write_sent(out: &mut Vec<u8>) {
    out.push(SENT);
}

/// The parts of a range as they travel.
pub(super) fn write_parts(tree: &RangeTree, range: &Prefix, rotation: u8, out: &mut Vec<u8>) {
    let leaves = tree.leaves(range, PART_RECORDS_MAX + 1);
    if leaves.len() <= PART_RECORDS_MAX {
        out.push(leaves.len() as u8);
        out.extend(leaves.iter().flat_map(|leaf| short(leaf.hash, rotation).to_be_bytes()));
        return;
    }
    out.push(DIVIDED);
    let [a, b, c, _] = range.quarters();
    out.extend([a, b, c].iter().flat_map(|part| short(tree.sum(part).hash, rotation).to_be_bytes()));
}
