//! The interface by which the core keeps records; implementations live in `kadmap-store`.

use bytes::Bytes;
use thiserror::Error;

use crate::Key;
use crate::record::{Head, ItemId, Record, Stamp};

/// The address of a record: its place and its name.
///
/// Names whose hashes are equal share a place and are kept apart by name, as in any hash table.
///
/// ```
/// use kadmap_core::{Key, RecordId};
/// let id = RecordId::new(Key::of_name(b"colour"), "colour");
/// assert_eq!(&id.name[..], b"colour");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    /// The place in the key space.
    pub key: Key,
    /// What the user calls it.
    pub name: Bytes,
}

impl RecordId {
    /// The record of this name at this place.
    pub fn new(key: Key, name: impl Into<Bytes>) -> Self {
        Self { key, name: name.into() }
    }
}

/// How far a store has made writes durable: a number that grows with each flush.
pub type Ticket = u64;

/// What a merge did.
///
/// ```
/// use kadmap_core::{Head, Merged};
/// let merged = Merged { head: Head::default(), changed: false, ticket: None };
/// assert!(merged.ticket.is_none(), "already as durable as the store promises");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merged {
    /// The record as it stands now.
    pub head: Head,
    /// Whether the merge changed it.
    pub changed: bool,
    /// `None` when the write may be acknowledged at once; otherwise once
    /// [`RecordStore::flushed`] has reached this ticket.
    pub ticket: Option<Ticket>,
}

/// What a store holds.
///
/// ```
/// assert_eq!(kadmap_core::Usage::default().records, 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Records, tombstones included.
    pub records: u64,
    /// Sum of [`Head::bytes`] and the names' lengths.
    pub bytes: u64,
}

/// Why a store could not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The record's checksum does not match; it has been set aside and the store no longer holds it.
    /// Fetch it again from the swarm.
    #[error("the stored record does not match its checksum and was set aside")]
    Damaged,
    /// The store does not want this one write; nothing changed and the store is as good as before.
    #[error("rejected: {reason}")]
    Rejected {
        /// Why, for the writer.
        reason: String,
    },
    /// The disk refused; nothing changed. The node stops acknowledging writes and keeps serving what it can read.
    #[error("storage failed: {reason}")]
    Failed {
        /// What the disk or its library said.
        reason: String,
    },
}

/// Where a node keeps its records: everything is synchronous and quick, durability is reported by ticket.
///
/// All that one caller does is seen by its next call, flushed or not.
/// Records are ordered by (key, name).
pub trait RecordStore {
    /// What is known of a record without its payloads.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when what is stored is not what was written; [`StoreError::Failed`] on I/O.
    fn head(&mut self, id: &RecordId) -> Result<Option<Head>, StoreError>;

    /// The stamp of one item of a record, if it is there.
    ///
    /// # Errors
    /// As [`head`](Self::head).
    fn item_stamp(&mut self, id: &RecordId, item: &ItemId) -> Result<Option<Stamp>, StoreError>;

    /// The whole record; costs its size.
    ///
    /// # Errors
    /// As [`head`](Self::head).
    fn load(&mut self, id: &RecordId) -> Result<Option<Record>, StoreError>;

    /// Merges `delta` into the record; costs the size of the delta, whatever the record's.
    ///
    /// # Errors
    /// As [`head`](Self::head); after an error the record is as it was.
    fn merge(&mut self, id: &RecordId, delta: Record) -> Result<Merged, StoreError>;

    /// Drops a record without leaving a tombstone.
    ///
    /// # Errors
    /// [`StoreError::Failed`] on I/O.
    fn forget(&mut self, id: &RecordId) -> Result<(), StoreError>;

    /// Up to `limit` records after `after`, in order.
    ///
    /// # Errors
    /// [`StoreError::Failed`] on I/O; damaged records are set aside and left out.
    fn heads(&mut self, after: Option<&RecordId>, limit: usize) -> Result<Vec<(RecordId, Head)>, StoreError>;

    /// Drops what expired, at most `limit` records' worth, and tells which records it touched.
    /// Costs what it drops, not what is stored.
    ///
    /// # Errors
    /// [`StoreError::Failed`] on I/O.
    fn expire(&mut self, unix_ms: u64, limit: usize) -> Result<Vec<RecordId>, StoreError>;

    /// The ticket up to which writes are as durable as the store promises; never goes back.
    fn flushed(&self) -> Ticket;

    /// What it holds.
    fn usage(&self) -> Usage;
}
