//! The simplest store that keeps the contract: the model for the real ones.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::record::{Base, Head, ItemId, ItemPage, ItemRange, Record, Stamp};
use crate::store::{Merged, Presence, RecordId, RecordStore, StoreError, Ticket, Usage};

/// Records in a map; durable at once, heads computed anew each time.
///
/// ```
/// use kadmap_core::{RecordStore, testing::MapStore};
/// assert_eq!(MapStore::default().usage().records, 0);
/// ```
#[derive(Debug, Clone, Default)]
pub struct MapStore {
    records: BTreeMap<RecordId, Record>,
    bytes: u64,
    tombstone_grace_ms: u64,
    presence: Option<Presence>,
}

impl MapStore {
    /// An empty store that keeps tombstones for so long.
    pub fn with_tombstone_grace_ms(tombstone_grace_ms: u64) -> Self {
        Self { tombstone_grace_ms, ..Self::default() }
    }
}

fn bytes_of(id: &RecordId, record: &Record) -> u64 {
    record.head().bytes + id.name.len() as u64
}

impl RecordStore for MapStore {
    fn head(&mut self, id: &RecordId) -> Result<Option<Head>, StoreError> {
        Ok(self.records.get(id).map(Record::head))
    }

    fn item_stamp(&mut self, id: &RecordId, item: &ItemId) -> Result<Option<Stamp>, StoreError> {
        Ok(self.records.get(id).and_then(|record| record.item(item)).map(|item| item.stamp))
    }

    fn load(&mut self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        Ok(self.records.get(id).cloned())
    }

    fn base(&mut self, id: &RecordId) -> Result<Option<Base>, StoreError> {
        Ok(self.records.get(id).and_then(|record| record.base().cloned()))
    }

    fn items(&mut self, id: &RecordId, range: &ItemRange) -> Result<ItemPage, StoreError> {
        Ok(self.records.get(id).map(|record| record.items_in(range)).unwrap_or_default())
    }

    fn merge(&mut self, id: &RecordId, delta: Record) -> Result<Merged, StoreError> {
        let record = self.records.entry(id.clone()).or_default();
        let before = if record.is_empty() { 0 } else { bytes_of(id, record) };
        let changed = record.merge(delta);
        self.bytes = self.bytes - before + bytes_of(id, record);
        Ok(Merged { head: record.head(), changed, ticket: None })
    }

    fn forget(&mut self, id: &RecordId) -> Result<(), StoreError> {
        if let Some(record) = self.records.remove(id) {
            self.bytes -= bytes_of(id, &record);
        }
        Ok(())
    }

    fn heads(&mut self, after: Option<&RecordId>, limit: usize) -> Result<Vec<(RecordId, Head)>, StoreError> {
        let from = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.clone()));
        let range = self.records.range((from, Bound::Unbounded)).take(limit);
        Ok(range.map(|(id, record)| (id.clone(), record.head())).collect())
    }

    fn expire(&mut self, unix_ms: u64, limit: usize) -> Result<Vec<RecordId>, StoreError> {
        let grace = self.tombstone_grace_ms;
        let due = |record: &Record| record.next_expiry_ms(grace).is_some_and(|at| at <= unix_ms);
        let ids: Vec<_> = self
            .records
            .iter()
            .filter(|(_, record)| due(record))
            .map(|(id, _)| id.clone())
            .take(limit)
            .collect();
        for id in &ids {
            if let Some(record) = self.records.get_mut(id) {
                self.bytes -= bytes_of(id, record);
                record.expire(unix_ms, grace);
                if record.is_empty() {
                    self.records.remove(id);
                } else {
                    self.bytes += bytes_of(id, record);
                }
            }
        }
        Ok(ids)
    }

    fn flushed(&self) -> Ticket {
        Ticket::MAX
    }

    fn usage(&self) -> Usage {
        Usage { records: self.records.len() as u64, bytes: self.bytes }
    }

    fn presence(&self) -> Option<Presence> {
        self.presence
    }

    fn keep_presence(&mut self, presence: Presence) {
        self.presence = Some(presence);
    }
}
