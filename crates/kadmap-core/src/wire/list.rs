//! Bodies by which a list is read a page at a time.

use bytes::Bytes;
use minicbor::{Decode, Encode};

use super::Want;
use crate::record::{ItemRange, Record, Shape, Stamp, Version};
use crate::{Key, RecordId};

/// Asks for some of a record's appended items.
///
/// ```
/// use kadmap_core::wire::Items;
/// use kadmap_core::{ItemRange, Key, RecordId};
/// let record = RecordId::new(Key::of_name(b"list"), "list");
/// let range = ItemRange { items_max: 10, ..ItemRange::default() };
/// assert_eq!(Items::new(&record, &range, true).range(), range);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Items {
    /// Its place.
    #[n(0)]
    pub key: Key,
    /// Its name.
    #[cbor(n(1), with = "crate::record::cbor_bytes")]
    pub name: Bytes,
    /// All of the page, or only what tells it from another.
    #[n(2)]
    pub want: Want,
    /// The lowest stamp that is wanted.
    #[n(3)]
    pub from: Stamp,
    /// The highest stamp that is wanted.
    #[n(4)]
    pub to: Stamp,
    /// Whether the page begins at the highest stamp.
    #[n(5)]
    pub newest_first: bool,
    /// Items at most, tombstones included; the answering node has a limit of its own.
    #[n(6)]
    pub items_max: u32,
    /// Payload and upkeep bytes at most; the answering node has a limit of its own.
    #[n(7)]
    pub bytes_max: u32,
    /// Whether the list that was put is wanted too.
    #[n(8)]
    pub with_base: bool,
}

impl Items {
    /// Asks for a page of a record.
    pub fn new(record: &RecordId, range: &ItemRange, with_base: bool) -> Self {
        Self {
            key: record.key,
            name: record.name.clone(),
            want: Want::Record,
            from: range.from,
            to: range.to,
            newest_first: range.newest_first,
            items_max: u32::try_from(range.items_max).unwrap_or(u32::MAX),
            bytes_max: u32::try_from(range.bytes_max).unwrap_or(u32::MAX),
            with_base,
        }
    }

    /// The record that is asked for.
    pub fn record(&self) -> RecordId {
        RecordId { key: self.key, name: self.name.clone() }
    }

    /// The range that is asked for.
    pub fn range(&self) -> ItemRange {
        ItemRange {
            from: self.from,
            to: self.to,
            newest_first: self.newest_first,
            items_max: usize::try_from(self.items_max).unwrap_or(usize::MAX),
            bytes_max: usize::try_from(self.bytes_max).unwrap_or(usize::MAX),
        }
    }
}

/// Some appended items of a record.
///
/// ```
/// use kadmap_core::wire::Page;
/// assert!(Page::default().record.is_absent());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Page {
    /// The state of the whole record; absent when nothing is held.
    #[n(0)]
    pub record: Version,
    /// What is there.
    #[n(1)]
    pub shape: Option<Shape>,
    /// The base's stamp, which hides all items up to it; the lowest when there is none.
    #[n(2)]
    pub base_stamp: Stamp,
    /// The items, tombstones included, and the list that was put if it was asked for.
    #[n(3)]
    pub part: Record,
    /// The stamp of the first item of the range that did not fit; `None` when the range has no more.
    #[n(4)]
    pub next: Option<Stamp>,
}

impl Page {
    /// What tells this page from another of the same range.
    pub fn summary(&self) -> PageSummary {
        let mut page = Version::ABSENT;
        self.part.items().for_each(|item| page.toggle_item(item));
        PageSummary { record: self.record, page, base_stamp: self.base_stamp, next: self.next }
    }
}

/// What tells a page from others of the same range: equal summaries mean equal pages.
///
/// ```
/// use kadmap_core::wire::Page;
/// assert_eq!(Page::default().summary().next, None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PageSummary {
    /// The state of the whole record; absent when nothing is held.
    #[n(0)]
    pub record: Version,
    /// The part of it that the page's items make.
    #[n(1)]
    pub page: Version,
    /// The base's stamp; the lowest when there is none.
    #[n(2)]
    pub base_stamp: Stamp,
    /// As in [`Page::next`].
    #[n(3)]
    pub next: Option<Stamp>,
}
