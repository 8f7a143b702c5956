//! All that is left to chance, decided by a seed.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// The source of a simulation's random choices: the same seed gives the same ones, on any machine.
///
/// ```
/// use kadmap_sim::Dice;
/// assert_eq!(Dice::new(7).below(1_000), Dice::new(7).below(1_000));
/// ```
#[derive(Debug, Clone)]
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// Dice that this seed decides.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Any 64 bits.
    pub fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `end`; 0 when there is none.
    pub fn below(&mut self, end: usize) -> usize {
        // The remainder prefers small numbers by less than 1 in 2^32 for all that is counted here.
        self.word().checked_rem(end as u64).unwrap_or(0) as usize
    }

    /// A number in [0, 1).
    pub fn fraction(&mut self) -> f64 {
        fraction_of(self.word())
    }

    /// Whether something happens that happens with this probability; draws nothing when it never does.
    pub fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.fraction() < probability
    }

    /// A time between two bounds, each of them possible.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = most.saturating_sub(least).as_micros() as usize;
        least + Duration::from_micros(self.below(span + 1) as u64)
    }

    /// One of several; `None` when there are none.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len()))
    }

    /// Puts the first `count` places of a slice to an equal draw from all of it.
    pub fn draw_to_front<T>(&mut self, all: &mut [T], count: usize) {
        for place in 0..count.min(all.len()) {
            let other = place + self.below(all.len() - place);
            all.swap(place, other);
        }
    }
}

/// A number in [0, 1) from 64 random bits: 53 of them make one exactly.
pub(crate) fn fraction_of(word: u64) -> f64 {
    (word >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_takes_nobody_twice() {
        let mut all: Vec<_> = (0..100).collect();
        Dice::new(1).draw_to_front(&mut all, 60);
        let mut sorted = all.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        assert_ne!(all, sorted);
    }

    #[test]
    fn chances_come_out_as_told() {
        let mut dice = Dice::new(3);
        let hits = (0..100_000).filter(|_| dice.chance(0.1)).count();
        assert!((9_600..10_400).contains(&hits), "{hits}");
        assert!(!dice.chance(0.0));
    }
}
