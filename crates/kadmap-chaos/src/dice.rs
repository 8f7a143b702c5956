//! Chance with a seed.

/// A generator of numbers that are random enough to choose victims by: splitmix64 (Steele et al., 2014).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 when there is none.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.roll() % end.max(1) as u64) as usize
    }

    /// So many different numbers below `end`, in any order; all of them when there are fewer.
    pub(crate) fn choose(&mut self, count: usize, end: usize) -> Vec<usize> {
        let mut all = self.shuffled(end);
        all.truncate(count);
        all
    }

    /// The numbers below `end` in any order.
    pub(crate) fn shuffled(&mut self, end: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..end).collect();
        for at in (1..end).rev() {
            all.swap(at, self.below(at + 1));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_has_no_number_twice() {
        let mut chosen = Dice::new(1).choose(10, 20);
        chosen.sort_unstable();
        chosen.dedup();
        assert_eq!(chosen.len(), 10);
        assert_eq!(Dice::new(1).shuffled(20), Dice::new(1).shuffled(20));
    }
}
