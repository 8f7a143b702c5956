//! A node's store: the production one in memory, on a disk that fails when told to.

use kadmap_core::{
    Base, Head, Item, ItemId, ItemPage, ItemRange, Merged, Presence, Record, RecordId, RecordStore, Stamp,
    StoreError, Ticket, Usage,
};
use kadmap_store::{MemoryStore, StoreConfig};

use crate::shelf::{Library, Shelf, is_shareable};

/// The store of a simulated node.
///
/// Its records are durable at once: what a stop or a kill leaves of them is decided by who restarts the node, with the
/// disk or without.
/// Values without a time to live, which all their holders hold alike, are kept once for all nodes; everything else is in
/// the production store. A test holds the two against each other.
#[derive(Debug)]
pub struct SimStore {
    /// Nothing is both here and in `records`.
    shelf: Shelf,
    records: MemoryStore,
    presence: Option<Presence>,
    /// Every so many operations one fails; 0 for never.
    fails_every: u64,
    operations: u64,
}

/// What a disk held at some time: a backup to restore.
///
/// ```
/// use kadmap_sim::{Link, Sim};
/// let mut sim = Sim::new(1, Link::lan());
/// let node = sim.spawn();
/// sim.put(node, "colour", "red");
/// let backup = sim.snapshot(node);
/// assert_eq!(backup.records(), 1);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    records: Vec<(RecordId, Record)>,
    presence: Option<Presence>,
}

impl Snapshot {
    /// How many records it holds.
    pub fn records(&self) -> usize {
        self.records.len()
    }
}

impl SimStore {
    pub(crate) fn new(tombstone_grace_ms: u64, library: Library) -> Self {
        let config = StoreConfig { tombstone_grace_ms, ..StoreConfig::default() };
        let (shelf, records) = (Shelf::new(library), MemoryStore::new(config));
        Self { shelf, records, presence: None, fails_every: 0, operations: 0 }
    }

    /// Lets every n-th operation fail from now on; 0 for none.
    pub fn fail_every(&mut self, operations: u64) {
        self.fails_every = operations;
        self.operations = 0;
    }

    /// What it holds, whether the disk fails or not.
    pub(crate) fn ids(&mut self) -> Vec<RecordId> {
        self.page(None, usize::MAX).unwrap_or_default().into_iter().map(|(id, _)| id).collect()
    }

    /// One record, whether the disk fails or not.
    pub(crate) fn peek(&mut self, id: &RecordId) -> Option<Record> {
        match self.shelf.place(id) {
            Ok(place) => Some(self.shelf.at(place).base.clone().into()),
            Err(_) => self.records.load(id).ok().flatten(),
        }
    }

    /// All that it holds, to be restored later.
    pub(crate) fn snapshot(&mut self) -> Snapshot {
        let ids = self.ids();
        let records = ids.into_iter().filter_map(|id| Some((id.clone(), self.peek(&id)?))).collect();
        Snapshot { records, presence: self.presence }
    }

    /// Takes in all that a snapshot holds.
    pub(crate) fn restore(&mut self, snapshot: &Snapshot) {
        self.presence = snapshot.presence;
        for (id, record) in &snapshot.records {
            // In memory a merge does not fail.
            let _ = self.merge_here(id, record.clone());
        }
    }

    /// Counts one operation; fails if it is its turn.
    fn operate(&mut self) -> Result<&mut Self, StoreError> {
        if self.fails_every > 0 {
            self.operations += 1;
            if self.operations.is_multiple_of(self.fails_every) {
                return Err(StoreError::Failed { reason: "the simulator says so".to_owned() });
            }
        }
        Ok(self)
    }

    fn merge_here(&mut self, id: &RecordId, delta: Record) -> Result<Merged, StoreError> {
        match self.shelf.place(id) {
            Ok(place) => self.merge_shared(place, id, delta),
            Err(place) => {
                let is_elsewhere = self.records.usage().records > 0 && self.records.head(id)?.is_some();
                if is_elsewhere || !is_shareable(&delta) {
                    return self.records.merge(id, delta);
                }
                let (base, _) = delta.into_parts();
                let head = base.map(|base| self.shelf.insert(place, id, base)).unwrap_or_default();
                Ok(Merged { head, changed: true, ticket: None })
            }
        }
    }

    /// Merges into a record that stands on the shelf, which it leaves when it becomes more than a value.
    fn merge_shared(&mut self, place: usize, id: &RecordId, delta: Record) -> Result<Merged, StoreError> {
        let known = self.shelf.at(place);
        let changes_base = delta.base() > Some(&known.base);
        if !changes_base && delta.items().len() == 0 {
            return Ok(Merged { head: known.head, changed: false, ticket: None });
        }
        let known = self.shelf.remove(place);
        if is_shareable(&delta) {
            let (base, _) = delta.into_parts();
            let head = base.map(|base| self.shelf.insert(place, id, base)).unwrap_or_default();
            return Ok(Merged { head, changed: true, ticket: None });
        }
        self.records.merge(id, known.base.clone().into())?;
        self.records.merge(id, delta)
    }

    fn page(&mut self, after: Option<&RecordId>, limit: usize) -> Result<Vec<(RecordId, Head)>, StoreError> {
        let shelved = self.shelf.after(after).take(limit).map(|shared| (shared.id.clone(), shared.head));
        let mut page: Vec<_> = shelved.collect();
        if self.records.usage().records > 0 {
            page.extend(self.records.heads(after, limit)?);
            page.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
            page.truncate(limit);
        }
        Ok(page)
    }
}

impl RecordStore for SimStore {
    fn head(&mut self, id: &RecordId) -> Result<Option<Head>, StoreError> {
        let store = self.operate()?;
        match store.shelf.place(id) {
            Ok(place) => Ok(Some(store.shelf.at(place).head)),
            Err(_) => store.records.head(id),
        }
    }

    fn item_stamp(&mut self, id: &RecordId, item: &ItemId) -> Result<Option<Stamp>, StoreError> {
        self.operate()?.records.item_stamp(id, item)
    }

    fn load(&mut self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        let store = self.operate()?;
        match store.shelf.place(id) {
            Ok(place) => Ok(Some(store.shelf.at(place).base.clone().into())),
            Err(_) => store.records.load(id),
        }
    }

    fn base(&mut self, id: &RecordId) -> Result<Option<Base>, StoreError> {
        let store = self.operate()?;
        match store.shelf.place(id) {
            Ok(place) => Ok(Some(store.shelf.at(place).base.clone())),
            Err(_) => store.records.base(id),
        }
    }

    fn items(&mut self, id: &RecordId, range: &ItemRange) -> Result<ItemPage, StoreError> {
        // What stands on the shelf has no items.
        self.operate()?.records.items(id, range)
    }

    fn item(&mut self, id: &RecordId, item: &ItemId) -> Result<Option<Item>, StoreError> {
        self.operate()?.records.item(id, item)
    }

    fn merge(&mut self, id: &RecordId, delta: Record) -> Result<Merged, StoreError> {
        self.operate()?.merge_here(id, delta)
    }

    fn forget(&mut self, id: &RecordId) -> Result<(), StoreError> {
        let store = self.operate()?;
        match store.shelf.place(id) {
            Ok(place) => {
                store.shelf.remove(place);
                Ok(())
            }
            Err(_) => store.records.forget(id),
        }
    }

    fn heads(&mut self, after: Option<&RecordId>, limit: usize) -> Result<Vec<(RecordId, Head)>, StoreError> {
        self.operate()?.page(after, limit)
    }

    fn expire(&mut self, unix_ms: u64, limit: usize) -> Result<Vec<RecordId>, StoreError> {
        // What stands on the shelf lives for ever.
        self.operate()?.records.expire(unix_ms, limit)
    }

    fn flushed(&self) -> Ticket {
        self.records.flushed()
    }

    fn usage(&self) -> Usage {
        let (shelf, records) = (self.shelf.usage(), self.records.usage());
        Usage { records: shelf.records + records.records, bytes: shelf.bytes + records.bytes }
    }

    fn presence(&self) -> Option<Presence> {
        self.presence
    }

    fn keep_presence(&mut self, presence: Presence) {
        self.presence = Some(presence);
    }
}

#[cfg(test)]
mod tests {
    use kadmap_core::{Base, Codec, Item, Key, Payload, Shape};
    use proptest::prelude::*;

    use super::*;

    const GRACE_MS: u64 = 50;

    #[test]
    fn every_third_operation_fails_and_no_other() {
        let mut store = SimStore::new(0, Library::default());
        store.fail_every(3);
        let outcomes: Vec<_> = (0..9).map(|_| store.heads(None, 1).is_ok()).collect();
        assert_eq!(outcomes, [true, true, false].repeat(3));
        store.fail_every(0);
        assert!((0..9).all(|_| store.heads(None, 1).is_ok()));
    }

    #[derive(Debug, Clone)]
    enum Deed {
        Merge { name: u8, delta: Record },
        Forget { name: u8 },
        Expire { unix_ms: u64 },
    }

    fn id(name: u8) -> RecordId {
        // Two names share a place, as names with equal hashes do.
        RecordId::new(Key::of_name(&[name / 2]), vec![name])
    }

    fn any_deed() -> impl Strategy<Value = Deed> {
        let stamp = (1u64..40, 1u64..3).prop_map(|(ms, writer)| Stamp { time: ms << 16, writer });
        let payload = prop::option::weighted(0.8, "[a-c]{1,2}");
        let expires = prop::option::weighted(0.2, 1u64..80);
        let base =
            (stamp.clone(), payload.clone(), expires.clone()).prop_map(|(stamp, payload, expires_ms)| {
                let payload = payload.map(|text| Payload::new(Codec::Bytes, text));
                Record::from(Base { stamp, shape: Shape::Value, payload, expires_ms })
            });
        let field = prop::option::of(Just(bytes::Bytes::from_static(b"f")));
        let item = (stamp, field, payload, expires).prop_map(|(stamp, field, payload, expires_ms)| {
            let payload = payload.map(|text| Payload::new(Codec::Bytes, text));
            Record::from(Item { stamp, field, payload, expires_ms })
        });
        let both = (base.clone(), item.clone()).prop_map(|(mut base, item)| {
            base.merge(item);
            base
        });
        let delta = prop_oneof![4 => base, 2 => item, 1 => both, 1 => Just(Record::default())];
        prop_oneof![
            12 => (0u8..6, delta).prop_map(|(name, delta)| Deed::Merge { name, delta }),
            1 => (0u8..6).prop_map(|name| Deed::Forget { name }),
            2 => (0u64..150).prop_map(|unix_ms| Deed::Expire { unix_ms }),
        ]
    }

    proptest! {
        #[test]
        fn it_does_as_the_production_store_does(deeds in prop::collection::vec((0usize..3, any_deed()), 0..60)) {
            let library = Library::default();
            let config = StoreConfig { tombstone_grace_ms: GRACE_MS, ..StoreConfig::default() };
            let mut pairs: Vec<_> = (0..3)
                .map(|_| (SimStore::new(GRACE_MS, library.clone()), MemoryStore::new(config.clone())))
                .collect();
            for (which, deed) in deeds {
                let (store, model) = &mut pairs[which];
                match deed {
                    Deed::Merge { name, delta } => {
                        prop_assert_eq!(store.merge(&id(name), delta.clone()), model.merge(&id(name), delta));
                    }
                    Deed::Forget { name } => prop_assert_eq!(store.forget(&id(name)), model.forget(&id(name))),
                    Deed::Expire { unix_ms } => {
                        prop_assert_eq!(store.expire(unix_ms, 4), model.expire(unix_ms, 4));
                    }
                }
                prop_assert_eq!(store.usage(), model.usage());
                prop_assert_eq!(store.heads(None, 100), model.heads(None, 100));
                for name in 0..6 {
                    prop_assert_eq!(store.load(&id(name)), model.load(&id(name)));
                    prop_assert_eq!(store.head(&id(name)), model.head(&id(name)));
                    prop_assert_eq!(store.heads(Some(&id(name)), 2), model.heads(Some(&id(name)), 2));
                }
            }
        }

        #[test]
        fn a_restored_snapshot_is_what_was_there(deeds in prop::collection::vec(any_deed(), 0..40)) {
            let mut store = SimStore::new(GRACE_MS, Library::default());
            for deed in deeds {
                if let Deed::Merge { name, delta } = deed {
                    store.merge(&id(name), delta).unwrap();
                }
            }
            let mut restored = SimStore::new(GRACE_MS, Library::default());
            restored.restore(&store.snapshot());
            prop_assert_eq!(restored.heads(None, 100), store.heads(None, 100));
            prop_assert_eq!(restored.usage(), store.usage());
        }
    }
}
