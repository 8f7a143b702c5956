//! What a watch has told: enough to know what is news, and no payloads.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::operation::News;
use crate::record::{Base, Codec, Item, ItemId, Payload, Record, Shape, Stamp, Version};

/// One thing that a write put into a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Base(Base),
    Item(Item),
}

impl Part {
    /// What a record is made of.
    pub(super) fn all_of(record: Record) -> impl Iterator<Item = Self> {
        let (base, items) = record.into_parts();
        base.map(Self::Base).into_iter().chain(items.map(Self::Item))
    }

    pub(super) fn stamp(&self) -> Stamp {
        match self {
            Self::Base(base) => base.stamp,
            Self::Item(item) => item.stamp,
        }
    }

    /// What tells it from the other parts; `None` for the base.
    pub(super) fn id(&self) -> Option<ItemId> {
        match self {
            Self::Base(_) => None,
            Self::Item(item) => Some(item.id()),
        }
    }

    /// Whether a record holds this very part.
    pub(super) fn is_in(&self, record: &Record) -> bool {
        match self {
            Self::Base(base) => record.base().is_some_and(|held| held.stamp == base.stamp),
            Self::Item(item) => {
                record.item(&item.id()).is_some_and(|held| held.stamp == item.stamp && held >= item)
            }
        }
    }

    fn expires_ms(&self) -> Option<u64> {
        match self {
            Self::Base(base) => base.expires_ms.filter(|_| base.payload.is_some()),
            Self::Item(item) => item.expires_ms.filter(|_| item.payload.is_some()),
        }
    }

    pub(super) fn into_news(self) -> News {
        match self {
            Self::Base(base) => News::Base(base),
            Self::Item(item) => News::Item(item),
        }
    }
}

/// The parts of a record by stamp: 16 bytes for an appended item, whatever it holds.
#[derive(Debug, Default)]
pub(super) struct Known {
    base: Stamp,
    /// In stamp order, all above the base; those that were removed as well.
    appended: Vec<Stamp>,
    /// The time of each removal among them.
    removed: BTreeMap<Stamp, Option<u64>>,
    fields: BTreeMap<Bytes, Stamp>,
    version: Version,
    /// What will expire, by the time in milliseconds since 1970.
    deaths: BTreeSet<(u64, Stamp, Option<ItemId>)>,
}

impl Known {
    /// Whether a part is known already, or covered by what is.
    pub(super) fn covers(&self, part: &Part) -> bool {
        let stamp = part.stamp();
        if stamp <= self.base {
            return true;
        }
        match part {
            Part::Base(_) => false,
            Part::Item(Item { field: Some(field), .. }) => {
                self.fields.get(field).is_some_and(|held| *held >= stamp)
            }
            Part::Item(item) => match (self.removed.get(&stamp), &item.payload) {
                (Some(at), None) => *at >= item.expires_ms,
                (None, None) => false,
                (Some(_), Some(_)) => true,
                (None, Some(_)) => self.appended.binary_search(&stamp).is_ok(),
            },
        }
    }

    /// Takes an appended item that it holds into a version, or out of it.
    fn toggle_appended(&self, version: &mut Version, stamp: Stamp) {
        toggle_appended(version, stamp, self.removed.get(&stamp).copied());
    }

    /// Takes a part in; tells whether that changed anything.
    pub(super) fn take(&mut self, part: &Part) -> bool {
        if self.covers(part) {
            return false;
        }
        match part {
            Part::Base(base) => self.take_base(base.stamp),
            Part::Item(item) => {
                if let Some(field) = &item.field {
                    if let Some(old) = self.fields.insert(field.clone(), item.stamp) {
                        toggle_item(&mut self.version, old, Some(field));
                        self.deaths.retain(|(_, stamp, _)| *stamp != old);
                    }
                } else {
                    self.take_appended(item);
                }
                if item.field.is_some() {
                    toggle_item(&mut self.version, item.stamp, item.field.as_ref());
                }
            }
        }
        if let Some(at_ms) = part.expires_ms() {
            self.deaths.insert((at_ms, part.stamp(), part.id()));
        }
        true
    }

    /// What has expired by now, and is to be told once.
    pub(super) fn pop_expired(&mut self, unix_ms: u64) -> Option<Option<ItemId>> {
        let (at_ms, ..) = self.deaths.first()?;
        if *at_ms > unix_ms {
            return None;
        }
        let (_, stamp, id) = self.deaths.pop_first()?;
        if let Some(ItemId::Appended(_)) = &id
            && let Ok(place) = self.appended.binary_search(&stamp)
        {
            // The replicas drop it within seconds, and without a word: every one knows when.
            let mut version = self.version;
            self.toggle_appended(&mut version, stamp);
            self.version = version;
            self.appended.remove(place);
        }
        Some(id)
    }

    /// When something expires next, in milliseconds since 1970.
    pub(super) fn next_death_ms(&self) -> Option<u64> {
        self.deaths.first().map(|(at_ms, ..)| *at_ms)
    }

    /// The state of a record that holds these parts too.
    pub(super) fn version_with<'a>(&self, parts: impl Iterator<Item = &'a Part> + Clone) -> Version {
        let mut version = self.version;
        let base = parts.clone().filter_map(|part| match part {
            Part::Base(base) if base.stamp > self.base => Some(base.stamp),
            _ => None,
        });
        let base = base.max().unwrap_or(self.base);
        if base > self.base {
            version = Version::ABSENT;
            toggle_base(&mut version, base);
            let kept = self.appended.iter().filter(|stamp| **stamp > base);
            kept.for_each(|stamp| self.toggle_appended(&mut version, *stamp));
            let kept = self.fields.iter().filter(|(_, stamp)| **stamp > base);
            kept.for_each(|(field, stamp)| toggle_item(&mut version, *stamp, Some(field)));
        }
        let mut fields: BTreeMap<&Bytes, Stamp> = BTreeMap::new();
        let mut appended: BTreeMap<Stamp, &Item> = BTreeMap::new();
        for part in parts {
            let Part::Item(item) = part else { continue };
            if item.stamp <= base || self.covers(part) {
                continue;
            }
            match &item.field {
                None => {
                    let newest = appended.entry(item.stamp).or_insert(item);
                    *newest = item.max(newest);
                }
                Some(field) => {
                    let newest = fields.entry(field).or_default();
                    *newest = item.stamp.max(*newest);
                }
            }
        }
        for item in appended.into_values() {
            if self.appended.binary_search(&item.stamp).is_ok() {
                self.toggle_appended(&mut version, item.stamp);
            }
            version.toggle_item(item);
        }
        for (field, stamp) in fields {
            if let Some(old) = self.fields.get(field).filter(|old| **old > base) {
                toggle_item(&mut version, *old, Some(field));
            }
            toggle_item(&mut version, stamp, Some(field));
        }
        version
    }

    fn take_appended(&mut self, item: &Item) {
        let mut version = self.version;
        match self.appended.binary_search(&item.stamp) {
            Ok(_) => self.toggle_appended(&mut version, item.stamp),
            Err(place) => self.appended.insert(place, item.stamp),
        }
        if item.payload.is_none() {
            self.removed.insert(item.stamp, item.expires_ms);
            self.deaths.retain(|(_, stamp, _)| *stamp != item.stamp);
        }
        self.toggle_appended(&mut version, item.stamp);
        self.version = version;
    }

    fn take_base(&mut self, stamp: Stamp) {
        if self.base > Stamp::MIN {
            toggle_base(&mut self.version, self.base);
        }
        let covered = self.appended.partition_point(|item| *item <= stamp);
        for item in self.appended.drain(..covered) {
            toggle_appended(&mut self.version, item, self.removed.remove(&item));
        }
        let version = &mut self.version;
        self.fields.retain(|field, item| {
            let stays = *item > stamp;
            if !stays {
                toggle_item(version, *item, Some(field));
            }
            stays
        });
        self.deaths.retain(|(_, item, _)| *item > stamp);
        self.base = stamp;
        toggle_base(&mut self.version, stamp);
    }
}

fn toggle_base(version: &mut Version, stamp: Stamp) {
    version.toggle_base(&Base { stamp, shape: Shape::Value, payload: None, expires_ms: None });
}

/// Takes an appended item into a version, or out of it; with the time of its removal if it was removed.
fn toggle_appended(version: &mut Version, stamp: Stamp, removed: Option<Option<u64>>) {
    let payload = removed.is_none().then(|| Payload::new(Codec::Bytes, Bytes::new()));
    version.toggle_item(&Item { stamp, field: None, payload, expires_ms: removed.flatten() });
}

fn toggle_item(version: &mut Version, stamp: Stamp, field: Option<&Bytes>) {
    version.toggle_item(&Item { stamp, field: field.cloned(), payload: None, expires_ms: None });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(time: u8, kind: u8) -> Part {
        let stamp = Stamp { time: u64::from(time) + 1, writer: u64::from(kind) };
        let payload = Some(Payload::new(Codec::Bytes, vec![kind]));
        let item = |field| Part::Item(Item { stamp, field, payload: payload.clone(), expires_ms: None });
        match kind % 5 {
            4 => Part::Item(Item {
                stamp: Stamp { time: u64::from(time) + 1, writer: 3 },
                field: None,
                payload: None,
                expires_ms: Some(kind.into()),
            }),
            0 => Part::Base(Base { stamp, shape: Shape::Value, payload, expires_ms: None }),
            1 => item(Some(Bytes::from_static(b"f"))),
            2 => item(Some(Bytes::from_static(b"g"))),
            _ => item(None),
        }
    }

    fn delta(part: &Part) -> Record {
        match part.clone() {
            Part::Base(base) => base.into(),
            Part::Item(item) => item.into(),
        }
    }

    proptest! {
        #[test]
        fn it_is_in_the_state_of_the_record_with_the_same_parts(
            parts in prop::collection::vec((0u8..20, 0u8..10), 0..30),
            split in 0usize..30,
        ) {
            let parts: Vec<_> = parts.into_iter().map(|(time, kind)| part(time, kind)).collect();
            let mut record = Record::default();
            let mut known = Known::default();
            let (first, rest) = parts.split_at(split.min(parts.len()));
            for part in first {
                prop_assert_eq!(known.take(part), record.merge(delta(part)), "{:?}", part);
                prop_assert_eq!(known.version, record.head().version);
            }
            for part in rest {
                record.merge(delta(part));
            }
            prop_assert_eq!(known.version_with(rest.iter()), record.head().version);
            for part in rest {
                known.take(part);
            }
            prop_assert_eq!(known.version, record.head().version);
            prop_assert!(Part::all_of(record.clone()).all(|part| known.covers(&part) && part.is_in(&record)));
        }
    }

    #[test]
    fn what_expires_is_told_once_and_not_when_it_was_replaced() {
        let put = |time, expires_ms| {
            let stamp = Stamp { time, writer: 1 };
            let payload = Some(Payload::new(Codec::Bytes, "x"));
            Part::Base(Base { stamp, shape: Shape::Value, payload, expires_ms })
        };
        let mut known = Known::default();
        known.take(&put(1, Some(50)));
        known.take(&put(2, Some(90)));
        assert_eq!(known.next_death_ms(), Some(90), "the first one was replaced");
        assert_eq!(known.pop_expired(89), None);
        assert_eq!(known.pop_expired(90), Some(None));
        assert_eq!((known.pop_expired(90), known.next_death_ms()), (None, None));
    }
}
