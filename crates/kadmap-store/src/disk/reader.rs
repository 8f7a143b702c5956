//! A record as it stands: what is on its way to the disk, then what is on it.

use std::collections::BTreeMap;

use kadmap_core::{Base, Item, ItemId, Record, RecordId, Stamp, StoreError};

use super::codec::Stored;
use super::fault::Fault;
use super::file::{BadRow, DiskFile};
use super::flusher::Shared;
use super::layer::{Pending, Unflushed};
use super::open::mark_for_check;
use crate::part::Part;
use crate::plan::{Entry, Parts};

/// Reads through the unflushed layers to the file.
///
/// The layers are always looked at before the file: between the two a flush may end, and what it moved from the
/// one to the other is then seen twice rather than not at all.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) file: &'a DiskFile,
}

impl Reader<'_> {
    /// What the newest layer that knows of the record says.
    pub(crate) fn unflushed<T>(&self, id: &RecordId, look: impl Fn(&Pending) -> Option<T>) -> Option<T> {
        let state = self.shared.lock();
        state.active.records.get(id).and_then(&look).or_else(|| {
            let flushing = state.flushing.as_ref()?;
            flushing.records.get(id).and_then(look)
        })
    }

    pub(crate) fn entry(&self, id: &RecordId) -> Result<Option<Entry>, StoreError> {
        if let Some(entry) = self.unflushed(id, |pending| Some(pending.entry)) {
            return Ok(entry);
        }
        self.settle(self.file.entry(id))
    }

    fn part(&self, id: &RecordId, part: &Part) -> Result<Option<Stored>, StoreError> {
        if let Some(stored) = self.unflushed(id, |pending| pending.part(part)) {
            return Ok(stored);
        }
        self.settle(self.file.part(id, part))
    }

    pub(crate) fn base(&self, id: &RecordId) -> Result<Option<Base>, StoreError> {
        match self.part(id, &Part::Base)? {
            Some(Stored::Base(base)) => Ok(Some(base)),
            _ => Ok(None),
        }
    }

    pub(crate) fn item(&self, id: &RecordId, item: &ItemId) -> Result<Option<Item>, StoreError> {
        match self.part(id, &Part::Item(item.clone()))? {
            Some(Stored::Item(item)) => Ok(Some(item)),
            _ => Ok(None),
        }
    }

    /// The whole record, held against its head: an item that the file lost is noticed here.
    pub(crate) fn load(&self, id: &RecordId, entry: Entry) -> Result<Record, StoreError> {
        let unflushed = self.unflushed_parts(id);
        let stored = self.settle(self.file.parts(id, &unflushed))?;
        let mut parts: BTreeMap<Part, Stored> = stored.into_iter().collect();
        parts.extend(unflushed.parts.into_iter().filter_map(|(part, stored)| Some((part, stored?))));
        let mut base = None;
        let mut items = Vec::with_capacity(parts.len());
        for stored in parts.into_values() {
            match stored {
                Stored::Base(stored) => base = Some(stored),
                Stored::Item(item) => items.push(item),
            }
        }
        let record = Record::from_parts(base, items);
        let mut head = record.head();
        head.newest = entry.head.newest;
        if head != entry.head { Err(StoreError::Damaged) } else { Ok(record) }
    }

    /// The parts of the record that are not on disk yet, and those to be removed from it.
    pub(crate) fn unflushed_parts(&self, id: &RecordId) -> Unflushed {
        let state = self.shared.lock();
        let mut unflushed = Unflushed::default();
        state
            .flushing
            .as_deref()
            .into_iter()
            .chain([&state.active])
            .for_each(|layer| unflushed.add(id, layer));
        unflushed
    }

    /// What a read came to, in the caller's words.
    fn settle<T>(&self, read: Result<Result<T, BadRow>, Fault>) -> Result<T, StoreError> {
        read.map_err(|fault| self.failed(&fault))?.map_err(|BadRow| StoreError::Damaged)
    }

    /// Takes note that the file itself failed: nothing is acknowledged until it works again.
    pub(crate) fn failed(&self, fault: &Fault) -> StoreError {
        if matches!(fault, Fault::Damaged(_)) {
            mark_for_check(self.file.path());
        }
        self.shared.fail_reading(self.file, fault);
        let path = self.file.path().display();
        StoreError::Failed { reason: format!("cannot read '{path}': {}; {}", fault.reason(), fault.remedy()) }
    }
}

/// The parts of one record, as a plan looks at them.
pub(crate) struct RecordParts<'a> {
    pub(crate) reader: Reader<'a>,
    pub(crate) id: &'a RecordId,
}

impl Parts for RecordParts<'_> {
    fn base(&mut self) -> Result<Option<Base>, StoreError> {
        // The head says that there is one.
        self.reader.base(self.id)?.map(Some).ok_or(StoreError::Damaged)
    }

    fn item(&mut self, id: &ItemId) -> Result<Option<Item>, StoreError> {
        self.reader.item(self.id, id)
    }

    fn items_up_to(&mut self, stamp: Stamp, fields: bool) -> Result<Vec<Item>, StoreError> {
        let unflushed = self.reader.unflushed_parts(self.id);
        let stored = self.reader.file.items_up_to(self.id, stamp, fields, &unflushed);
        let mut items = self.reader.settle(stored)?;
        items.extend(unflushed.parts.into_values().filter_map(|stored| match stored {
            Some(Stored::Item(item)) if item.stamp <= stamp => Some(item),
            _ => None,
        }));
        Ok(items)
    }
}
