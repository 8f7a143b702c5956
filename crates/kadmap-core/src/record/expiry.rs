//! What becomes of the parts of a record as time passes, the same on every replica.
//!
//! | part | readable until | then | gone |
//! |---|---|---|---|
//! | appended item | its expiry | | at its expiry: nothing older can come back in its place |
//! | base, field | its expiry | a tombstone with the same stamp | when the grace is over |
//! | tombstone | | | when the grace is over, counted from the delete or, if later, from the expiry of what it covers |
//!
//! Turning into a tombstone does not change the record's version, so replicas that sweep at different moments agree.
//! Merging keeps the value rather than the tombstone of the same stamp: a node whose clock is ahead takes nothing from
//! one whose clock is right.

use super::{Base, Item, Record, base_death_ms, item_death_ms};
use crate::record::ItemId;

/// What time does to a part of a record.
///
/// ```
/// use kadmap_core::{Base, Codec, Fate, Payload, Shape, Stamp, base_fate};
/// let payload = Some(Payload::new(Codec::Bytes, "x"));
/// let base = Base { stamp: Stamp::MIN, shape: Shape::Value, payload, expires_ms: Some(1_000) };
/// assert_eq!(base_fate(&base, 999, 500), Fate::Stays);
/// assert_eq!(base_fate(&base, 1_000, 500), Fate::Buried(Base { payload: None, ..base.clone() }));
/// assert_eq!(base_fate(&base, 1_500, 500), Fate::Gone);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate<T> {
    /// Nothing yet.
    Stays,
    /// It is a tombstone from now on: this one.
    Buried(T),
    /// Nothing is left of it.
    Gone,
}

/// When time next does something to a base, in milliseconds since 1970; `None` for never.
///
/// ```
/// use kadmap_core::{Base, Shape, Stamp, base_due_ms};
/// let tombstone = Base { stamp: Stamp::MIN, shape: Shape::Value, payload: None, expires_ms: None };
/// assert_eq!(base_due_ms(&tombstone, 500), Some(500));
/// ```
pub fn base_due_ms(base: &Base, tombstone_grace_ms: u64) -> Option<u64> {
    let grace = if base.payload.is_some() { 0 } else { tombstone_grace_ms };
    base_death_ms(base).map(|at| at.saturating_add(grace))
}

/// When time next does something to an item, in milliseconds since 1970; `None` for never.
///
/// ```
/// use kadmap_core::{Item, Stamp, item_due_ms};
/// let tombstone = Item { stamp: Stamp::MIN, field: Some("a".into()), payload: None, expires_ms: None };
/// assert_eq!(item_due_ms(&tombstone, 500), Some(500));
/// ```
pub fn item_due_ms(item: &Item, tombstone_grace_ms: u64) -> Option<u64> {
    let grace = if item.payload.is_some() { 0 } else { tombstone_grace_ms };
    item_death_ms(item).map(|at| at.saturating_add(grace))
}

/// What a base is at this time.
///
/// ```
/// use kadmap_core::{Base, Fate, Shape, Stamp, base_fate};
/// let tombstone = Base { stamp: Stamp::MIN, shape: Shape::Value, payload: None, expires_ms: None };
/// assert_eq!(base_fate(&tombstone, 499, 500), Fate::Stays);
/// assert_eq!(base_fate(&tombstone, 500, 500), Fate::Gone);
/// ```
pub fn base_fate(base: &Base, unix_ms: u64, tombstone_grace_ms: u64) -> Fate<Base> {
    if !is_due(base_due_ms(base, tombstone_grace_ms), unix_ms) {
        return Fate::Stays;
    }
    let tombstone = Base { payload: None, ..base.clone() };
    match is_due(base_due_ms(&tombstone, tombstone_grace_ms), unix_ms) {
        true => Fate::Gone,
        false => Fate::Buried(tombstone),
    }
}

/// What an item is at this time.
///
/// ```
/// use kadmap_core::{Codec, Fate, Item, Payload, Stamp, item_fate};
/// let payload = Some(Payload::new(Codec::Bytes, "x"));
/// let item = Item { stamp: Stamp::MIN, field: None, payload, expires_ms: Some(1_000) };
/// assert_eq!(item_fate(&item, 1_000, 500), Fate::Gone);
/// ```
pub fn item_fate(item: &Item, unix_ms: u64, tombstone_grace_ms: u64) -> Fate<Item> {
    if !is_due(item_due_ms(item, tombstone_grace_ms), unix_ms) {
        return Fate::Stays;
    }
    // Every holder of an appended item knows its expiry, and no older state of it can come back.
    if item.field.is_none() {
        return Fate::Gone;
    }
    let tombstone = Item { payload: None, ..item.clone() };
    match is_due(item_due_ms(&tombstone, tombstone_grace_ms), unix_ms) {
        true => Fate::Gone,
        false => Fate::Buried(tombstone),
    }
}

fn is_due(due_ms: Option<u64>, unix_ms: u64) -> bool {
    due_ms.is_some_and(|at| at <= unix_ms)
}

/// How far ahead a clock is taken for wrong rather than a tombstone for one that covers something: 15 min.
const CLOCK_AHEAD_MS_MAX: u64 = 15 * 60 * 1_000;

impl Record {
    /// Does what time does to its parts, see [`Fate`]; tells whether anything changed.
    pub fn expire(&mut self, unix_ms: u64, tombstone_grace_ms: u64) -> bool {
        let mut changed = false;
        if let Some(base) = &self.base {
            match base_fate(base, unix_ms, tombstone_grace_ms) {
                Fate::Stays => {}
                Fate::Buried(tombstone) => (self.base, changed) = (Some(tombstone), true),
                Fate::Gone => (self.base, changed) = (None, true),
            }
        }
        self.items.retain(|_, item| match item_fate(item, unix_ms, tombstone_grace_ms) {
            Fate::Stays => true,
            Fate::Buried(tombstone) => {
                (*item, changed) = (tombstone, true);
                true
            }
            Fate::Gone => {
                changed = true;
                false
            }
        });
        changed
    }

    /// The record without what has expired by this time; tombstones stay, whatever their age.
    ///
    /// Its version is the same but for appended items that expired and have not been swept yet.
    #[must_use]
    pub fn without_expired(mut self, unix_ms: u64) -> Self {
        self.expire(unix_ms, u64::MAX);
        self
    }

    /// The earliest time at which [`expire`](Self::expire) would change something, in milliseconds since 1970.
    pub fn next_expiry_ms(&self, tombstone_grace_ms: u64) -> Option<u64> {
        let base = self.base.as_ref().and_then(|base| base_due_ms(base, tombstone_grace_ms));
        let items = self.items.values().filter_map(|item| item_due_ms(item, tombstone_grace_ms));
        base.into_iter().chain(items).min()
    }

    /// When the last of its parts expires; 0 when none does.
    pub(crate) fn last_expiry_ms(&self) -> u64 {
        let base = self.base.as_ref().and_then(|base| base.expires_ms);
        base.into_iter().chain(self.items.values().filter_map(|item| item.expires_ms)).max().unwrap_or(0)
    }

    /// Whether a node whose clock is ahead may have buried something that can still be read at this time.
    pub(crate) fn may_be_buried_early(&self, unix_ms: u64) -> bool {
        let early = |expires_ms: Option<u64>| {
            expires_ms.is_some_and(|at| at > unix_ms && at - unix_ms <= CLOCK_AHEAD_MS_MAX)
        };
        let fields = self.items.range(ItemId::Field(bytes::Bytes::new())..).map(|(_, item)| item);
        self.base.as_ref().is_some_and(|base| base.payload.is_none() && early(base.expires_ms))
            || fields.into_iter().any(|item| item.payload.is_none() && early(item.expires_ms))
    }
}
