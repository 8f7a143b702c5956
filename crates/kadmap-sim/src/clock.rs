//! A node's own two clocks: one that drifts, and one that people and machines set wrong.

use kadmap_core::{Instant, Now};

/// Wall clock at the start of virtual time: some day in 2026.
const START_UNIX_MS: u64 = 1_790_000_000_000;
/// Parts in a million.
const MILLION: i128 = 1_000_000;

/// A node's clocks, as functions of the simulator's time.
///
/// The wall clock runs with the monotonic one, so a clock that drifts tells a wrong time more and more.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NodeClock {
    /// Parts in a million by which it runs fast; negative when slow.
    drift_ppm: i32,
    /// When the drift was set, in the simulator's microseconds, and what the monotonic clock said then.
    anchor: (u64, u64),
    /// What the wall clock is ahead.
    ahead_ms: i64,
}

impl NodeClock {
    /// What the node reads at this time.
    pub(crate) fn read(&self, at_us: u64) -> Now {
        let local = self.local_us(at_us);
        let unix_ms = START_UNIX_MS + local / 1_000;
        Now { instant: Instant::from_micros(local), unix_ms: unix_ms.saturating_add_signed(self.ahead_ms) }
    }

    /// The first of the simulator's times at which the node's monotonic clock says this.
    pub(crate) fn when(&self, instant: Instant) -> u64 {
        let (at, local) = self.anchor;
        let ahead = instant.as_micros().saturating_sub(local);
        if self.drift_ppm == 0 {
            return at.saturating_add(ahead);
        }
        let rate = MILLION + i128::from(self.drift_ppm);
        let span = (i128::from(ahead) * MILLION + rate - 1) / rate;
        at.saturating_add(u64::try_from(span).unwrap_or(u64::MAX))
    }

    /// Lets it run fast or slow from now on.
    pub(crate) fn set_drift(&mut self, at_us: u64, drift_ppm: i32) {
        self.anchor = (at_us, self.local_us(at_us));
        // A clock that stands still or runs backward has no timers.
        self.drift_ppm = drift_ppm.max(-900_000);
    }

    /// Sets the wall clock ahead by so much more, or back.
    pub(crate) fn jump(&mut self, by_ms: i64) {
        self.ahead_ms = self.ahead_ms.saturating_add(by_ms);
    }

    fn local_us(&self, at_us: u64) -> u64 {
        let (at, local) = self.anchor;
        let span = at_us.saturating_sub(at);
        if self.drift_ppm == 0 {
            return local + span;
        }
        let drifted = i128::from(span) * (MILLION + i128::from(self.drift_ppm)) / MILLION;
        local.saturating_add(u64::try_from(drifted).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_gains_and_its_timers_come_early() {
        let mut clock = NodeClock::default();
        clock.set_drift(1_000_000, 100_000);
        assert_eq!(clock.read(2_000_000).instant.as_micros(), 2_100_000);
        assert_eq!(clock.read(2_000_000).unix_ms, START_UNIX_MS + 2_100);
        let at = clock.when(Instant::from_micros(2_100_000));
        assert_eq!(at, 2_000_000);
    }

    #[test]
    fn a_timer_is_never_early_by_the_nodes_own_clock() {
        for drift_ppm in [-500_000, -333, 0, 7, 250_000] {
            let mut clock = NodeClock::default();
            clock.set_drift(17, drift_ppm);
            for wanted in (100..100_000).step_by(997) {
                let at = clock.when(Instant::from_micros(wanted));
                assert!(clock.read(at).instant.as_micros() >= wanted, "{drift_ppm} {wanted}");
                assert!(at == 17 || clock.read(at - 1).instant.as_micros() < wanted, "{drift_ppm} {wanted}");
            }
        }
    }

    #[test]
    fn a_jump_moves_the_wall_clock_only() {
        let mut clock = NodeClock::default();
        clock.jump(-600_000);
        assert_eq!(clock.read(0), Now { instant: Instant::default(), unix_ms: START_UNIX_MS - 600_000 });
    }
}
