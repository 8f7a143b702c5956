//! What a merge will do to a record, worked out from its head and the few parts that the delta meets.
//!
//! The laws are those of `Record::merge`; tests hold the two against each other.

use std::cmp::Ordering;

use bytes::Bytes;
use kadmap_core::{
    Base, Codec, Fate, Head, Item, ItemId, Payload, Record, RecordId, Shape, Stamp, StoreError, base_due_ms,
    base_fate,
};

/// What a store keeps of a record beside its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Entry {
    pub(crate) head: Head,
    /// Payload bytes of the base, so that replacing it reads nothing; `None` when there is no base.
    pub(crate) base_bytes: Option<u64>,
}

impl Entry {
    pub(crate) fn is_empty(&self) -> bool {
        self.base_bytes.is_none() && self.head.appended == 0 && self.head.fields == 0
    }

    /// As `kadmap_core::base_due_ms` of the base.
    pub(crate) fn base_due_ms(&self, tombstone_grace_ms: u64) -> Option<u64> {
        self.base_bytes?;
        base_due_ms(&self.bare_base(), tombstone_grace_ms)
    }

    /// What time does to the base; a tombstone is told in full, because nothing else is left of it.
    pub(crate) fn base_fate(&self, unix_ms: u64, tombstone_grace_ms: u64) -> Fate<Base> {
        base_fate(&self.bare_base(), unix_ms, tombstone_grace_ms)
    }

    /// The base as far as the head knows it: with an empty payload if it has any.
    fn bare_base(&self) -> Base {
        Base {
            stamp: self.head.base_stamp,
            shape: self.head.base_shape.unwrap_or(Shape::Value),
            payload: self.head.base_shape.map(|_| Payload::new(Codec::Bytes, Bytes::new())),
            expires_ms: self.head.base_expires_ms,
        }
    }

    /// What the record counts against the limits of the store.
    pub(crate) fn bytes(&self, id: &RecordId) -> u64 {
        self.head.bytes + id.name.len() as u64
    }

    pub(crate) fn replace_base(&mut self, new: Option<&Base>) {
        // A head looks at the stamp and the size of the old base only, and the size is known.
        let old = self.base_bytes.map(|_| Base {
            stamp: self.head.base_stamp,
            shape: Shape::Value,
            payload: None,
            expires_ms: None,
        });
        self.head.base_changed(old.as_ref(), new);
        self.head.bytes = self.head.bytes.saturating_sub(self.base_bytes.unwrap_or(0));
        self.base_bytes = new.map(|base| base.bytes() as u64);
    }
}

/// How a plan looks at the parts of the record it is about.
pub(crate) trait Parts {
    /// The base; asked only when there is one.
    fn base(&mut self) -> Result<Option<Base>, StoreError>;
    fn item(&mut self, id: &ItemId) -> Result<Option<Item>, StoreError>;
    /// All items with this stamp or a lower one; fields are looked through only when asked for.
    fn items_up_to(&mut self, stamp: Stamp, fields: bool) -> Result<Vec<Item>, StoreError>;
}

/// What a merge changes. `removed` is to be applied before `added`: a field may be in both.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) entry: Entry,
    pub(crate) base: Option<Base>,
    pub(crate) removed: Vec<Item>,
    pub(crate) added: Vec<Item>,
}

/// Works out what merging `delta` changes; `None` for nothing.
pub(crate) fn plan(
    entry: Option<Entry>,
    delta: Record,
    parts: &mut impl Parts,
) -> Result<Option<Change>, StoreError> {
    let mut change =
        Change { entry: entry.unwrap_or_default(), base: None, removed: Vec::new(), added: Vec::new() };
    let (base, items) = delta.into_parts();
    if let Some(base) = base {
        change.take_base(base, parts)?;
    }
    let may_hold_fields = change.entry.head.fields > 0;
    for item in items {
        change.take_item(item, may_hold_fields, parts)?;
    }
    Ok((change.base.is_some() || !change.added.is_empty()).then_some(change))
}

impl Change {
    fn take_base(&mut self, base: Base, parts: &mut impl Parts) -> Result<(), StoreError> {
        let head = self.entry.head;
        if self.entry.base_bytes.is_some() {
            let enters = match base.stamp.cmp(&head.base_stamp) {
                Ordering::Greater => true,
                Ordering::Less => false,
                Ordering::Equal => parts.base()?.as_ref() < Some(&base),
            };
            if !enters {
                return Ok(());
            }
        }
        if head.appended > 0 || head.fields > 0 {
            self.removed = parts.items_up_to(base.stamp, head.fields > 0)?;
            self.removed.iter().for_each(|item| self.entry.head.item_removed(item));
        }
        self.entry.replace_base(Some(&base));
        self.base = Some(base);
        Ok(())
    }

    fn take_item(
        &mut self,
        item: Item,
        may_hold_fields: bool,
        parts: &mut impl Parts,
    ) -> Result<(), StoreError> {
        if self.is_hidden(item.stamp) {
            return Ok(());
        }
        // An appended item above all stamps of the record is new: the common append looks nothing up.
        let may_hold = match item.field {
            None => item.stamp <= self.entry.head.newest,
            Some(_) => may_hold_fields,
        };
        let old = if may_hold { parts.item(&item.id())? } else { None };
        let old = old.filter(|old| !self.is_hidden(old.stamp));
        if old.as_ref() >= Some(&item) {
            return Ok(());
        }
        if let Some(old) = old {
            self.entry.head.item_removed(&old);
            self.removed.push(old);
        }
        self.entry.head.item_added(&item);
        self.added.push(item);
        Ok(())
    }

    fn is_hidden(&self, stamp: Stamp) -> bool {
        self.entry.base_bytes.is_some() && self.entry.head.base_stamp >= stamp
    }
}
