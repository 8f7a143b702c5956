//! A stretch of a list, in bounded pages.

use std::ops::RangeInclusive;

use super::{Item, ItemId, OVERHEAD_BYTES, Stamp};

/// Which appended items of a record are wanted, from which end, and how much of them at most.
///
/// ```
/// use kadmap_core::{ItemRange, Stamp};
/// let newest = ItemRange { newest_first: true, items_max: 10, ..ItemRange::default() };
/// assert_eq!((newest.from, newest.to), (Stamp::MIN, Stamp::MAX));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemRange {
    /// The lowest stamp that is wanted.
    pub from: Stamp,
    /// The highest stamp that is wanted.
    pub to: Stamp,
    /// Whether to begin at the highest.
    pub newest_first: bool,
    /// Items at most, tombstones included.
    pub items_max: usize,
    /// Payload and upkeep bytes at most; the first item is given whatever its size.
    pub bytes_max: usize,
}

impl Default for ItemRange {
    fn default() -> Self {
        let (items_max, bytes_max) = (Self::ITEMS_MAX, Self::BYTES_MAX);
        Self { from: Stamp::MIN, to: Stamp::MAX, newest_first: false, items_max, bytes_max }
    }
}

impl ItemRange {
    /// Items that a node gives in one page at most: as many small ones as fill the bytes.
    pub const ITEMS_MAX: usize = 512;
    /// Payload and upkeep bytes that a node gives in one page at most, beside one large item: 64 KiB, a fifteenth of a
    /// second at the slowest rate that is waited for.
    pub const BYTES_MAX: usize = 64 * 1024;

    /// The range with no more asked for than a node gives.
    #[must_use]
    pub fn bounded(self) -> Self {
        Self {
            items_max: self.items_max.clamp(1, Self::ITEMS_MAX),
            bytes_max: self.bytes_max.min(Self::BYTES_MAX),
            ..self
        }
    }

    /// The range without what a base with this stamp hides.
    #[must_use]
    pub fn above(self, base: Stamp) -> Self {
        if base == Stamp::MAX {
            return Self { from: Stamp::MAX, to: Stamp::MIN, ..self };
        }
        Self { from: self.from.max(if base == Stamp::MIN { base } else { base.successor() }), ..self }
    }

    /// The ids of the items in the range; `None` when it is empty.
    pub fn span(&self) -> Option<RangeInclusive<ItemId>> {
        (self.from <= self.to).then(|| ItemId::Appended(self.from)..=ItemId::Appended(self.to))
    }

    /// Takes of items that come in this range's order as many as fit a page, and looks at one more.
    ///
    /// # Errors
    /// Whatever the source of the items fails with.
    pub fn fill<E>(&self, items: impl IntoIterator<Item = Result<Item, E>>) -> Result<ItemPage, E> {
        let mut page = ItemPage::default();
        let mut bytes = 0;
        for item in items {
            let item = item?;
            bytes += item.bytes() + OVERHEAD_BYTES;
            if page.items.len() == self.items_max || (bytes > self.bytes_max && !page.items.is_empty()) {
                page.next = Some(item.stamp);
                break;
            }
            page.items.push(item);
        }
        Ok(page)
    }

    /// What is left of the range from its item with this stamp on.
    #[must_use]
    pub fn starting_at(self, next: Stamp) -> Self {
        if self.newest_first { Self { to: next, ..self } } else { Self { from: next, ..self } }
    }

    /// The part of the range before its item with this stamp; empty when that is the first.
    #[must_use]
    pub fn ending_before(self, next: Stamp) -> Self {
        let nothing = Self { from: Stamp::MAX, to: Stamp::MIN, ..self };
        match self.newest_first {
            true if next == Stamp::MAX => nothing,
            true => Self { from: self.from.max(next.successor()), ..self },
            false if next == Stamp::MIN => nothing,
            false => Self { to: self.to.min(next.predecessor()), ..self },
        }
    }

    /// Which of two places in the range comes first.
    pub fn earlier(&self, one: Stamp, other: Stamp) -> Stamp {
        if self.newest_first { one.max(other) } else { one.min(other) }
    }

    /// Whether an appended item with this stamp is in the range.
    pub fn contains(&self, stamp: Stamp) -> bool {
        (self.from..=self.to).contains(&stamp)
    }
}

/// Some appended items of a record, in the order of their range.
///
/// ```
/// assert_eq!(kadmap_core::ItemPage::default().next, None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ItemPage {
    /// The items, tombstones included.
    pub items: Vec<Item>,
    /// The stamp of the first item of the range that did not fit; `None` when the range has no more.
    pub next: Option<Stamp>,
}
