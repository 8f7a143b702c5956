//! The smallest things a store writes, and when they die.

use kadmap_core::{ItemId, RecordId};

/// Parts that one call of `expire` drops for each record it was allowed, so that a long list that expires at
/// once does not hold up the node: at a microsecond each, 64 records are 4 ms.
const PARTS_PER_RECORD: usize = 64;

/// One part of a record: its base or one of its items.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Base,
    Item(ItemId),
}

/// When time next does something to a part; ordered by time.
///
/// A part that is looked at too early, because the grace was shorter when it was entered, is entered again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Death {
    pub(crate) at_ms: u64,
    pub(crate) id: RecordId,
    pub(crate) part: Part,
}

impl Death {
    pub(crate) fn new(at_ms: u64, id: &RecordId, part: Part) -> Self {
        Self { at_ms, id: id.clone(), part }
    }
}

/// How many parts one call of `expire` looks at.
pub(crate) fn parts_max(records_max: usize) -> usize {
    records_max.saturating_mul(PARTS_PER_RECORD)
}
