//! How long a node has been part of its swarm without a gap, and whether it may rely on what it holds.
//!
//! Tombstones are kept for a grace time: a node that was out of touch for less meets every tombstone that it missed.
//! One that was away for longer would bring back what they covered, so it doubts what it holds, see
//! [`absence`](super::absence).

use std::time::Duration;

use crate::store::Presence;
use crate::{Instant, Now};

/// The share of the grace that an absence may last, in eighths: what is left is for learning of the tombstones.
const GAP_EIGHTHS_MAX: u32 = 7;

/// What a node knows of its own presence.
#[derive(Debug)]
pub(super) struct Attendance {
    /// How long it has been part of the swarm, in milliseconds, at some time: counted by the steady clock, as the wall clock
    /// may be set by years.
    member: Option<(u64, Instant)>,
    /// When it last heard of a member, in milliseconds since 1970.
    until_ms: u64,
    gap_ms_max: u64,
    /// Whether this node knows its swarm, or has found that it is alone.
    pub(super) has_joined: bool,
    is_doubting: bool,
    /// Whether it is about to go: what it still doubts then it brings to others all the same, or it might be the last.
    is_leaving: bool,
    /// How long those have been part of the swarm with whom this node has been compared since it came.
    told_ms: Vec<u64>,
}

impl Attendance {
    /// For a node that starts with what it noted when it was last there, if it holds anything.
    pub(super) fn new(noted: Option<Presence>, holds_records: bool, grace: Duration, now: Now) -> Self {
        let gap_ms_max = (grace * GAP_EIGHTHS_MAX / 8).as_millis() as u64;
        let noted = noted.filter(|_| holds_records);
        let until_ms = noted.map_or(now.unix_ms, |noted| noted.until_ms);
        // Who holds something and does not know for how long, can vouch for nothing that was before.
        let member_ms = noted.map_or(holds_records.then_some(0), |noted| noted.member_ms);
        let away_ms = now.unix_ms.saturating_sub(until_ms).min(gap_ms_max);
        let member = member_ms.map(|member_ms| (member_ms.saturating_add(away_ms), now.instant));
        let (has_joined, is_doubting, is_leaving) = (false, false, false);
        Self { member, until_ms, gap_ms_max, has_joined, is_doubting, is_leaving, told_ms: Vec::new() }
    }

    /// What is to be noted.
    pub(super) fn presence(&self, now: Now) -> Presence {
        Presence { member_ms: self.member_ms(now.instant), until_ms: self.until_ms }
    }

    /// How long this node has been part of the swarm, in milliseconds.
    pub(super) fn member_ms(&self, now: Instant) -> Option<u64> {
        let since = |at: Instant| now.since(at).as_millis() as u64;
        self.member.map(|(member_ms, at)| member_ms.saturating_add(since(at)))
    }

    /// When it last heard of a member, in milliseconds since 1970, and how long ago that is.
    pub(super) fn last_heard(&self, now: Now) -> (u64, u64) {
        (self.until_ms, now.unix_ms.saturating_sub(self.until_ms))
    }

    /// Whether what is held is not to be relied on.
    pub(super) fn is_doubting(&self) -> bool {
        self.is_doubting
    }

    /// Whether this node was last in touch so long ago that tombstones may have been forgotten since.
    pub(super) fn is_away(&self, now: Now) -> bool {
        !self.is_leaving && now.unix_ms.saturating_sub(self.until_ms) > self.gap_ms_max
    }

    /// Takes note that a member of the swarm said something, unless that ends an absence that was too long: then tells so.
    pub(super) fn heard(&mut self, now: Now) -> bool {
        if self.is_doubting || self.is_leaving {
            return false;
        }
        if self.is_away(now) {
            return true;
        }
        self.until_ms = now.unix_ms;
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
        (self.member, self.until_ms) = (None, now.unix_ms);
    }

    /// This node is about to go, whatever it doubts.
    pub(super) fn leave(&mut self) {
        (self.is_doubting, self.is_leaving) = (false, true);
    }

    /// A swarm begins with this node.
    pub(super) fn begin(&mut self, now: Now) {
        self.member.get_or_insert((0, now.instant));
    }

    /// Takes note of how long a node has been part of the swarm with which this one is being compared.
    pub(super) fn told(&mut self, member_ms: Option<u64>) {
        self.told_ms.extend(member_ms);
    }

    /// Takes over the past of those with whom this node has come even: with so many that one of them had whatever was
    /// acknowledged, the least of what they have in common.
    pub(super) fn inherit(&mut self, now: Now, quorum: usize) {
        let mut told_ms = std::mem::take(&mut self.told_ms);
        told_ms.sort_unstable_by(|one, other| other.cmp(one));
        let common_ms = told_ms.get(quorum.saturating_sub(1)).copied().unwrap_or(0);
        self.member.get_or_insert((common_ms, now.instant));
    }

    /// Whether this node's word tells what became of records within the last so many milliseconds.
    pub(super) fn vouches_for(&self, now: Now, span_ms: u64) -> bool {
        !self.is_doubting && self.member_ms(now.instant).is_some_and(|member_ms| member_ms >= span_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(80);

    fn at(seconds: u64) -> Now {
        Now { instant: Instant::from_micros(seconds * 1_000_000), unix_ms: seconds * 1_000 }
    }

    fn returning(noted_at: u64, at_seconds: u64) -> Attendance {
        let noted = Presence { member_ms: Some(95_000), until_ms: noted_at * 1_000 };
        Attendance::new(Some(noted), true, GRACE, at(at_seconds))
    }

    #[test]
    fn an_absence_of_less_than_seven_eighths_of_the_grace_changes_nothing() {
        let mut attendance = returning(100, 170);
        assert!(!attendance.heard(at(170)));
        assert_eq!(attendance.presence(at(170)), Presence { member_ms: Some(165_000), until_ms: 170_000 });
        assert!(attendance.vouches_for(at(171), 166_000) && !attendance.vouches_for(at(171), 166_001));
    }

    #[test]
    fn a_longer_one_is_told_and_not_forgotten_by_a_crash() {
        let mut attendance = returning(100, 171);
        assert!(attendance.heard(at(171)));
        attendance.doubt();
        assert!(!attendance.heard(at(172)) && !attendance.vouches_for(at(172), 0));
        assert_eq!(attendance.presence(at(172)).until_ms, 100_000, "what is noted until the doubt is over");
        attendance.resolve(at(180));
        attendance.told(Some(3_000));
        attendance.told(Some(7_000));
        attendance.told(None);
        attendance.inherit(at(181), 2);
        assert_eq!(attendance.presence(at(182)), Presence { member_ms: Some(4_000), until_ms: 180_000 });
    }

    #[test]
    fn who_holds_nothing_has_nothing_to_doubt_and_no_past_but_that_of_a_quorum() {
        let noted = Presence { member_ms: Some(5_000), until_ms: 100_000 };
        let mut attendance = Attendance::new(Some(noted), false, GRACE, at(1_000));
        assert!(!attendance.is_away(at(1_000)) && !attendance.vouches_for(at(1_000), 0));
        attendance.told(Some(3_000));
        attendance.inherit(at(1_001), 2);
        assert_eq!(attendance.member_ms(at(1_001).instant), Some(0));
    }

    #[test]
    fn a_clock_that_is_set_makes_nobody_older() {
        let year_ms = 365 * 24 * 3_600 * 1_000;
        let ahead = |seconds| Now { unix_ms: at(seconds).unix_ms + year_ms, ..at(seconds) };
        let mut attendance = Attendance::new(None, false, GRACE, at(10));
        attendance.begin(at(10));
        assert!(!attendance.heard(at(11)));
        assert!(attendance.heard(ahead(12)), "to its clock it was away for a year");
        assert_eq!(attendance.member_ms(ahead(12).instant), Some(2_000));
        let noted = Presence { member_ms: Some(1_000), until_ms: 10_000 };
        let started = Attendance::new(Some(noted), true, GRACE, ahead(20));
        assert!(started.member_ms(ahead(20).instant).unwrap() <= 1_000 + GRACE.as_millis() as u64);
        // And one that was set back is no absence.
        let mut back = returning(1_000, 10);
        assert!(!back.heard(at(10)));
        assert_eq!(back.presence(at(10)).until_ms, 10_000);
    }
}
