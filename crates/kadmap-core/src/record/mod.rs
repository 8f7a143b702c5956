//! What is stored under a key: a small state-based CRDT, merged the same way everywhere.
//!
//! A record is a base value (what `put` wrote or `delete` removed) and items above it (what `append` and
//! `put_field` added).
//! The base with the highest stamp wins; an item counts only while its stamp is above the base's.
//! Merging is commutative, associative and idempotent, so replicas that have seen the same writes in any order,
//! any number of times, hold the same record.

pub(crate) mod cbor_bytes;
mod expiry;
mod item;
mod payload;
mod range;
mod stamp;
mod version;

use std::collections::BTreeMap;
use std::convert::Infallible;

pub use expiry::{Fate, base_due_ms, base_fate, item_due_ms, item_fate};
pub use item::{Base, Item, ItemId};
pub use payload::{Codec, Payload, Shape};
pub use range::{ItemPage, ItemRange};
pub use stamp::{Clock, ParseStampError, Stamp};
pub use version::{ParseVersionError, Version};

/// Bytes that a record, a base or an item costs beside its payload, for limits and accounting: measured as the
/// in-memory size of a small item in its map, rounded up.
pub const OVERHEAD_BYTES: usize = 128;

/// A record: a base value and the items above it.
///
/// Invariant: every item's stamp is above the base's, and every item stands under its own id.
///
/// ```
/// use kadmap_core::{Base, Codec, Item, Payload, Record, Shape, Stamp};
/// let at = |time| Stamp { time, writer: 1 };
/// let list = Payload::new(Codec::Json, "[1]");
/// let mut record = Record::from(Base { stamp: at(1), shape: Shape::List, payload: Some(list), expires_ms: None });
/// let four = Payload::new(Codec::Json, "4");
/// let delta = Record::from(Item { stamp: at(2), field: None, payload: Some(four), expires_ms: None });
/// assert!(record.merge(delta.clone()));
/// assert!(!record.merge(delta), "merging twice changes nothing");
/// assert_eq!(record.live_items(0).count(), 1);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    base: Option<Base>,
    items: BTreeMap<ItemId, Item>,
}

/// What is known of a record without its payloads: enough to decide whether a write may enter.
///
/// ```
/// use kadmap_core::{Record, Version};
/// assert_eq!(Record::default().head().version, Version::ABSENT);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// The state of the record.
    pub version: Version,
    /// The base's stamp; [`Stamp::MIN`] when there is no base.
    pub base_stamp: Stamp,
    /// What the base says it is; `None` when there is no base or it is a tombstone.
    pub base_shape: Option<Shape>,
    /// When the base expires, in milliseconds since 1970.
    pub base_expires_ms: Option<u64>,
    /// The highest stamp in the record.
    pub newest: Stamp,
    /// Appended items, tombstones included.
    pub appended: u64,
    /// Map fields, tombstones included.
    pub fields: u64,
    /// Payload bytes plus [`OVERHEAD_BYTES`] for the base and each item.
    pub bytes: u64,
}

impl Head {
    /// What a write finds at this time: `None` when it may become anything.
    pub fn shape(&self, unix_ms: u64) -> Option<Shape> {
        let expired = self.base_expires_ms.is_some_and(|at| at <= unix_ms);
        match self.base_shape {
            Some(shape) if !expired => Some(shape),
            _ if self.appended > 0 => Some(Shape::List),
            _ if self.fields > 0 => Some(Shape::Map),
            _ => None,
        }
    }

    /// Takes note of a base that entered the record in the place of `old`.
    pub fn base_changed(&mut self, old: Option<&Base>, new: Option<&Base>) {
        if let Some(old) = old {
            self.version.toggle_base(old);
            self.bytes = self.bytes.saturating_sub((old.bytes() + OVERHEAD_BYTES) as u64);
        }
        if let Some(new) = new {
            self.version.toggle_base(new);
            self.bytes += (new.bytes() + OVERHEAD_BYTES) as u64;
            self.newest = self.newest.max(new.stamp);
        }
        self.base_stamp = new.map_or(Stamp::MIN, |base| base.stamp);
        self.base_shape = new.filter(|base| base.payload.is_some()).map(|base| base.shape);
        self.base_expires_ms = new.and_then(|base| base.expires_ms);
    }

    /// Takes note of an item that entered the record.
    pub fn item_added(&mut self, item: &Item) {
        self.version.toggle_item(item);
        self.bytes += (item.bytes() + OVERHEAD_BYTES) as u64;
        self.newest = self.newest.max(item.stamp);
        *self.count_of(item) += 1;
    }

    /// Takes note of an item that left the record.
    pub fn item_removed(&mut self, item: &Item) {
        self.version.toggle_item(item);
        self.bytes = self.bytes.saturating_sub((item.bytes() + OVERHEAD_BYTES) as u64);
        let count = self.count_of(item);
        *count = count.saturating_sub(1);
    }

    fn count_of(&mut self, item: &Item) -> &mut u64 {
        if item.field.is_some() { &mut self.fields } else { &mut self.appended }
    }
}

impl From<Base> for Record {
    fn from(base: Base) -> Self {
        Self { base: Some(base), items: BTreeMap::new() }
    }
}

impl From<Item> for Record {
    fn from(item: Item) -> Self {
        Self { base: None, items: BTreeMap::from([(item.id(), item)]) }
    }
}

impl Record {
    /// A record of a base and items in any order; items at or below the base are left out.
    pub fn from_parts(base: Option<Base>, items: impl IntoIterator<Item = Item>) -> Self {
        let mut record = Self { base, items: BTreeMap::new() };
        for item in items {
            record.merge_item(item);
        }
        record
    }

    /// The base: a value or a tombstone.
    pub fn base(&self) -> Option<&Base> {
        self.base.as_ref()
    }

    /// All items above the base, tombstones and expired ones included: appended ones in stamp order, then fields
    /// by name.
    pub fn items(&self) -> impl ExactSizeIterator<Item = &Item> {
        self.items.values()
    }

    /// The highest stamp in the record, [`Stamp::MIN`] when it is empty. Costs its number of items.
    pub fn newest(&self) -> Stamp {
        let base = self.base.iter().map(|base| base.stamp);
        base.chain(self.items().map(|item| item.stamp)).max().unwrap_or(Stamp::MIN)
    }

    /// The item with this id.
    pub fn item(&self, id: &ItemId) -> Option<&Item> {
        self.items.get(id)
    }

    /// The appended items of a range, tombstones included, as far as it is bounded.
    pub fn items_in(&self, range: &ItemRange) -> ItemPage {
        let Some(span) = range.span() else { return ItemPage::default() };
        let items = self.items.range(span).map(|(_, item)| Ok::<_, Infallible>(item.clone()));
        let page = if range.newest_first { range.fill(items.rev()) } else { range.fill(items) };
        page.unwrap_or_else(|never| match never {})
    }

    /// The record's base and items, taken apart.
    pub fn into_parts(self) -> (Option<Base>, impl ExactSizeIterator<Item = Item>) {
        (self.base, self.items.into_values())
    }

    /// Whether it holds nothing at all, not even a tombstone.
    pub fn is_empty(&self) -> bool {
        self.base.is_none() && self.items.is_empty()
    }

    /// The base, when there is a value to read at this time.
    pub fn live_base(&self, unix_ms: u64) -> Option<&Base> {
        self.base.as_ref().filter(|base| base.is_live(unix_ms))
    }

    /// The items to read at this time: appended ones in stamp order, then fields by name.
    pub fn live_items(&self, unix_ms: u64) -> impl Iterator<Item = &Item> {
        self.items.values().filter(move |item| item.is_live(unix_ms))
    }

    /// Whether there is anything to read at this time.
    pub fn is_live(&self, unix_ms: u64) -> bool {
        self.live_base(unix_ms).is_some() || self.live_items(unix_ms).next().is_some()
    }

    /// What is known of the record without its payloads; costs a hash for each item.
    pub fn head(&self) -> Head {
        let mut head = Head::default();
        head.base_changed(None, self.base.as_ref());
        self.items.values().for_each(|item| head.item_added(item));
        head
    }

    /// Takes in all that `other` knows; tells whether anything changed.
    pub fn merge(&mut self, other: Self) -> bool {
        let mut changed = other.base.is_some_and(|base| self.merge_base(base));
        for item in other.items.into_values() {
            changed |= self.merge_item(item);
        }
        changed
    }

    /// What of this record a holder of `other` lacks; empty when it lacks nothing.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let base = self.base.as_ref().filter(|base| other.base.as_ref() < Some(*base)).cloned();
        let lacks = |item: &&Item| {
            other.items.get(&item.id()) < Some(*item)
                && other.base.as_ref().is_none_or(|base| base.stamp < item.stamp)
        };
        let items = self.items.values().filter(lacks).cloned();
        Self { base, items: items.map(|item| (item.id(), item)).collect() }
    }

    fn merge_base(&mut self, base: Base) -> bool {
        if self.base.as_ref() >= Some(&base) {
            return false;
        }
        self.items.retain(|_, item| item.stamp > base.stamp);
        self.base = Some(base);
        true
    }

    fn merge_item(&mut self, item: Item) -> bool {
        if self.base.as_ref().is_some_and(|base| base.stamp >= item.stamp) {
            return false;
        }
        let id = item.id();
        if self.items.get(&id) >= Some(&item) {
            return false;
        }
        self.items.insert(id, item);
        true
    }
}

/// When a base stopped being readable: its expiry, or for a tombstone the time of the delete or of the expiry of what it
/// covers, whichever is later.
pub fn base_death_ms(base: &Base) -> Option<u64> {
    if base.payload.is_some() {
        return base.expires_ms;
    }
    Some(base.expires_ms.unwrap_or(0).max(base.stamp.unix_ms()))
}

/// As [`Item::death_ms`].
pub fn item_death_ms(item: &Item) -> Option<u64> {
    item.death_ms()
}

impl<C> minicbor::Encode<C> for Record {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2)?.encode_with(&self.base, ctx)?.array(self.items.len() as u64)?;
        for item in self.items.values() {
            e.encode_with(item, ctx)?;
        }
        Ok(())
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Record {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        if d.array()? != Some(2) {
            return Err(minicbor::decode::Error::message("a record is an array of two"));
        }
        let base = d.decode_with(ctx)?;
        let mut record = Self { base, items: BTreeMap::new() };
        for item in d.array_iter_with(ctx)? {
            record.merge_item(item?);
        }
        Ok(record)
    }
}

#[cfg(test)]
mod tests;
