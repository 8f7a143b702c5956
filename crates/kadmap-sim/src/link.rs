//! How messages travel: delay, jitter, loss, duplication, reordering.

use std::time::Duration;

use crate::Dice;
use crate::address::spread;
use crate::dice::fraction_of;

/// How far nodes are from each other: drawn once for each pair, so that what a node learns of a peer's pace holds.
///
/// ```
/// let far = kadmap_sim::Latency::Constant(std::time::Duration::from_millis(50));
/// assert_ne!(far, kadmap_sim::Latency::Constant(std::time::Duration::ZERO));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Latency {
    /// Every pair is equally far.
    Constant(Duration),
    /// Anything between two bounds.
    Uniform {
        /// The nearest pair.
        least: Duration,
        /// The farthest pair.
        most: Duration,
    },
    /// Most pairs are near the median, a few several times as far: how the Internet is.
    LogNormal {
        /// Half of the pairs are nearer.
        median: Duration,
        /// The deviation of the logarithm; with 0.5 one pair in forty is 2.7 times as far as the median.
        sigma: f64,
    },
}

impl Latency {
    /// The time on the way between the two nodes that `pair` stands for.
    fn of_pair(&self, pair: u64) -> Duration {
        match *self {
            Self::Constant(time) => time,
            Self::Uniform { least, most } => {
                let span = most.saturating_sub(least);
                least + span.mul_f64(fraction_of(spread(pair)))
            }
            Self::LogNormal { median, sigma } => {
                median.mul_f64(libm::exp(sigma * normal(spread(pair), spread(!pair))))
            }
        }
    }
}

/// A standard normal from two random words (Box and Muller, 1958).
fn normal(one: u64, other: u64) -> f64 {
    let radius = libm::sqrt(-2.0 * libm::log(1.0 - fraction_of(one)));
    radius * libm::cos(std::f64::consts::TAU * fraction_of(other))
}

/// How messages travel between any two nodes.
///
/// ```
/// use kadmap_sim::Link;
/// let link = Link { loss: 0.05, ..Link::lan() };
/// assert_eq!(link.duplicates, 0.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    /// How far the nodes are from each other.
    pub latency: Latency,
    /// Up to so much more for each message; more than the pause between two messages reorders them.
    pub jitter: Duration,
    /// Share of messages that vanish, 0 to 1.
    pub loss: f64,
    /// Share of messages that arrive twice, 0 to 1.
    pub duplicates: f64,
    /// Share of messages that are held back for up to [`reorder_delay`](Self::reorder_delay), 0 to 1.
    pub reordered: f64,
    /// How long a message is held back at most.
    pub reorder_delay: Duration,
}

impl Link {
    /// A local network: 100 to 300 us, nothing lost.
    pub fn lan() -> Self {
        let (least, most) = (Duration::from_micros(100), Duration::from_micros(200));
        Self {
            latency: Latency::Uniform { least, most },
            jitter: Duration::from_micros(100),
            loss: 0.0,
            duplicates: 0.0,
            reordered: 0.0,
            reorder_delay: Duration::from_millis(2),
        }
    }

    /// The Internet: 40 ms in the median and 110 ms for the farthest in forty, 5 ms of jitter, nothing lost.
    pub fn wan() -> Self {
        Self {
            latency: Latency::LogNormal { median: Duration::from_millis(40), sigma: 0.5 },
            jitter: Duration::from_millis(5),
            reorder_delay: Duration::from_millis(50),
            ..Self::lan()
        }
    }

    /// When the copies of one message arrive: none when it is lost, two when it is doubled.
    pub(crate) fn arrivals(&self, dice: &mut Dice, pair: u64) -> impl Iterator<Item = Duration> + use<> {
        let copies = if dice.chance(self.duplicates) { 2 } else { 1 };
        let mut after = [None; 2];
        for slot in after.iter_mut().take(copies) {
            if dice.chance(self.loss) {
                continue;
            }
            let mut delay = self.latency.of_pair(pair);
            if !self.jitter.is_zero() {
                delay += dice.between(Duration::ZERO, self.jitter);
            }
            if dice.chance(self.reordered) {
                delay += dice.between(Duration::ZERO, self.reorder_delay);
            }
            *slot = Some(delay);
        }
        after.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(link: &Link, messages: u64) -> Vec<Duration> {
        let mut dice = Dice::new(9);
        (0..messages).flat_map(|pair| link.arrivals(&mut dice, pair)).collect()
    }

    #[test]
    fn loss_and_duplication_are_as_told() {
        let lossy = Link { loss: 0.1, ..Link::lan() };
        assert!((8_800..9_200).contains(&arrivals(&lossy, 10_000).len()));
        let doubling = Link { duplicates: 0.2, ..Link::lan() };
        assert!((11_800..12_200).contains(&arrivals(&doubling, 10_000).len()));
    }

    #[test]
    fn a_pair_is_always_equally_far_but_for_the_jitter() {
        let link = Link { jitter: Duration::ZERO, ..Link::wan() };
        let mut dice = Dice::new(1);
        let mut once = || link.arrivals(&mut dice, 42).next();
        assert_eq!(once(), once());
    }

    #[test]
    fn latencies_keep_their_distribution() {
        let link = Link { jitter: Duration::ZERO, ..Link::wan() };
        let mut delays = arrivals(&link, 10_001);
        delays.sort_unstable();
        let ms = |at: usize| delays[at].as_secs_f64() * 1e3;
        assert!((38.0..42.0).contains(&ms(5_000)), "{}", ms(5_000));
        assert!((95.0..125.0).contains(&ms(9_773)), "{}", ms(9_773));
        let lan = arrivals(&Link { jitter: Duration::ZERO, ..Link::lan() }, 1_000);
        assert!(lan.iter().all(|at| (100..=200).contains(&at.as_micros())));
    }

    #[test]
    fn reordering_holds_some_messages_back() {
        let link = Link { reordered: 0.5, jitter: Duration::ZERO, ..Link::lan() };
        let late = arrivals(&link, 1_000).iter().filter(|at| at.as_micros() > 200).count();
        assert!((350..550).contains(&late), "{late}");
    }
}
