//! Writes that are not on disk yet, kept so that the caller sees them at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use kadmap_core::{Base, Item, ItemId, Presence, RecordId, Ticket, Usage, base_due_ms, item_due_ms};

use super::codec::{Stored, Table};
use crate::part::{Death, Part};
use crate::plan::{Change, Entry};

/// Memory that a record or an item takes in a layer beside its payload: with its share of the tree, rounded up.
const ROW_BYTES: usize = 512;

/// What one flush writes.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    pub(crate) records: BTreeMap<RecordId, Pending>,
    /// Deaths to write down, or to strike out.
    pub(crate) deaths: BTreeMap<Death, bool>,
    /// Rows that leave their tables as they are; applied before all else.
    pub(crate) strays: Vec<Stray>,
    /// What the store holds once this layer is on disk.
    pub(crate) usage: Usage,
    /// Up to when the store's node is known to have been part of its swarm, if that is new.
    pub(crate) presence: Option<Presence>,
    /// What it costs in memory, about.
    pub(crate) bytes: usize,
    pub(crate) ticket: Ticket,
    /// When the first write entered.
    pub(crate) since: Option<Instant>,
}

/// What a layer knows of one record.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// The record's entry; `None` when the record is gone.
    pub(crate) entry: Option<Entry>,
    /// The base, when this layer writes or removes it.
    pub(crate) base: Option<Option<Base>>,
    /// The items that this layer writes or removes.
    pub(crate) items: BTreeMap<ItemId, Option<Item>>,
}

/// A row to take out by its key, whatever that means.
#[derive(Debug)]
pub(crate) struct Stray {
    pub(crate) table: Table,
    pub(crate) key: Vec<u8>,
    /// What it held, when it is to be kept for a look.
    pub(crate) keep: Option<Vec<u8>>,
}

impl Pending {
    /// What this layer knows of a part: `Some(None)` when it removes it.
    pub(crate) fn part(&self, part: &Part) -> Option<Option<Stored>> {
        match part {
            Part::Base => self.base.as_ref().map(|base| base.clone().map(Stored::Base)),
            Part::Item(id) => self.items.get(id).map(|item| item.clone().map(Stored::Item)),
        }
    }
}

/// What the layers say of one record's parts, the newer one on top.
#[derive(Debug, Default)]
pub(crate) struct Unflushed {
    /// Parts to be written, and those to be removed.
    pub(crate) parts: BTreeMap<Part, Option<Stored>>,
    /// Keys of rows to be taken out, whatever they hold.
    strays: BTreeSet<Vec<u8>>,
}

impl Unflushed {
    /// Takes in a layer that is newer than those before it.
    pub(crate) fn add(&mut self, id: &RecordId, layer: &Layer) {
        let strays = layer.strays.iter().filter(|stray| stray.table == Table::Parts);
        self.strays.extend(strays.map(|stray| stray.key.clone()));
        let Some(pending) = layer.records.get(id) else { return };
        if let Some(base) = &pending.base {
            self.parts.insert(Part::Base, base.clone().map(Stored::Base));
        }
        let items = pending.items.iter();
        self.parts.extend(items.map(|(id, item)| (Part::Item(id.clone()), item.clone().map(Stored::Item))));
    }

    /// Whether what the file holds under this key is no longer so.
    pub(crate) fn hides(&self, key: &[u8], part: Option<&Part>) -> bool {
        part.is_some_and(|part| self.parts.contains_key(part)) || self.strays.contains(key)
    }
}

impl Layer {
    pub(crate) fn is_empty(&self) -> bool {
        self.since.is_none()
    }

    /// To be called with every write.
    pub(crate) fn touch(&mut self, usage: Usage) {
        self.usage = usage;
        if self.since.is_none() {
            self.since = Some(Instant::now());
        }
    }

    /// Takes in a change of a record whose entry was `before`.
    pub(crate) fn apply(&mut self, id: &RecordId, before: Option<Entry>, change: Change, grace_ms: u64) {
        let pending = self.records.entry(id.clone()).or_default();
        self.bytes += ROW_BYTES + id.name.len();
        if let Some(base) = change.base {
            let old = before.and_then(|entry| entry.base_due_ms(grace_ms));
            mark(&mut self.deaths, id, Part::Base, old, base_due_ms(&base, grace_ms));
            self.bytes += base.bytes();
            pending.base = Some(Some(base));
        }
        for item in change.removed {
            mark(&mut self.deaths, id, Part::Item(item.id()), item_due_ms(&item, grace_ms), None);
            self.bytes += ROW_BYTES;
            pending.items.insert(item.id(), None);
        }
        for item in change.added {
            mark(&mut self.deaths, id, Part::Item(item.id()), None, item_due_ms(&item, grace_ms));
            self.bytes += ROW_BYTES + item.bytes();
            pending.items.insert(item.id(), Some(item));
        }
        pending.entry = Some(change.entry);
    }

    /// Puts `new` in the place of a part, due at the time that comes with it, or nothing; `entry` is what the record is
    /// then, `None` when nothing is left of it.
    pub(crate) fn age(&mut self, death: Death, new: Option<(Stored, Option<u64>)>, entry: Option<Entry>) {
        let pending = self.records.entry(death.id.clone()).or_default();
        let (new, due) = new.unzip();
        match (&death.part, new) {
            (Part::Base, Some(Stored::Base(base))) => pending.base = Some(Some(base)),
            (Part::Base, _) => pending.base = Some(None),
            (Part::Item(id), Some(Stored::Item(item))) => drop(pending.items.insert(id.clone(), Some(item))),
            (Part::Item(id), _) => drop(pending.items.insert(id.clone(), None)),
        }
        pending.entry = entry;
        self.bytes += 2 * ROW_BYTES;
        self.strike(death, due.flatten());
    }

    /// Takes a death out of the index, or enters it at another time.
    pub(crate) fn strike(&mut self, death: Death, due_ms: Option<u64>) {
        if let Some(at_ms) = due_ms {
            self.deaths.insert(Death { at_ms, ..death.clone() }, true);
        }
        if due_ms != Some(death.at_ms) {
            self.deaths.insert(death, false);
        }
    }

    /// Drops a record with these parts.
    pub(crate) fn drop_record(&mut self, id: &RecordId, parts: Vec<(Part, Option<u64>)>) {
        let pending = self.records.entry(id.clone()).or_default();
        pending.entry = None;
        pending.base = Some(None);
        self.bytes += (1 + parts.len()) * ROW_BYTES;
        for (part, death) in parts {
            mark(&mut self.deaths, id, part.clone(), death, None);
            if let Part::Item(item) = part {
                pending.items.insert(item, None);
            }
        }
    }
}

/// Moves a part from one time of death to another.
fn mark(deaths: &mut BTreeMap<Death, bool>, id: &RecordId, part: Part, old: Option<u64>, new: Option<u64>) {
    if let Some(at) = old {
        deaths.insert(Death::new(at, id, part.clone()), false);
    }
    if let Some(at) = new {
        deaths.insert(Death::new(at, id, part), true);
    }
}
