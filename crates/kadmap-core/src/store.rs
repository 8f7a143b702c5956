//! The interface by which the core keeps records; implementations live in `kadmap-store`.

use bytes::Bytes;
use thiserror::Error;

use crate::Key;
use crate::record::{Base, Head, Item, ItemId, ItemPage, ItemRange, Record, Stamp};

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

/// What one step of [`RecordStore::scrub`] came to.
///
/// ```
/// assert!(kadmap_core::Scrubbed::default().damaged.is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scrubbed {
    /// Records that were read and are as they were written.
    pub sound: u64,
    /// Records that were not, and that the store no longer holds: fetch them again from the swarm.
    pub damaged: Vec<RecordId>,
}

/// How long a node has been part of its swarm without a gap in which it could have missed a deletion, and until when.
///
/// The first is a length of time and no date, so that clocks that are set wrong make nobody older than it is.
///
/// ```
/// let presence = kadmap_core::Presence { member_ms: Some(4_000), until_ms: 1_790_000_000_000 };
/// assert!(presence.member_ms.is_some(), "a node that knows how long");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presence {
    /// How long, in milliseconds; of a node that learnt from others what was before it came, how long they have been.
    /// `None` while that is not known.
    pub member_ms: Option<u64>,
    /// When it last heard of a member, in milliseconds since 1970.
    pub until_ms: u64,
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

    /// The record's base, if it has one; costs its size.
    ///
    /// A store of one's own that leaves this as it is reads the whole record for it.
    ///
    /// # Errors
    /// As [`head`](Self::head).
    fn base(&mut self, id: &RecordId) -> Result<Option<Base>, StoreError> {
        Ok(self.load(id)?.and_then(|record| record.into_parts().0))
    }

    /// Some of the record's appended items, in order; none when there is no record.
    ///
    /// A store of one's own that leaves this as it is reads the whole record for each page.
    ///
    /// # Errors
    /// As [`head`](Self::head).
    fn items(&mut self, id: &RecordId, range: &ItemRange) -> Result<ItemPage, StoreError> {
        Ok(self.load(id)?.map(|record| record.items_in(range)).unwrap_or_default())
    }

    /// One item of a record, if it is there.
    ///
    /// A store of one's own that leaves this as it is reads the whole record for it.
    ///
    /// # Errors
    /// As [`head`](Self::head).
    fn item(&mut self, id: &RecordId, item: &ItemId) -> Result<Option<Item>, StoreError> {
        Ok(self.load(id)?.and_then(|record| record.item(item).cloned()))
    }

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

    /// Puts a record in the place of what is there, which need not be part of it; an empty one is as
    /// [`forget`](Self::forget). Costs the size of both.
    ///
    /// A store of one's own that leaves this as it is forgets first and merges then.
    ///
    /// # Errors
    /// As [`head`](Self::head).
    fn replace(&mut self, id: &RecordId, record: Record) -> Result<(), StoreError> {
        self.forget(id)?;
        if !record.is_empty() {
            self.merge(id, record)?;
        }
        Ok(())
    }

    /// Up to `limit` records after `after`, in order.
    ///
    /// # Errors
    /// [`StoreError::Failed`] on I/O; damaged records are set aside and left out.
    fn heads(&mut self, after: Option<&RecordId>, limit: usize) -> Result<Vec<(RecordId, Head)>, StoreError>;

    /// Does to its records what [`Record::expire`] does: drops what is gone, and buries what has expired. At most `limit`
    /// records' worth; tells which ones it touched.
    /// Costs what it changes, not what is stored.
    ///
    /// # Errors
    /// [`StoreError::Failed`] on I/O.
    fn expire(&mut self, unix_ms: u64, limit: usize) -> Result<Vec<RecordId>, StoreError>;

    /// Reads some records, at most `records_max`, from where the last call left off, round and round, to find damage before
    /// somebody needs them. A store without checksums has nothing to do.
    ///
    /// # Errors
    /// [`StoreError::Failed`] on I/O.
    fn scrub(&mut self, records_max: usize) -> Result<Scrubbed, StoreError> {
        let _ = records_max;
        Ok(Scrubbed::default())
    }

    /// The ticket up to which writes are as durable as the store promises; never goes back.
    fn flushed(&self) -> Ticket;

    /// What it holds.
    fn usage(&self) -> Usage;

    /// When its node was part of the swarm, as [kept](Self::keep_presence) before the store was opened. `None`, as for a
    /// store that keeps nothing of it, makes a node that starts rely on what it holds however long it was away.
    fn presence(&self) -> Option<Presence> {
        None
    }

    /// Keeps a note of when its node was part of the swarm, with the next write that becomes durable; where there are no
    /// writes, at the latest after a hundredth of the tombstones' grace. Cheap, for it is called before each write.
    fn keep_presence(&mut self, presence: Presence) {
        let _ = presence;
    }
}
