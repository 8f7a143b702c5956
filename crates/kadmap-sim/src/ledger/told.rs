//! Whether a watch was told what it was promised.

use std::collections::BTreeSet;

use bytes::Bytes;
use kadmap_core::{Base, Item, News, Record};

use super::{Breach, Deed, Entry, Ledger};

impl Ledger {
    /// Judges what a watch that began at a count of the [`clock`](Self::clock) has told of a record of which in the end
    /// this was `found`.
    ///
    /// Each item of an acknowledged append that began later and is still there must have been told, each item once; and of
    /// a value the last. What a deletion that was told covers is gone for the watch, even if the deletion was lost later
    /// with all its holders' disks. A writer's order is promised only while the swarm is whole, which here it seldom is.
    pub fn judge_told(&self, name: &str, began: u64, told: &[News], found: Option<&Record>) -> Vec<Breach> {
        let empty = Record::default();
        let record = found.unwrap_or(&empty);
        let entries = self.entries.get(name).map(Vec::as_slice).unwrap_or_default();
        let items = items_of(told);
        let covered = bases_of(told).map(|base| base.stamp).max();
        let left = record.items().filter(|item| Some(item.stamp) > covered);
        let mut breaches = untold(name, began, &items, left, entries);
        breaches.extend(told_twice(name, &items));
        // Of a list the base tells only up to where it was deleted or trimmed.
        if entries.iter().all(|entry| matches!(entry.deed, Deed::Put | Deed::Delete)) {
            breaches.extend(outdated(name, told, record));
        }
        breaches
    }
}

/// The items told, in order, without those that were told to be gone.
fn items_of(told: &[News]) -> Vec<&Item> {
    let mut items = Vec::new();
    for news in told {
        match news {
            News::State(record) => items.extend(record.items()),
            News::Item(item) => items.push(item),
            News::Base(_) | News::Expired(_) => {}
        }
    }
    items.retain(|item| item.payload.is_some());
    items
}

/// The bases told, in order.
fn bases_of(told: &[News]) -> impl Iterator<Item = &Base> {
    told.iter().filter_map(|news| match news {
        News::State(record) => record.base(),
        News::Base(base) => Some(base),
        News::Item(_) | News::Expired(_) => None,
    })
}

fn payload(item: &Item) -> Bytes {
    item.payload.as_ref().map(|payload| payload.bytes.clone()).unwrap_or_default()
}

fn untold<'a>(
    name: &str,
    began: u64,
    items: &[&Item],
    left: impl Iterator<Item = &'a Item>,
    entries: &[Entry],
) -> Vec<Breach> {
    let told: BTreeSet<_> = items.iter().map(|item| payload(item)).collect();
    let present: BTreeSet<_> = left.filter(|item| item.payload.is_some()).map(payload).collect();
    let is_promised =
        |entry: &&Entry| entry.deed == Deed::Append && entry.promise.is_some() && entry.began > began;
    let missing = |entry: &&Entry| present.contains(&entry.payload) && !told.contains(&entry.payload);
    let untold = entries.iter().filter(is_promised).filter(missing);
    untold.map(|entry| Breach::Untold { name: name.to_owned(), payload: entry.payload.clone() }).collect()
}

fn told_twice(name: &str, items: &[&Item]) -> Vec<Breach> {
    let mut stamps = BTreeSet::new();
    let again = items.iter().filter(|item| !stamps.insert(item.stamp));
    again.map(|item| Breach::ToldTwice { name: name.to_owned(), payload: payload(item) }).collect()
}

/// The value told last is that of the record, or one with a later stamp that was lost with all its holders' disks.
fn outdated(name: &str, told: &[News], record: &Record) -> Option<Breach> {
    let last = told.iter().rev().find_map(|news| match news {
        News::State(record) => Some(record.base()),
        News::Base(base) => Some(Some(base)),
        News::Item(_) | News::Expired(_) => None,
    });
    let value = |base: &Base| base.payload.as_ref().map(|payload| payload.bytes.clone());
    let (last, found) = (last?, record.base());
    let is_outdated = last.map(|base| base.stamp) < found.map(|base| base.stamp)
        && last.and_then(value) != found.and_then(value);
    is_outdated
        .then(|| Breach::Untold { name: name.to_owned(), payload: found.and_then(value).unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{base, item, outcome};
    use super::*;

    /// Two appends, acknowledged one after the other; the watch began before them.
    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        for (time, payload) in [(1, "one"), (2, "two")] {
            let entry = ledger.begin_append("x", payload, 7);
            ledger.end(entry, Some(&outcome(time)));
        }
        ledger
    }

    fn judged(told: &[News]) -> Vec<Breach> {
        let found = Record::from_parts(None, [item(1, "one"), item(2, "two")]);
        ledger().judge_told("x", 0, told, Some(&found))
    }

    fn news(time: u64, payload: &'static str) -> News {
        News::Item(item(time, payload))
    }

    #[test]
    fn a_watch_that_tells_everything_once_passes() {
        assert_eq!(judged(&[News::State(Record::default()), news(1, "one"), news(2, "two")]), []);
        let first = Record::from_parts(None, [item(1, "one")]);
        assert_eq!(judged(&[News::State(first), news(2, "two")]), []);
        let stamped_again = [news(1, "one"), news(2, "two"), news(3, "one")];
        assert_eq!(judged(&stamped_again), []);
    }

    #[test]
    fn what_is_not_told_is_caught_unless_the_watch_began_later_or_it_is_gone() {
        assert!(matches!(&judged(&[news(1, "one")])[..], [Breach::Untold { .. }]));
        let ledger = ledger();
        let found = Record::from_parts(None, [item(1, "one"), item(2, "two")]);
        assert_eq!(ledger.judge_told("x", ledger.clock(), &[], Some(&found)), []);
        assert_eq!(ledger.judge_told("x", 0, &[], None), []);
    }

    #[test]
    fn what_a_told_deletion_covers_is_gone_although_the_deletion_was_lost_and_what_came_after_it_is_not() {
        let deleted = |time| News::Base(base(time, None));
        assert_eq!(judged(&[deleted(2)]), []);
        assert!(matches!(&judged(&[deleted(1)])[..], [Breach::Untold { payload, .. }] if payload == "two"));
    }

    #[test]
    fn what_is_told_twice_is_caught() {
        let twice = [news(1, "one"), news(2, "two"), news(1, "one")];
        assert!(matches!(&judged(&twice)[..], [Breach::ToldTwice { .. }]));
    }

    #[test]
    fn a_value_that_was_told_last_and_is_not_the_last_is_caught() {
        let mut ledger = Ledger::default();
        for (time, payload) in [(1, "old"), (2, "new")] {
            let entry = ledger.begin_put("x", payload, 7);
            ledger.end(entry, Some(&outcome(time)));
        }
        let found = Record::from_parts(Some(base(2, Some("new"))), []);
        let told = [News::State(Record::default()), News::Base(base(1, Some("old")))];
        assert!(matches!(&ledger.judge_told("x", 0, &told, Some(&found))[..], [Breach::Untold { .. }]));
        let told = [told.to_vec(), vec![News::Base(base(2, Some("new")))]].concat();
        assert_eq!(ledger.judge_told("x", 0, &told, Some(&found)), []);
        let lost_later = [News::Base(base(9, Some("lost")))];
        assert_eq!(ledger.judge_told("x", 0, &lost_later, Some(&found)), []);
        let deleted = Record::from_parts(Some(base(3, None)), []);
        assert!(matches!(&ledger.judge_told("x", 0, &told, Some(&deleted))[..], [Breach::Untold { .. }]));
    }
}
