//! The heads of the records that were used last.

use std::collections::HashMap;

use kadmap_core::RecordId;

use crate::plan::Entry;

/// A bounded map that forgets what was not used for long.
///
/// Two generations stand in for exact order of use: what is used moves to the young one, and when that is full
/// the old one goes. Hashes are seeded, because strangers choose the names.
#[derive(Debug)]
pub(crate) struct HeadCache {
    young: HashMap<RecordId, Entry>,
    old: HashMap<RecordId, Entry>,
    generation_max: usize,
}

impl HeadCache {
    pub(crate) fn new(heads_max: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), generation_max: (heads_max / 2).max(1) }
    }

    pub(crate) fn find(&mut self, id: &RecordId) -> Option<Entry> {
        if let Some(entry) = self.young.get(id) {
            return Some(*entry);
        }
        let (id, entry) = self.old.remove_entry(id)?;
        self.insert(id, entry);
        Some(entry)
    }

    pub(crate) fn set(&mut self, id: &RecordId, entry: Option<Entry>) {
        match (entry, self.young.get_mut(id)) {
            (Some(entry), Some(place)) => *place = entry,
            (Some(entry), None) => {
                self.old.remove(id);
                self.insert(id.clone(), entry);
            }
            (None, _) => {
                self.young.remove(id);
                self.old.remove(id);
            }
        }
    }

    fn insert(&mut self, id: RecordId, entry: Entry) {
        if self.young.len() >= self.generation_max {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kadmap_core::Key;

    fn id(number: u8) -> RecordId {
        RecordId::new(Key::from_bytes([number; 32]), vec![number])
    }

    #[test]
    fn it_stays_bounded_and_keeps_what_is_used() {
        let mut cache = HeadCache::new(10);
        for number in 0..100 {
            cache.set(&id(number), Some(Entry::default()));
            assert!(cache.find(&id(0)).is_some(), "used each time");
            assert!(cache.young.len() + cache.old.len() <= 10);
        }
        assert!(cache.find(&id(50)).is_none());
        cache.set(&id(0), None);
        assert!(cache.find(&id(0)).is_none());
    }
}
