//! Looking at what arrives before the node does, and changing or vetoing it.

use std::fmt;
use std::sync::Arc;

use kadmap_core::wire::Message;
use kadmap_core::{
    Base, Contact, Head, Item, ItemId, ItemPage, ItemRange, Merged, Record, RecordId, RecordStore, Scrubbed,
    Stamp, StoreError, Ticket, Usage,
};
use kadmap_store::AnyStore;

/// Sees every message that arrives at a node, and every record that the node is to keep, before the node does.
///
/// Everything is called on the node's own thread and stands in the way of everything else there, so it must be quick.
/// A node without a guard pays nothing for that there could be one.
///
/// ```
/// use kadmap::{Dht, Guard, PutError, Record, RecordId};
/// struct NoSecrets;
/// impl Guard for NoSecrets {
///     fn store(&self, record: &RecordId, delta: Record) -> Result<Record, String> {
///         if record.name.starts_with(b"secret") { Err("no secrets here".into()) } else { Ok(delta) }
///     }
/// }
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let dht = Dht::builder().listen("127.0.0.1:0").guard(std::sync::Arc::new(NoSecrets)).spawn().await.unwrap();
/// assert!(dht.put("colour", "red").await.is_ok());
/// let refused = dht.put("secret colour", "red").await.unwrap_err();
/// assert!(refused.to_string().contains("no secrets here"), "{refused}");
/// # });
/// ```
pub trait Guard: Send + Sync {
    /// Sees a message before it is handled, and returns what is handled in its place; `None` drops it, and its sender
    /// learns nothing. Unless it is dropped, [`end`](Self::end) follows.
    ///
    /// The sender has proved its id. What it says is as it came, not yet checked by anyone.
    fn begin(&self, from: &Contact, message: Message) -> Option<Message> {
        let _ = from;
        Some(message)
    }

    /// The message last begun has been handled.
    fn end(&self) {}

    /// Sees what is to be merged into a record of this node's, and returns what is merged in its place.
    ///
    /// Called between [`begin`](Self::begin) and [`end`](Self::end) for a put or a copy of another node, and outside of them for
    /// this node's own share of what it writes and repairs. What is merged again is seen again.
    ///
    /// # Errors
    /// Why the record must not be kept; whoever asked for it is refused with this reason.
    fn store(&self, record: &RecordId, delta: Record) -> Result<Record, String> {
        let _ = record;
        Ok(delta)
    }
}

/// A guard, cheap to clone.
#[derive(Clone)]
pub(crate) struct GuardHandle(pub(crate) Arc<dyn Guard>);

impl fmt::Debug for GuardHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard(..)")
    }
}

/// A store whose merges a guard sees first.
pub(crate) struct Guarded {
    store: AnyStore,
    guard: GuardHandle,
}

impl Guarded {
    pub(crate) fn new(store: AnyStore, guard: GuardHandle) -> Self {
        Self { store, guard }
    }
}

impl From<Guarded> for AnyStore {
    fn from(guarded: Guarded) -> Self {
        Self::Custom(Box::new(guarded))
    }
}

impl RecordStore for Guarded {
    fn head(&mut self, id: &RecordId) -> Result<Option<Head>, StoreError> {
        self.store.head(id)
    }

    fn item_stamp(&mut self, id: &RecordId, item: &ItemId) -> Result<Option<Stamp>, StoreError> {
        self.store.item_stamp(id, item)
    }

    fn load(&mut self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        self.store.load(id)
    }

    fn base(&mut self, id: &RecordId) -> Result<Option<Base>, StoreError> {
        self.store.base(id)
    }

    fn items(&mut self, id: &RecordId, range: &ItemRange) -> Result<ItemPage, StoreError> {
        self.store.items(id, range)
    }

    fn item(&mut self, id: &RecordId, item: &ItemId) -> Result<Option<Item>, StoreError> {
        self.store.item(id, item)
    }

    fn merge(&mut self, id: &RecordId, delta: Record) -> Result<Merged, StoreError> {
        let delta = self.guard.0.store(id, delta).map_err(|reason| StoreError::Rejected { reason })?;
        self.store.merge(id, delta)
    }

    fn forget(&mut self, id: &RecordId) -> Result<(), StoreError> {
        self.store.forget(id)
    }

    fn heads(&mut self, after: Option<&RecordId>, limit: usize) -> Result<Vec<(RecordId, Head)>, StoreError> {
        self.store.heads(after, limit)
    }

    fn expire(&mut self, unix_ms: u64, limit: usize) -> Result<Vec<RecordId>, StoreError> {
        self.store.expire(unix_ms, limit)
    }

    fn scrub(&mut self, records_max: usize) -> Result<Scrubbed, StoreError> {
        self.store.scrub(records_max)
    }

    fn flushed(&self) -> Ticket {
        self.store.flushed()
    }

    fn usage(&self) -> Usage {
        self.store.usage()
    }
}
