//! What two holders say to each other to find the records in which they differ.

use bytes::Bytes;
use minicbor::{Decode, Encode};

use crate::Key;
use crate::ranges::PrefixList;
use crate::record::Record;

/// Asks whether both nodes hold the same in some ranges.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Compare {
    /// The ranges.
    #[n(0)]
    pub ranges: PrefixList,
    /// The XOR of the hashes of all records that the asking node holds there.
    #[n(1)]
    pub hash: u64,
    /// Set by a node that learns what belongs to it, and wants to be told how long the other has been there.
    #[n(2)]
    pub joins: Option<bool>,
    /// Set where only what belongs to the answering node is to be compared, or with `joins` to the asking one.
    #[n(3)]
    pub shared: Option<bool>,
}

/// What a node holds in the ranges of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Sums {
    /// The hash of each range, 8 bytes each, most significant first; empty when all together are equal.
    #[cbor(n(0), with = "crate::record::cbor_bytes")]
    pub hashes: Bytes,
    /// For how long the answering node knows what became of its records, in milliseconds; only for who joins.
    #[n(1)]
    pub member_ms: Option<u64>,
    /// One bit for each range, most significant first: set where it is to be left alone, as the answering node knows enough
    /// others that are closer to all of its keys. Absent where none is, and unless `shared` was set.
    #[cbor(n(2), with = "crate::record::cbor_bytes::option", has_nil)]
    pub foreign: Option<Bytes>,
}

/// Asks for the parts of ranges that differ.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Divide {
    /// The ranges.
    #[n(0)]
    pub ranges: PrefixList,
    /// Which 16 bits of each hash are told: those from this one on; another number with each comparison, so that what
    /// looks equal by accident does so only once.
    #[n(1)]
    pub rotation: u8,
    /// By how much each of the last ranges of the list differs, 2 bytes each: where the answering node has a record
    /// there with this hash, that is most likely all the other lacks, and it is sent at once.
    #[cbor(n(2), with = "crate::record::cbor_bytes")]
    pub differences: Bytes,
}

/// The parts of ranges.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Parts {
    /// For each range one byte: 0 to 8 is that many records, whose hashes follow in path order; 255 means that the
    /// hashes of its first three quarters follow, the fourth being what makes the XOR of all four that of the range;
    /// 254 that the one record that differs is being sent.
    /// A hash is 2 bytes, most significant first.
    #[cbor(n(0), with = "crate::record::cbor_bytes")]
    pub parts: Bytes,
}

/// Asks a node to send records.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Fetch {
    /// Where they are.
    #[n(0)]
    pub ranges: PrefixList,
    /// As in [`Divide`].
    #[n(1)]
    pub rotation: u8,
    /// For each range: one byte for the number of hashes, and so many of 2 bytes, of the records that are wanted, none
    /// standing for all of the range; then one byte for the number of plain values that the asking node holds there
    /// and the other does not, and for each of them the last 2 bytes of its path and the 8 of its stamp's time.
    /// Where the other wants to send an older version of one of these, it is not to.
    #[cbor(n(2), with = "crate::record::cbor_bytes")]
    pub wanted: Bytes,
}

/// Tells that the records of a [`Fetch`] are being sent.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Fetching {
    /// How many.
    #[n(0)]
    pub records: u64,
    /// One bit for each plain value that the asking node named, in order, most significant first: set where the
    /// answering node holds a newer one and sends it.
    #[cbor(n(1), with = "crate::record::cbor_bytes")]
    pub newer: Bytes,
}

/// Copies of records for another holder: many small ones in one message, for each alone would cost as much again for its
/// acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Copies {
    /// The records; each is merged, whatever is there.
    #[n(0)]
    pub records: Vec<RecordCopy>,
}

/// One record among [`Copies`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RecordCopy {
    /// Its place.
    #[n(0)]
    pub key: Key,
    /// Its name.
    #[cbor(n(1), with = "crate::record::cbor_bytes")]
    pub name: Bytes,
    /// What to merge.
    #[n(2)]
    pub delta: Record,
}

/// What became of copies.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Copied {
    /// How many of them were news. The others were there already, or were refused, and the next comparison finds them again.
    #[n(0)]
    pub stored: u64,
}
