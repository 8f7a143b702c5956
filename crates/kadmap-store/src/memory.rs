//! Records in memory, gone with the process.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use bytes::Bytes;
use kadmap_core::{
    Base, Head, Item, ItemId, Merged, Record, RecordId, RecordStore, Stamp, StoreError, Ticket, Usage,
    base_death_ms, item_death_ms,
};

use crate::StoreConfig;
use crate::part::{Death, Part, parts_max};
use crate::plan::{Change, Entry, Parts, plan};

/// A store in memory; a restart begins empty.
///
/// ```
/// use kadmap_core::RecordStore;
/// use kadmap_store::{MemoryStore, StoreConfig};
/// let mut store = MemoryStore::new(StoreConfig::default());
/// assert!(store.heads(None, 10).unwrap().is_empty());
/// ```
#[derive(Debug)]
pub struct MemoryStore {
    /// Hashed with a seed, because strangers choose the names. Nothing depends on its order.
    records: HashMap<RecordId, Box<Kept>>,
    /// The keys of `records`: among 200,000, finding one by its hash takes half the time.
    order: BTreeSet<RecordId>,
    /// One for each part that will die, and no other.
    deaths: BTreeSet<Death>,
    usage: Usage,
    tombstone_grace_ms: u64,
}

/// Boxed, because a hash table keeps room for more than it holds.
#[derive(Debug, Default)]
struct Kept {
    entry: Entry,
    base: Option<Base>,
    items: BTreeMap<ItemId, Item>,
}

impl Kept {
    fn death_ms(&self, part: &Part) -> Option<u64> {
        match part {
            Part::Base => self.base.as_ref().and_then(base_death_ms),
            Part::Item(item) => self.items.get(item).and_then(item_death_ms),
        }
    }

    fn remove(&mut self, part: &Part) {
        match part {
            Part::Base => {
                self.base = None;
                self.entry.replace_base(None);
            }
            Part::Item(item) => {
                if let Some(item) = self.items.remove(item) {
                    self.entry.head.item_removed(&item);
                }
            }
        }
    }
}

impl Parts for &Kept {
    fn base(&mut self) -> Result<Option<Base>, StoreError> {
        Ok(self.base.clone())
    }

    fn item(&mut self, id: &ItemId) -> Result<Option<Item>, StoreError> {
        Ok(self.items.get(id).cloned())
    }

    fn items_up_to(&mut self, stamp: Stamp, fields: bool) -> Result<Vec<Item>, StoreError> {
        let appended = self.items.range(..=ItemId::Appended(stamp));
        let mut all: Vec<_> = appended.map(|(_, item)| item.clone()).collect();
        if fields {
            let fields = self.items.range(ItemId::Field(Bytes::new())..);
            all.extend(fields.filter(|(_, item)| item.stamp <= stamp).map(|(_, item)| item.clone()));
        }
        Ok(all)
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new(config: StoreConfig) -> Self {
        Self {
            records: HashMap::new(),
            order: BTreeSet::new(),
            deaths: BTreeSet::new(),
            usage: Usage::default(),
            tombstone_grace_ms: config.tombstone_grace_ms,
        }
    }

    /// Does as [`expire`](RecordStore::expire) does, and tells which records it touched, in order.
    ///
    /// ```
    /// use kadmap_store::{MemoryStore, StoreConfig};
    /// let mut store = MemoryStore::new(StoreConfig::default());
    /// assert!(store.expire_records(u64::MAX, 10).is_empty());
    /// ```
    pub fn expire_records(&mut self, unix_ms: u64, limit: usize) -> BTreeSet<RecordId> {
        let mut touched = BTreeSet::new();
        let Some(cut_ms) = unix_ms.checked_sub(self.tombstone_grace_ms) else { return touched };
        for _ in 0..parts_max(limit) {
            let due = |death: &&Death| death.at_ms <= cut_ms;
            let Some(first) = self.deaths.first().filter(due) else { break };
            if touched.len() == limit && !touched.contains(&first.id) {
                break;
            }
            let Some(death) = self.deaths.pop_first() else { break };
            if self.drop_part(&death, cut_ms) {
                touched.insert(death.id);
            }
        }
        touched
    }

    /// Drops one part if it died by `cut_ms`; tells whether it did.
    fn drop_part(&mut self, death: &Death, cut_ms: u64) -> bool {
        let Some(kept) = self.records.get_mut(&death.id) else { return false };
        if kept.death_ms(&death.part).is_none_or(|at| at > cut_ms) {
            return false;
        }
        self.usage.bytes = self.usage.bytes.saturating_sub(kept.entry.bytes(&death.id));
        kept.remove(&death.part);
        if kept.entry.is_empty() {
            self.records.remove(&death.id);
            self.order.remove(&death.id);
            self.usage.records = self.usage.records.saturating_sub(1);
        } else {
            self.usage.bytes += kept.entry.bytes(&death.id);
        }
        true
    }
}

/// Puts a change into a record and the index of deaths.
fn apply(id: &RecordId, kept: &mut Kept, change: Change, deaths: &mut BTreeSet<Death>) {
    if let Some(base) = change.base {
        if let Some(at) = kept.entry.base_death_ms() {
            deaths.remove(&Death::new(at, id, Part::Base));
        }
        if let Some(at) = base_death_ms(&base) {
            deaths.insert(Death::new(at, id, Part::Base));
        }
        kept.base = Some(base);
    }
    for item in change.removed {
        if let Some(at) = item_death_ms(&item) {
            deaths.remove(&Death::new(at, id, Part::Item(item.id())));
        }
        kept.items.remove(&item.id());
    }
    for item in change.added {
        if let Some(at) = item_death_ms(&item) {
            deaths.insert(Death::new(at, id, Part::Item(item.id())));
        }
        kept.items.insert(item.id(), item);
    }
    kept.entry = change.entry;
}

impl RecordStore for MemoryStore {
    fn head(&mut self, id: &RecordId) -> Result<Option<Head>, StoreError> {
        Ok(self.records.get(id).map(|kept| kept.entry.head))
    }

    fn item_stamp(&mut self, id: &RecordId, item: &ItemId) -> Result<Option<Stamp>, StoreError> {
        Ok(self.records.get(id).and_then(|kept| kept.items.get(item)).map(|item| item.stamp))
    }

    fn load(&mut self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        let kept = self.records.get(id);
        Ok(kept.map(|kept| Record::from_parts(kept.base.clone(), kept.items.values().cloned())))
    }

    fn merge(&mut self, id: &RecordId, delta: Record) -> Result<Merged, StoreError> {
        if let Some(kept) = self.records.get_mut(id) {
            let before = kept.entry;
            let Some(change) = plan(Some(before), delta, &mut &**kept)? else {
                return Ok(Merged { head: before.head, changed: false, ticket: None });
            };
            let head = change.entry.head;
            self.usage.bytes = self.usage.bytes.saturating_sub(before.head.bytes) + head.bytes;
            apply(id, kept, change, &mut self.deaths);
            return Ok(Merged { head, changed: true, ticket: None });
        }
        let mut kept = Box::<Kept>::default();
        let Some(change) = plan(None, delta, &mut &*kept)? else {
            return Ok(Merged { head: Head::default(), changed: false, ticket: None });
        };
        let head = change.entry.head;
        self.usage.records += 1;
        self.usage.bytes += change.entry.bytes(id);
        apply(id, &mut kept, change, &mut self.deaths);
        self.records.insert(id.clone(), kept);
        self.order.insert(id.clone());
        Ok(Merged { head, changed: true, ticket: None })
    }

    fn forget(&mut self, id: &RecordId) -> Result<(), StoreError> {
        let Some(kept) = self.records.remove(id) else { return Ok(()) };
        self.order.remove(id);
        self.usage.records = self.usage.records.saturating_sub(1);
        self.usage.bytes = self.usage.bytes.saturating_sub(kept.entry.bytes(id));
        if let Some(at) = kept.entry.base_death_ms() {
            self.deaths.remove(&Death::new(at, id, Part::Base));
        }
        for (item_id, item) in kept.items {
            if let Some(at) = item_death_ms(&item) {
                self.deaths.remove(&Death::new(at, id, Part::Item(item_id)));
            }
        }
        Ok(())
    }

    fn heads(&mut self, after: Option<&RecordId>, limit: usize) -> Result<Vec<(RecordId, Head)>, StoreError> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let ids = self.order.range::<RecordId, _>((start, Bound::Unbounded));
        Ok(ids.take(limit).filter_map(|id| Some((id.clone(), self.records.get(id)?.entry.head))).collect())
    }

    fn expire(&mut self, unix_ms: u64, limit: usize) -> Result<Vec<RecordId>, StoreError> {
        Ok(self.expire_records(unix_ms, limit).into_iter().collect())
    }

    fn flushed(&self) -> Ticket {
        0
    }

    fn usage(&self) -> Usage {
        self.usage
    }
}
