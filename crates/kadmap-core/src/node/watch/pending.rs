//! Changes that a watch has heard of and not told yet.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::known::Part;
use crate::Instant;
use crate::record::{ItemId, Stamp};

/// One change that waits until enough replicas have confirmed it.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) part: Part,
    pub(super) heard_at: Instant,
    /// Replicas that hold it, of which something else may not have been heard.
    pub(super) said: u64,
    /// Replicas that hold it, of which all that they held before has been heard.
    pub(super) confirmed: u64,
}

/// All changes that wait, by stamp.
#[derive(Debug, Default)]
pub(super) struct Pending {
    waiting: BTreeMap<(Stamp, Option<ItemId>), Waiting>,
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Waiting> + Clone {
        self.waiting.values()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Waiting> {
        self.waiting.values_mut()
    }

    /// Takes in a change, if it is not here already.
    pub(super) fn hear(&mut self, now: Instant, part: Part) -> &mut Waiting {
        let fresh = || (part.stamp(), part.id());
        self.waiting.entry(fresh()).or_insert_with(|| Waiting { part, heard_at: now, said: 0, confirmed: 0 })
    }

    /// A change that is here.
    pub(super) fn find(&mut self, part: &Part) -> Option<&mut Waiting> {
        self.waiting.get_mut(&(part.stamp(), part.id()))
    }

    /// Since when the oldest of them waits; costs their number.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.waiting.values().map(|waiting| waiting.heard_at).min()
    }

    /// Takes out what may be told, in stamp order: what is confirmed, and before it what its writer wrote earlier, and
    /// what it covers, which would be lost otherwise.
    pub(super) fn release(&mut self, is_confirmed: impl Fn(&Waiting) -> bool) -> Vec<Part> {
        let mut base = Stamp::MIN;
        let mut writers: BTreeMap<u64, Stamp> = BTreeMap::new();
        let mut fields: BTreeMap<Bytes, Stamp> = BTreeMap::new();
        for waiting in self.waiting.values().filter(|waiting| is_confirmed(waiting)) {
            let stamp = waiting.part.stamp();
            writers.insert(stamp.writer, stamp);
            match &waiting.part {
                Part::Base(_) => base = stamp,
                Part::Item(item) => {
                    item.field.clone().map(|field| fields.insert(field, stamp));
                }
            }
        }
        if writers.is_empty() {
            return Vec::new();
        }
        let goes = |(stamp, id): &(Stamp, Option<ItemId>)| {
            let reaches = |last: Option<&Stamp>| last.is_some_and(|last| stamp <= last);
            let field = match id {
                Some(ItemId::Field(field)) => fields.get(field),
                _ => None,
            };
            *stamp <= base || reaches(writers.get(&stamp.writer)) || reaches(field)
        };
        let mut told = Vec::new();
        let waiting = std::mem::take(&mut self.waiting);
        for (key, waiting) in waiting {
            if goes(&key) {
                told.push((is_confirmed(&waiting), waiting.part));
            } else {
                self.waiting.insert(key, waiting);
            }
        }
        without_restamped(told)
    }
}

/// Leaves out what its writer has stamped again: a put that met something newer at one replica is sent again with a
/// higher stamp, and other replicas have held it with the lower one for a moment.
///
/// Such a pair looks like the same value written twice, which a register does not tell apart either.
fn without_restamped(told: Vec<(bool, Part)>) -> Vec<Part> {
    let mut kept: Vec<Part> = Vec::with_capacity(told.len());
    for (is_confirmed, part) in told.into_iter().rev() {
        let is_again = |later: &Part| match (&part, later) {
            (Part::Base(one), Part::Base(two)) => one.payload == two.payload && one.shape == two.shape,
            (Part::Item(one), Part::Item(two)) => {
                one.field.is_some() && one.field == two.field && one.payload == two.payload
            }
            _ => false,
        };
        // The next one of this writer at the same place, if that is what it is.
        let later = kept.iter().rev().find(|later| {
            later.stamp().writer == part.stamp().writer
                && std::mem::discriminant(*later) == std::mem::discriminant(&part)
        });
        if is_confirmed || !later.is_some_and(is_again) {
            kept.push(part);
        }
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Base, Item, Shape};

    fn stamp(time: u64, writer: u64) -> Stamp {
        Stamp { time, writer }
    }

    fn item(time: u64, writer: u64, field: Option<&'static str>) -> Part {
        let field = field.map(Into::into);
        Part::Item(Item { stamp: stamp(time, writer), field, payload: None, expires_ms: None })
    }

    fn base(time: u64, writer: u64) -> Part {
        let stamp = stamp(time, writer);
        Part::Base(Base { stamp, shape: Shape::Value, payload: None, expires_ms: None })
    }

    /// What is told of these when one is confirmed, by time.
    fn told(parts: &[Part], confirmed: &Part) -> Vec<u64> {
        let mut pending = Pending::default();
        for part in parts {
            pending.hear(Instant::default(), part.clone());
        }
        pending.find(confirmed).unwrap().confirmed = 1;
        let told = pending.release(|waiting| waiting.confirmed > 0);
        told.iter().map(|part| part.stamp().time).collect()
    }

    #[test]
    fn a_change_takes_along_what_its_writer_wrote_before_and_nothing_of_others() {
        let parts = [item(1, 7, None), item(2, 8, None), item(3, 7, None), item(4, 7, None)];
        assert_eq!(told(&parts, &parts[2]), [1, 3]);
    }

    #[test]
    fn a_change_takes_along_what_it_covers() {
        let parts = [item(1, 7, None), base(2, 8), base(3, 9), item(4, 7, None)];
        assert_eq!(told(&parts, &parts[2]), [1, 2, 3]);
        let parts = [item(1, 7, Some("f")), item(2, 8, Some("g")), item(3, 9, Some("f"))];
        assert_eq!(told(&parts, &parts[2]), [1, 3]);
    }

    #[test]
    fn a_put_that_was_stamped_again_is_told_once() {
        let parts = [base(1, 7), base(2, 8), base(3, 7)];
        assert_eq!(told(&parts, &parts[2]), [2, 3]);
        let parts = [item(1, 7, None), item(2, 7, None)];
        assert_eq!(told(&parts, &parts[1]), [1, 2], "equal items of a list are two");
    }

    #[test]
    fn nothing_is_told_before_it_is_confirmed() {
        let mut pending = Pending::default();
        pending.hear(Instant::default(), base(1, 1));
        assert!(pending.release(|waiting| waiting.confirmed > 0).is_empty());
        assert_eq!((pending.len(), pending.oldest()), (1, Some(Instant::default())));
    }
}
