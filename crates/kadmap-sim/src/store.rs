//! A node's store: the production one in memory, on a disk that fails when told to.

use kadmap_core::{Head, ItemId, Merged, Record, RecordId, RecordStore, Stamp, StoreError, Ticket, Usage};
use kadmap_store::{MemoryStore, StoreConfig};

/// The store of a simulated node.
///
/// Its records are durable at once: what a stop or a kill leaves of them is decided by who restarts the node, with the
/// disk or without.
#[derive(Debug)]
pub struct SimStore {
    records: MemoryStore,
    /// Every so many operations one fails; 0 for never.
    fails_every: u64,
    operations: u64,
}

impl SimStore {
    pub(crate) fn new(tombstone_grace_ms: u64) -> Self {
        let config = StoreConfig { tombstone_grace_ms, ..StoreConfig::default() };
        Self { records: MemoryStore::new(config), fails_every: 0, operations: 0 }
    }

    /// Lets every n-th operation fail from now on; 0 for none.
    pub fn fail_every(&mut self, operations: u64) {
        self.fails_every = operations;
        self.operations = 0;
    }

    /// What it holds, whether the disk fails or not.
    pub(crate) fn ids(&mut self) -> Vec<RecordId> {
        let heads = self.records.heads(None, usize::MAX).unwrap_or_default();
        heads.into_iter().map(|(id, _)| id).collect()
    }

    /// One record, whether the disk fails or not.
    pub(crate) fn peek(&mut self, id: &RecordId) -> Option<Record> {
        self.records.load(id).ok().flatten()
    }

    /// Counts one operation; fails if it is its turn.
    fn operate(&mut self) -> Result<&mut MemoryStore, StoreError> {
        if self.fails_every > 0 {
            self.operations += 1;
            if self.operations.is_multiple_of(self.fails_every) {
                return Err(StoreError::Failed { reason: "the simulator says so".to_owned() });
            }
        }
        Ok(&mut self.records)
    }
}

impl RecordStore for SimStore {
    fn head(&mut self, id: &RecordId) -> Result<Option<Head>, StoreError> {
        self.operate()?.head(id)
    }

    fn item_stamp(&mut self, id: &RecordId, item: &ItemId) -> Result<Option<Stamp>, StoreError> {
        self.operate()?.item_stamp(id, item)
    }

    fn load(&mut self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        self.operate()?.load(id)
    }

    fn merge(&mut self, id: &RecordId, delta: Record) -> Result<Merged, StoreError> {
        self.operate()?.merge(id, delta)
    }

    fn forget(&mut self, id: &RecordId) -> Result<(), StoreError> {
        self.operate()?.forget(id)
    }

    fn heads(&mut self, after: Option<&RecordId>, limit: usize) -> Result<Vec<(RecordId, Head)>, StoreError> {
        self.operate()?.heads(after, limit)
    }

    fn expire(&mut self, unix_ms: u64, limit: usize) -> Result<Vec<RecordId>, StoreError> {
        self.operate()?.expire(unix_ms, limit)
    }

    fn flushed(&self) -> Ticket {
        self.records.flushed()
    }

    fn usage(&self) -> Usage {
        self.records.usage()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_third_operation_fails_and_no_other() {
        let mut store = SimStore::new(0);
        store.fail_every(3);
        let outcomes: Vec<_> = (0..9).map(|_| store.heads(None, 1).is_ok()).collect();
        assert_eq!(outcomes, [true, true, false].repeat(3));
        store.fail_every(0);
        assert!((0..9).all(|_| store.heads(None, 1).is_ok()));
    }
}
