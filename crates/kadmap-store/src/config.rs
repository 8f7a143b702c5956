//! The settings of a store.

use std::time::Duration;

/// When a write may be acknowledged.
///
/// ```
/// assert_eq!(kadmap_store::Durability::default(), kadmap_store::Durability::Replicated);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// At once: the other replicas are the safety, and the write reaches the disk within
    /// [`flush_interval`](StoreConfig::flush_interval).
    #[default]
    Replicated,
    /// Once the disk has confirmed it; one confirmation serves all writes that arrived while the last one ran.
    Synced,
}

/// The settings of a store; a memory store looks at `tombstone_grace_ms` only.
///
/// ```
/// use kadmap_store::{Durability, StoreConfig};
/// let config = StoreConfig { durability: Durability::Synced, ..StoreConfig::default() };
/// assert_eq!(config.tombstone_grace_ms, 24 * 60 * 60 * 1_000);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// Milliseconds that a tombstone, or a value whose time to live is over, stays before it is dropped.
    ///
    /// Default 24 hours: a replica that was away for less cannot bring back what was deleted meanwhile.
    /// Longer costs the bytes of the tombstones.
    pub tombstone_grace_ms: u64,
    /// When a write may be acknowledged; default [`Durability::Replicated`].
    pub durability: Durability,
    /// The longest that a write of [`Durability::Replicated`] waits for its flush.
    ///
    /// Default 100 ms: at most ten flushes a second, and what a power cut can take from one replica stays small.
    pub flush_interval: Duration,
    /// Bytes of writes not yet on disk, beyond which a merge waits for the disk.
    ///
    /// Default 64 MiB: more than a slow disk takes in a second, so only a disk that cannot keep up is waited for.
    pub unflushed_bytes_max: usize,
    /// Bytes of file pages kept in memory; default 16 MiB, because one process may run many nodes.
    pub page_cache_bytes: usize,
    /// Records whose head is kept in memory, so that an append to one of them reads nothing from disk.
    ///
    /// Default 16,384, some 5 MiB when full.
    pub heads_cached_max: usize,
    /// How long after the disk failed, or was full, it is tried again; each further wait is twice as long, up to 30 s.
    ///
    /// Default 1 s: soon enough for a disk that hiccups, and nothing beside what a failed write costs anyway.
    pub disk_retry_interval: Duration,
}

/// See [`StoreConfig::tombstone_grace_ms`].
const TOMBSTONE_GRACE_MS: u64 = 24 * 60 * 60 * 1_000;
/// See [`StoreConfig::flush_interval`].
const FLUSH_INTERVAL: Duration = Duration::from_millis(100);
/// See [`StoreConfig::unflushed_bytes_max`].
const UNFLUSHED_BYTES_MAX: usize = 64 << 20;
/// See [`StoreConfig::page_cache_bytes`].
const PAGE_CACHE_BYTES: usize = 16 << 20;
/// See [`StoreConfig::heads_cached_max`].
const HEADS_CACHED_MAX: usize = 16_384;
/// See [`StoreConfig::disk_retry_interval`].
const DISK_RETRY_INTERVAL: Duration = Duration::from_secs(1);

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            tombstone_grace_ms: TOMBSTONE_GRACE_MS,
            durability: Durability::default(),
            flush_interval: FLUSH_INTERVAL,
            unflushed_bytes_max: UNFLUSHED_BYTES_MAX,
            page_cache_bytes: PAGE_CACHE_BYTES,
            heads_cached_max: HEADS_CACHED_MAX,
            disk_retry_interval: DISK_RETRY_INTERVAL,
        }
    }
}
