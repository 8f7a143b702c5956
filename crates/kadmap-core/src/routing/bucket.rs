//! A k-bucket: the nodes whose ids share one length of prefix with ours.

use super::entry::Entry;
use super::table::{Admission, Removal, TableConfig};
use crate::time::Tick;
use crate::{Address, Contact, ID_BITS, Instant, Key, NodeId};

/// The share of k at which a bucket need not be refreshed, if it cannot know all of its nodes anyway: three quarters.
/// What a far bucket holds beyond k comes by itself.
const WELL_FILLED: (usize, usize) = (3, 4);

/// Nodes from which on one half must have a share of them. Of 16 nodes either half has fewer than an eighth by chance in one
/// case of 2,000 (2 · 17 / 2^16), and then lookups are needed for good; of more hardly ever.
const UNEVEN_MIN: usize = 16;
/// One in so many.
const UNEVEN_SHARE: usize = 8;

/// What bounds one bucket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Entries it may hold.
    pub(super) capacity: usize,
    /// Entries with which it need not be refreshed if it cannot know all of its nodes anyway.
    well_filled: usize,
    /// Contacts its replacement cache may hold.
    pub(super) cached: usize,
    /// Missed probes after which an entry gives way.
    pub(super) failures: u8,
}

impl Limits {
    pub(super) fn of(config: &TableConfig, index: usize) -> Self {
        let capacity = config.far_bucket_sizes.get(index).copied().unwrap_or(config.bucket_size);
        // An entry that has missed nothing never gives way, whatever the configuration says.
        let capacity = capacity.clamp(1, u16::MAX.into());
        let well_filled = capacity.min(config.bucket_size) * WELL_FILLED.0 / WELL_FILLED.1;
        Self {
            capacity,
            well_filled,
            cached: config.replacement_cache,
            failures: config.failures_before_eviction.max(1),
        }
    }
}

/// One bucket and its replacement cache.
///
/// Invariants: no id twice; `unresponsive` is the number of entries that have missed too many probes; while
/// the cache holds anybody, the bucket is full of responsive entries.
#[derive(Debug, Clone)]
pub(super) struct KBucket<A: Address> {
    /// In order of admission, oldest first.
    entries: Vec<Entry<A>>,
    /// Verified contacts that found no room, most recently seen last.
    cache: Vec<Entry<A>>,
    unresponsive: u16,
    /// Whether it was full since the table was last marked as filled: then nodes may exist that nobody kept.
    overflowed: bool,
    /// How many lookups in a row have aimed here and were told of nobody unknown; from 255 on no more are counted.
    agreements: u8,
    /// When a lookup last aimed here.
    pub(super) touched: Tick,
}

impl<A: Address> KBucket<A> {
    /// An empty bucket; it counts as touched, as whoever brought the first contact was found just now.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            entries: Vec::new(),
            cache: Vec::new(),
            unresponsive: 0,
            overflowed: false,
            agreements: 0,
            touched: Tick::at(now),
        }
    }

    pub(super) fn verified(&mut self, now: Instant, contact: Contact<A>, limits: Limits) -> Admission {
        let admission = match self.entries.iter_mut().find(|entry| entry.is(&contact.id)) {
            Some(entry) => {
                self.unresponsive -= u16::from(entry.failures >= limits.failures);
                match entry.refresh(contact.address, now) {
                    true => Admission::AddressChanged,
                    false => Admission::Refreshed,
                }
            }
            None => self.admit(now, contact, limits),
        };
        self.overflowed |= self.is_full(limits);
        admission
    }

    fn admit(&mut self, now: Instant, contact: Contact<A>, limits: Limits) -> Admission {
        let newcomer = Entry::new(contact, now);
        if self.entries.len() < limits.capacity {
            push_tight(&mut self.entries, newcomer, limits.capacity);
            return Admission::Added { replaced: None };
        }
        // Most buckets hold nobody who gives way, and need not be searched.
        if self.unresponsive > 0
            && let Some(worst) = self.most_overdue(limits)
        {
            self.unresponsive -= 1;
            let replaced = self.entries.remove(worst).id();
            self.entries.push(newcomer);
            return Admission::Added { replaced: Some(replaced) };
        }
        self.cache.retain(|cached| !cached.is(&contact.id));
        if limits.cached == 0 {
            return Admission::Ignored;
        }
        if self.cache.len() >= limits.cached {
            self.cache.remove(0);
        }
        push_tight(&mut self.cache, newcomer, limits.cached);
        Admission::Cached
    }

    /// The unresponsive entry to give up first: most probes missed, then longest unseen.
    fn most_overdue(&self, limits: Limits) -> Option<usize> {
        let overdue = self.entries.iter().enumerate().filter(|(_, entry)| entry.failures >= limits.failures);
        overdue
            .min_by_key(|(_, entry)| (std::cmp::Reverse(entry.failures), entry.seen))
            .map(|(index, _)| index)
    }

    pub(super) fn failed(&mut self, id: &NodeId, limits: Limits) -> Removal<A> {
        let Some(index) = self.position(id) else {
            return self.drop_cached(id);
        };
        let entry = &mut self.entries[index];
        let was_responsive = entry.failures < limits.failures;
        entry.failures = entry.failures.saturating_add(1);
        if entry.failures < limits.failures {
            return Removal::Kept;
        }
        self.unresponsive += u16::from(was_responsive);
        match self.cache.pop() {
            Some(replacement) => {
                let contact = replacement.contact();
                self.entries.remove(index);
                self.entries.push(replacement);
                self.unresponsive -= 1;
                Removal::Replaced { by: contact }
            }
            None => Removal::Unresponsive,
        }
    }

    pub(super) fn remove(&mut self, id: &NodeId, limits: Limits) -> Removal<A> {
        let Some(index) = self.position(id) else {
            return self.drop_cached(id);
        };
        let removed = self.entries.remove(index);
        self.unresponsive -= u16::from(removed.failures >= limits.failures);
        match self.cache.pop() {
            Some(replacement) => {
                let contact = replacement.contact();
                self.entries.push(replacement);
                Removal::Replaced { by: contact }
            }
            None => Removal::Dropped,
        }
    }

    fn drop_cached(&mut self, id: &NodeId) -> Removal<A> {
        let before = self.cache.len();
        self.cache.retain(|cached| !cached.is(id));
        if self.cache.len() < before { Removal::Dropped } else { Removal::Unknown }
    }

    fn position(&self, id: &NodeId) -> Option<usize> {
        self.entries.iter().position(|entry| entry.is(id))
    }

    pub(super) fn entry(&self, id: &NodeId) -> Option<&Entry<A>> {
        self.entries.iter().find(|entry| entry.is(id))
    }

    pub(super) fn entry_mut(&mut self, id: &NodeId) -> Option<&mut Entry<A>> {
        self.entries.iter_mut().find(|entry| entry.is(id))
    }

    pub(super) fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry<A>> {
        self.entries.iter_mut()
    }

    pub(super) fn live(&self, limits: Limits) -> impl Iterator<Item = &Entry<A>> {
        self.entries.iter().filter(move |entry| entry.failures < limits.failures)
    }

    /// Contacts, responsive or not.
    pub(super) fn known_len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn live_len(&self) -> usize {
        self.entries.len() - usize::from(self.unresponsive)
    }

    pub(super) fn unresponsive(&self, limits: Limits) -> impl Iterator<Item = &Entry<A>> {
        self.entries.iter().filter(move |entry| entry.failures >= limits.failures)
    }

    pub(super) fn cached_len(&self) -> usize {
        self.cache.len()
    }

    #[cfg(test)]
    pub(super) fn cached(&self) -> impl Iterator<Item = &Entry<A>> {
        self.cache.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a newcomer would have to wait in the cache; an unresponsive entry is room.
    pub(super) fn is_full(&self, limits: Limits) -> bool {
        self.live_len() >= limits.capacity
    }

    /// Whether nodes of this bucket may exist that found no room here.
    pub(super) fn may_lack_nodes(&self) -> bool {
        self.overflowed
    }

    /// Whether lookups have been told of nobody unknown so often that each node should have been named once, by nodes
    /// that name `named` others in an answer.
    pub(super) fn is_agreed_on(&self, named: usize) -> bool {
        usize::from(self.agreements) > self.live_len() / named.max(1)
    }

    /// Whether what is known here is spread as ids are, which are hashes. Where one half has next to nobody its nodes were
    /// not told of yet: lookups that aim into the other half say nothing of it. `prefix_bits` are those that all share.
    pub(super) fn is_even(&self, prefix_bits: usize) -> bool {
        let mut places: Vec<_> = self.entries.iter().map(|entry| entry.id().key()).collect();
        places.sort_unstable();
        are_even(&places, prefix_bits)
    }

    /// A lookup has aimed here and was told of nobody unknown.
    pub(super) fn agree(&mut self) {
        self.agreements = self.agreements.saturating_add(1);
    }

    /// Takes over what lookups have told of another bucket, if there is one.
    pub(super) fn agreements_as(&mut self, other: Option<&Self>) {
        self.agreements = other.map_or(0, |other| other.agreements);
    }

    /// Somebody told of a node that is missing here.
    pub(super) fn disagree(&mut self) {
        self.agreements = 0;
    }

    /// A bucket that was full is trusted again when half of it is empty: less than that comes of entries that died, and
    /// says nothing of the nodes that were never kept.
    pub(super) fn mark_filled(&mut self, limits: Limits) {
        self.overflowed &= 2 * self.live_len() > limits.capacity;
    }

    /// Whether so few are left that others should be looked for: one that may know all of its nodes must know all, one
    /// that cannot only has to be well filled.
    pub(super) fn wants_nodes(&self, limits: Limits, may_know_all: bool) -> bool {
        self.live_len() < if may_know_all { limits.capacity } else { limits.well_filled }
    }
}

/// Whether of these places, in order, an eighth at least lies in either half, and so on in each half.
fn are_even(places: &[Key], prefix_bits: usize) -> bool {
    if places.len() < UNEVEN_MIN || prefix_bits >= ID_BITS {
        return true;
    }
    let (zeros, ones) = places.split_at(places.partition_point(|place| !place.bit(prefix_bits)));
    let enough = |half: &[Key]| half.len() >= places.len() / UNEVEN_SHARE && are_even(half, prefix_bits + 1);
    enough(zeros) && enough(ones)
}

/// Pushes without the doubling of `Vec`, which would leave a bucket of 20 with room for 32.
fn push_tight<A: Address>(entries: &mut Vec<Entry<A>>, entry: Entry<A>, capacity: usize) {
    if entries.len() == entries.capacity() {
        let step = (entries.len() / 2).max(2);
        entries.reserve_exact(step.min(capacity.saturating_sub(entries.len())).max(1));
    }
    entries.push(entry);
}
