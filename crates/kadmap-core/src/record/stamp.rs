//! When and by whom something was written: a hybrid logical clock with a writer's tag.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};

/// Bits of a stamp's time that count operations within one millisecond.
const COUNTER_BITS: u32 = 16;
/// Hexadecimal digits of each half of a stamp's text.
const HALF_DIGITS: usize = 16;

/// The unique, totally ordered mark of one write.
///
/// The time is a hybrid logical clock (Kulkarni et al., 2014): 48 bits of milliseconds since 1970 and 16 bits
/// that count within one millisecond, pushed past every stamp its writer has seen.
/// The tag is drawn at random when a writer starts, so two writers never make the same stamp.
///
/// ```
/// use kadmap_core::{Clock, Stamp};
/// let mut clock = Clock::new(7);
/// let first = clock.stamp(1_000);
/// let second = clock.stamp(1_000);
/// assert!(first < second);
/// assert_eq!(first.unix_ms(), 1_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct Stamp {
    /// Hybrid logical time: milliseconds since 1970, shifted left by 16 bits, plus a counter.
    #[n(0)]
    pub time: u64,
    /// The writer's random tag.
    #[n(1)]
    pub writer: u64,
}

impl Stamp {
    /// The smallest stamp; below everything that a clock hands out.
    pub const MIN: Self = Self { time: 0, writer: 0 };

    /// The largest stamp; above everything that a clock hands out.
    pub const MAX: Self = Self { time: u64::MAX, writer: u64::MAX };

    /// The millisecond part of the stamp's time.
    pub const fn unix_ms(self) -> u64 {
        self.time >> COUNTER_BITS
    }

    /// The largest stamp of the milliseconds before this one; [`Stamp::MIN`] when there are none.
    ///
    /// ```
    /// use kadmap_core::{Clock, Stamp};
    /// let stamp = Clock::new(7).stamp(1_000);
    /// assert!(Stamp::before_ms(1_000) < stamp && stamp < Stamp::before_ms(1_001));
    /// ```
    pub fn before_ms(unix_ms: u64) -> Self {
        let first = unix_ms.min(u64::MAX >> COUNTER_BITS) << COUNTER_BITS;
        first.checked_sub(1).map_or(Self::MIN, |time| Self { time, writer: u64::MAX })
    }

    /// The next stamp in order; itself at the end.
    pub fn successor(self) -> Self {
        Self::from_bytes(u128::from_be_bytes(self.to_bytes()).saturating_add(1).to_be_bytes())
    }

    /// The stamp before in order; itself at the beginning.
    pub fn predecessor(self) -> Self {
        Self::from_bytes(u128::from_be_bytes(self.to_bytes()).saturating_sub(1).to_be_bytes())
    }

    /// The stamp as 16 bytes, in an order that sorts as the stamps do.
    pub fn to_bytes(self) -> [u8; 16] {
        ((u128::from(self.time) << 64) | u128::from(self.writer)).to_be_bytes()
    }

    /// The stamp that [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let all = u128::from_be_bytes(bytes);
        Self { time: (all >> 64) as u64, writer: all as u64 }
    }
}

impl fmt::Display for Stamp {
    /// Time and writer in hexadecimal, in an order that sorts as the stamps do: an item's id as users see it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:016x}", self.time, self.writer)
    }
}

impl FromStr for Stamp {
    type Err = ParseStampError;

    fn from_str(text: &str) -> Result<Self, ParseStampError> {
        let malformed = || ParseStampError { text: text.to_owned() };
        let half = |digits: &str| {
            let is_half = digits.len() == HALF_DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit());
            is_half.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
        };
        let (time, writer) = text.split_once('-').ok_or_else(malformed)?;
        match (half(time), half(writer)) {
            (Some(time), Some(writer)) => Ok(Self { time, writer }),
            _ => Err(malformed()),
        }
    }
}

/// Why a text is not the id of an item.
///
/// ```
/// let error = "4".parse::<kadmap_core::Stamp>().unwrap_err();
/// assert!(error.to_string().starts_with("'4' is not an item's id"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is not an item's id: expected two times 16 hexadecimal digits with a dash, as items shows them"
)]
pub struct ParseStampError {
    /// The text as given.
    pub text: String,
}

/// The source of one writer's stamps.
///
/// ```
/// use kadmap_core::{Clock, Stamp};
/// let mut clock = Clock::new(1);
/// let seen = Stamp { time: 5_000 << 16, writer: 2 };
/// clock.observe(seen);
/// assert!(clock.stamp(10) > seen);
/// ```
#[derive(Debug, Clone)]
pub struct Clock {
    writer: u64,
    last_time: u64,
}

impl Clock {
    /// A clock for the writer with this tag; the tag is random and new at each start.
    pub const fn new(writer: u64) -> Self {
        Self { writer, last_time: 0 }
    }

    /// A stamp above all that this clock handed out or observed.
    pub fn stamp(&mut self, unix_ms: u64) -> Stamp {
        self.last_time = (unix_ms << COUNTER_BITS).max(self.last_time.saturating_add(1));
        Stamp { time: self.last_time, writer: self.writer }
    }

    /// Takes note of somebody's stamp, so that later ones are above it.
    ///
    /// The caller has checked that the stamp is not too far ahead: a clock never goes back.
    pub fn observe(&mut self, stamp: Stamp) {
        self.last_time = self.last_time.max(stamp.time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn stamps_rise_whatever_the_wall_clock_does(times in prop::collection::vec(0u64..1 << 40, 1..50)) {
            let mut clock = Clock::new(3);
            let stamps: Vec<_> = times.iter().map(|&ms| clock.stamp(ms)).collect();
            prop_assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]));
        }

        #[test]
        fn bytes_sort_as_stamps_and_round_trip(a in any::<(u64, u64)>(), b in any::<(u64, u64)>()) {
            let stamp = |(time, writer)| Stamp { time, writer };
            prop_assert_eq!(stamp(a).cmp(&stamp(b)), stamp(a).to_bytes().cmp(&stamp(b).to_bytes()));
            prop_assert_eq!(Stamp::from_bytes(stamp(a).to_bytes()), stamp(a));
            prop_assert_eq!(stamp(a).cmp(&stamp(b)), stamp(a).to_string().cmp(&stamp(b).to_string()));
            prop_assert_eq!(stamp(a).to_string().parse(), Ok(stamp(a)));
        }

        #[test]
        fn neighbours_have_nothing_between_them(a in any::<(u64, u64)>()) {
            let stamp = Stamp { time: a.0, writer: a.1 };
            prop_assert!(stamp == Stamp::MAX || stamp.successor().predecessor() == stamp);
            prop_assert!(stamp == Stamp::MAX || stamp.successor() > stamp);
        }

        #[test]
        fn any_text_is_an_id_or_refused(text in ".{0,40}") {
            prop_assert!(text.parse::<Stamp>().map_or(true, |stamp| stamp.to_string() == text.to_lowercase()));
        }
    }
}
