//! How long things last: distributions of sessions and pauses.

use std::time::Duration;

use crate::Dice;

/// A distribution of times.
///
/// ```
/// use kadmap_sim::{Dice, Span};
/// use std::time::Duration;
/// let hour = Span::Constant(Duration::from_secs(3600));
/// assert_eq!(hour.draw(&mut Dice::new(1)), Duration::from_secs(3600));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Span {
    /// Always the same.
    Constant(Duration),
    /// Anything between two bounds.
    Uniform {
        /// The shortest.
        least: Duration,
        /// The longest.
        most: Duration,
    },
    /// Memoryless: how long it has lasted says nothing.
    Exponential {
        /// Half of them are shorter.
        median: Duration,
    },
    /// With a shape below 1, what has lasted long lasts longer: sessions of peers are like that, with shapes of
    /// 0.34 to 0.59 (Stutzbach and Rejaie, 2006).
    Weibull {
        /// Half of them are shorter.
        median: Duration,
        /// 1 is exponential.
        shape: f64,
    },
}

impl Span {
    /// One time of the distribution.
    pub fn draw(&self, dice: &mut Dice) -> Duration {
        match *self {
            Self::Constant(time) => time,
            Self::Uniform { least, most } => dice.between(least, most),
            Self::Exponential { median } => weibull(median, 1.0, dice.fraction()),
            Self::Weibull { median, shape } => weibull(median, shape, dice.fraction()),
        }
    }
}

/// The time that a share `fraction` of the distribution is below.
fn weibull(median: Duration, shape: f64, fraction: f64) -> Duration {
    let at = |share: f64| libm::pow(-libm::log(1.0 - share), 1.0 / shape);
    let seconds = median.as_secs_f64() * at(fraction) / at(0.5);
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_them_are_below_the_median() {
        let median = Duration::from_secs(60);
        for span in [Span::Exponential { median }, Span::Weibull { median, shape: 0.5 }] {
            let mut dice = Dice::new(5);
            let below = (0..20_000).filter(|_| span.draw(&mut dice) < median).count();
            assert!((9_700..10_300).contains(&below), "{span:?}: {below}");
        }
    }

    #[test]
    fn a_weibull_of_small_shape_has_the_longer_tail() {
        let median = Duration::from_secs(60);
        let long = |shape| weibull(median, shape, 0.99);
        assert!(long(0.5) > 5 * long(1.0));
    }
}
