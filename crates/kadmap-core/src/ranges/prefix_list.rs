//! Many ranges in few bytes.

use minicbor::{Decode, Encode};

use super::{PATH_BITS, Prefix};

/// Ranges in one list at most: far more than a node holds, and a bound on what a request may cost.
pub(crate) const PREFIXES_MAX: usize = 4_096;
/// Bits of a number that one byte of the list holds.
const BITS_PER_BYTE: u32 = 7;
/// Set in every byte of a number but the last.
const MORE: u8 = 0x80;

/// Ranges as they travel.
///
/// Ranges of one size in path order take little more than their distance from each other: for each run of equal size
/// its bits, the number of ranges, then the differences of their numbers, all as little-endian base 128.
///
/// ```
/// use kadmap_core::ranges::{Prefix, PrefixList};
/// let halves = PrefixList(vec![Prefix::ALL.child(false), Prefix::ALL.child(true)]);
/// assert_eq!(halves.to_bytes(), [1, 2, 0, 1]);
/// assert_eq!(PrefixList::from_bytes(&[1, 2, 0, 1]), Some(halves));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PrefixList(pub Vec<Prefix>);

impl PrefixList {
    /// The list in bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for run in self.0.chunk_by(|a, b| a.bits() == b.bits() && a.first() <= b.first()) {
            let bits = run.first().map_or(0, Prefix::bits);
            write_number(&mut bytes, u128::from(bits));
            write_number(&mut bytes, run.len() as u128);
            let mut last = 0;
            for prefix in run {
                let number = number_of(prefix);
                write_number(&mut bytes, number - last);
                last = number;
            }
        }
        bytes
    }

    /// The list in these bytes; `None` when they are none, or hold more than 4,096 ranges.
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut prefixes = Vec::new();
        while !bytes.is_empty() {
            let bits = u8::try_from(read_number(&mut bytes)?).ok().filter(|bits| *bits <= PATH_BITS)?;
            let count = usize::try_from(read_number(&mut bytes)?).ok()?;
            if count > PREFIXES_MAX - prefixes.len() {
                return None;
            }
            let mut number = 0_u128;
            for _ in 0..count {
                number = number.checked_add(read_number(&mut bytes)?)?;
                prefixes.push(prefix_of(number, bits)?);
            }
        }
        Some(Self(prefixes))
    }
}

/// The bits of a range as a number.
fn number_of(prefix: &Prefix) -> u128 {
    prefix.first().checked_shr(u32::from(PATH_BITS - prefix.bits())).unwrap_or(0)
}

fn prefix_of(number: u128, bits: u8) -> Option<Prefix> {
    let path = number.checked_shl(u32::from(PATH_BITS - bits)).unwrap_or(0);
    let prefix = Prefix::new(path, bits);
    (number_of(&prefix) == number).then_some(prefix)
}

fn write_number(bytes: &mut Vec<u8>, mut number: u128) {
    while number >> BITS_PER_BYTE > 0 {
        bytes.push(number as u8 | MORE);
        number >>= BITS_PER_BYTE;
    }
    bytes.push(number as u8);
}

fn read_number(bytes: &mut &[u8]) -> Option<u128> {
    let mut number = 0_u128;
    for shift in (0..PATH_BITS.into()).step_by(BITS_PER_BYTE as usize) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u128::from(byte & !MORE);
        let placed = part << shift;
        if placed >> shift != part {
            return None;
        }
        number |= placed;
        if byte & MORE == 0 {
            return Some(number);
        }
    }
    None
}

impl<C> Encode<C> for PrefixList {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.to_bytes())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for PrefixList {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let list = Self::from_bytes(d.bytes()?);
        list.ok_or_else(|| minicbor::decode::Error::message("not a list of at most 4,096 ranges"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_list_comes_back_as_it_was(ranges in prop::collection::vec((any::<u128>(), 0u8..=128), 0..50)) {
            let list = PrefixList(ranges.into_iter().map(|(path, bits)| Prefix::new(path, bits)).collect());
            prop_assert_eq!(PrefixList::from_bytes(&list.to_bytes()), Some(list));
        }

        #[test]
        fn any_bytes_are_a_list_or_none(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some(list) = PrefixList::from_bytes(&bytes) {
                prop_assert_eq!(PrefixList::from_bytes(&list.to_bytes()), Some(list));
            }
        }
    }

    #[test]
    fn a_claim_of_many_ranges_is_refused_before_they_are_read() {
        assert_eq!(PrefixList::from_bytes(&[8, 0xff, 0x7f]), None);
    }

    #[test]
    fn neighbours_of_one_size_take_a_byte_or_two_each() {
        let ranges = (0..100u128).map(|number| Prefix::new((number * 160) << 104, 24)).collect();
        assert!(PrefixList(ranges).to_bytes().len() <= 203);
    }
}
