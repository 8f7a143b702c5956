//! What a node asks that comes back after so long that deletions may have been forgotten meanwhile.

use minicbor::{Decode, Encode};

use super::NameEntry;
use crate::record::Version;

/// Asks in which state some records are that the sender holds, and may rely on only up to some time.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Recall {
    /// How long ago the sender last was part of the swarm, in milliseconds.
    #[n(0)]
    pub away_ms: u64,
    /// The records.
    #[n(1)]
    pub records: Vec<NameEntry>,
}

/// The states of the records of a [`Recall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Recalled {
    /// One for each record, absent where nothing is held.
    /// None at all when the answering node cannot vouch for its word: it has not been part of the swarm, or learnt from
    /// nodes that have, for as long without a gap.
    #[n(0)]
    pub versions: Vec<Version>,
}
