//! A node's records and the sums of their ranges, kept in step.

use bytes::Bytes;

use crate::ranges::{Leaf, Prefix, RangeTree, path_of};
use crate::record::{Base, Head, Item, ItemId, ItemPage, ItemRange, Record, Stamp, Version};
use crate::store::{Merged, Presence, RecordId, RecordStore, Scrubbed, StoreError, Ticket, Usage};
use crate::{Key, ranges};

/// Sorts after every name: one byte longer than the longest and all ones.
const AFTER_EVERY_NAME: [u8; 1025] = [0xff; 1025];

/// A store with a [`RangeTree`] over what it holds.
///
/// Every change goes through here, so the tree tells what the store would; what a store already holds when a node
/// starts is taken in by [`index_more`](Self::index_more), a page at a time.
#[derive(Debug)]
pub(crate) struct Indexed<S> {
    store: S,
    tree: RangeTree,
    /// How far the walk over what was there at the start has come; `None` once it is through.
    indexing: Option<Indexing>,
}

#[derive(Debug, Default)]
struct Indexing {
    after: Option<RecordId>,
}

impl<S: RecordStore> Indexed<S> {
    pub(crate) fn new(store: S) -> Self {
        let indexing = (store.usage().records > 0).then(Indexing::default);
        Self { store, tree: RangeTree::default(), indexing }
    }

    /// Takes up to `limit` more of the records into the tree that were there at the start.
    pub(crate) fn index_more(&mut self, limit: usize) {
        let Some(indexing) = &mut self.indexing else { return };
        // A store that fails is tried again at the next turn; until then the node repairs nothing.
        let Ok(page) = self.store.heads(indexing.after.as_ref(), limit) else { return };
        for (id, head) in &page {
            self.tree.set(id, head.version);
        }
        if page.len() < limit {
            self.indexing = None;
        } else {
            indexing.after = page.into_iter().next_back().map(|(id, _)| id);
        }
    }

    /// Up to `limit` records of a range after one of them, in order; costs `limit` heads, however many are in the range.
    pub(crate) fn heads_in(
        &mut self,
        range: &Prefix,
        after: Option<&RecordId>,
        limit: usize,
    ) -> Result<Vec<(RecordId, Head)>, StoreError> {
        let before_first = before(&range.first_key());
        let after = after.or(before_first.as_ref());
        let mut found = self.store.heads(after, limit)?;
        found.retain(|(id, _)| id.key <= range.last_key());
        Ok(found)
    }

    /// The records behind some leaves of a range, which are in path order, and their heads.
    ///
    /// Costs as many heads as the store has at the places of the range.
    pub(crate) fn records_of(
        &mut self,
        range: &Prefix,
        leaves: &[Leaf],
    ) -> Result<Vec<(RecordId, Head)>, StoreError> {
        let mut found = Vec::with_capacity(leaves.len());
        let mut after = None;
        let page_records = (leaves.len() * 2).max(ranges::PART_RECORDS_MAX);
        loop {
            let page = self.heads_in(range, after.as_ref(), page_records)?;
            let is_last = page.len() < page_records;
            after = page.last().map(|(id, _)| id.clone());
            let is_wanted = |id: &RecordId| leaves.binary_search_by_key(&path_of(id), Leaf::path).is_ok();
            found.extend(page.into_iter().filter(|(id, _)| is_wanted(id)));
            if is_last || found.len() >= leaves.len() {
                return Ok(found);
            }
        }
    }
}

impl<S> Indexed<S> {
    /// The sums of what is held; to be relied on once [`is_indexed`](Self::is_indexed).
    pub(crate) fn tree(&self) -> &RangeTree {
        &self.tree
    }

    /// Whether the tree tells of everything that is held.
    pub(crate) fn is_indexed(&self) -> bool {
        self.indexing.is_none()
    }

    /// The store itself, for looking; what is changed behind the tree's back it does not know.
    pub(crate) fn inner_mut(&mut self) -> &mut S {
        &mut self.store
    }
}

/// What sorts right before every record at a place; `None` for the very first.
pub(crate) fn before(key: &Key) -> Option<RecordId> {
    key.predecessor().map(|key| RecordId { key, name: Bytes::from_static(&AFTER_EVERY_NAME) })
}

impl<S: RecordStore> RecordStore for Indexed<S> {
    fn head(&mut self, id: &RecordId) -> Result<Option<Head>, StoreError> {
        let head = self.store.head(id);
        if head == Err(StoreError::Damaged) {
            self.tree.set(id, Version::ABSENT);
        }
        head
    }

    fn item_stamp(&mut self, id: &RecordId, item: &ItemId) -> Result<Option<Stamp>, StoreError> {
        self.store.item_stamp(id, item)
    }

    fn load(&mut self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        let record = self.store.load(id);
        if record == Err(StoreError::Damaged) {
            self.tree.set(id, Version::ABSENT);
        }
        record
    }

    fn item(&mut self, id: &RecordId, item: &ItemId) -> Result<Option<Item>, StoreError> {
        let item = self.store.item(id, item);
        if item == Err(StoreError::Damaged) {
            self.tree.set(id, Version::ABSENT);
        }
        item
    }

    fn base(&mut self, id: &RecordId) -> Result<Option<Base>, StoreError> {
        let base = self.store.base(id);
        if base == Err(StoreError::Damaged) {
            self.tree.set(id, Version::ABSENT);
        }
        base
    }

    fn items(&mut self, id: &RecordId, range: &ItemRange) -> Result<ItemPage, StoreError> {
        let page = self.store.items(id, range);
        if page == Err(StoreError::Damaged) {
            self.tree.set(id, Version::ABSENT);
        }
        page
    }

    fn merge(&mut self, id: &RecordId, delta: Record) -> Result<Merged, StoreError> {
        let merged = self.store.merge(id, delta)?;
        if merged.changed {
            self.tree.set(id, merged.head.version);
        }
        Ok(merged)
    }

    fn forget(&mut self, id: &RecordId) -> Result<(), StoreError> {
        self.store.forget(id)?;
        self.tree.set(id, Version::ABSENT);
        Ok(())
    }

    fn replace(&mut self, id: &RecordId, record: Record) -> Result<(), StoreError> {
        let replaced = self.store.replace(id, record);
        // Whatever has come of it, the tree tells what the store does.
        let head = self.store.head(id).ok().flatten().unwrap_or_default();
        self.tree.set(id, head.version);
        replaced
    }

    fn heads(&mut self, after: Option<&RecordId>, limit: usize) -> Result<Vec<(RecordId, Head)>, StoreError> {
        self.store.heads(after, limit)
    }

    fn expire(&mut self, unix_ms: u64, limit: usize) -> Result<Vec<RecordId>, StoreError> {
        let touched = self.store.expire(unix_ms, limit)?;
        for id in &touched {
            // A store that cannot tell what is left has reported itself; the record counts as lost here.
            let head = self.store.head(id).ok().flatten().unwrap_or_default();
            self.tree.set(id, head.version);
        }
        Ok(touched)
    }

    fn scrub(&mut self, records_max: usize) -> Result<Scrubbed, StoreError> {
        let scrubbed = self.store.scrub(records_max)?;
        for id in &scrubbed.damaged {
            self.tree.set(id, Version::ABSENT);
        }
        Ok(scrubbed)
    }

    fn flushed(&self) -> Ticket {
        self.store.flushed()
    }

    fn usage(&self) -> Usage {
        self.store.usage()
    }

    fn presence(&self) -> Option<Presence> {
        self.store.presence()
    }

    fn keep_presence(&mut self, presence: Presence) {
        self.store.keep_presence(presence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Codec, Payload, Shape};
    use crate::testing::MapStore;

    fn value(stamp_ms: u64, expires_ms: Option<u64>) -> Record {
        let stamp = Stamp { time: stamp_ms << 16, writer: 1 };
        let payload = Some(Payload::new(Codec::Json, "1"));
        Record::from(Base { stamp, shape: Shape::Value, payload, expires_ms })
    }

    fn id(number: u32) -> RecordId {
        let name = number.to_be_bytes();
        RecordId::new(Key::of_name(&name), name.to_vec())
    }

    fn filled(records: u32) -> MapStore {
        let mut store = MapStore::default();
        for number in 0..records {
            store.merge(&id(number), value(1, (number % 3 == 0).then_some(50))).unwrap();
        }
        store
    }

    #[test]
    fn what_was_there_at_the_start_is_indexed_page_by_page_and_changes_meanwhile_count() {
        let mut indexed = Indexed::new(filled(100));
        assert!(!indexed.is_indexed());
        indexed.index_more(30);
        indexed.merge(&id(7), value(2, None)).unwrap();
        indexed.merge(&id(200), value(2, None)).unwrap();
        indexed.forget(&id(8)).unwrap();
        while !indexed.is_indexed() {
            indexed.index_more(30);
        }
        let mut anew = Indexed::new(indexed.store.clone());
        anew.index_more(1_000);
        assert_eq!(indexed.tree().sum(&Prefix::ALL), anew.tree().sum(&Prefix::ALL));
        assert_eq!(indexed.tree().sum(&Prefix::ALL).records, 100);
    }

    #[test]
    fn what_expires_leaves_the_tree() {
        let mut indexed = Indexed::new(filled(90));
        indexed.index_more(1_000);
        assert_eq!(indexed.expire(60, usize::MAX).unwrap().len(), 30);
        assert_eq!(indexed.tree().sum(&Prefix::ALL).records, 60);
    }

    #[test]
    fn leaves_are_traced_back_to_their_records_even_where_names_share_a_place() {
        let mut indexed = Indexed::new(MapStore::default());
        let place = Key::of_name(b"here");
        let ids: Vec<_> = (0..100u8).map(|name| RecordId::new(place, vec![name])).collect();
        for id in ids.iter().chain(&[id(1), id(2)]) {
            indexed.merge(id, value(1, None)).unwrap();
        }
        let range = Prefix::new(path_of(&ids[0]), 64);
        let all = indexed.tree().leaves(&range, usize::MAX);
        assert_eq!(all.len(), 100);
        let some = &all[10..15];
        let found = indexed.records_of(&range, some).unwrap();
        let mut paths: Vec<_> = found.iter().map(|(id, _)| path_of(id)).collect();
        paths.sort_unstable();
        assert_eq!(paths, some.iter().map(Leaf::path).collect::<Vec<_>>());
    }
}
