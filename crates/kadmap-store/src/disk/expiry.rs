//! Doing to what is stored what time does to it, at the cost of what is due.

use std::collections::{BTreeMap, BTreeSet};

use kadmap_core::{Fate, RecordId, RecordStore, StoreError, base_due_ms, item_due_ms, item_fate};

use super::RedbStore;
use super::codec::{Stored, Table};
use super::layer::Stray;
use crate::part::{Death, Part, parts_max};
use crate::plan::Entry;

/// When time next does something to a part.
pub(super) fn due_ms(stored: &Stored, grace_ms: u64) -> Option<u64> {
    match stored {
        Stored::Base(base) => base_due_ms(base, grace_ms),
        Stored::Item(item) => item_due_ms(item, grace_ms),
    }
}

/// What is to be done about one entry of the index.
enum Aged {
    /// Nothing yet; it is due at another time, or never.
    NotDue(Option<u64>),
    /// The part becomes this, or nothing, and the record's entry that.
    To(Option<Stored>, Entry),
}

impl RedbStore {
    /// See [`RecordStore::expire`].
    pub(super) fn age_parts(&mut self, unix_ms: u64, limit: usize) -> Result<Vec<RecordId>, StoreError> {
        let (due, bad) = self.due(unix_ms, parts_max(limit))?;
        if !bad.is_empty() {
            let stray = |key| Stray { table: Table::Deaths, key, keep: None };
            self.write(self.usage, |layer| layer.strays.extend(bad.into_iter().map(stray)))?;
        }
        let mut touched = BTreeSet::new();
        for death in due {
            if touched.len() == limit && !touched.contains(&death.id) {
                break;
            }
            let id = death.id.clone();
            match self.age_part(death, unix_ms) {
                Ok(false) => {}
                // What is damaged has been set aside.
                Ok(true) | Err(StoreError::Damaged) => touched.extend([id]),
                Err(error) => return Err(error),
            }
        }
        Ok(touched.into_iter().collect())
    }

    /// The deaths up to a time, in order, and the rows among them that are not what was written.
    fn due(&self, unix_ms: u64, limit: usize) -> Result<(Vec<Death>, Vec<Vec<u8>>), StoreError> {
        // Copied, because the layers have to be looked at before the file.
        let mut unflushed = BTreeMap::new();
        {
            let state = self.shared.lock();
            let layers = state.flushing.as_deref().into_iter().chain([&state.active]);
            for layer in layers {
                let due = layer.deaths.iter().take_while(|(death, _)| death.at_ms <= unix_ms);
                unflushed.extend(due.map(|(death, stands)| (death.clone(), *stands)));
            }
        }
        let struck = unflushed.values().filter(|stands| !**stands).count();
        let rows = self.file.deaths(unix_ms, limit.saturating_add(struck));
        let mut bad = Vec::new();
        let mut due = BTreeSet::new();
        for row in rows.map_err(|fault| self.reader().failed(&fault))? {
            match row {
                Ok(death) => due.extend([death]),
                Err(key) => bad.push(key),
            }
        }
        for (death, stands) in unflushed {
            match stands {
                true => due.insert(death),
                false => due.remove(&death),
            };
        }
        Ok((due.into_iter().take(limit).collect(), bad))
    }

    /// Does to one part what time does; tells whether that changed anything.
    fn age_part(&mut self, death: Death, unix_ms: u64) -> Result<bool, StoreError> {
        let grace_ms = self.config.tombstone_grace_ms;
        let before = self.entry(&death.id)?;
        let aged = match before {
            Some(entry) => self.look_at(&death, entry, unix_ms)?,
            None => Aged::NotDue(None),
        };
        let (Some(before), Aged::To(new, after)) = (before, &aged) else {
            let Aged::NotDue(due_ms) = aged else { return Ok(false) };
            self.write(self.usage, |layer| layer.strike(death, due_ms))?;
            return Ok(false);
        };
        let id = death.id.clone();
        let after = Some(*after).filter(|entry| !entry.is_empty());
        let mut usage = self.usage;
        usage.records = usage.records.saturating_sub(u64::from(after.is_none()));
        let bytes_after = after.map_or(0, |entry| entry.bytes(&id));
        usage.bytes = usage.bytes.saturating_sub(before.bytes(&id)) + bytes_after;
        let new = new.clone().map(|stored| (stored.clone(), due_ms(&stored, grace_ms)));
        self.write(usage, |layer| layer.age(death, new, after))?;
        self.cache.set(&id, after);
        Ok(true)
    }

    /// What is to be done about one entry of the index.
    fn look_at(&mut self, death: &Death, before: Entry, unix_ms: u64) -> Result<Aged, StoreError> {
        let grace_ms = self.config.tombstone_grace_ms;
        let mut after = before;
        match &death.part {
            Part::Base if before.base_bytes.is_none() => Ok(Aged::NotDue(None)),
            Part::Base => {
                let new = match before.base_fate(unix_ms, grace_ms) {
                    Fate::Stays => return Ok(Aged::NotDue(before.base_due_ms(grace_ms))),
                    Fate::Buried(tombstone) => Some(tombstone),
                    Fate::Gone => None,
                };
                after.replace_base(new.as_ref());
                Ok(Aged::To(new.map(Stored::Base), after))
            }
            Part::Item(item_id) => {
                let Some(item) = self.item(&death.id, item_id)? else { return Ok(Aged::NotDue(None)) };
                let new = match item_fate(&item, unix_ms, grace_ms) {
                    Fate::Stays => return Ok(Aged::NotDue(item_due_ms(&item, grace_ms))),
                    Fate::Buried(tombstone) => Some(tombstone),
                    Fate::Gone => None,
                };
                after.head.item_removed(&item);
                new.iter().for_each(|tombstone| after.head.item_added(tombstone));
                Ok(Aged::To(new.map(Stored::Item), after))
            }
        }
    }
}
