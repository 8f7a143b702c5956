//! How long a node has been part of its swarm without a gap, and whether it may rely on what it holds.
//!
//! Tombstones are kept for a grace time: a node that was out of touch for less meets every tombstone that it missed.
//! One that was away for longer would bring back what they covered, so it doubts what it holds, see
//! [`absence`](super::absence).

use std::time::Duration;

use crate::Now;
use crate::store::Presence;

/// The share of the grace that an absence may last, in eighths: what is left is for learning of the tombstones.
const GAP_EIGHTHS_MAX: u32 = 7;

/// What a node knows of its own presence.
#[derive(Debug)]
pub(super) struct Attendance {
    presence: Presence,
    gap_ms_max: u64,
    /// Whether this node knows its swarm, or has found that it is alone.
    pub(super) has_joined: bool,
    is_doubting: bool,
    /// Since when those have been part of the swarm with whom this node has been compared since it came.
    told_ms: Vec<u64>,
}

impl Attendance {
    /// For a node that starts with what it noted when it was last there, if it holds anything.
    pub(super) fn new(noted: Option<Presence>, holds_records: bool, grace: Duration, now: Now) -> Self {
        // Who holds something and does not know since when, can vouch for nothing that was before.
        let from_now = Presence { since_ms: holds_records.then_some(now.unix_ms), until_ms: now.unix_ms };
        let presence = noted.filter(|_| holds_records).unwrap_or(from_now);
        let gap_ms_max = (grace * GAP_EIGHTHS_MAX / 8).as_millis() as u64;
        Self { presence, gap_ms_max, has_joined: false, is_doubting: false, told_ms: Vec::new() }
    }

    /// What is to be noted.
    pub(super) fn presence(&self) -> Presence {
        self.presence
    }

    /// Whether what is held is not to be relied on.
    pub(super) fn is_doubting(&self) -> bool {
        self.is_doubting
    }

    /// Whether this node was last in touch so long ago that tombstones may have been forgotten since.
    pub(super) fn is_away(&self, now: Now) -> bool {
        now.unix_ms.saturating_sub(self.presence.until_ms) > self.gap_ms_max
    }

    /// Takes note that a member of the swarm said something, unless that ends an absence that was too long: then tells so.
    pub(super) fn heard(&mut self, now: Now) -> bool {
        if self.is_doubting {
            return false;
        }
        if self.is_away(now) {
            return true;
        }
        self.presence.until_ms = now.unix_ms;
        false
    }

    /// Begins to doubt what is held.
    pub(super) fn doubt(&mut self) {
        self.is_doubting = true;
    }

    /// There is nobody to ask: what is held counts until somebody is heard.
    pub(super) fn put_off(&mut self) {
        self.is_doubting = false;
    }

    /// What is held has been held against the word of others, or there was nothing: from now on it is relied on.
    pub(super) fn resolve(&mut self, now: Now) {
        self.is_doubting = false;
        self.presence = Presence { since_ms: None, until_ms: now.unix_ms };
    }

    /// A swarm begins with this node.
    pub(super) fn begin(&mut self, now: Now) {
        self.presence.since_ms.get_or_insert(now.unix_ms);
    }

    /// Takes note since when a node has been part of the swarm with which this one is being compared.
    pub(super) fn told(&mut self, since_ms: Option<u64>) {
        self.told_ms.extend(since_ms);
    }

    /// Takes over the past of those with whom this node has come even: with so many that one of them had whatever was
    /// acknowledged, the least of what they have in common.
    pub(super) fn inherit(&mut self, now: Now, quorum: usize) {
        let mut told_ms = std::mem::take(&mut self.told_ms);
        told_ms.sort_unstable();
        let common = told_ms.get(quorum.saturating_sub(1)).copied();
        self.presence.since_ms.get_or_insert(common.unwrap_or(now.unix_ms));
    }

    /// Whether this node's word tells what became of records since that time.
    pub(super) fn vouches_since(&self, unix_ms: u64) -> bool {
        !self.is_doubting && self.presence.since_ms.is_some_and(|since_ms| since_ms <= unix_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Instant;

    const GRACE: Duration = Duration::from_secs(80);

    fn at(seconds: u64) -> Now {
        Now { instant: Instant::from_micros(seconds * 1_000_000), unix_ms: seconds * 1_000 }
    }

    fn returning(noted_at: u64, at_seconds: u64) -> Attendance {
        let noted = Presence { since_ms: Some(5_000), until_ms: noted_at * 1_000 };
        Attendance::new(Some(noted), true, GRACE, at(at_seconds))
    }

    #[test]
    fn an_absence_of_less_than_seven_eighths_of_the_grace_changes_nothing() {
        let mut attendance = returning(100, 170);
        assert!(!attendance.heard(at(170)));
        assert_eq!(attendance.presence(), Presence { since_ms: Some(5_000), until_ms: 170_000 });
        assert!(attendance.vouches_since(5_000) && !attendance.vouches_since(4_999));
    }

    #[test]
    fn a_longer_one_is_told_and_not_forgotten_by_a_crash() {
        let mut attendance = returning(100, 171);
        assert!(attendance.heard(at(171)));
        attendance.doubt();
        assert!(!attendance.heard(at(172)) && !attendance.vouches_since(100_000));
        assert_eq!(attendance.presence().until_ms, 100_000, "what is noted until the doubt is over");
        attendance.resolve(at(180));
        attendance.told(Some(7_000));
        attendance.told(Some(3_000));
        attendance.told(None);
        attendance.inherit(at(181), 2);
        assert_eq!(attendance.presence(), Presence { since_ms: Some(7_000), until_ms: 180_000 });
    }

    #[test]
    fn who_holds_nothing_has_nothing_to_doubt_and_no_past_but_that_of_a_quorum() {
        let noted = Presence { since_ms: Some(5_000), until_ms: 100_000 };
        let mut attendance = Attendance::new(Some(noted), false, GRACE, at(1_000));
        assert!(!attendance.is_away(at(1_000)) && !attendance.vouches_since(1_000_000));
        attendance.told(Some(3_000));
        attendance.inherit(at(1_001), 2);
        assert_eq!(attendance.presence().since_ms, Some(1_001_000));
    }

    #[test]
    fn a_clock_that_was_set_back_is_no_absence() {
        let mut attendance = returning(1_000, 10);
        assert!(!attendance.heard(at(10)));
        assert_eq!(attendance.presence().until_ms, 10_000);
    }
}
