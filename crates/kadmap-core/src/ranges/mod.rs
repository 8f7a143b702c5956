//! Ranges of the key space: what two holders compare instead of their records.
//!
//! Every record has a path of 128 bits: the first 64 of its place, then 64 of a hash of its address, so that names that
//! share a place have paths of their own.
//! A [`Prefix`] is a range of paths, a [`RangeTree`] knows the sum of all records in any range, and [`regions`] tells
//! which ranges which nodes hold.

mod prefix;
mod prefix_list;
mod regions;
mod tree;

pub use prefix::Prefix;
pub(crate) use prefix_list::PREFIXES_MAX;
pub use prefix_list::PrefixList;
pub(crate) use regions::joined;
pub use regions::{Member, Region, regions};
pub use tree::{Leaf, RangeTree, Sum};

use crate::store::RecordId;

/// Records that two holders name one by one instead of dividing their range further.
pub(crate) const PART_RECORDS_MAX: usize = 8;
/// Bits of a path.
pub const PATH_BITS: u8 = 128;
/// Bits of a path that are those of the place.
pub const KEY_BITS: u8 = 64;

/// The path of a record: where it stands among the others.
pub(crate) fn path_of(id: &RecordId) -> u128 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(id.key.as_bytes()).update(&id.name);
    let mut low = [0; 8];
    low.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u128::from(id.key.first_word()) << KEY_BITS | u128::from(u64::from_be_bytes(low))
}
