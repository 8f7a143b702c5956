//! How long to wait for a node, learned from how long it took before (RFC 6298, section 2).
//!
//! Two waits come out of one estimate. The *timeout* says the request is lost; the *hedge delay*, much
//! shorter, says it is time to ask somebody else as well while the slow node stays welcome.

mod packed;

use std::time::Duration;

pub(crate) use packed::PackedRoundTrip;

/// RFC 6298: the smoothed round trip takes 1/8 of each new sample.
const SMOOTHING: u64 = 8;
/// RFC 6298: the variation takes 1/4 of each new deviation.
const VARIATION_SMOOTHING: u64 = 4;
/// RFC 6298: deviations that a wait allows for.
const VARIATIONS_ALLOWED: u64 = 4;

/// Bounds and first guesses for the waits that a [`RoundTrip`] gives.
///
/// ```
/// use kadmap_core::TimeoutConfig;
/// use std::time::Duration;
/// let config = TimeoutConfig { timeout_cap: Duration::from_secs(5), ..TimeoutConfig::default() };
/// assert_eq!(config.timeout_initial, Duration::from_millis(500));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeoutConfig {
    /// Timeout before the first sample; 500 ms covers a round trip around the world.
    pub timeout_initial: Duration,
    /// Shortest timeout; 20 ms, as a busy machine may not run a process for that long.
    pub timeout_floor: Duration,
    /// Longest timeout; 2 s, past which waiting helps nobody. Wins over the floor.
    pub timeout_cap: Duration,
    /// Shortest hedge delay; 2 ms, a hedge costs one request and so may come early.
    pub hedge_floor: Duration,
    /// Hedge delay before the first sample; 50 ms.
    pub hedge_initial: Duration,
}

impl Default for TimeoutConfig {
    fn default() -> Self {
        Self {
            timeout_initial: Duration::from_millis(500),
            timeout_floor: Duration::from_millis(20),
            timeout_cap: Duration::from_secs(2),
            hedge_floor: Duration::from_millis(2),
            hedge_initial: Duration::from_millis(50),
        }
    }
}

/// An estimate of one node's round trip time: 8 bytes, no clock.
///
/// Differs from the RFC: Karn's rule, that only exchanges sent once are sampled, is not needed, for an answer tells to
/// which attempt it is. Without it a network that has become slow is noticed although every request is repeated.
///
/// ```
/// use kadmap_core::{RoundTrip, TimeoutConfig};
/// use std::time::Duration;
/// let mut round_trip = RoundTrip::default();
/// round_trip.sample(Duration::from_millis(40));
/// assert_eq!(round_trip.timeout(&TimeoutConfig::default()), Duration::from_millis(120));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoundTrip {
    /// SRTT; zero means that there was no sample yet, so samples count as 1 us at least.
    smoothed_us: u32,
    /// RTTVAR.
    variation_us: u32,
}

impl RoundTrip {
    /// Takes one measured round trip into the estimate.
    pub fn sample(&mut self, round_trip: Duration) {
        let sample = saturate(round_trip.as_micros()).max(1);
        if self.smoothed_us == 0 {
            self.smoothed_us = sample;
            self.variation_us = sample / 2;
            return;
        }
        let deviation = self.smoothed_us.abs_diff(sample);
        self.variation_us = blend(self.variation_us, deviation, VARIATION_SMOOTHING);
        self.smoothed_us = blend(self.smoothed_us, sample, SMOOTHING).max(1);
    }

    /// The smoothed round trip time, or `None` before the first sample.
    pub fn smoothed(&self) -> Option<Duration> {
        (self.smoothed_us != 0).then(|| Duration::from_micros(self.smoothed_us.into()))
    }

    /// How long to wait before a request counts as lost: SRTT + 4 RTTVAR between floor and cap.
    pub fn timeout(&self, config: &TimeoutConfig) -> Duration {
        let wait = self.expected_most().unwrap_or(config.timeout_initial);
        wait.max(config.timeout_floor).min(config.timeout_cap)
    }

    /// How long to wait before asking somebody else as well; never longer than the timeout.
    pub fn hedge_delay(&self, config: &TimeoutConfig) -> Duration {
        let wait = self.expected_most().unwrap_or(config.hedge_initial);
        wait.max(config.hedge_floor).min(self.timeout(config))
    }

    fn expected_most(&self) -> Option<Duration> {
        let variation = VARIATIONS_ALLOWED * u64::from(self.variation_us);
        Some(self.smoothed()? + Duration::from_micros(variation))
    }
}

/// `old` moved by one `share`-th towards `new`.
fn blend(old: u32, new: u32, share: u64) -> u32 {
    saturate(u128::from((u64::from(old) * (share - 1) + u64::from(new)) / share))
}

fn saturate(micros: u128) -> u32 {
    u32::try_from(micros).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONFIG: fn() -> TimeoutConfig = TimeoutConfig::default;

    fn after(samples_us: &[u64]) -> RoundTrip {
        let mut round_trip = RoundTrip::default();
        samples_us.iter().for_each(|&us| round_trip.sample(Duration::from_micros(us)));
        round_trip
    }

    #[test]
    fn without_samples_the_first_guesses_hold() {
        assert_eq!(RoundTrip::default().smoothed(), None);
        assert_eq!(RoundTrip::default().timeout(&CONFIG()), CONFIG().timeout_initial);
        assert_eq!(RoundTrip::default().hedge_delay(&CONFIG()), CONFIG().hedge_initial);
    }

    #[test]
    fn the_numbers_are_those_of_rfc_6298() {
        let round_trip = after(&[80_000, 160_000]);
        // RTTVAR = 3/4 * 40 + 1/4 * 80 = 50 ms, SRTT = 7/8 * 80 + 1/8 * 160 = 90 ms.
        assert_eq!(round_trip.smoothed(), Some(Duration::from_millis(90)));
        assert_eq!(round_trip.timeout(&CONFIG()), Duration::from_millis(290));
    }

    #[test]
    fn a_steady_fast_node_is_hedged_early_and_timed_out_at_the_floor() {
        let round_trip = after(&[300; 100]);
        assert_eq!(round_trip.hedge_delay(&CONFIG()), CONFIG().hedge_floor);
        assert_eq!(round_trip.timeout(&CONFIG()), CONFIG().timeout_floor);
    }

    #[test]
    fn a_zero_round_trip_is_a_sample() {
        assert_eq!(after(&[0]).smoothed(), Some(Duration::from_micros(1)));
    }

    #[test]
    fn the_estimate_is_small() {
        assert!(size_of::<RoundTrip>() <= 12);
    }

    proptest! {
        #[test]
        fn waits_stay_within_their_bounds(samples in prop::collection::vec(any::<u64>(), 0..50)) {
            let (round_trip, config) = (after(&samples), CONFIG());
            let timeout = round_trip.timeout(&config);
            prop_assert!((config.timeout_floor..=config.timeout_cap).contains(&timeout));
            prop_assert!((config.hedge_floor..=timeout).contains(&round_trip.hedge_delay(&config)));
        }

        #[test]
        fn the_estimate_settles_near_a_steady_round_trip(us in 1_000u64..1_000_000, before in 0u64..1_000_000) {
            let mut samples = vec![before];
            samples.extend([us; 200]);
            let smoothed = after(&samples).smoothed().unwrap();
            // Whole microseconds round down, so the estimate may rest a little below.
            prop_assert!(smoothed.abs_diff(Duration::from_micros(us)) <= Duration::from_micros(8));
        }
    }
}
