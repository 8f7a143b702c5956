//! What does not belong to a node, as far as another knows.
//!
//! Who joined long ago does not hear of all that have come since, and takes itself or others for holders of what belongs
//! to these. Nothing is lost by that, but copies travel in vain; so whoever is asked to compare such a range says so.

use super::super::env::Env;
use crate::ranges::{KEY_BITS, Prefix};
use crate::{Address, NodeId};

impl<S, A: Address> Env<S, A> {
    /// For each range, whether so many nodes are known that are closer to all of its keys than `node` that none of them
    /// belongs to it. Costs one look at each contact for each range.
    pub(super) fn foreign(&self, ranges: &[Prefix], node: &NodeId) -> Vec<bool> {
        let there = self.table.iter().map(|contact| contact.id).filter(|id| !self.peers.is_unresponsive(id));
        let others = there.chain([self.own]).filter(|id| id != node);
        let others: Vec<u64> = others.map(|id| id.key().first_word()).collect();
        let is_foreign = |range: &Prefix| {
            // Beyond these bits it depends on the key who is closer.
            let beyond = u32::from(KEY_BITS.saturating_sub(range.bits()));
            let first = range.first_key().first_word();
            let distance = |word: u64| (word ^ first).checked_shr(beyond).unwrap_or(0);
            let own = distance(node.key().first_word());
            let closer = others.iter().filter(|word| distance(**word) < own);
            closer.take(self.config.replication).count() == self.config.replication
        };
        ranges.iter().map(is_foreign).collect()
    }
}
