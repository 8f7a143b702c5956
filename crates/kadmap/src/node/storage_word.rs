//! What is said about a store that fails: every refused write reports it, and one line a minute is enough.

use std::time::{Duration, Instant};

use tracing::error;

/// How often the same failure is told at most.
const TOLD_INTERVAL: Duration = Duration::from_secs(60);

/// The failure that was told last.
#[derive(Debug, Default)]
pub(super) struct StorageWord {
    told: Option<(String, Instant)>,
}

impl StorageWord {
    /// Tells why the store fails, unless that has just been told.
    pub(super) fn failed(&mut self, now: Instant, reason: String) {
        if self.is_news(now, &reason) {
            error!("storage failed, writes are refused until it works again: {reason}");
            self.told = Some((reason, now));
        }
    }

    fn is_news(&self, now: Instant, reason: &str) -> bool {
        let same = |(told, at): &(String, Instant)| told == reason && now < *at + TOLD_INTERVAL;
        !self.told.as_ref().is_some_and(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_failure_is_told_once_a_minute_and_another_at_once() {
        let (mut word, now) = (StorageWord::default(), Instant::now());
        assert!(word.is_news(now, "full"));
        word.failed(now, "full".to_owned());
        assert!(!word.is_news(now + TOLD_INTERVAL / 2, "full"));
        assert!(word.is_news(now, "gone"));
        assert!(word.is_news(now + TOLD_INTERVAL, "full"));
    }
}
