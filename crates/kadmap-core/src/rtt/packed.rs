//! An estimate in three bytes, for the hundreds of contacts that a routing table keeps.

use super::RoundTrip;

/// Bits of one packed number: five of exponent above seven of mantissa.
const CODE_BITS: u32 = 12;
const MANTISSA_BITS: u32 = 7;
/// The first number that is not its own code.
const HALF: u64 = 1 << MANTISSA_BITS;

/// A [`RoundTrip`] in 24 bits: both of its numbers are exact below 256 microseconds, and otherwise off by 1/256 at most.
///
/// That is a fraction of what an estimate wavers by anyway, as it takes in an eighth of each sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PackedRoundTrip([u8; 3]);

impl PackedRoundTrip {
    pub(crate) fn of(round_trip: RoundTrip) -> Self {
        let codes = encode(round_trip.smoothed_us) << CODE_BITS | encode(round_trip.variation_us);
        let [_, high, middle, low] = codes.to_be_bytes();
        Self([high, middle, low])
    }

    pub(crate) fn unpacked(self) -> RoundTrip {
        let [high, middle, low] = self.0;
        let codes = u32::from_be_bytes([0, high, middle, low]);
        let (smoothed, variation) = (codes >> CODE_BITS, codes & ((1 << CODE_BITS) - 1));
        RoundTrip { smoothed_us: decode(smoothed), variation_us: decode(variation) }
    }
}

/// The code of the nearest number that has one; zero has the code zero, and no other number has.
fn encode(number: u32) -> u32 {
    let number = u64::from(number);
    if number < HALF {
        return number as u32;
    }
    let shift = number.ilog2() - MANTISSA_BITS;
    let rounded = (number + (1 << shift >> 1)) >> shift;
    // Where rounding carries into the next exponent, the sum does as well.
    (shift << MANTISSA_BITS) + rounded as u32
}

fn decode(code: u32) -> u32 {
    let exponent = code >> MANTISSA_BITS;
    let Some(shift) = exponent.checked_sub(1) else { return code };
    let mantissa = u64::from(code) & (HALF - 1);
    u32::try_from((HALF + mantissa) << shift).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packing_is_exact_for_small_numbers_and_close_for_all(smoothed_us: u32, variation_us: u32, shift in 0u32..32) {
            let round_trip = RoundTrip { smoothed_us: smoothed_us >> shift, variation_us: variation_us >> shift };
            let back = PackedRoundTrip::of(round_trip).unpacked();
            for (was, is) in [(round_trip.smoothed_us, back.smoothed_us), (round_trip.variation_us, back.variation_us)] {
                prop_assert!(was.abs_diff(is) <= was / 256, "{was} became {is}");
            }
            prop_assert_eq!(PackedRoundTrip::of(back), PackedRoundTrip::of(round_trip));
        }
    }

    #[test]
    fn the_largest_estimate_stays_the_largest_and_none_stays_none() {
        let largest = RoundTrip { smoothed_us: u32::MAX, variation_us: u32::MAX };
        assert_eq!(PackedRoundTrip::of(largest).unpacked(), largest);
        assert_eq!(PackedRoundTrip::default().unpacked().smoothed(), None);
    }

    #[test]
    fn an_estimate_kept_packed_still_follows_what_is_measured() {
        let mut packed = PackedRoundTrip::default();
        for us in [vec![100_000; 50], vec![10_000; 50]].concat() {
            let mut round_trip = packed.unpacked();
            round_trip.sample(std::time::Duration::from_micros(us));
            packed = PackedRoundTrip::of(round_trip);
        }
        let smoothed = packed.unpacked().smoothed().expect("it was measured").as_micros();
        assert!(smoothed.abs_diff(10_000) < 500, "{smoothed}");
    }
}
