//! How long things took, and what share of them took at most how long.

use std::time::Duration;

/// Durations, kept one by one: percentiles are exact.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latencies {
    nanos: Vec<u64>,
    sorted: bool,
}

impl Latencies {
    pub(crate) fn push(&mut self, duration: Duration) {
        self.nanos.push(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
        self.sorted = false;
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.nanos.append(&mut other.nanos);
        self.sorted = false;
    }

    /// The smallest duration that at least this share (0 to 1) does not exceed, in milliseconds; `None` of nothing.
    pub(crate) fn quantile_ms(&mut self, share: f64) -> Option<f64> {
        if !self.sorted {
            self.nanos.sort_unstable();
            self.sorted = true;
        }
        let rank = (share * self.nanos.len() as f64).ceil() as usize;
        self.nanos.get(rank.clamp(1, self.nanos.len().max(1)) - 1).map(|nanos| *nanos as f64 / 1e6)
    }

    pub(crate) fn p50_ms(&mut self) -> Option<f64> {
        self.quantile_ms(0.50)
    }

    pub(crate) fn p99_ms(&mut self) -> Option<f64> {
        self.quantile_ms(0.99)
    }

    pub(crate) fn max_ms(&mut self) -> Option<f64> {
        self.quantile_ms(1.0)
    }
}

/// The middle one of some figures; of an even number the lower of the two; `None` of none.
pub(crate) fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_members_and_monotone() {
        let mut latencies = Latencies::default();
        for ms in (1..=100).rev() {
            latencies.push(Duration::from_millis(ms));
        }
        assert_eq!(latencies.p50_ms(), Some(50.0));
        assert_eq!(latencies.p99_ms(), Some(99.0));
        assert_eq!(latencies.max_ms(), Some(100.0));
        assert_eq!(latencies.quantile_ms(0.0), Some(1.0));
    }

    #[test]
    fn nothing_has_no_quantile_and_no_median() {
        assert_eq!(Latencies::default().p50_ms(), None);
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn the_median_of_an_even_number_is_the_lower_middle() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.0));
    }
}
