//! One replica that a watch relies on, and how much of what it holds the watch has heard.

use crate::record::{Record, Version};
use crate::wire::{Changed, RequestId, Watching};
use crate::{Address, Contact, Instant, NodeId};

/// Changes that may wait for one told before them: as many as a replica sends without being answered.
const AHEAD_MAX: usize = 32;
/// A number this far from the one expected is of another count: its replica has begun anew.
const SAME_COUNT: u64 = 1 << 16;

/// A replica of the watched record; small, for a node may have ten thousand watches with 15 of them each.
#[derive(Debug)]
pub(super) struct Slot<A: Address> {
    contact: A::Packed,
    /// Its state after the last change told without a gap.
    pub(super) version: Version,
    /// The request for changes that is under way.
    pub(super) asked: Option<RequestId>,
    /// When that was made, or the one before.
    pub(super) asked_at: Instant,
    /// The number of the last change told without a gap.
    told: u64,
    /// When it was asked for what it claims.
    claim_asked: Instant,
    /// All that it held at this time has been heard.
    pub(super) clean_at: Option<Instant>,
    /// What of it is heard and not taken in yet, or known to be missing.
    late: Option<Box<Late>>,
    /// Its place in the masks of what is pending.
    pub(super) place: u8,
    /// Whether it was asked to see whether it is still the same.
    pub(super) is_check: bool,
    /// Whether it tells of changes.
    pub(super) subscribed: bool,
    /// Whether all that it held at `version` has been heard.
    pub(super) synced: bool,
    /// Whether it has changed in a way we do not know since its record was asked for.
    pub(super) dirty: bool,
}

/// Changes out of order.
#[derive(Debug, Default)]
struct Late {
    /// The number of the last change it is known to have told, if that is not the last one taken in.
    claimed: u64,
    /// Since when a change is missing before one that was heard.
    gap_since: Option<Instant>,
    ahead: Vec<Changed>,
}

impl<A: Address> Slot<A> {
    pub(super) fn new(contact: Contact<A>, place: u8) -> Self {
        Self {
            contact: A::pack(contact),
            version: Version::ABSENT,
            asked: None,
            asked_at: Instant::default(),
            told: 0,
            claim_asked: Instant::default(),
            clean_at: None,
            late: None,
            place,
            is_check: false,
            subscribed: false,
            synced: false,
            dirty: false,
        }
    }

    pub(super) fn contact(&self) -> Contact<A> {
        A::unpack(&self.contact)
    }

    pub(super) fn id(&self) -> NodeId {
        A::packed_id(&self.contact)
    }

    pub(super) fn is(&self, id: &NodeId) -> bool {
        A::is_packed(&self.contact, id)
    }

    /// Its mark in the masks of what is pending.
    pub(super) fn bit(&self) -> u64 {
        1 << self.place
    }

    /// Since when a change is missing before one that was heard.
    pub(super) fn gap_since(&self) -> Option<Instant> {
        self.late.as_ref().and_then(|late| late.gap_since)
    }

    /// Takes in that it tells of changes from now on; tells whether it has begun anew.
    pub(super) fn subscribe(&mut self, now: Instant, watching: &Watching) -> bool {
        self.asked = None;
        self.claim_asked = self.asked_at;
        let is_anew = !self.subscribed || watching.told.abs_diff(self.told) >= SAME_COUNT;
        if is_anew {
            self.subscribed = true;
            self.told = watching.told;
            self.version = watching.version;
            self.synced = false;
            self.dirty = true;
            self.clean_at = None;
            if let Some(late) = &mut self.late {
                late.ahead.retain(|changed| {
                    changed.number > watching.told && changed.number - watching.told < SAME_COUNT
                });
                late.claimed = late.ahead.iter().map(|changed| changed.number).max().unwrap_or(0);
            }
        }
        if watching.told > self.told {
            let late = self.late.get_or_insert_default();
            late.claimed = late.claimed.max(watching.told);
        }
        self.note_gap(now);
        is_anew
    }

    /// Whether a change is one that was heard before.
    pub(super) fn has_heard(&self, number: u64) -> bool {
        let is_same = self.subscribed && number <= self.told && self.told - number < SAME_COUNT;
        let is_ahead = |late: &Late| late.ahead.iter().any(|changed| changed.number == number);
        is_same || self.late.as_deref().is_some_and(is_ahead)
    }

    /// Keeps a change until those before it are here; [`next`](Self::next) hands it out then.
    pub(super) fn keep(&mut self, now: Instant, changed: Changed) {
        let late = self.late.get_or_insert_default();
        if self.subscribed {
            late.claimed = late.claimed.max(changed.number);
        }
        if late.ahead.len() < AHEAD_MAX {
            late.ahead.push(changed);
        }
        self.note_gap(now);
    }

    /// The next change in the replica's own order, without its address; its state and number are taken over.
    pub(super) fn next(&mut self, now: Instant) -> Option<Option<Record>> {
        let late = self.late.as_mut().filter(|_| self.subscribed)?;
        let number = self.told.checked_add(1)?;
        let place = late.ahead.iter().position(|changed| changed.number == number)?;
        let changed = late.ahead.swap_remove(place);
        self.told = changed.number;
        self.version = changed.version;
        if changed.delta.is_none() {
            self.synced = false;
            self.dirty = true;
        }
        self.note_gap(now);
        Some(changed.delta)
    }

    /// All that it held at its version has been heard.
    pub(super) fn sync(&mut self) {
        self.synced = true;
        self.dirty = false;
        self.note_clean();
    }

    /// What was heard of it no longer counts.
    pub(super) fn forget_heard(&mut self) {
        (self.synced, self.dirty, self.clean_at) = (false, true, None);
    }

    /// Gives up on what is missing: the next answer counts as that of a replica that begins anew.
    pub(super) fn start_over(&mut self) {
        self.subscribed = false;
        self.synced = false;
        self.clean_at = None;
        self.late = None;
    }

    /// Takes note of when everything was heard.
    fn note_clean(&mut self) {
        let is_missing = self.late.as_ref().is_some_and(|late| late.claimed > self.told);
        if self.subscribed && self.synced && !is_missing {
            self.clean_at = self.clean_at.max(Some(self.claim_asked));
        }
    }

    fn note_gap(&mut self, now: Instant) {
        if let Some(late) = &mut self.late {
            let is_gap = self.subscribed && self.told < late.claimed;
            late.gap_since = if is_gap { late.gap_since.or(Some(now)) } else { None };
            if !is_gap && late.ahead.is_empty() {
                self.late = None;
            }
        }
        self.note_clean();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;
    use std::net::SocketAddr;

    fn slot() -> Slot<SocketAddr> {
        Slot::new(Contact { id: NodeId::of_public_key(b"a"), address: ([127, 0, 0, 1], 1).into() }, 1)
    }

    fn watching(told: u64) -> Watching {
        Watching { version: Version::from_bytes([told as u8; 16]), lease_ms: 1, told }
    }

    fn changed(number: u64) -> Changed {
        let version = Version::from_bytes([number as u8; 16]);
        Changed { key: Key::MIN, name: "a".into(), number, version, delta: Some(Record::default()) }
    }

    fn at(us: u64) -> Instant {
        Instant::from_micros(us)
    }

    #[test]
    fn changes_come_out_in_the_order_in_which_they_happened() {
        let mut slot = slot();
        // One may overtake the answer to the subscription.
        slot.keep(at(1), changed(12));
        assert!(slot.next(at(1)).is_none());
        assert!(slot.subscribe(at(2), &watching(10)));
        assert!(
            slot.next(at(2)).is_none() && !slot.has_heard(11) && slot.has_heard(12) && slot.has_heard(10)
        );
        slot.keep(at(3), changed(11));
        assert!(slot.next(at(3)).is_some());
        assert_eq!(slot.version, changed(11).version);
        assert!(slot.next(at(3)).is_some() && slot.next(at(3)).is_none());
        assert_eq!((slot.version, slot.gap_since()), (changed(12).version, None));
    }

    #[test]
    fn it_is_clean_once_everything_claimed_has_been_heard() {
        let mut slot = slot();
        slot.subscribe(at(5), &watching(10));
        slot.sync();
        assert_eq!(slot.clean_at, Some(at(0)));
        slot.asked_at = at(20);
        assert!(!slot.subscribe(at(25), &watching(11)), "it goes on");
        assert_eq!((slot.clean_at, slot.gap_since()), (Some(at(0)), Some(at(25))));
        slot.keep(at(30), changed(11));
        assert!(slot.next(at(30)).is_some());
        assert_eq!((slot.clean_at, slot.gap_since()), (Some(at(20)), None));
    }

    #[test]
    fn a_replica_in_order_is_small() {
        assert!(size_of::<Slot<SocketAddr>>() <= 144, "{}", size_of::<Slot<SocketAddr>>());
    }

    #[test]
    fn a_replica_that_begins_anew_is_noticed() {
        let mut slot = slot();
        slot.subscribe(at(5), &watching(10));
        slot.sync();
        assert!(slot.subscribe(at(9), &watching(10 + SAME_COUNT)));
        assert!(!slot.synced && slot.clean_at.is_none());
    }
}
