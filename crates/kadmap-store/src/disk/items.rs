//! Some items of a record in order: what is on its way to the disk laid over what is on it.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::iter::Peekable;

use kadmap_core::{Item, ItemId, ItemPage, ItemRange, RecordId, Stamp};

use super::codec::{Table, open, part_key, parts_prefix, read_part};
use super::fault::Fault;
use super::file::{BadRow, DiskFile};
use super::layer::{Layer, Pending};
use crate::part::Part;

/// What a source has under a stamp.
enum Found {
    Item(Item),
    /// It is taken out by a layer.
    Gone,
    /// Its row is not what was written.
    Bad,
    Failed(redb::Error),
}

/// Why a page came to nothing.
enum Stop {
    Bad,
    Failed(redb::Error),
}

type Entry = (Stamp, Found);

/// What the layers that are not on disk yet say of one record, newest first.
pub(crate) struct Layers<'a> {
    records: Vec<&'a Pending>,
    /// Keys of rows to be taken out, whatever they hold.
    strays: BTreeSet<&'a [u8]>,
}

impl<'a> Layers<'a> {
    pub(crate) fn new(id: &RecordId, layers: impl Iterator<Item = &'a Layer> + Clone) -> Self {
        let strays = layers.clone().flat_map(|layer| &layer.strays);
        let strays = strays.filter(|stray| stray.table == Table::Parts).map(|stray| stray.key.as_slice());
        Self { strays: strays.collect(), records: layers.filter_map(|layer| layer.records.get(id)).collect() }
    }

    /// Fills a page from the layers and from rows that come in the order of the range.
    fn fill(&self, range: &ItemRange, rows: impl Iterator<Item = Entry> + 'a) -> Result<ItemPage, Stop> {
        let newest_first = range.newest_first;
        let mut all: Box<dyn Iterator<Item = Entry> + '_> = Box::new(rows);
        for pending in self.records.iter().rev() {
            let newer = entries(pending, range).peekable();
            all = Box::new(Overlay { newer, older: all.peekable(), newest_first });
        }
        range.fill(all.filter_map(|(_, found)| match found {
            Found::Item(item) => Some(Ok(item)),
            Found::Gone => None,
            Found::Bad => Some(Err(Stop::Bad)),
            Found::Failed(error) => Some(Err(Stop::Failed(error))),
        }))
    }
}

/// What one layer writes and takes out in a range, in its order.
fn entries<'a>(pending: &'a Pending, range: &ItemRange) -> Box<dyn Iterator<Item = Entry> + 'a> {
    let Some(span) = range.span() else { return Box::new(std::iter::empty()) };
    let entry = |(id, item): (&ItemId, &Option<Item>)| match id {
        ItemId::Appended(stamp) => Some((*stamp, item.clone().map_or(Found::Gone, Found::Item))),
        ItemId::Field(_) => None,
    };
    let entries = pending.items.range(span);
    if range.newest_first {
        Box::new(entries.rev().filter_map(entry))
    } else {
        Box::new(entries.filter_map(entry))
    }
}

/// Two sources in one order; what the newer says of a stamp counts.
struct Overlay<A: Iterator, B: Iterator> {
    newer: Peekable<A>,
    older: Peekable<B>,
    newest_first: bool,
}

impl<A: Iterator<Item = Entry>, B: Iterator<Item = Entry>> Iterator for Overlay<A, B> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let order = match (self.newer.peek(), self.older.peek()) {
            (Some((newer, _)), Some((older, _))) if self.newest_first => older.cmp(newer),
            (Some((newer, _)), Some((older, _))) => newer.cmp(older),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        if order == Ordering::Equal {
            self.older.next();
        }
        if order == Ordering::Greater { self.older.next() } else { self.newer.next() }
    }
}

impl DiskFile {
    /// Some items of a record as they are once the layers are on disk; costs what it gives.
    pub(crate) fn items(
        &self,
        id: &RecordId,
        range: &ItemRange,
        layers: &Layers<'_>,
    ) -> Result<Result<ItemPage, BadRow>, Fault> {
        let Some(span) = range.span() else { return Ok(Ok(ItemPage::default())) };
        let prefix = parts_prefix(id);
        let [first, last] = [span.start(), span.end()].map(|item| part_key(id, &Part::Item(item.clone())));
        let start = if range.newest_first { range.to } else { range.from };
        let entry = |row: Result<Row<'_>, redb::StorageError>| {
            let (key, row) = match row {
                Ok(row) => row,
                // The reading ends with it, wherever it stands.
                Err(error) => return Some((start, Found::Failed(error.into()))),
            };
            let key = key.value();
            if layers.strays.contains(key) {
                return None;
            }
            match key.strip_prefix(prefix.as_slice()).and_then(read_part) {
                Some(Part::Item(ItemId::Appended(stamp))) => {
                    Some((stamp, open(Table::Parts, key, row.value()).map_or(Found::Bad, Found::Item)))
                }
                _ => Some((start, Found::Bad)),
            }
        };
        self.read(|view| {
            let rows = view.parts.range::<&[u8]>(first.as_slice()..=last.as_slice())?;
            let page = if range.newest_first {
                layers.fill(range, rows.rev().filter_map(entry))
            } else {
                layers.fill(range, rows.filter_map(entry))
            };
            match page {
                Ok(page) => Ok(Ok(page)),
                Err(Stop::Bad) => Ok(Err(BadRow)),
                Err(Stop::Failed(error)) => Err(error),
            }
        })
    }
}

type Row<'a> = (redb::AccessGuard<'a, &'static [u8]>, redb::AccessGuard<'a, &'static [u8]>);
