//! A range of paths that begin alike.

use super::{KEY_BITS, PATH_BITS};
use crate::{ID_BYTES, Key};

/// All paths that begin with the same bits.
///
/// ```
/// use kadmap_core::ranges::Prefix;
/// let half = Prefix::ALL.child(true);
/// assert_eq!(half.bits(), 1);
/// assert!(half.covers(&half.child(false)) && !half.covers(&Prefix::ALL));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Prefix {
    /// The bits, most significant first. Invariant: those past `bits` are zero.
    path: u128,
    bits: u8,
}

impl Prefix {
    /// The range of all paths.
    pub const ALL: Self = Self { path: 0, bits: 0 };

    /// The range of the paths that share the first `bits` bits of `path`; more than 128 count as 128.
    pub const fn new(path: u128, bits: u8) -> Self {
        let bits = if bits > PATH_BITS { PATH_BITS } else { bits };
        Self { path: path & mask(bits), bits }
    }

    /// How many bits its paths share, 0 to 128.
    pub const fn bits(&self) -> u8 {
        self.bits
    }

    /// The first path of the range.
    pub const fn first(&self) -> u128 {
        self.path
    }

    /// The last path of the range.
    pub const fn last(&self) -> u128 {
        self.path | !mask(self.bits)
    }

    /// One half of the range; the range itself when it cannot be halved.
    #[must_use]
    pub const fn child(&self, upper: bool) -> Self {
        if self.bits >= PATH_BITS {
            return *self;
        }
        let bit = (upper as u128) << (PATH_BITS - 1 - self.bits);
        Self { path: self.path | bit, bits: self.bits + 1 }
    }

    /// The four quarters of the range in path order.
    pub const fn quarters(&self) -> [Self; 4] {
        let (lower, upper) = (self.child(false), self.child(true));
        [lower.child(false), lower.child(true), upper.child(false), upper.child(true)]
    }

    /// Whether all of `other` lies in this range.
    pub const fn covers(&self, other: &Self) -> bool {
        self.bits <= other.bits && self.contains(other.path)
    }

    /// Whether a path lies in this range.
    pub const fn contains(&self, path: u128) -> bool {
        path & mask(self.bits) == self.path
    }

    /// The first place that a path of this range may belong to.
    pub fn first_key(&self) -> Key {
        key_from((self.path >> KEY_BITS) as u64, 0)
    }

    /// The last place that a path of this range may belong to.
    pub fn last_key(&self) -> Key {
        key_from((self.last() >> KEY_BITS) as u64, 0xff)
    }

    /// The range that both this one and the one that follows it make up, if they are halves of one.
    pub(crate) fn joined_with(&self, next: &Self) -> Option<Self> {
        let parent = Self::new(self.path, self.bits.checked_sub(1)?);
        (parent.child(false) == *self && parent.child(true) == *next).then_some(parent)
    }
}

/// Ones where the first `bits` bits are.
const fn mask(bits: u8) -> u128 {
    if bits == 0 { 0 } else { u128::MAX << (PATH_BITS - bits) }
}

fn key_from(first_word: u64, rest: u8) -> Key {
    let mut bytes = [rest; ID_BYTES];
    bytes[..8].copy_from_slice(&first_word.to_be_bytes());
    Key::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn quarters_make_up_the_range(path in any::<u128>(), bits in 0u8..=126) {
            let range = Prefix::new(path, bits);
            let [a, b, c, d] = range.quarters();
            prop_assert_eq!(a.first(), range.first());
            prop_assert_eq!(d.last(), range.last());
            for (left, right) in [(a, b), (b, c), (c, d)] {
                prop_assert_eq!(left.last() + 1, right.first());
            }
            prop_assert_eq!(a.joined_with(&b), Some(range.child(false)));
            prop_assert_eq!(b.joined_with(&c), None);
        }

        #[test]
        fn a_range_covers_what_begins_like_it(path in any::<u128>(), bits in 0u8..=128, more in 0u8..=128) {
            let range = Prefix::new(path, bits);
            prop_assert!(range.contains(path));
            prop_assert!(range.covers(&Prefix::new(path, bits.saturating_add(more))));
            prop_assert!(range.first_key() <= range.last_key());
        }
    }

    #[test]
    fn the_ends_of_a_path_are_no_special_case() {
        let whole = Prefix::new(u128::MAX, 200);
        assert_eq!((whole.bits(), whole.child(false)), (128, whole));
        assert_eq!(Prefix::ALL.last(), u128::MAX);
    }
}
