//! Pages of lists for other nodes, and what bounds the size of a record.

use super::env::{Env, LARGE_BYTES, Large};
use crate::record::{Base, Head, Item, ItemPage, ItemRange, OVERHEAD_BYTES, Record, Shape};
use crate::store::{RecordId, RecordStore, StoreError};
use crate::wire::{Items, Page, PutMode, Refusal, RequestId, Response, Want};
use crate::{Address, NodeId, Now};

/// Items of a long list that make a page too large for a packet whatever they hold, by their upkeep alone.
const ITEMS_SURELY_LARGE: usize = LARGE_BYTES as usize / OVERHEAD_BYTES;

impl<S: RecordStore, A: Address> Env<S, A> {
    /// Answers at once, unless the page is large: then it is announced and goes out with a later turn.
    pub(super) fn serve_items(&mut self, now: Now, items: Items, from: NodeId, id: RequestId) -> Response<A> {
        if self.is_syncing {
            return Response::Refused(Refusal::Starting);
        }
        let head = match self.head_here(&items.record()) {
            Ok(head) => head.unwrap_or_default(),
            Err(refusal) => return Response::Refused(refusal),
        };
        let range = items.range().bounded();
        let bytes = head.bytes.min(range.bytes_max as u64);
        if items.want == Want::Record && range.items_max > ITEMS_SURELY_LARGE && bytes > LARGE_BYTES {
            return self.announce_large(from, id, Large::Page(items), bytes);
        }
        match self.page(now, &items) {
            Response::Page(page) if page_bytes(&page) > LARGE_BYTES => {
                let bytes = page_bytes(&page);
                self.announce_large(from, id, Large::Page(items), bytes)
            }
            response => response,
        }
    }

    /// The answer to a request for items.
    pub(super) fn page(&mut self, now: Now, items: &Items) -> Response<A> {
        match self.page_here(now, &items.record(), &items.range().bounded(), items.with_base) {
            Ok(page) if items.want == Want::Summary => Response::PageSummary(page.summary()),
            Ok(page) => Response::Page(page),
            Err(refusal) => Response::Refused(refusal),
        }
    }

    /// What this node holds of a stretch of a list.
    pub(super) fn page_here(
        &mut self,
        now: Now,
        id: &RecordId,
        range: &ItemRange,
        with_base: bool,
    ) -> Result<Page, Refusal> {
        let Some(head) = self.head_here(id)? else { return Ok(Page::default()) };
        let base = match head.base_shape {
            Some(Shape::List) if with_base => self.store.base(id),
            _ => Ok(None),
        };
        let parts = base.and_then(|base| Ok((base, self.store.items(id, range)?)));
        let (base, ItemPage { items, next }) = match parts {
            Ok(parts) => parts,
            Err(error) => {
                let is_set_aside = error == StoreError::Damaged;
                let refusal = self.storage_failed(id, error);
                return if is_set_aside { Ok(Page::default()) } else { Err(refusal) };
            }
        };
        Ok(Page {
            record: head.version,
            shape: head.shape(self.steady_ms(now)),
            base_stamp: head.base_stamp,
            part: Record::from_parts(base, items).without_expired(self.expiry_ms(now)),
            next,
        })
    }

    /// Holds a delta against the limits of values, records and the store.
    pub(super) fn check_size(
        &mut self,
        id: &RecordId,
        delta: &Record,
        mode: PutMode,
        head: &Head,
    ) -> Result<(), Refusal> {
        let limits = self.config.limits.clone();
        let too_large =
            |bytes: usize, max: usize| Refusal::TooLarge { bytes: bytes as u64, bytes_max: max as u64 };
        if id.name.len() > limits.name_bytes_max {
            return Err(too_large(id.name.len(), limits.name_bytes_max));
        }
        let base = delta.base().map_or(0, |base| base.bytes());
        let largest = delta.items().map(|item| item.bytes()).chain([base]).max().unwrap_or(0);
        if largest > limits.value_bytes_max {
            return Err(too_large(largest, limits.value_bytes_max));
        }
        let new_base = if delta.base().is_some() { base + OVERHEAD_BYTES } else { 0 };
        let added = new_base + delta.items().map(|item| self.added_bytes(id, item)).sum::<usize>();
        let kept = if delta.base().is_some() { 0 } else { head.bytes };
        let bytes = kept + added as u64;
        if added > 0 && bytes > limits.record_bytes_max {
            return Err(Refusal::RecordFull { bytes, bytes_max: limits.record_bytes_max });
        }
        // A tombstone makes room in time, and so does a trim, but only where there is something to bury.
        let buries_all = delta.base().is_some_and(|base| base.payload.is_none() || mode == PutMode::Trim);
        let only_buries = added == 0 || (delta.items().len() == 0 && buries_all);
        if !only_buries || head.version.is_absent() {
            let stored = self.store.usage().bytes + id.name.len() as u64;
            if stored.saturating_add(added as u64) > limits.store_bytes_max {
                return Err(Refusal::Full { bytes_max: limits.store_bytes_max });
            }
        }
        Ok(())
    }

    /// What an item adds to its record: nothing when it takes the place of the one that it removes.
    fn added_bytes(&mut self, id: &RecordId, item: &Item) -> usize {
        let removes = item.field.is_none() && item.payload.is_none();
        if removes && matches!(self.store.item_stamp(id, &item.id()), Ok(Some(_))) {
            return 0;
        }
        item.bytes() + OVERHEAD_BYTES
    }
}

/// Whether a list may be trimmed so: whatever is above the new floor stays, and what is newer than it wins.
pub(super) fn check_trim(now: Now, delta: &Record, head: &Head) -> Result<(), Refusal> {
    let wanted = Shape::List;
    let is_floor = |base: &Base| base.shape == wanted && base.payload.is_some();
    if !delta.base().is_some_and(is_floor) || delta.items().len() > 0 {
        return Err(Refusal::Rejected { reason: "a trim is a list and nothing else".to_owned() });
    }
    match head.shape(now.unix_ms) {
        Some(found) if found != wanted => Err(Refusal::WrongShape { wanted, found }),
        _ => Ok(()),
    }
}

/// Roughly how many bytes a page takes on the wire.
fn page_bytes(page: &Page) -> u64 {
    super::env::record_bytes(&page.part)
}
