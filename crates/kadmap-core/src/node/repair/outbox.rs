//! Copies on their way to other holders: few at a time, and no faster than allowed.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::env::{Env, LARGE_BYTES, copy_bytes};
use super::super::requests::Owner;
use crate::ranges::Prefix;
use crate::store::{RecordId, RecordStore};
use crate::wire::{Copies, RecordCopy, Request};
use crate::{Address, Contact, Instant, NodeId, Now};

/// Copies that wait at most; what is dropped beyond is found again by the next comparison.
const PARCELS_MAX: usize = 65_536;
/// Records of a range that are looked up at once.
const RANGE_PAGE: usize = 128;
/// Bytes that a message of copies costs beside them: headers and the answer.
const COPIES_OVERHEAD_BYTES: u64 = 100;
/// How far ahead of its rate a node may send, so that it need not wake for each copy.
const BURST: Duration = Duration::from_millis(20);

/// What is to be sent to one holder.
#[derive(Debug)]
enum Parcel {
    Record(RecordId),
    /// All records of a range after one of them.
    Range {
        range: Prefix,
        after: Option<RecordId>,
    },
}

/// The copies that wait, and those that are not answered yet.
#[derive(Debug)]
pub(in super::super) struct Outbox<A> {
    parcels: VecDeque<(Contact<A>, Parcel)>,
    /// Messages that are not answered yet.
    in_flight: usize,
    /// Until when the bytes sent so far take at the rate allowed.
    busy_until: Instant,
    pub(in super::super) delivered: u64,
    /// Whether anything was dropped because too much waited.
    has_overflowed: bool,
}

impl<A> Default for Outbox<A> {
    fn default() -> Self {
        Self {
            parcels: VecDeque::new(),
            in_flight: 0,
            busy_until: Instant::default(),
            delivered: 0,
            has_overflowed: false,
        }
    }
}

impl<A: Address> Outbox<A> {
    /// Queues one record.
    pub(super) fn push_record(&mut self, to: Contact<A>, record: RecordId) {
        self.push(to, Parcel::Record(record));
    }

    /// Queues all records of a range.
    pub(super) fn push_range(&mut self, to: Contact<A>, range: Prefix) {
        self.push(to, Parcel::Range { range, after: None });
    }

    fn push(&mut self, to: Contact<A>, parcel: Parcel) {
        if self.parcels.len() < PARCELS_MAX {
            self.parcels.push_back((to, parcel));
        } else {
            self.has_overflowed = true;
        }
    }

    /// Takes note of whether anything was dropped since this was last asked.
    pub(super) fn take_overflowed(&mut self) -> bool {
        std::mem::take(&mut self.has_overflowed)
    }

    /// Drops what waits for a holder; tells whether that was anything.
    pub(super) fn forget(&mut self, id: &NodeId) -> bool {
        let waiting = self.parcels.len();
        self.parcels.retain(|(to, _)| to.id != *id);
        self.parcels.len() < waiting
    }

    /// The next record that waits, if it is for this holder as well.
    fn pop_record_for(&mut self, to: &Contact<A>) -> Option<RecordId> {
        let (waiting, Parcel::Record(_)) = self.parcels.front()? else { return None };
        if waiting.id != to.id {
            return None;
        }
        match self.parcels.pop_front()? {
            (_, Parcel::Record(id)) => Some(id),
            (_, Parcel::Range { .. }) => None,
        }
    }

    /// Whether nothing waits and nothing is unanswered.
    pub(super) fn is_idle(&self) -> bool {
        self.parcels.is_empty() && self.in_flight == 0
    }

    /// When the next copy may go, if one waits that does not wait for answers.
    pub(super) fn next_timer<S>(&self, env: &Env<S, A>) -> Option<Instant> {
        let may_send = !self.parcels.is_empty() && self.in_flight < env.config.handover_in_flight_max;
        let burst_us = BURST.as_micros() as u64;
        may_send.then(|| Instant::from_micros(self.busy_until.as_micros().saturating_sub(burst_us)))
    }

    /// Takes note that a message of copies was answered or given up, and how many of them were stored.
    pub(super) fn settled(&mut self, stored: u64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.delivered += stored;
        if self.parcels.is_empty() {
            self.parcels.shrink_to_fit();
        }
    }
}

impl<S: RecordStore, A: Address> Env<S, A> {
    /// Sends copies as far as the bounds allow.
    pub(super) fn send_parcels(&mut self, now: Now) {
        while self.outbox.in_flight < self.config.handover_in_flight_max
            && self.outbox.busy_until <= now.instant + BURST
            && let Some((to, parcel)) = self.outbox.parcels.pop_front()
        {
            match parcel {
                Parcel::Record(id) => self.send_copies(now, to, id),
                Parcel::Range { range, after } => self.unpack_range(to, range, after),
            }
        }
    }

    /// Puts the next records of a range in its place.
    fn unpack_range(&mut self, to: Contact<A>, range: Prefix, after: Option<RecordId>) {
        // A store that fails has reported itself; the next comparison finds what is missing.
        let Ok(page) = self.store.heads_in(&range, after.as_ref(), RANGE_PAGE) else { return };
        if page.len() == RANGE_PAGE {
            let after = page.last().map(|(id, _)| id.clone());
            self.outbox.parcels.push_front((to, Parcel::Range { range, after }));
        }
        let inside = |id: &RecordId| range.contains(crate::ranges::path_of(id));
        for (id, _) in page.into_iter().rev().filter(|(id, _)| inside(id)) {
            self.outbox.parcels.push_front((to, Parcel::Record(id)));
        }
    }

    /// Sends a copy, and with it those that wait for the same holder, as far as they fit a packet.
    fn send_copies(&mut self, now: Now, to: Contact<A>, first: RecordId) {
        let (mut records, mut bytes) = (Vec::new(), 0);
        let mut next = Some(first);
        while let Some(id) = next {
            let loaded = self.load_here(now, &id).map(|(_, delta)| delta);
            if let Some(delta) = loaded.ok().filter(|delta| !delta.is_empty()) {
                let copy = RecordCopy { key: id.key, name: id.name.clone(), delta };
                let its_bytes = copy_bytes(&copy);
                if bytes + its_bytes > LARGE_BYTES && !records.is_empty() {
                    self.outbox.parcels.push_front((to, Parcel::Record(id)));
                    break;
                }
                bytes += its_bytes;
                records.push(copy);
            }
            next = self.outbox.pop_record_for(&to);
        }
        if records.is_empty() {
            return;
        }
        let paced = bytes + COPIES_OVERHEAD_BYTES;
        let pace = paced.saturating_mul(1_000_000) / self.config.repair_rate_max.max(1);
        self.outbox.busy_until = self.outbox.busy_until.max(now.instant) + Duration::from_micros(pace);
        self.outbox.in_flight += 1;
        self.counters.repair_copies += records.len() as u64;
        self.request(now, to, Request::Copies(Copies { records }), Owner::Repair);
    }
}
