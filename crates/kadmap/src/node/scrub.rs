//! When the next records of the store are read to find damage.

use std::time::{Duration, Instant};

/// Records read in one step: less than a millisecond when they are small.
pub(super) const RECORDS_PER_STEP: usize = 16;
/// A large store is read no faster than this: some hundred records a second.
const STEP_INTERVAL_MIN: Duration = Duration::from_millis(50);
/// And a small one no slower, so that what is few is soon read.
const STEP_INTERVAL_MAX: Duration = Duration::from_secs(3_600);

/// Spreads one pass over all records over a period.
#[derive(Debug)]
pub(super) struct ScrubPace {
    /// How long one pass takes; `None` for no passes.
    period: Option<Duration>,
    next: Option<Instant>,
}

impl ScrubPace {
    pub(super) fn new(period: Option<Duration>, now: Instant) -> Self {
        // The number of records is looked at then.
        Self { period, next: period.map(|period| now + period.min(STEP_INTERVAL_MAX)) }
    }

    /// When the next step is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Whether a step is due; plans the one after it.
    pub(super) fn take_due(&mut self, now: Instant, records: u64) -> bool {
        let (Some(period), Some(next)) = (self.period, self.next) else { return false };
        if next > now {
            return false;
        }
        self.next = Some(now + step_interval(period, records));
        true
    }
}

fn step_interval(period: Duration, records: u64) -> Duration {
    let share = RECORDS_PER_STEP as f64 / records.max(1) as f64;
    period.mul_f64(share.min(1.0)).clamp(STEP_INTERVAL_MIN, STEP_INTERVAL_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_takes_its_period_unless_there_are_few_records_or_very_many() {
        let week = Duration::from_secs(7 * 24 * 3_600);
        let pass = |records: u64| {
            step_interval(week, records).mul_f64(records.div_ceil(RECORDS_PER_STEP as u64) as f64)
        };
        assert!(pass(10) == STEP_INTERVAL_MAX);
        assert!(pass(1_000_000) > week.mul_f64(0.99) && pass(1_000_000) < week.mul_f64(1.01));
        assert!(step_interval(week, u64::MAX) == STEP_INTERVAL_MIN);
    }

    #[test]
    fn steps_come_when_they_are_due_and_not_at_all_without_a_period() {
        let now = Instant::now();
        let mut pace = ScrubPace::new(Some(Duration::from_secs(1)), now);
        assert!(!pace.take_due(now, 1));
        let later = now + Duration::from_secs(1);
        assert!(pace.take_due(later, 1) && !pace.take_due(later, 1));
        assert!(pace.next() > Some(later));
        let mut never = ScrubPace::new(None, now);
        assert!(never.next().is_none() && !never.take_due(later, 1));
    }
}
