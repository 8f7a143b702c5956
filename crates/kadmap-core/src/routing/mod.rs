//! The routing table: which nodes we know, kept so that those near us are known best.
//!
//! A flat variant of the tree of the Kademlia paper (section 2.4): one bucket for each length of the prefix
//! that a node's id shares with ours, never split, so there is no tree to keep balanced.
//!
//! Differs from the paper:
//! - Only contacts that proved their id to us at their address are taken (the paper takes every sender).
//! - A full bucket is not probed when a newcomer appears, which would let strangers make us send; the node
//!   probes on its own schedule ([`RoutingTable::probe_candidates`]) and newcomers wait in the cache.
//! - A bucket is not kept in order of last contact: entries stand in order of admission, oldest first, and
//!   carry when they were last seen. So refreshing an entry moves nothing.
//! - The buckets of the far halves of the space hold more (Jimenez et al., P2P 2011), which saves hops.

mod bucket;
mod entry;
mod table;
#[cfg(test)]
mod tests;

pub use table::{Admission, BucketInfo, Removal, RoutingTable, TableConfig};
