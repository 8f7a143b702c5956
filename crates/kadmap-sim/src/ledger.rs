//! What was promised to whom, and whether a record keeps it.

mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;
use kadmap_core::{Base, NodeId, Record, Stamp, WriteOutcome};

/// Who writes: a node from one start to the next, in which its stamps rise.
pub type Writer = u64;

/// A promise that a record does not keep.
///
/// ```
/// let breach = kadmap_sim::Breach::Phantom { name: "list".into(), payload: "x".into() };
/// assert_eq!(breach.to_string(), "'list' holds 'x', which nobody wrote");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Breach {
    /// An acknowledged write is neither there nor covered by a later one.
    Lost {
        /// Which record.
        name: String,
        /// What was written; `None` for what takes away.
        payload: Option<Bytes>,
        /// The stamp that was acknowledged.
        stamp: Stamp,
    },
    /// An item is there twice.
    Doubled {
        /// Which record.
        name: String,
        /// The item.
        payload: Bytes,
    },
    /// Something is there that nobody wrote.
    Phantom {
        /// Which record.
        name: String,
        /// What it is.
        payload: Bytes,
    },
    /// An item stands before one of the same writer that was written before it.
    OutOfOrder {
        /// Which record.
        name: String,
        /// The item that comes too late.
        payload: Bytes,
    },
    /// A watch has not told of something that it should have.
    Untold {
        /// Which record.
        name: String,
        /// The item, or the last value; empty for a delete.
        payload: Bytes,
    },
    /// A watch has told of an item twice.
    ToldTwice {
        /// Which record.
        name: String,
        /// The item.
        payload: Bytes,
    },
    /// Something is there although it was deleted by an acknowledged, later delete.
    Resurrected {
        /// Which record.
        name: String,
        /// What is there again.
        payload: Bytes,
    },
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        match self {
            Self::Lost { name, payload: Some(payload), stamp } => {
                let at = stamp.unix_ms();
                write!(f, "'{name}' has lost '{}', acknowledged with a stamp of {at} ms", text(payload))
            }
            Self::Lost { name, payload: None, .. } => {
                write!(f, "'{name}' has lost a delete, a removal or a trim")
            }
            Self::Doubled { name, payload } => write!(f, "'{name}' holds '{}' twice", text(payload)),
            Self::Phantom { name, payload } => {
                write!(f, "'{name}' holds '{}', which nobody wrote", text(payload))
            }
            Self::OutOfOrder { name, payload } => {
                write!(f, "'{name}' holds '{}' before what its writer wrote earlier", text(payload))
            }
            Self::Untold { name, payload } => {
                write!(f, "a watch did not tell that '{name}' holds '{}'", text(payload))
            }
            Self::ToldTwice { name, payload } => {
                write!(f, "a watch told twice that '{name}' holds '{}'", text(payload))
            }
            Self::Resurrected { name, payload } => {
                write!(f, "'{name}' holds '{}' again, which was deleted", text(payload))
            }
        }
    }
}

/// What a write does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Put,
    Append,
    Delete,
    /// Removes the item of this stamp.
    Remove(Stamp),
    /// Drops the items up to this stamp.
    Trim(Stamp),
}

impl Deed {
    /// Whether it takes away, as its user wanted, the item of a stamp.
    fn takes(self, item: Stamp) -> bool {
        match self {
            Self::Remove(removed) => removed == item,
            Self::Trim(up_to) => item <= up_to,
            _ => false,
        }
    }
}

/// How far off the worst clocks are.
const YEAR_MS: u64 = 365 * 24 * 3_600 * 1_000;

/// A write that was begun.
#[derive(Debug, Clone)]
struct Entry {
    deed: Deed,
    payload: Bytes,
    writer: Writer,
    /// The ledger's own count of beginnings and ends.
    began: u64,
    ended: Option<u64>,
    promise: Option<Promise>,
}

#[derive(Debug, Clone)]
struct Promise {
    stamp: Stamp,
    holders: Vec<NodeId>,
}

/// All writes to some records, from the point of view of those who wrote.
///
/// Every payload is to be written once, so that it tells its write.
///
/// ```
/// use kadmap_sim::{Ledger, Link, Sim};
/// let mut sim = Sim::new(1, Link::lan());
/// let node = sim.spawn();
/// let mut ledger = Ledger::default();
/// let entry = ledger.begin_append("list", "one", 0);
/// let outcome = sim.append(node, "list", "one").written();
/// ledger.end(entry, outcome.as_ref());
/// let found = sim.get(node, "list").read().unwrap();
/// assert_eq!(ledger.judge("list", found.record.as_ref(), |_, _| true), []);
/// assert_eq!(ledger.judge("list", None, |_, _| true).len(), 1);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    entries: BTreeMap<String, Vec<Entry>>,
    /// Where each entry stands.
    places: Vec<(String, usize)>,
    clock: u64,
}

/// A write in a [`Ledger`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryId(usize);

impl Ledger {
    /// Notes that somebody begins to put a value.
    pub fn begin_put(&mut self, name: &str, payload: impl Into<Bytes>, writer: Writer) -> EntryId {
        self.begin(name, Deed::Put, payload.into(), writer)
    }

    /// Notes that somebody begins to append an item.
    pub fn begin_append(&mut self, name: &str, payload: impl Into<Bytes>, writer: Writer) -> EntryId {
        self.begin(name, Deed::Append, payload.into(), writer)
    }

    /// Notes that somebody begins to delete a record.
    pub fn begin_delete(&mut self, name: &str, writer: Writer) -> EntryId {
        self.begin(name, Deed::Delete, Bytes::new(), writer)
    }

    /// Notes that somebody begins to remove an item.
    pub fn begin_remove(&mut self, name: &str, item: Stamp, writer: Writer) -> EntryId {
        self.begin(name, Deed::Remove(item), Bytes::new(), writer)
    }

    /// Notes that somebody begins to drop the items up to a stamp.
    pub fn begin_trim(&mut self, name: &str, up_to: Stamp, writer: Writer) -> EntryId {
        self.begin(name, Deed::Trim(up_to), Bytes::new(), writer)
    }

    /// The stamps of the acknowledged appends to a record, in the order in which they began.
    pub fn appended(&self, name: &str) -> Vec<Stamp> {
        let entries = self.entries.get(name).map(Vec::as_slice).unwrap_or_default();
        let appends = entries.iter().filter(|entry| entry.deed == Deed::Append);
        appends.filter_map(|entry| Some(entry.promise.as_ref()?.stamp)).collect()
    }

    fn begin(&mut self, name: &str, deed: Deed, payload: Bytes, writer: Writer) -> EntryId {
        self.clock += 1;
        let entry = Entry { deed, payload, writer, began: self.clock, ended: None, promise: None };
        let entries = self.entries.entry(name.to_owned()).or_default();
        self.places.push((name.to_owned(), entries.len()));
        entries.push(entry);
        EntryId(self.places.len() - 1)
    }

    /// Notes how a write ended; without an outcome it failed, and may be there or not.
    pub fn end(&mut self, id: EntryId, outcome: Option<&WriteOutcome>) {
        self.clock += 1;
        let clock = self.clock;
        let Some((name, place)) = self.places.get(id.0) else { return };
        if let Some(entry) = self.entries.get_mut(name).and_then(|entries| entries.get_mut(*place)) {
            entry.ended = Some(clock);
            entry.promise =
                outcome.map(|outcome| Promise { stamp: outcome.stamp, holders: outcome.acks.clone() });
        }
    }

    /// The ledger's count of beginnings and ends so far: what began later has a higher one.
    pub fn clock(&self) -> u64 {
        self.clock
    }

    /// The records that were written to.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Writes that were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.entries.values().flatten().filter(|entry| entry.promise.is_some()).count()
    }

    /// Judges what a read of everything found under a name.
    ///
    /// `survives` tells whether a node still has on its disk, and can be asked for, what was begun at a count of the
    /// [`clock`](Self::clock); a promise of which no holder survives is not judged.
    pub fn judge(
        &self,
        name: &str,
        found: Option<&Record>,
        survives: impl Fn(&NodeId, u64) -> bool,
    ) -> Vec<Breach> {
        let empty = Record::default();
        let record = found.unwrap_or(&empty);
        let entries = self.entries.get(name).map(Vec::as_slice).unwrap_or_default();
        let mut breaches = self.broken_promises(name, record, entries, survives);
        breaches.extend(foreign_items(name, record, entries));
        breaches.extend(disorder(name, record, entries));
        breaches
    }

    fn broken_promises(
        &self,
        name: &str,
        record: &Record,
        entries: &[Entry],
        survives: impl Fn(&NodeId, u64) -> bool,
    ) -> Vec<Breach> {
        let base = record.base().map(|base| base.stamp).unwrap_or_default();
        let present: BTreeSet<_> = record.items().filter_map(|item| item.payload.as_ref()).collect();
        let present: BTreeSet<_> = present.into_iter().map(|payload| payload.bytes.clone()).collect();
        let live = |stamp| record.items().find(|item| item.stamp == stamp)?.payload.as_ref();
        let is_taken = |stamp| entries.iter().any(|entry| entry.deed.takes(stamp));
        let mut breaches = Vec::new();
        for entry in entries {
            let Some(promise) = &entry.promise else { continue };
            if !promise.holders.iter().any(|holder| survives(holder, entry.began)) {
                continue;
            }
            let kept = match entry.deed {
                Deed::Append => {
                    base > promise.stamp || present.contains(&entry.payload) || is_taken(promise.stamp)
                }
                Deed::Put | Deed::Delete => base >= promise.stamp,
                Deed::Remove(item) => live(item).is_none(),
                Deed::Trim(up_to) => base >= up_to,
            };
            if kept {
                continue;
            }
            let payload = matches!(entry.deed, Deed::Put | Deed::Append).then(|| entry.payload.clone());
            let value = match entry.deed {
                Deed::Delete => record.base().and_then(|base| base.payload.as_ref()),
                Deed::Remove(item) => live(item),
                Deed::Trim(up_to) => {
                    record.items().find(|item| item.stamp <= up_to).and_then(|item| item.payload.as_ref())
                }
                Deed::Put | Deed::Append => None,
            };
            breaches.push(match (entry.deed, value) {
                (Deed::Delete | Deed::Remove(_) | Deed::Trim(_), Some(value)) => {
                    Breach::Resurrected { name: name.to_owned(), payload: value.bytes.clone() }
                }
                _ => Breach::Lost { name: name.to_owned(), payload, stamp: promise.stamp },
            });
        }
        breaches
    }
}

fn foreign_items(name: &str, record: &Record, entries: &[Entry]) -> Vec<Breach> {
    let name = || name.to_owned();
    let known = |deed: Deed, payload: &Bytes| {
        entries.iter().any(|entry| entry.deed == deed && entry.payload == *payload)
    };
    let mut breaches = Vec::new();
    let mut seen = BTreeSet::new();
    for payload in record.items().filter_map(|item| item.payload.as_ref()) {
        let payload = payload.bytes.clone();
        if !known(Deed::Append, &payload) {
            breaches.push(Breach::Phantom { name: name(), payload: payload.clone() });
        }
        if !seen.insert(payload.clone()) {
            breaches.push(Breach::Doubled { name: name(), payload });
        }
    }
    let is_floor = |base: &Base| entries.iter().any(|entry| entry.deed == Deed::Trim(base.stamp));
    if let Some(base) = record.base().filter(|base| !is_floor(base))
        && let Some(value) = &base.payload
        && !known(Deed::Put, &value.bytes)
    {
        breaches.push(Breach::Phantom { name: name(), payload: value.bytes.clone() });
    }
    breaches
}

/// Items of one writer stand in the order in which it wrote them, where one had ended before the next began; but what it
/// wrote while its clock was a year off is compared with itself only, for no order is promised between it and the rest.
fn disorder(name: &str, record: &Record, entries: &[Entry]) -> Vec<Breach> {
    let by_payload: BTreeMap<_, _> = entries.iter().map(|entry| (&entry.payload, entry)).collect();
    let mut latest_began: BTreeMap<(Writer, u64), u64> = BTreeMap::new();
    let mut breaches = Vec::new();
    for item in record.items() {
        let Some(payload) = &item.payload else { continue };
        let Some(entry) = by_payload.get(&payload.bytes) else { continue };
        let year = item.stamp.unix_ms() / YEAR_MS;
        let latest = latest_began.entry((entry.writer, year)).or_default();
        if entry.ended.is_some_and(|ended| ended < *latest) {
            breaches.push(Breach::OutOfOrder { name: name.to_owned(), payload: payload.bytes.clone() });
        }
        *latest = entry.began.max(*latest);
    }
    breaches
}

#[cfg(test)]
pub(super) mod tests {
    use kadmap_core::{Codec, Item, Payload, Shape, Version};

    use super::*;

    pub(super) fn outcome(time: u64) -> WriteOutcome {
        WriteOutcome {
            size: None,
            stamp: at(time),
            version: Version::ABSENT,
            acks: vec![NodeId::of_public_key(b"holder")],
            need: 1,
            replicas: 1,
            refused: Vec::new(),
            silent: Vec::new(),
        }
    }

    pub(super) fn at(time: u64) -> Stamp {
        Stamp { time, writer: 1 }
    }

    pub(super) fn item(time: u64, payload: &'static str) -> Item {
        let payload = Some(Payload::new(Codec::Bytes, payload));
        Item { stamp: at(time), field: None, payload, expires_ms: None }
    }

    pub(super) fn base(time: u64, payload: Option<&'static str>) -> Base {
        let payload = payload.map(|payload| Payload::new(Codec::Bytes, payload));
        Base { stamp: at(time), shape: Shape::Value, payload, expires_ms: None }
    }

    /// Two appends, acknowledged one after the other, then a put.
    fn ledger(with_put: bool) -> Ledger {
        let mut ledger = Ledger::default();
        for (time, payload) in [(1, "one"), (2, "two")] {
            let entry = ledger.begin_append("x", payload, 7);
            ledger.end(entry, Some(&outcome(time)));
        }
        if with_put {
            let entry = ledger.begin_put("x", "three", 7);
            ledger.end(entry, Some(&outcome(3)));
        }
        ledger
    }

    fn judged(ledger: &Ledger, record: &Record) -> Vec<Breach> {
        ledger.judge("x", Some(record), |_, _| true)
    }

    #[test]
    fn a_record_that_keeps_all_promises_passes() {
        let kept = Record::from_parts(None, [item(1, "one"), item(2, "two")]);
        assert_eq!(judged(&ledger(false), &kept), []);
        let covered = Record::from_parts(Some(base(3, Some("three"))), []);
        assert_eq!(judged(&ledger(true), &covered), []);
    }

    #[test]
    fn a_lost_append_is_caught_unless_no_holder_survives() {
        let short = Record::from_parts(None, [item(1, "one")]);
        assert!(matches!(&judged(&ledger(false), &short)[..], [Breach::Lost { .. }]));
        assert_eq!(ledger(false).judge("x", Some(&short), |_, _| false), []);
    }

    #[test]
    fn a_doubled_item_and_a_phantom_are_caught() {
        let doubled = Record::from_parts(None, [item(1, "one"), item(2, "two"), item(9, "two")]);
        assert!(matches!(&judged(&ledger(false), &doubled)[..], [Breach::Doubled { .. }]));
        let phantom = Record::from_parts(None, [item(1, "one"), item(2, "two"), item(9, "what")]);
        assert!(matches!(&judged(&ledger(false), &phantom)[..], [Breach::Phantom { .. }]));
    }

    #[test]
    fn items_of_a_writer_in_the_wrong_order_are_caught() {
        let swapped = Record::from_parts(None, [item(1, "two"), item(2, "one")]);
        assert!(matches!(&judged(&ledger(false), &swapped)[..], [Breach::OutOfOrder { .. }]));
    }

    #[test]
    fn a_put_that_was_overwritten_by_an_older_one_is_caught() {
        let stale = Record::from_parts(None, [item(1, "one"), item(2, "two")]);
        assert!(matches!(&judged(&ledger(true), &stale)[..], [Breach::Lost { .. }]));
    }

    #[test]
    fn a_value_that_comes_back_after_its_delete_is_caught() {
        let mut ledger = Ledger::default();
        let entry = ledger.begin_put("x", "back", 7);
        ledger.end(entry, Some(&outcome(1)));
        let entry = ledger.begin_delete("x", 7);
        ledger.end(entry, Some(&outcome(2)));
        let back = Record::from_parts(Some(base(1, Some("back"))), []);
        assert!(matches!(&judged(&ledger, &back)[..], [Breach::Resurrected { .. }]));
        let gone = Record::from_parts(Some(base(2, None)), []);
        assert_eq!(judged(&ledger, &gone), []);
    }

    /// Two appends, of which the first is taken away, by its removal or by a trim up to it.
    fn taken(begin: impl FnOnce(&mut Ledger) -> EntryId) -> Ledger {
        let mut ledger = ledger(false);
        let entry = begin(&mut ledger);
        ledger.end(entry, Some(&outcome(3)));
        ledger
    }

    #[test]
    fn an_item_that_comes_back_after_its_removal_or_a_trim_is_caught_and_one_that_is_gone_is_not_lost() {
        let back = Record::from_parts(None, [item(1, "one"), item(2, "two")]);
        let floor = Base { shape: Shape::List, ..base(1, Some("[]")) };
        let gone = Record::from_parts(None, [Item { payload: None, ..item(1, "") }, item(2, "two")]);
        let cut = Record::from_parts(Some(floor), [item(2, "two")]);
        let removed = taken(|ledger| ledger.begin_remove("x", at(1), 7));
        let trimmed = taken(|ledger| ledger.begin_trim("x", at(1), 7));
        for (ledger, kept) in [(removed, gone), (trimmed, cut)] {
            assert_eq!(judged(&ledger, &kept), []);
            assert!(matches!(&judged(&ledger, &back)[..], [Breach::Resurrected { .. }]));
            let both_gone = Record::from_parts(kept.base().cloned(), []);
            assert!(matches!(&judged(&ledger, &both_gone)[..], [Breach::Lost { .. }]));
        }
    }
}
