//! The proof that two runs were the same.

use crate::address::spread;

/// A running hash over everything that happened: 64 bits, so cheap that it is always on.
///
/// It tells apart runs that differ by accident; nobody tries to deceive it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Trace(u64);

impl Trace {
    /// Takes in one thing that happened.
    pub(crate) fn note(&mut self, words: [u64; 3]) {
        for word in words {
            // One more, as zero spreads to zero.
            self.0 = spread(self.0.rotate_left(5) ^ word.wrapping_add(1)).wrapping_add(word);
        }
    }

    pub(crate) fn hash(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_events_matters() {
        let of = |events: &[[u64; 3]]| {
            let mut trace = Trace::default();
            events.iter().for_each(|words| trace.note(*words));
            trace.hash()
        };
        assert_ne!(of(&[[1, 2, 3], [4, 5, 6]]), of(&[[4, 5, 6], [1, 2, 3]]));
        assert_ne!(of(&[[0, 0, 0]]), of(&[[0, 0, 0], [0, 0, 0]]));
    }
}
