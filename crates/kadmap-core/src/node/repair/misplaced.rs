//! Writes that came to a node to which they do not belong.
//!
//! Who writes sends to those whom it takes for the closest that live. Right after a cut or a pause it may be wrong: a
//! client that has given up nodes which are there takes two that stand in for a whole swarm. What they acknowledged then
//! is nobody's to compare, so they bring it to whom it belongs as soon as they know better.

use std::collections::BTreeSet;
use std::time::Duration;

use rand_core::Rng;

use super::super::env::Env;
use crate::store::{RecordId, RecordStore};
use crate::{Address, Instant, Now};

/// Records that are remembered at most, some 100 bytes each; of a greater number some stay where they are.
const STRAYS_MAX: usize = 4_096;
/// How long writes of one record are gathered, and how long it takes until those that were gone are looked for again.
const WAIT: Duration = Duration::from_secs(3);

/// The records that were written here and belong elsewhere.
#[derive(Debug, Default)]
pub(in super::super) struct Misplaced {
    records: BTreeSet<RecordId>,
    /// When they are looked at, if there are any.
    due: Option<Instant>,
}

impl Misplaced {
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.due
    }

    /// Has those that there are looked at now, because this node leaves.
    pub(super) fn hurry(&mut self, now: Instant) {
        if !self.records.is_empty() {
            self.due = Some(now);
        }
    }
}

impl<S: RecordStore, A: Address> Env<S, A> {
    /// Remembers a record that a user has written here, if as many others as are to hold it are closer, or were.
    pub(in super::super) fn note_written(&mut self, now: Now, record: &RecordId) {
        let (_, known) = self.table.closer_than_own(&record.key);
        if known < self.config.replication || self.is_client() || self.misplaced.records.len() >= STRAYS_MAX {
            return;
        }
        if self.misplaced.records.insert(record.clone()) {
            self.misplaced.due.get_or_insert(now.instant + WAIT);
        }
    }

    /// Brings the records that belong to others to one of those each; keeps the ones that this node still stands in for.
    pub(super) fn hand_misplaced_on(&mut self, now: Now) {
        if self.misplaced.due.take_if(|due| *due <= now.instant).is_none() {
            return;
        }
        let replication = self.config.replication;
        for record in std::mem::take(&mut self.misplaced.records) {
            let (live, known) = self.table.closer_than_own(&record.key);
            if live >= replication {
                let owners = self.table.closest(&record.key, replication, |_| true);
                // Any of them, for they compare with each other; not the nearest, so that not all bring it to the same.
                if let Some(at) = (self.rng.next_u64() as usize).checked_rem(owners.len()) {
                    self.outbox.push_record(owners[at], record);
                }
            } else if known >= replication {
                self.misplaced.records.insert(record);
            }
        }
        self.misplaced.due = (!self.misplaced.records.is_empty()).then_some(now.instant + WAIT);
    }
}
