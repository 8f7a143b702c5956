//! Records in a file that survives crashes.

mod backend;
mod codec;
mod expiry;
mod failure;
mod fault;
mod file;
mod flusher;
mod head_cache;
mod items;
mod layer;
mod mend;
mod open;
mod reader;
mod room;
mod scrub;
mod tables;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use kadmap_core::{
    Base, Head, Item, ItemId, ItemPage, ItemRange, Merged, Presence, Record, RecordId, RecordStore, Scrubbed,
    Stamp, StoreError, Ticket, Usage,
};

use crate::part::Part;
use crate::plan::{Change, Entry, plan};
use crate::{Durability, StoreConfig};
use backend::{Opener, plain_opener};
use codec::{Stored, Table, open_part, parts_prefix, read_part};
use failure::Failure;
use file::{BadRow, DiskFile, Raw};
use flusher::{Notify, Shared};
use head_cache::HeadCache;
use items::Layers;
use layer::Stray;
pub use open::OpenError;
use open::open_folder;
use reader::{Reader, RecordParts};

/// How often it is noted at rest that the node is there, as a share of the tombstones' grace.
const NOTES_PER_GRACE: u64 = 100;
/// And at most once in so many milliseconds.
const NOTE_INTERVAL_MS_MIN: u64 = 1_000;
/// Bytes of a damaged row that are kept for a look.
const STRAY_BYTES_MAX: usize = 4_096;

/// A store in a file, `records.redb` in a data folder; survives crashes and power cuts.
///
/// Its caller sees what it wrote at once; a thread of its own writes it down, many writes to one confirmation of
/// the disk, and calls the notifier after each so that [`flushed`](RecordStore::flushed) can be looked at.
/// At rest it writes a note of its node's presence every hundredth of the tombstones' grace, a quarter of an hour, and
/// where the file is large once a second after the last write; it does nothing else.
///
/// When the disk fails or is full, merges return [`StoreError::Failed`] and tickets stand still, while reads go on as
/// far as the disk allows.
/// The file is then opened anew, checked from end to end, and tried again after
/// [`disk_retry_interval`](StoreConfig::disk_retry_interval) and then ever longer, up to 30 s; what was in memory is
/// written first, and its tickets are reached.
/// Only when the file turns out to be damaged it takes a restart.
/// A row that does not match its checksum takes its record out of the store, see [`StoreError::Damaged`].
/// Panics of the storage library are caught, so the program must not be built with `panic = "abort"`.
///
/// ```
/// use kadmap_core::{Base, Codec, Key, Payload, Record, RecordId, RecordStore, Shape, Stamp};
/// use kadmap_store::{RedbStore, StoreConfig};
///
/// let folder = tempfile::tempdir().unwrap();
/// let id = RecordId::new(Key::of_name(b"colour"), "colour");
/// let base = Base {
///     stamp: Stamp { time: 1, writer: 1 },
///     shape: Shape::Value,
///     payload: Some(Payload::new(Codec::Json, "\"red\"")),
///     expires_ms: None,
/// };
/// let mut store = RedbStore::open(folder.path(), StoreConfig::default(), Box::new(|| ())).unwrap().store;
/// store.merge(&id, Record::from(base.clone())).unwrap();
/// store.close().unwrap();
///
/// let mut store = RedbStore::open(folder.path(), StoreConfig::default(), Box::new(|| ())).unwrap().store;
/// assert_eq!(store.load(&id).unwrap().unwrap().base(), Some(&base));
/// ```
#[derive(Debug)]
pub struct RedbStore {
    shared: Arc<Shared>,
    file: Arc<DiskFile>,
    flusher: Option<JoinHandle<()>>,
    /// Always what [`Reader::entry`] would say.
    cache: HeadCache,
    usage: Usage,
    config: StoreConfig,
    /// When the node was part of the swarm, and what of it has been written.
    presence: Option<Presence>,
    noted: Option<Presence>,
    damaged_records: u64,
    /// Where the next step of the scrub begins.
    scrubbed_to: Option<RecordId>,
    /// Damaged records that were met where nobody could be told.
    untold: Vec<RecordId>,
    _lock: File,
}

/// What [`RedbStore::open`] gives.
///
/// ```
/// use kadmap_store::{RedbStore, StoreConfig};
/// let folder = tempfile::tempdir().unwrap();
/// let opened = RedbStore::open(folder.path(), StoreConfig::default(), Box::new(|| ())).unwrap();
/// assert_eq!(opened.set_aside, None);
/// ```
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: RedbStore,
    /// Where a damaged file was moved to, if there was one: the store is then empty, and the user must be told.
    pub set_aside: Option<PathBuf>,
}

/// What a store did since it was opened.
///
/// ```
/// assert_eq!(kadmap_store::Counters::default().flushes, 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Flushes that succeeded.
    pub flushes: u64,
    /// Times the disk failed after it had worked.
    pub failures: u64,
    /// Rows they wrote.
    pub rows_written: u64,
    /// Bytes of keys and rows they wrote, before the library's own overhead.
    pub bytes_written: u64,
    /// Records that did not match their checksums and were set aside.
    pub damaged_records: u64,
}

impl RedbStore {
    /// Opens the store of a data folder, and makes both if they are not there (the folder for its owner only).
    ///
    /// A file that redb cannot read, or that is empty or cut short, is renamed to
    /// `records.redb.damaged-<seconds since 1970>` and a fresh one made, see [`Opened::set_aside`].
    /// `notify` is called by the flusher's thread after each flush, failed ones too.
    ///
    /// Cost: constant after a clean close, and after a crash a second or more after the last write, or amid heavy ones,
    /// which leave word of which pages are free; after any other crash redb reads the whole file once, at 0.6 s for each
    /// GB that the system has in its cache, and else as fast as the disk reads from end to end.
    ///
    /// # Errors
    /// See [`OpenError`]; a full disk or missing permission sets nothing aside.
    pub fn open(
        folder: &Path,
        config: StoreConfig,
        notify: Box<dyn Fn() + Send>,
    ) -> Result<Opened, OpenError> {
        Self::open_with(folder, config, notify, plain_opener)
    }

    fn open_with(
        folder: &Path,
        config: StoreConfig,
        notify: Notify,
        opener: impl Fn() -> Opener,
    ) -> Result<Opened, OpenError> {
        let opened = open_folder(folder, config.page_cache_bytes, opener)?;
        let interval = match config.durability {
            Durability::Replicated => config.flush_interval,
            Durability::Synced => Duration::ZERO,
        };
        // A note that cannot be read is as none.
        let presence = opened.file.presence().unwrap_or_default();
        let shared = Arc::new(Shared::new(opened.usage, interval, &config));
        let file = Arc::new(opened.file);
        let (for_thread, its_file) = (Arc::clone(&shared), Arc::clone(&file));
        let flusher = std::thread::Builder::new()
            .name("kadmap-store".into())
            .spawn(move || for_thread.run(&its_file, &notify))
            .map_err(|error| OpenError::Disk { path: file.path().to_owned(), reason: error.to_string() })?;
        let store = Self {
            shared,
            file,
            flusher: Some(flusher),
            cache: HeadCache::new(config.heads_cached_max),
            usage: opened.usage,
            config,
            presence,
            noted: presence,
            damaged_records: 0,
            scrubbed_to: Some(scrub::somewhere()),
            untold: Vec::new(),
            _lock: opened.lock,
        };
        Ok(Opened { store, set_aside: opened.set_aside })
    }

    /// Writes down what is not on disk yet, and closes the file; dropping the store does the same silently.
    ///
    /// # Errors
    /// [`StoreError::Failed`] when the disk refused, now or before.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.end()
    }

    /// What the store did since it was opened.
    pub fn counters(&self) -> Counters {
        let state = self.shared.lock();
        Counters {
            flushes: state.flushes,
            failures: state.failures,
            rows_written: state.rows_written,
            bytes_written: state.bytes_written,
            damaged_records: self.damaged_records,
        }
    }

    fn end(&mut self) -> Result<(), StoreError> {
        let Some(flusher) = self.flusher.take() else { return Ok(()) };
        self.shared.close();
        let joined = flusher.join();
        let closed = self.file.close();
        if let Some(failure) = self.shared.lock().failed.take() {
            return Err(StoreError::Failed { reason: failure.reason().to_owned() });
        }
        if joined.is_err() {
            return Err(StoreError::Failed { reason: "the notifier of the store panicked".into() });
        }
        closed.map_err(|fault| StoreError::Failed { reason: fault.reason().to_owned() })
    }

    fn reader(&self) -> Reader<'_> {
        Reader { shared: &self.shared, file: &self.file }
    }

    /// The record's entry; a damaged record is set aside.
    fn entry(&mut self, id: &RecordId) -> Result<Option<Entry>, StoreError> {
        if let Some(entry) = self.cache.find(id) {
            return Ok(Some(entry));
        }
        let entry = self.reader().entry(id);
        let entry = self.or_set_aside(id, entry)?;
        self.cache.set(id, entry);
        Ok(entry)
    }

    fn or_set_aside<T>(&mut self, id: &RecordId, read: Result<T, StoreError>) -> Result<T, StoreError> {
        if matches!(read, Err(StoreError::Damaged)) {
            self.set_aside(id)?;
        }
        read
    }

    /// Moves all rows of a damaged record to the quarantine.
    fn set_aside(&mut self, id: &RecordId) -> Result<(), StoreError> {
        self.damaged_records += 1;
        tracing::warn!(key = ?id.key, "a stored record does not match its checksum and is set aside");
        self.drop_record(id, true)
    }

    fn drop_record(&mut self, id: &RecordId, keep: bool) -> Result<(), StoreError> {
        let known = self.cache.find(id).or_else(|| self.reader().entry(id).ok().flatten());
        let unflushed = self.reader().unflushed_parts(id);
        let rows = self.file.rows(id).map_err(|fault| self.reader().failed(&fault))?;
        let prefix = parts_prefix(id);
        let due_ms = |stored: &Stored| expiry::due_ms(stored, self.config.tombstone_grace_ms);
        let mut parts: BTreeMap<Part, Option<u64>> = BTreeMap::new();
        let mut strays = Vec::new();
        for Raw { table, key, row } in rows {
            let part =
                (table == Table::Parts).then(|| key.strip_prefix(prefix.as_slice()).and_then(read_part));
            if let Some(Some(part)) = &part {
                parts.insert(part.clone(), open_part(&key, part, &row).as_ref().and_then(due_ms));
            }
            if keep || part == Some(None) {
                let kept = keep.then(|| row[..row.len().min(STRAY_BYTES_MAX)].to_vec());
                strays.push(Stray { table, key, keep: kept });
            }
        }
        let unflushed = unflushed.parts.into_iter();
        parts.extend(unflushed.map(|(part, stored)| (part, stored.as_ref().and_then(due_ms))));
        let mut usage = self.usage;
        usage.records = usage.records.saturating_sub(u64::from(keep || known.is_some()));
        usage.bytes = usage.bytes.saturating_sub(known.map_or(0, |entry| entry.bytes(id)));
        self.write(usage, |layer| {
            layer.strays.extend(strays);
            layer.drop_record(id, parts.into_iter().collect());
        })?;
        self.cache.set(id, None);
        Ok(())
    }

    /// Puts something into the layer that takes writes, after which the store holds `usage`; gives the ticket it will
    /// be durable with.
    fn write(
        &mut self,
        usage: Usage,
        change: impl FnOnce(&mut layer::Layer),
    ) -> Result<Option<Ticket>, StoreError> {
        let mut state = self.shared.lock_with_room();
        taken(state.failed.as_ref())?;
        let (was_empty, bytes_before) = (state.active.is_empty(), state.active.bytes);
        state.active.touch(usage);
        if self.presence != self.noted {
            state.active.presence = self.presence;
        }
        change(&mut state.active);
        let ticket = state.active.ticket;
        self.shared.wrote(&mut state, was_empty, bytes_before);
        drop(state);
        self.noted = self.presence;
        self.usage = usage;
        Ok((self.config.durability == Durability::Synced).then_some(ticket))
    }

    fn apply(&mut self, id: &RecordId, before: Option<Entry>, change: Change) -> Result<Merged, StoreError> {
        let entry = change.entry;
        let mut usage = self.usage;
        usage.records += u64::from(before.is_none());
        let bytes_before = before.map_or(0, |entry| entry.bytes(id));
        usage.bytes = usage.bytes.saturating_sub(bytes_before) + entry.bytes(id);
        let grace_ms = self.config.tombstone_grace_ms;
        let ticket = self.write(usage, |layer| layer.apply(id, before, change, grace_ms))?;
        self.cache.set(id, Some(entry));
        Ok(Merged { head: entry.head, changed: true, ticket })
    }

    /// What a merge that changed nothing answers: what it repeats may still be on its way to the disk.
    fn unchanged(&self, id: &RecordId, head: Head) -> Result<Merged, StoreError> {
        let state = self.shared.lock();
        taken(state.failed.as_ref())?;
        let ticket = if state.active.records.contains_key(id) {
            Some(state.active.ticket)
        } else {
            let flushing = state.flushing.as_ref().filter(|layer| layer.records.contains_key(id));
            flushing.map(|layer| layer.ticket)
        };
        let ticket = ticket.filter(|_| self.config.durability == Durability::Synced);
        Ok(Merged { head, changed: false, ticket })
    }
}

/// Whether writes are taken.
fn taken(failed: Option<&Failure>) -> Result<(), StoreError> {
    failed.map_or(Ok(()), |failure| Err(StoreError::Failed { reason: failure.reason().to_owned() }))
}

impl RecordStore for RedbStore {
    fn head(&mut self, id: &RecordId) -> Result<Option<Head>, StoreError> {
        Ok(self.entry(id)?.map(|entry| entry.head))
    }

    fn item_stamp(&mut self, id: &RecordId, item: &ItemId) -> Result<Option<Stamp>, StoreError> {
        if self.entry(id)?.is_none() {
            return Ok(None);
        }
        let item = self.reader().item(id, item);
        Ok(self.or_set_aside(id, item)?.map(|item| item.stamp))
    }

    fn load(&mut self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        let Some(entry) = self.entry(id)? else { return Ok(None) };
        let record = self.reader().load(id, entry);
        self.or_set_aside(id, record).map(Some)
    }

    fn base(&mut self, id: &RecordId) -> Result<Option<Base>, StoreError> {
        let Some(entry) = self.entry(id)? else { return Ok(None) };
        if entry.base_bytes.is_none() {
            return Ok(None);
        }
        let base = self.reader().base(id).and_then(|base| base.map(Some).ok_or(StoreError::Damaged));
        self.or_set_aside(id, base)
    }

    fn items(&mut self, id: &RecordId, range: &ItemRange) -> Result<ItemPage, StoreError> {
        let Some(entry) = self.entry(id)? else { return Ok(ItemPage::default()) };
        // What the base hides may still be in the file, and there may be much of it.
        let range = range.above(entry.head.base_stamp);
        let page = {
            let state = self.shared.lock();
            let layers = std::iter::once(&state.active).chain(state.flushing.as_deref());
            self.file.items(id, &range, &Layers::new(id, layers))
        };
        let page = page.map_err(|fault| self.reader().failed(&fault))?;
        self.or_set_aside(id, page.map_err(|BadRow| StoreError::Damaged))
    }

    fn item(&mut self, id: &RecordId, item: &ItemId) -> Result<Option<Item>, StoreError> {
        if self.entry(id)?.is_none() {
            return Ok(None);
        }
        let item = self.reader().item(id, item);
        self.or_set_aside(id, item)
    }

    fn merge(&mut self, id: &RecordId, delta: Record) -> Result<Merged, StoreError> {
        let entry = self.entry(id)?;
        let change = plan(entry, delta, &mut RecordParts { reader: self.reader(), id });
        match self.or_set_aside(id, change)? {
            Some(change) => self.apply(id, entry, change),
            None => self.unchanged(id, entry.unwrap_or_default().head),
        }
    }

    fn forget(&mut self, id: &RecordId) -> Result<(), StoreError> {
        self.drop_record(id, false)
    }

    fn replace(&mut self, id: &RecordId, record: Record) -> Result<(), StoreError> {
        // Both in one flush: a crash leaves what was there or what is there now.
        self.shared.hold();
        let replaced = self.forget(id).and_then(|()| match record.is_empty() {
            true => Ok(()),
            false => self.merge(id, record).map(drop),
        });
        self.shared.release();
        replaced
    }

    fn heads(&mut self, after: Option<&RecordId>, limit: usize) -> Result<Vec<(RecordId, Head)>, StoreError> {
        let scan = self.scan(after, limit)?;
        Ok(scan.heads.into_iter().map(|(id, entry)| (id, entry.head)).collect())
    }

    fn expire(&mut self, unix_ms: u64, limit: usize) -> Result<Vec<RecordId>, StoreError> {
        self.age_parts(unix_ms, limit)
    }

    fn scrub(&mut self, records_max: usize) -> Result<Scrubbed, StoreError> {
        self.scrub_some(records_max)
    }

    fn flushed(&self) -> Ticket {
        self.shared.lock().flushed
    }

    fn usage(&self) -> Usage {
        self.usage
    }

    fn presence(&self) -> Option<Presence> {
        self.presence
    }

    fn keep_presence(&mut self, presence: Presence) {
        self.presence = Some(presence);
        let interval_ms = (self.config.tombstone_grace_ms / NOTES_PER_GRACE).max(NOTE_INTERVAL_MS_MIN);
        let is_due = self.noted.is_none_or(|noted| {
            noted.member_ms.is_some() != presence.member_ms.is_some()
                || noted.until_ms.abs_diff(presence.until_ms) >= interval_ms
        });
        if is_due {
            // A disk that refuses is told of by the writes that matter.
            let _ = self.write(self.usage, |_| {});
        }
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(%error, "the last writes of the store may be lost");
        }
    }
}

#[cfg(test)]
mod fault_tests;
