//! What the demo measured.

use std::io::{self, Write};
use std::time::Duration;

use serde::{Serialize, Serializer};
use tracing::debug;

use crate::quantity::{shown_bytes, shown_duration};

/// The times of one kind of operation, and how many of them did what they should.
#[derive(Debug, Default, Clone)]
pub(super) struct Times {
    all: Vec<Duration>,
    good: usize,
}

impl Times {
    /// Takes note of one operation: how long it took, and whether it did what it should.
    pub(super) fn take(&mut self, name: &str, (time, result): (Duration, Result<bool, String>)) {
        self.all.push(time);
        match result {
            Ok(true) => self.good += 1,
            Ok(false) => debug!("{name}: not there, or not what was put"),
            Err(error) => debug!("{name}: {error}"),
        }
    }

    /// The time that a share of the operations (0.0 to 1.0) took at most: the nearest rank.
    fn quantile(&self, share: f64) -> Duration {
        let mut sorted = self.all.clone();
        sorted.sort_unstable();
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    fn bad(&self) -> usize {
        self.all.len() - self.good
    }
}

impl Serialize for Times {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Summary {
            count: usize,
            good: usize,
            p50_us: u128,
            p99_us: u128,
            max_us: u128,
        }
        let at = |share| self.quantile(share).as_micros();
        let (p50_us, p99_us, max_us) = (at(0.5), at(0.99), at(1.0));
        Summary { count: self.all.len(), good: self.good, p50_us, p99_us, max_us }.serialize(serializer)
    }
}

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) nodes: usize,
    pub(super) killed: usize,
    pub(super) keys: usize,
    pub(super) examples_wrong: usize,
    pub(super) join: Times,
    pub(super) put: Times,
    pub(super) get: Times,
    pub(super) get_after_kill: Times,
    pub(super) memory_bytes_per_node: Option<u64>,
}

impl Figures {
    /// Keys that could not be put, or not be got back, whichever are more.
    pub(super) fn lost(&self) -> usize {
        self.put.bad().max(self.get.bad()).max(self.get_after_kill.bad())
    }

    pub(super) fn is_perfect(&self) -> bool {
        self.lost() == 0 && self.examples_wrong == 0
    }

    /// The table for people.
    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{:<20}{:>12}{:>12}{:>12}{:>16}", "", "p50", "p99", "slowest", "done")?;
        let rows = [
            ("join", &self.join),
            ("put", &self.put),
            ("get", &self.get),
            ("get after the kill", &self.get_after_kill),
        ];
        for (what, times) in rows {
            let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| shown_duration(times.quantile(share)));
            let done = format!("{} of {}", times.good, times.all.len());
            writeln!(out, "{what:<20}{p50:>12}{p99:>12}{max:>12}{done:>16}")?;
        }
        let found = 100.0 * self.get_after_kill.good as f64 / self.get_after_kill.all.len().max(1) as f64;
        writeln!(out, "\nfound after the kill: {found:.1} %")?;
        match self.memory_bytes_per_node {
            Some(bytes) => writeln!(out, "memory: {} for each node", shown_bytes(bytes)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_nearest_rank() {
        let mut times = Times::default();
        for ms in (1..=100).rev() {
            times.take("", (Duration::from_millis(ms), Ok(ms != 7)));
        }
        assert_eq!(times.quantile(0.5), Duration::from_millis(50));
        assert_eq!(times.quantile(0.99), Duration::from_millis(99));
        assert_eq!(times.quantile(1.0), Duration::from_millis(100));
        assert_eq!(times.bad(), 1);
        assert_eq!(Times::default().quantile(0.5), Duration::ZERO);
    }
}
