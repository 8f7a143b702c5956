//! What a node makes of its wall clock, which people and time servers set, and sometimes wrongly.
//!
//! A clock that goes on steadily is believed. One that jumps ahead is believed when it has said the same for an hour:
//! until then nothing is buried or dropped that was still there by the clock before, so that a year in the wrong
//! direction that is noticed and undone takes nothing away. Where the machine slept the jump is right, and what has
//! expired leaves the store an hour late.
//!
//! Stamps are taken from the clock as it is, for a late stamp puts things in the wrong order; but until another node
//! has taken a write of this one since the clock was set, a write is stored here only after it was stored there. What
//! the others refuse for its time would stand here, above all that is written later, until that time has come.

use std::time::Duration;

use super::env::Env;
use super::expiry::step_of;
use crate::operation::Event;
use crate::{Address, Instant, Now};

/// A clock that is set by no more than this is taken for one that was set right: 15 min, far more than clocks drift.
const JUMP_MS_MIN: i64 = 15 * 60 * 1_000;
/// How long what a clock says after it jumped ahead is doubted.
///
/// Default 1 h: time to read a warning and to set a clock, and no more than that for what should have expired.
const DOUBT: Duration = Duration::from_secs(3_600);

/// The wall clock against the steady one.
#[derive(Debug, Clone, Default)]
pub(super) struct WallClock {
    /// Wall time less steady time when it was looked at last.
    offset_ms: Option<i64>,
    /// By how much it has jumped ahead, and until when that is doubted.
    doubted: Option<(u64, Instant)>,
    /// Wall time less steady time when another node took a write of this one.
    proven_offset_ms: Option<i64>,
}

impl WallClock {
    /// Looks at the clock; tells by how much it has jumped since the last look, if it has.
    fn look(&mut self, now: Now) -> Option<i64> {
        let offset_ms = offset_ms(now);
        let jump_ms = self.offset_ms.replace(offset_ms).map_or(0, |before| offset_ms.saturating_sub(before));
        if jump_ms.abs() < JUMP_MS_MIN {
            self.doubted = self.doubted.filter(|(_, until)| *until > now.instant);
            return None;
        }
        let ahead_ms = self.doubted.map_or(0, |(ahead_ms, _)| ahead_ms).saturating_add_signed(jump_ms);
        self.doubted = (ahead_ms >= JUMP_MS_MIN.unsigned_abs()).then(|| (ahead_ms, now.instant + DOUBT));
        Some(jump_ms)
    }

    /// The time in milliseconds since 1970, without a jump that is doubted.
    fn steady_ms(&self, now: Now) -> u64 {
        now.unix_ms.saturating_sub(self.doubted.map_or(0, |(ahead_ms, _)| ahead_ms))
    }

    /// Takes note that another node took a write of this one.
    pub(super) fn prove(&mut self, now: Now) {
        self.proven_offset_ms = Some(offset_ms(now));
    }

    /// Whether another node has taken a write of this one since the clock was set.
    pub(super) fn is_proven(&self, now: Now, drift_max: Duration) -> bool {
        let drift_max_ms = u64::try_from(drift_max.as_millis()).unwrap_or(u64::MAX);
        self.proven_offset_ms.is_some_and(|proven| proven.abs_diff(offset_ms(now)) <= drift_max_ms)
    }
}

fn offset_ms(now: Now) -> i64 {
    let wall = i64::try_from(now.unix_ms).unwrap_or(i64::MAX);
    wall.saturating_sub_unsigned(now.instant.as_micros() / 1_000)
}

impl<S, A: Address> Env<S, A> {
    /// The time in milliseconds since 1970 by which things expire; tells the user of a clock that jumped.
    pub(super) fn steady_ms(&mut self, now: Now) -> u64 {
        if let Some(by_ms) = self.wall.look(now) {
            self.events.push_back(Event::ClockJumped { by_ms });
        }
        self.wall.steady_ms(now)
    }

    /// The time up to which expiry has taken effect.
    pub(super) fn expiry_ms(&mut self, now: Now) -> u64 {
        step_of(self.steady_ms(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR_MS: u64 = 365 * 24 * 3_600 * 1_000;

    fn at(seconds: u64, ahead_ms: u64) -> Now {
        let instant = Instant::from_micros(seconds * 1_000_000);
        Now { instant, unix_ms: 2 * YEAR_MS + seconds * 1_000 + ahead_ms }
    }

    #[test]
    fn a_jump_ahead_is_doubted_for_an_hour_and_a_jump_back_ends_the_doubt() {
        let mut wall = WallClock::default();
        assert_eq!(wall.look(at(0, 0)), None);
        assert_eq!(wall.look(at(10, YEAR_MS)), Some(YEAR_MS as i64));
        assert_eq!(wall.steady_ms(at(20, YEAR_MS)), at(20, 0).unix_ms);
        let mut undone = wall.clone();
        assert_eq!(wall.look(at(3_700, YEAR_MS)), None);
        assert_eq!(wall.steady_ms(at(3_700, YEAR_MS)), at(3_700, YEAR_MS).unix_ms);
        assert_eq!(undone.look(at(60, 0)), Some(-(YEAR_MS as i64)));
        assert_eq!(undone.steady_ms(at(60, 0)), at(60, 0).unix_ms);
    }

    #[test]
    fn a_clock_that_is_slewed_is_believed_all_the_while() {
        let mut wall = WallClock::default();
        for minute in 0..10_000 {
            assert_eq!(wall.look(at(60 * minute, minute * 1_000)), None);
        }
        assert_eq!(wall.steady_ms(at(0, 7)), at(0, 7).unix_ms);
    }

    #[test]
    fn a_clock_is_proven_until_it_is_set() {
        let mut wall = WallClock::default();
        let drift_max = Duration::from_secs(10);
        assert!(!wall.is_proven(at(0, 0), drift_max));
        wall.prove(at(0, 0));
        assert!(wall.is_proven(at(900, 9_000), drift_max));
        assert!(!wall.is_proven(at(900, YEAR_MS), drift_max));
    }
}
