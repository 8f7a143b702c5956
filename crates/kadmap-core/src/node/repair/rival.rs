//! Two plain values under one name: only the newer one needs to travel.

use crate::Head;
use crate::ranges::path_of;
use crate::record::Stamp;
use crate::store::RecordId;

/// Bytes of a rival on the wire.
pub(super) const RIVAL_BYTES: usize = 10;

/// A plain value that the other holder may have an older or a newer version of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rival {
    /// The last bits of its record's path, to know it again.
    tail: u16,
    /// The time of its stamp.
    time: u64,
}

impl Rival {
    /// A record as a rival; `None` when it has items, for then each of two versions may hold what the other lacks.
    pub(super) fn of(id: &RecordId, head: &Head) -> Option<Self> {
        let is_plain = head.appended == 0 && head.fields == 0 && head.base_stamp > Stamp::MIN;
        is_plain.then(|| Self { tail: path_of(id) as u16, time: head.base_stamp.time })
    }

    /// Whether both are versions of one record, as far as can be told.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.tail == other.tail
    }

    pub(super) fn is_newer_than(&self, other: &Self) -> bool {
        self.time > other.time
    }

    pub(super) fn is_older_than(&self, other: &Self) -> bool {
        self.time < other.time
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.tail.to_be_bytes());
        out.extend_from_slice(&self.time.to_be_bytes());
    }

    pub(super) fn read([a, b, time @ ..]: [u8; RIVAL_BYTES]) -> Self {
        Self { tail: u16::from_be_bytes([a, b]), time: u64::from_be_bytes(time) }
    }
}

/// Flags as they travel: one bit each, most significant first.
pub(super) fn write_flags(flags: &[bool]) -> Vec<u8> {
    let byte = |flags: &[bool]| (0..8).fold(0, |byte, at| byte << 1 | u8::from(flags.get(at) == Some(&true)));
    flags.chunks(8).map(byte).collect()
}

/// One of the flags; those that are not there are not set.
pub(super) fn flag(bytes: &[u8], at: usize) -> bool {
    bytes.get(at / 8).is_some_and(|byte| byte & (0x80 >> (at % 8)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rivals_and_flags_come_back_as_they_were(
            rival in (any::<u16>(), any::<u64>()),
            flags in prop::collection::vec(any::<bool>(), 0..40),
        ) {
            let rival = Rival { tail: rival.0, time: rival.1 };
            let mut bytes = Vec::new();
            rival.write(&mut bytes);
            prop_assert_eq!(Rival::read(bytes.try_into().unwrap()), rival);
            let bytes = write_flags(&flags);
            prop_assert!((0..flags.len()).all(|at| flag(&bytes, at) == flags[at]));
            prop_assert!(!flag(&bytes, flags.len()));
        }
    }
}
