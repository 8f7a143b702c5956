//! A store chosen at run time.

use std::fmt;

use kadmap_core::{
    Base, Head, Item, ItemId, ItemPage, ItemRange, Merged, Presence, Record, RecordId, RecordStore, Scrubbed,
    Stamp, StoreError, Ticket, Usage,
};

use crate::{MemoryStore, RedbStore};

/// One of the stores, chosen at run time.
///
/// ```
/// use kadmap_core::RecordStore;
/// use kadmap_store::{AnyStore, MemoryStore, StoreConfig};
/// let store = AnyStore::from(MemoryStore::new(StoreConfig::default()));
/// assert_eq!(store.usage().records, 0);
/// ```
pub enum AnyStore {
    /// Records in memory.
    Memory(MemoryStore),
    /// Records in a file.
    Redb(Box<RedbStore>),
    /// Records wherever the caller's own store keeps them.
    Custom(Box<dyn RecordStore + Send>),
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(store) => f.debug_tuple("Memory").field(store).finish(),
            Self::Redb(store) => f.debug_tuple("Redb").field(store).finish(),
            Self::Custom(_) => f.write_str("Custom(..)"),
        }
    }
}

impl From<Box<dyn RecordStore + Send>> for AnyStore {
    fn from(store: Box<dyn RecordStore + Send>) -> Self {
        Self::Custom(store)
    }
}

impl From<MemoryStore> for AnyStore {
    fn from(store: MemoryStore) -> Self {
        Self::Memory(store)
    }
}

impl From<RedbStore> for AnyStore {
    fn from(store: RedbStore) -> Self {
        Self::Redb(Box::new(store))
    }
}

macro_rules! each {
    ($any:expr, $store:ident => $call:expr) => {
        match $any {
            AnyStore::Memory($store) => $call,
            AnyStore::Redb($store) => $call,
            AnyStore::Custom($store) => $call,
        }
    };
}

impl RecordStore for AnyStore {
    fn head(&mut self, id: &RecordId) -> Result<Option<Head>, StoreError> {
        each!(self, store => store.head(id))
    }

    fn item_stamp(&mut self, id: &RecordId, item: &ItemId) -> Result<Option<Stamp>, StoreError> {
        each!(self, store => store.item_stamp(id, item))
    }

    fn load(&mut self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        each!(self, store => store.load(id))
    }

    fn base(&mut self, id: &RecordId) -> Result<Option<Base>, StoreError> {
        each!(self, store => store.base(id))
    }

    fn items(&mut self, id: &RecordId, range: &ItemRange) -> Result<ItemPage, StoreError> {
        each!(self, store => store.items(id, range))
    }

    fn item(&mut self, id: &RecordId, item: &ItemId) -> Result<Option<Item>, StoreError> {
        each!(self, store => store.item(id, item))
    }

    fn merge(&mut self, id: &RecordId, delta: Record) -> Result<Merged, StoreError> {
        each!(self, store => store.merge(id, delta))
    }

    fn replace(&mut self, id: &RecordId, record: Record) -> Result<(), StoreError> {
        each!(self, store => store.replace(id, record))
    }

    fn forget(&mut self, id: &RecordId) -> Result<(), StoreError> {
        each!(self, store => store.forget(id))
    }

    fn heads(&mut self, after: Option<&RecordId>, limit: usize) -> Result<Vec<(RecordId, Head)>, StoreError> {
        each!(self, store => store.heads(after, limit))
    }

    fn expire(&mut self, unix_ms: u64, limit: usize) -> Result<Vec<RecordId>, StoreError> {
        each!(self, store => store.expire(unix_ms, limit))
    }

    fn scrub(&mut self, records_max: usize) -> Result<Scrubbed, StoreError> {
        each!(self, store => store.scrub(records_max))
    }

    fn flushed(&self) -> Ticket {
        each!(self, store => store.flushed())
    }

    fn usage(&self) -> Usage {
        each!(self, store => store.usage())
    }

    fn presence(&self) -> Option<Presence> {
        each!(self, store => store.presence())
    }

    fn keep_presence(&mut self, presence: Presence) {
        each!(self, store => store.keep_presence(presence));
    }
}
