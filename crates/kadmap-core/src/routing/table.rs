//! All buckets of one node.

use std::cmp::Ordering;
use std::net::SocketAddr;
use std::time::Duration;

use rand_core::Rng;

use super::bucket::{KBucket, Limits};
use super::entry::Entry;
use crate::rtt::PackedRoundTrip;
use crate::time::Tick;
use crate::{Address, Contact, Distance, ID_BITS, ID_BYTES, Instant, Key, NodeId, RoundTrip};

/// Sizes and patience of a [`RoutingTable`].
///
/// ```
/// use kadmap_core::TableConfig;
/// let config = TableConfig { far_bucket_sizes: Vec::new(), ..TableConfig::default() };
/// assert_eq!(config.bucket_size, 20);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableConfig {
    /// Entries per bucket (k), at least 1; 20 as in the Kademlia paper. Memory grows with it: 56 bytes an
    /// entry.
    pub bucket_size: usize,
    /// Entries of the first buckets, the far halves of the space; 128, 64, 32. Everybody fits the table up to
    /// about 250 nodes then, and larger swarms need fewer hops (Jimenez et al., P2P 2011).
    pub far_bucket_sizes: Vec<usize>,
    /// Contacts per bucket that wait for room; 10.
    pub replacement_cache: usize,
    /// Missed probes in a row after which an entry gives way, at least 1; 2, as one packet may get lost.
    pub failures_before_eviction: u8,
}

impl Default for TableConfig {
    fn default() -> Self {
        Self {
            bucket_size: 20,
            far_bucket_sizes: vec![128, 64, 32],
            replacement_cache: 10,
            failures_before_eviction: 2,
        }
    }
}

/// What became of a verified contact.
///
/// ```
/// use kadmap_core::{Admission, Contact, Instant, NodeId, RoutingTable, TableConfig};
/// let own = NodeId::of_public_key(b"own");
/// let mut table: RoutingTable = RoutingTable::new(own, TableConfig::default());
/// let ourselves = Contact { id: own, address: "127.0.0.1:8339".parse().unwrap() };
/// assert_eq!(table.verified(Instant::default(), ourselves), Admission::Ignored);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is a new entry.
    Added {
        /// The unresponsive entry that it displaced.
        replaced: Option<NodeId>,
    },
    /// It was an entry at this address already and counts as responsive.
    Refreshed,
    /// It was an entry and moved to this address.
    AddressChanged,
    /// Its bucket is full of responsive entries, so it waits in the replacement cache.
    Cached,
    /// Nothing changed: the id is our own, or its bucket is full and has no cache.
    Ignored,
}

/// What became of a contact that missed a probe or left.
///
/// ```
/// use kadmap_core::{NodeId, Removal, RoutingTable, TableConfig};
/// let mut table: RoutingTable = RoutingTable::new(NodeId::of_public_key(b"own"), TableConfig::default());
/// assert_eq!(table.failed(&NodeId::of_public_key(b"stranger")), Removal::Unknown);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal<A = SocketAddr> {
    /// The table does not hold it.
    Unknown,
    /// It stays and counts as responsive: too few probes were missed.
    Kept,
    /// It stays for want of a replacement, but is not given out until it answers again.
    Unresponsive,
    /// It is gone and a contact from the replacement cache took its place.
    Replaced {
        /// The contact that came in; it proved itself when it entered the cache.
        by: Contact<A>,
    },
    /// It is gone, from the bucket or from the replacement cache, and nobody took its place.
    Dropped,
}

/// How full one bucket is.
///
/// ```
/// use kadmap_core::{NodeId, RoutingTable, TableConfig};
/// let table: RoutingTable = RoutingTable::new(NodeId::of_public_key(b"own"), TableConfig::default());
/// assert_eq!(table.buckets().count(), 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketInfo {
    /// Bits of prefix that its nodes share with us.
    pub index: usize,
    /// Responsive entries.
    pub live: usize,
    /// Entries that missed too many probes.
    pub unresponsive: usize,
    /// Contacts in the replacement cache.
    pub cached: usize,
    /// Entries it may hold.
    pub capacity: usize,
}

/// The nodes that one node knows, by how long a prefix their ids share with its own.
///
/// Deterministic: no clock, no randomness of its own, no hash order. An entry costs 56 bytes (IPv6: 32 more
/// on the heap), an empty bucket 56 bytes, and buckets deeper than the deepest that ever held anybody cost
/// nothing.
///
/// ```
/// use kadmap_core::{Contact, Instant, Key, NodeId, RoutingTable, TableConfig};
/// let mut table: RoutingTable = RoutingTable::new(NodeId::of_public_key(b"own"), TableConfig::default());
/// let peer = Contact { id: NodeId::of_public_key(b"peer"), address: "127.0.0.1:8339".parse().unwrap() };
/// table.verified(Instant::default(), peer);
/// assert_eq!(table.closest(&Key::of_name(b"colour"), 20, |_| true), [peer]);
/// ```
#[derive(Debug, Clone)]
pub struct RoutingTable<A: Address = SocketAddr> {
    own: NodeId,
    config: TableConfig,
    /// By length of shared prefix; one more than the deepest bucket that ever held anybody.
    buckets: Vec<KBucket<A>>,
    filled: bool,
}

impl<A: Address> RoutingTable<A> {
    /// An empty table of the node `own`.
    pub fn new(own: NodeId, config: TableConfig) -> Self {
        Self { own, config, buckets: Vec::new(), filled: false }
    }

    /// Takes in a contact that has just proved its id to us at its address.
    ///
    /// Old and verified wins: a full bucket keeps its responsive entries and the newcomer waits in the
    /// replacement cache. Cost: one pass over the bucket.
    pub fn verified(&mut self, now: Instant, contact: Contact<A>) -> Admission {
        let Some(index) = self.bucket_index(&contact.id.key()) else {
            return Admission::Ignored;
        };
        // The next deeper bucket exists as well, so that its refreshes are remembered.
        let depth = (index + 2).min(ID_BITS);
        if self.buckets.len() < depth {
            self.buckets.reserve_exact(depth - self.buckets.len());
            // Who looked around itself has seen that nobody was here; who comes now comes by itself.
            let mut newest = KBucket::new(now);
            newest.agreements_as(self.buckets.last());
            self.buckets.resize(depth, newest);
        }
        self.buckets[index].verified(now, contact, Limits::of(&self.config, index))
    }

    /// Notes one missed probe of a node.
    ///
    /// At the limit of missed probes it gives way to the newest contact of the replacement cache; without one
    /// it stays as unresponsive. A contact in the cache is dropped at its first miss.
    pub fn failed(&mut self, id: &NodeId) -> Removal<A> {
        self.change(id, KBucket::failed)
    }

    /// Drops a node that said it leaves, and lets the newest contact of the replacement cache in.
    pub fn remove(&mut self, id: &NodeId) -> Removal<A> {
        self.change(id, KBucket::remove)
    }

    fn change(
        &mut self,
        id: &NodeId,
        change: fn(&mut KBucket<A>, &NodeId, Limits) -> Removal<A>,
    ) -> Removal<A> {
        let Some(index) = self.bucket_index(&id.key()) else {
            return Removal::Unknown;
        };
        let limits = Limits::of(&self.config, index);
        self.buckets.get_mut(index).map_or(Removal::Unknown, |bucket| change(bucket, id, limits))
    }

    /// Whether a verified contact with this id would become a live entry that it is not yet.
    pub fn has_room(&self, id: &NodeId) -> bool {
        let Some(index) = self.bucket_index(&id.key()) else {
            return false;
        };
        let limits = Limits::of(&self.config, index);
        let Some(bucket) = self.buckets.get(index) else {
            return true;
        };
        match bucket.entry(id) {
            Some(entry) => entry.failures >= limits.failures,
            None => !bucket.is_full(limits),
        }
    }

    /// Whether the node is no entry and would become one if it proved itself.
    pub fn lacks(&self, id: &NodeId) -> bool {
        let Some(index) = self.bucket_index(&id.key()) else {
            return false;
        };
        // Most buckets are full most of the time, and then nobody has to be searched for.
        let has_room = |bucket: &KBucket<A>| !bucket.is_full(Limits::of(&self.config, index));
        self.buckets.get(index).is_none_or(|bucket| has_room(bucket) && bucket.entry(id).is_none())
    }

    /// Whether the bucket of a node is well filled without it, and is one of those that cannot know all of their nodes:
    /// then nothing is missing if it is gone.
    pub(crate) fn does_well_without(&self, id: &NodeId) -> bool {
        let Some(index) = self.bucket_index(&id.key()) else { return true };
        let Some((bucket, deeper)) = self.buckets.get(index..).and_then(<[_]>::split_first) else {
            return false;
        };
        let lacks_nodes = bucket.may_lack_nodes() || deeper.iter().any(KBucket::may_lack_nodes);
        lacks_nodes && !bucket.wants_nodes(Limits::of(&self.config, index), false)
    }

    /// Whether the node is an entry, responsive or not; the replacement cache does not count.
    pub fn contains(&self, id: &NodeId) -> bool {
        self.entry(id).is_some()
    }

    /// The entry with this id, responsive or not.
    pub fn contact(&self, id: &NodeId) -> Option<Contact<A>> {
        self.entry(id).map(Entry::contact)
    }

    fn entry(&self, id: &NodeId) -> Option<&Entry<A>> {
        self.buckets.get(self.bucket_index(&id.key())?)?.entry(id)
    }

    /// What the answers of an entry have taken, as far as that was settled; without samples where nothing was.
    pub(crate) fn round_trip(&self, id: &NodeId) -> RoundTrip {
        self.entry(id).map(|entry| entry.round_trip.unpacked()).unwrap_or_default()
    }

    /// Takes one measured round trip into what is settled of an entry; tells whether anything was.
    pub(crate) fn sample_settled(&mut self, id: &NodeId, round_trip: Duration) -> bool {
        let bucket = self.bucket_index(&id.key()).and_then(|index| self.buckets.get_mut(index));
        let Some(entry) = bucket.and_then(|bucket| bucket.entry_mut(id)) else { return false };
        let mut settled = entry.round_trip.unpacked();
        if settled.smoothed().is_none() {
            return false;
        }
        settled.sample(round_trip);
        entry.round_trip = PackedRoundTrip::of(settled);
        true
    }

    /// Settles what is known of entries; costs one question for each.
    pub(crate) fn settle(&mut self, known: impl Fn(&NodeId) -> Option<RoundTrip>) {
        for entry in self.buckets.iter_mut().flat_map(KBucket::entries_mut) {
            if let Some(round_trip) = known(&entry.id()) {
                entry.round_trip = PackedRoundTrip::of(round_trip);
            }
        }
    }

    /// The number of responsive entries. Cost: one step per bucket.
    pub fn len(&self) -> usize {
        self.buckets.iter().map(KBucket::live_len).sum()
    }

    /// Whether there is no responsive entry.
    pub fn is_empty(&self) -> bool {
        self.buckets.iter().all(|bucket| bucket.live_len() == 0)
    }

    /// The id of the node whose table this is.
    pub fn own(&self) -> NodeId {
        self.own
    }

    /// The responsive entries, farthest bucket first, and within a bucket the longest known first.
    pub fn iter(&self) -> impl Iterator<Item = Contact<A>> {
        self.limited().flat_map(|(_, bucket, limits)| bucket.live(limits).map(Entry::contact))
    }

    /// The entries that missed too many probes, for a last try when nobody else is left.
    pub fn unresponsive(&self) -> impl Iterator<Item = Contact<A>> {
        self.limited().flat_map(|(_, bucket, limits)| bucket.unresponsive(limits).map(Entry::contact))
    }

    /// How full the buckets are, farthest first, up to the deepest that holds anybody.
    pub fn buckets(&self) -> impl Iterator<Item = BucketInfo> {
        self.limited().take(self.depth()).map(|(index, bucket, limits)| BucketInfo {
            index,
            live: bucket.live_len(),
            unresponsive: bucket.unresponsive(limits).count(),
            cached: bucket.cached_len(),
            capacity: limits.capacity,
        })
    }

    /// The `count` responsive entries closest to `target` that pass `filter`, closest first.
    ///
    /// Visits the buckets in order of distance and stops when it has enough, so it sorts little more than it
    /// returns.
    pub fn closest(
        &self,
        target: &Key,
        count: usize,
        filter: impl Fn(&Contact<A>) -> bool,
    ) -> Vec<Contact<A>> {
        let mut found = Vec::with_capacity(count.min(self.len()));
        let mut ranked: Vec<(u64, &Entry<A>)> = Vec::new();
        for index in self.by_distance(target) {
            let missing = count - found.len();
            if missing == 0 {
                break;
            }
            let Some(bucket) = self.buckets.get(index).filter(|bucket| !bucket.is_empty()) else {
                continue;
            };
            ranked.clear();
            let live = bucket.live(Limits::of(&self.config, index));
            ranked.extend(live.map(|entry| (distance_start(&entry.id(), target), entry)));
            // Far buckets hold many times what is missing: find those few first and sort only them. A filter
            // must see all of a bucket in order, as nobody knows how many pass.
            let by_distance = |a: &(u64, &Entry<A>), b: &(u64, &Entry<A>)| nearer(*a, *b, target);
            let mut start = 0;
            while start < ranked.len() && found.len() < count {
                let rest = &mut ranked[start..];
                let wanted = (count - found.len()).min(rest.len());
                if wanted < rest.len() {
                    rest.select_nth_unstable_by(wanted - 1, by_distance);
                }
                rest[..wanted].sort_unstable_by(by_distance);
                found.extend(rest[..wanted].iter().map(|(_, entry)| entry.contact()).filter(&filter));
                start += wanted;
            }
        }
        found
    }

    /// Tells the table that a join or a refresh of all stale buckets has just finished.
    ///
    /// From then on [`knows_all_near`](Self::knows_all_near) may say yes. To be called again after later
    /// refreshes: a bucket that was full once is trusted again only then, and when half of it is empty.
    pub fn mark_filled(&mut self) {
        self.filled = true;
        for (index, bucket) in self.buckets.iter_mut().enumerate() {
            bucket.mark_filled(Limits::of(&self.config, index));
        }
    }

    /// Takes note that somebody told of a node that is lacking here: its bucket does not know all of its nodes, and is
    /// trusted only after further lookups.
    pub(crate) fn told_of(&mut self, lacking: &NodeId) {
        let bucket = self.bucket_index(&lacking.key());
        if let Some(bucket) = bucket.and_then(|index| self.buckets.get_mut(index)) {
            bucket.disagree();
        }
    }

    /// Takes note that those near a target were asked whom they know there, and that nobody was lacking here: that tells
    /// of the bucket of the target, and of the next ones as far as the `bucket_size` closest reach; but of none of which only a
    /// part is known.
    pub(crate) fn told_of_nobody_new(&mut self, target: &Key) {
        let mut told = 0;
        for (place, index) in self.by_distance(target).enumerate() {
            let Some(bucket) = self.buckets.get_mut(index) else { continue };
            told += bucket.live_len();
            if place > 0 && told > self.config.bucket_size {
                break;
            }
            if bucket.is_even(index + 1) {
                bucket.agree();
            }
        }
    }

    /// Whether the table knows every node that can be among the `count` closest to `target`, so that a lookup
    /// needs to ask nobody.
    ///
    /// True when the table was filled once and every bucket from which the `count` closest come (all buckets
    /// when there are fewer) has had room ever since, and all deeper ones: then every node that showed up was kept. And
    /// when lookups in each of these have been told of nobody unknown, one and another for each `bucket_size` nodes: a
    /// join tells those near of a newcomer, and a few of the others. Of a bucket half as many nodes belong into the next
    /// deeper one, so where that was full this one only lacks what it was not told of yet. Cost: one step per bucket.
    pub fn knows_all_near(&self, target: &Key, count: usize) -> bool {
        let mut missing = count;
        let deepest_lacking = self.buckets.iter().rposition(KBucket::may_lack_nodes);
        for index in self.by_distance(target) {
            if missing == 0 {
                break;
            }
            if let Some(bucket) = self.buckets.get(index) {
                let is_agreed_on = bucket.is_agreed_on(self.config.bucket_size);
                if !is_agreed_on || deepest_lacking.is_some_and(|lacking| index <= lacking) {
                    return false;
                }
                missing = missing.saturating_sub(bucket.live_len());
            }
        }
        self.filled
    }

    /// How many contacts are closer to a place than this node itself: those that live, and all that are known.
    /// Costs one look at each bucket.
    pub(crate) fn closer_than_own(&self, place: &Key) -> (usize, usize) {
        let span = Key::from_bytes(*self.own.distance(place).as_bytes());
        // Where this node differs from the place, whoever differs from this node is closer.
        let closer = self.buckets.iter().enumerate().filter(|(index, _)| span.bit(*index));
        closer
            .fold((0, 0), |(live, known), (_, bucket)| (live + bucket.live_len(), known + bucket.known_len()))
    }

    /// The bucket to which a place belongs, or `None` for the place of the node itself.
    pub fn bucket_index(&self, place: &Key) -> Option<usize> {
        Some(self.own.key().common_prefix_bits(place)).filter(|&index| index < ID_BITS)
    }

    /// Notes that a lookup has just aimed into a bucket, which keeps it from being stale.
    pub fn touch(&mut self, bucket: usize, now: Instant) {
        if let Some(bucket) = self.buckets.get_mut(bucket) {
            bucket.touched = Tick::at(now);
        }
    }

    /// The buckets into which no lookup has aimed for `older_than`, farthest first.
    ///
    /// Ends one past the deepest bucket that holds anybody: deeper ones are almost surely empty in the swarm
    /// as well, and a lookup in that one finds all of them.
    pub fn stale_buckets(&self, now: Instant, older_than: Duration) -> impl Iterator<Item = usize> {
        let depth = match self.depth() {
            0 => 0,
            depth => depth + 1,
        };
        let buckets = self.buckets.iter().enumerate().take(depth);
        buckets.filter(move |(_, bucket)| bucket.touched.age(now) >= older_than).map(|(index, _)| index)
    }

    /// The buckets into which a refresh has to look beside looking up ourselves, farthest first.
    ///
    /// While a node joins, all of them. Later not those that a lookup of ourselves covers, because together
    /// with all deeper ones they hold no more than the `covered` closest that it finds; and of the others
    /// only those that have room, or into which no lookup has aimed for `stale_after`. Where one was full
    /// once, it and all farther ones, to which more nodes belong, cannot know everybody and only have to be
    /// well filled.
    pub fn refresh_buckets(&self, now: Instant, stale_after: Duration, covered: usize) -> Vec<usize> {
        let (mut deeper, mut may_know_all) = (0, true);
        let mut wanted = Vec::new();
        let buckets: Vec<_> = self.limited().take(self.depth()).collect();
        for (index, bucket, limits) in buckets.into_iter().rev() {
            deeper += bucket.live_len();
            may_know_all &= !bucket.may_lack_nodes();
            let is_stale = bucket.touched.age(now) >= stale_after;
            let is_worth_it = deeper >= covered && (is_stale || bucket.wants_nodes(limits, may_know_all));
            if !self.filled || is_worth_it {
                wanted.push(index);
            }
        }
        wanted.reverse();
        wanted
    }

    /// A place in a bucket for a refresh to aim at, drawn from `rng`.
    ///
    /// `bucket` is below [`ID_BITS`]; past that it is our own place.
    pub fn random_key_in(&self, bucket: usize, rng: &mut impl Rng) -> Key {
        let own = self.own.key();
        let mut bytes = [0; ID_BYTES];
        rng.fill_bytes(&mut bytes);
        let random = Key::from_bytes(bytes).with_bit(bucket, !own.bit(bucket));
        (0..bucket.min(ID_BITS)).fold(random, |key, bit| key.with_bit(bit, own.bit(bit)))
    }

    /// The responsive entries that were not seen for `older_than` or more: whom to probe next. Longest unseen first,
    /// at most `limit`. Cost: one pass over all entries.
    pub fn probe_candidates(&self, now: Instant, older_than: Duration, limit: usize) -> Vec<Contact<A>> {
        let live = self.limited().flat_map(|(_, bucket, limits)| bucket.live(limits));
        let mut candidates: Vec<&Entry<A>> = live.filter(|entry| entry.seen.age(now) >= older_than).collect();
        candidates.sort_by_key(|entry| entry.seen);
        candidates.into_iter().take(limit).map(Entry::contact).collect()
    }

    fn limited(&self) -> impl Iterator<Item = (usize, &KBucket<A>, Limits)> {
        let buckets = self.buckets.iter().enumerate();
        buckets.map(|(index, bucket)| (index, bucket, Limits::of(&self.config, index)))
    }

    /// The number of buckets up to the deepest that holds anybody.
    fn depth(&self) -> usize {
        self.buckets.iter().rposition(|bucket| !bucket.is_empty()).map_or(0, |deepest| deepest + 1)
    }

    /// The indexes of the buckets, ordered by the distance of their nodes to `target`.
    ///
    /// With D the distance from us to the target, a node of bucket `i` has a distance that begins like D up
    /// to bit `i`, which is the opposite of D's. So where D has a one, the bucket is closer than all deeper
    /// ones, and where it has a zero, it is farther than all of them.
    fn by_distance(&self, target: &Key) -> impl Iterator<Item = usize> + use<A> {
        let span = Key::from_bytes(*self.own.distance(target).as_bytes());
        let depth = self.buckets.len();
        let closer = (0..depth).filter(move |&index| span.bit(index));
        closer.chain((0..depth).rev().filter(move |&index| !span.bit(index)))
    }

    #[cfg(test)]
    pub(super) fn everybody(&self) -> impl Iterator<Item = (usize, bool, &Entry<A>)> {
        self.limited().flat_map(|(index, bucket, limits)| {
            let entries = bucket.live(limits).chain(bucket.unresponsive(limits));
            let entries = entries.map(move |entry| (index, false, entry));
            entries.chain(bucket.cached().map(move |entry| (index, true, entry)))
        })
    }
}

/// The first 64 bits of a distance, which decide almost every comparison.
fn distance_start(id: &NodeId, target: &Key) -> u64 {
    let start = |bytes: &[u8; ID_BYTES]| u64::from_be_bytes(std::array::from_fn(|i| bytes[i]));
    start(id.as_bytes()) ^ start(target.as_bytes())
}

fn nearer<A: Address>(a: (u64, &Entry<A>), b: (u64, &Entry<A>), target: &Key) -> Ordering {
    let whole = |entry: &Entry<A>| -> Distance { entry.id().distance(target) };
    a.0.cmp(&b.0).then_with(|| whole(a.1).cmp(&whole(b.1)))
}
