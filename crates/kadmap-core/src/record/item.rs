//! The two things a record is made of: its base value and its items.

use std::cmp::Ordering;

use bytes::Bytes;
use minicbor::{Decode, Encode};

use super::{Payload, Shape, Stamp};

/// The value that a `put` wrote, or the tombstone that a `delete` left.
///
/// ```
/// use kadmap_core::{Base, Codec, Payload, Shape, Stamp};
/// let base = Base {
///     stamp: Stamp { time: 9, writer: 1 },
///     shape: Shape::Value,
///     payload: Some(Payload::new(Codec::Bytes, "x")),
///     expires_ms: Some(1_000),
/// };
/// assert!(base.is_live(999) && !base.is_live(1_000));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(map)]
pub struct Base {
    /// When and by whom it was written; the highest stamp wins. First, so that the derived order is by stamp.
    #[n(0)]
    pub stamp: Stamp,
    /// What the writer says the payload is.
    #[n(1)]
    pub shape: Shape,
    /// The value; `None` is a tombstone.
    #[n(2)]
    pub payload: Option<Payload>,
    /// Milliseconds since 1970 from which the value is no longer there; `None` for never.
    #[n(3)]
    pub expires_ms: Option<u64>,
}

impl Base {
    /// Whether there is a value to read at this time.
    pub fn is_live(&self, unix_ms: u64) -> bool {
        self.payload.is_some() && !is_expired(self.expires_ms, unix_ms)
    }

    /// What its bytes count against limits: payload only.
    pub fn bytes(&self) -> usize {
        self.payload.as_ref().map_or(0, |payload| payload.bytes.len())
    }
}

/// What tells an item from the others of its record.
///
/// ```
/// use kadmap_core::{ItemId, Stamp};
/// let appended = ItemId::Appended(Stamp { time: 1, writer: 2 });
/// assert_ne!(appended, ItemId::Field("colour".into()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemId {
    /// An appended item: unique by its stamp, in stamp order.
    Appended(Stamp),
    /// A field of a map: one per name, its highest stamp wins.
    Field(Bytes),
}

/// One appended item of a list or one field of a map.
///
/// Of two states of one item the greater counts: the one with the higher stamp; of the same stamp the removed one, and of
/// two removals the later.
///
/// ```
/// use kadmap_core::{Codec, Item, ItemId, Payload, Stamp};
/// let item = Item {
///     stamp: Stamp { time: 1, writer: 2 },
///     field: None,
///     payload: Some(Payload::new(Codec::Json, "4")),
///     expires_ms: None,
/// };
/// assert_eq!(item.id(), ItemId::Appended(item.stamp));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Item {
    /// When and by whom it was written; the removal of an appended item keeps that item's stamp.
    #[n(0)]
    pub stamp: Stamp,
    /// The field's name; `None` for an appended item.
    #[cbor(n(1), with = "crate::record::cbor_bytes::option", has_nil)]
    pub field: Option<Bytes>,
    /// The value; `None` is a tombstone.
    #[n(2)]
    pub payload: Option<Payload>,
    /// Milliseconds since 1970 from which the item is no longer there; `None` for never. In the tombstone of an appended
    /// item the time of its removal.
    #[n(3)]
    pub expires_ms: Option<u64>,
}

impl Ord for Item {
    fn cmp(&self, other: &Self) -> Ordering {
        let written = (self.stamp, &self.field).cmp(&(other.stamp, &other.field));
        // An appended item that was removed stays so. A field under the stamp of its value was only buried, as it expired,
        // maybe by a clock that is ahead: its value wins.
        let removed = || {
            let is_removed = |item: &Self| item.field.is_none() && item.payload.is_none();
            is_removed(self).cmp(&is_removed(other))
        };
        let rest = || (&self.payload, self.expires_ms).cmp(&(&other.payload, other.expires_ms));
        written.then_with(removed).then_with(rest)
    }
}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Item {
    /// What removing the appended item with this stamp leaves; its grace counts from `unix_ms`.
    ///
    /// ```
    /// use kadmap_core::{Clock, Item};
    /// let stamp = Clock::new(1).stamp(1_000);
    /// assert_eq!(Item::removed(stamp, 5_000).death_ms(), Some(5_000));
    /// ```
    pub fn removed(stamp: Stamp, unix_ms: u64) -> Self {
        Self { stamp, field: None, payload: None, expires_ms: Some(unix_ms) }
    }

    /// When it stopped being readable: its expiry, or for a tombstone the time of the removal, which no clock puts before
    /// the write, or of the expiry of what it covers, whichever is later.
    pub fn death_ms(&self) -> Option<u64> {
        match &self.payload {
            Some(_) => self.expires_ms,
            None => Some(self.expires_ms.unwrap_or(0).max(self.stamp.unix_ms())),
        }
    }

    /// What tells this item from the others of its record.
    pub fn id(&self) -> ItemId {
        match &self.field {
            None => ItemId::Appended(self.stamp),
            Some(name) => ItemId::Field(name.clone()),
        }
    }

    /// Whether there is something to read at this time.
    pub fn is_live(&self, unix_ms: u64) -> bool {
        self.payload.is_some() && !is_expired(self.expires_ms, unix_ms)
    }

    /// What its bytes count against limits: payload and field name.
    pub fn bytes(&self) -> usize {
        self.payload.as_ref().map_or(0, |payload| payload.bytes.len())
            + self.field.as_ref().map_or(0, Bytes::len)
    }
}

fn is_expired(expires_ms: Option<u64>, unix_ms: u64) -> bool {
    expires_ms.is_some_and(|at| at <= unix_ms)
}
