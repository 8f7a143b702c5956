//! The file: every call into redb is made here, and none of its panics get out.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use kadmap_core::{Item, ItemId, Presence, RecordId, Stamp, Usage};
use redb::{Builder, Database, Durability, ReadableDatabase};

use super::backend::{Access, Opener};

use super::codec::{
    HeadRow, Stored, Table, fields_start, head_key, open, open_part, part_key, parts_prefix, read_death_key,
    read_head_key, read_part, unseal,
};
use super::fault::{Fault, drop_quietly, guarded};
use super::layer::{Layer, Pending, Unflushed};
use super::mend::{Mending, Recording};
use super::room;
use super::tables::{
    DEATHS, FORMAT_KEY, HEADS, META, PARTS, PRESENCE_KEY, QUARANTINE, USAGE_KEY, Written, lay_out,
    write_layer,
};
use crate::part::{Death, Part};
use crate::plan::Entry;

/// A row that does not match its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadRow;

/// A row as it stands.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) table: Table,
    pub(crate) key: Vec<u8>,
    pub(crate) row: Vec<u8>,
}

/// What one walk over the heads found.
#[derive(Debug, Default)]
pub(crate) struct HeadScan {
    pub(crate) heads: Vec<(RecordId, Entry)>,
    /// Records whose row is not what was written.
    pub(crate) bad: Vec<RecordId>,
}

/// How to open the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mode {
    /// It is not there yet.
    Create,
    /// It is there and was well when it was closed, or redb mends it after a crash.
    Trust,
    /// Damage was seen, or the disk refused a write: read all of it first.
    #[default]
    Check,
}

/// The open file.
pub(crate) struct DiskFile {
    path: PathBuf,
    page_cache_bytes: usize,
    opener: Opener,
    /// Emptied only to open it anew after the disk failed, and to close it.
    database: RwLock<Option<Database>>,
    /// What the last commit left, opened for reading; none right after a commit, so that it keeps no old pages.
    view: Mutex<Option<View>>,
    /// Whether it had to be mended when it was opened last.
    was_mended: AtomicBool,
}

pub(super) type ReadTable = redb::ReadOnlyTable<&'static [u8], &'static [u8]>;

/// The tables that reads look at, as one commit left them.
pub(super) struct View {
    heads: ReadTable,
    pub(super) parts: ReadTable,
    deaths: ReadTable,
}

impl View {
    fn open(database: &Database) -> Result<Self, redb::Error> {
        let txn = database.begin_read()?;
        let [heads, parts, deaths] =
            [txn.open_table(HEADS)?, txn.open_table(PARTS)?, txn.open_table(DEATHS)?];
        Ok(Self { heads, parts, deaths })
    }
}

impl std::fmt::Debug for DiskFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl DiskFile {
    pub(crate) fn open(
        path: &Path,
        page_cache_bytes: usize,
        opener: Opener,
        mode: Mode,
    ) -> Result<Self, Fault> {
        let (database, view, was_mended) = (RwLock::new(None), Mutex::new(None), AtomicBool::new(false));
        let file = Self { path: path.to_owned(), page_cache_bytes, opener, database, view, was_mended };
        let database = file.open_database(mode, Access::Write)?;
        *file.database.write().unwrap_or_else(PoisonError::into_inner) = Some(database);
        Ok(file)
    }

    fn open_database(&self, mode: Mode, access: Access) -> Result<Database, Fault> {
        guarded(|| {
            let mut options = OpenOptions::new();
            options.read(true).write(access != Access::Read).create_new(mode == Mode::Create);
            // The folder may be an old one that others can read.
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let file = options.open(&self.path)?;
            let mut builder = Builder::new();
            let mending = Mending::of(&self.path);
            mending.watch(&mut builder);
            builder.set_cache_size(self.page_cache_bytes).set_check_integrity_on_open(mode == Mode::Check);
            let database = (self.opener)(&builder, file, access)?;
            if mode == Mode::Create {
                lay_out(&database)?;
            }
            self.was_mended.store(mending.was_needed(), Ordering::Relaxed);
            Ok(database)
        })
    }

    /// Opens the file anew after the disk failed, so that what is on it can be read while nothing can be written.
    /// The disk is not touched; until it is open, reads fail rather than wait.
    pub(crate) fn reopen_to_read(&self) -> Result<(), Fault> {
        self.replace(None);
        let database = self.open_database(Mode::Trust, Access::Read)?;
        self.replace(Some(database));
        Ok(())
    }

    /// Opens the file anew to write to it after the disk failed; until then it is read as before.
    ///
    /// Before it is looked at, the disk has to take a file of `room_bytes`: reading gigabytes to learn that the disk
    /// is still full would be in vain.
    ///
    /// After a sync that failed the system may take pages for clean that never reached the disk (Rebello et al.,
    /// USENIX ATC 2020). The data of a commit is confirmed before the header names it, so the header is the one page
    /// of which memory and disk may then tell different commits; redb writes it again and has it confirmed before it
    /// builds upon it, whenever it opens a file that was not closed.
    pub(crate) fn reopen_to_write(&self, mode: Mode, room_bytes: usize) -> Result<(), Fault> {
        room::try_out(&self.path, room_bytes)?;
        let database = self.open_database(mode, Access::Write)?;
        self.replace(Some(database));
        Ok(())
    }

    fn replace(&self, database: Option<Database>) {
        // In the order of `read`: a view of the old database must not come back.
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        let mut place = self.database.write().unwrap_or_else(PoisonError::into_inner);
        drop_quietly(view.take());
        drop_quietly(std::mem::replace(&mut *place, database));
    }

    pub(crate) fn close(&self) -> Result<(), Fault> {
        self.end_view();
        let database = self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        guarded(|| database.map_or(Ok(()), |database| Ok(database.close()?)))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its length, as the system tells it.
    pub(crate) fn bytes(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |found| found.len())
    }

    /// Whether it had to be mended when it was opened last, and would have to be again if it were not closed now.
    pub(crate) fn was_mended(&self) -> bool {
        self.was_mended.load(Ordering::Relaxed)
    }

    fn with<T>(&self, call: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, Fault> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = database.as_ref() else {
            let reason = "the file is not open again since the disk failed".to_owned();
            return Err(Fault::Io { reason, kind: std::io::ErrorKind::Other });
        };
        guarded(|| call(database))
    }

    /// Reads what the last commit left.
    pub(super) fn read<T>(&self, call: impl FnOnce(&View) -> Result<T, redb::Error>) -> Result<T, Fault> {
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        let read = match view.as_ref() {
            Some(view) => guarded(|| call(view)),
            None => self.with(|database| call(view.insert(View::open(database)?))),
        };
        if read.is_err() {
            drop_quietly(view.take());
        }
        read
    }

    /// Lets go of what the last commit but one left.
    fn end_view(&self) {
        drop_quietly(self.view.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// The version of the layout that the file says it has; `None` when that cannot be read.
    pub(crate) fn format(&self) -> Result<Option<u32>, Fault> {
        self.with(|database| {
            let txn = database.begin_read()?;
            // A file that lacks a table was never laid out by this program.
            for table in [HEADS, PARTS, DEATHS, QUARANTINE] {
                txn.open_table(table)?;
            }
            let row = txn.open_table(META)?.get(FORMAT_KEY)?;
            Ok(row.and_then(|row| open(Table::Meta, FORMAT_KEY, row.value())))
        })
    }

    /// What the file holds; costs a walk over all heads only when the count itself was damaged.
    pub(crate) fn usage(&self) -> Result<Usage, Fault> {
        let row: Option<(u64, u64)> = self.with(|database| {
            let row = database.begin_read()?.open_table(META)?.get(USAGE_KEY)?;
            Ok(row.and_then(|row| open(Table::Meta, USAGE_KEY, row.value())))
        })?;
        if let Some((records, bytes)) = row {
            return Ok(Usage { records, bytes });
        }
        let scan = self.heads(None, usize::MAX, &BTreeMap::new(), None)?;
        let bytes = scan.heads.iter().map(|(id, entry)| entry.bytes(id)).sum();
        Ok(Usage { records: scan.heads.len() as u64, bytes })
    }

    /// What it notes of when its node was part of the swarm.
    pub(crate) fn presence(&self) -> Result<Option<Presence>, Fault> {
        let row: Option<(Option<u64>, u64)> = self.with(|database| {
            let row = database.begin_read()?.open_table(META)?.get(PRESENCE_KEY)?;
            Ok(row.and_then(|row| open(Table::Meta, PRESENCE_KEY, row.value())))
        })?;
        Ok(row.map(|(member_ms, until_ms)| Presence { member_ms, until_ms }))
    }

    pub(crate) fn entry(&self, id: &RecordId) -> Result<Result<Option<Entry>, BadRow>, Fault> {
        let key = head_key(id);
        self.read(|view| {
            let Some(row) = view.heads.get(key.as_slice())? else { return Ok(Ok(None)) };
            let entry = open::<HeadRow>(Table::Heads, &key, row.value());
            Ok(entry.map(|row| Some(row.into())).ok_or(BadRow))
        })
    }

    pub(crate) fn part(&self, id: &RecordId, part: &Part) -> Result<Result<Option<Stored>, BadRow>, Fault> {
        let key = part_key(id, part);
        self.read(|view| {
            let Some(row) = view.parts.get(key.as_slice())? else { return Ok(Ok(None)) };
            Ok(open_part(&key, part, row.value()).map(Some).ok_or(BadRow))
        })
    }

    /// All parts of a record but those that a layer writes or removes.
    pub(crate) fn parts(
        &self,
        id: &RecordId,
        unflushed: &Unflushed,
    ) -> Result<Result<Vec<(Part, Stored)>, BadRow>, Fault> {
        let prefix = parts_prefix(id);
        self.read(|view| {
            let table = &view.parts;
            let mut parts = Vec::new();
            for row in table.range::<&[u8]>(prefix.as_slice()..)? {
                let (key, row) = row?;
                let Some(part) = key.value().strip_prefix(prefix.as_slice()) else { break };
                let part = read_part(part);
                if unflushed.hides(key.value(), part.as_ref()) {
                    continue;
                }
                let stored = part.as_ref().and_then(|part| open_part(key.value(), part, row.value()));
                let (Some(part), Some(stored)) = (part, stored) else { return Ok(Err(BadRow)) };
                parts.push((part, stored));
            }
            Ok(Ok(parts))
        })
    }

    /// The items of a record with this stamp or a lower one but those that a layer writes or removes.
    pub(crate) fn items_up_to(
        &self,
        id: &RecordId,
        stamp: Stamp,
        fields: bool,
        unflushed: &Unflushed,
    ) -> Result<Result<Vec<Item>, BadRow>, Fault> {
        let prefix = parts_prefix(id);
        let first = part_key(id, &Part::Item(ItemId::Appended(Stamp::MIN)));
        let last = part_key(id, &Part::Item(ItemId::Appended(stamp)));
        self.read(|view| {
            let table = &view.parts;
            let mut items = Vec::new();
            for row in table.range::<&[u8]>(first.as_slice()..=last.as_slice())? {
                let (key, row) = row?;
                if unflushed.hides(key.value(), key.value().get(prefix.len()..).and_then(read_part).as_ref())
                {
                    continue;
                }
                let Some(item) = open::<Item>(Table::Parts, key.value(), row.value()) else {
                    return Ok(Err(BadRow));
                };
                items.push(item);
            }
            if !fields {
                return Ok(Ok(items));
            }
            for row in table.range::<&[u8]>(fields_start(id).as_slice()..)? {
                let (key, row) = row?;
                let Some(part) = key.value().strip_prefix(prefix.as_slice()) else { break };
                if unflushed.hides(key.value(), read_part(part).as_ref()) {
                    continue;
                }
                let Some(item) = open::<Item>(Table::Parts, key.value(), row.value()) else {
                    return Ok(Err(BadRow));
                };
                if item.stamp <= stamp {
                    items.push(item);
                }
            }
            Ok(Ok(items))
        })
    }

    /// All rows of a record as they stand, for taking them out.
    pub(crate) fn rows(&self, id: &RecordId) -> Result<Vec<Raw>, Fault> {
        let (head, prefix) = (head_key(id), parts_prefix(id));
        self.read(|view| {
            let mut rows = Vec::new();
            if let Some(row) = view.heads.get(head.as_slice())? {
                rows.push(Raw { table: Table::Heads, key: head.clone(), row: row.value().to_vec() });
            }
            for row in view.parts.range::<&[u8]>(prefix.as_slice()..)? {
                let (key, row) = row?;
                if !key.value().starts_with(&prefix) {
                    break;
                }
                rows.push(Raw { table: Table::Parts, key: key.value().to_vec(), row: row.value().to_vec() });
            }
            Ok(rows)
        })
    }

    /// Up to `limit` heads after `after`, in order, as they are once the layers are on disk.
    pub(crate) fn heads(
        &self,
        after: Option<&RecordId>,
        limit: usize,
        newer: &BTreeMap<RecordId, Pending>,
        older: Option<&BTreeMap<RecordId, Pending>>,
    ) -> Result<HeadScan, Fault> {
        let from = after.map(head_key);
        let start = from.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let span = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let mut newer = newer.range::<RecordId, _>(span).peekable();
        let mut older = older.map(|layer| layer.range::<RecordId, _>(span)).into_iter().flatten().peekable();
        self.read(|view| {
            let table = &view.heads;
            let mut scan = HeadScan::default();
            let mut rows = table.range::<&[u8]>((start, Bound::Unbounded))?;
            let mut row = next_head(&mut rows)?;
            while scan.heads.len() < limit {
                let ids = [newer.peek().map(|(id, _)| *id), older.peek().map(|(id, _)| *id)];
                let ids = ids.into_iter().chain([row.as_ref().map(|row| &row.id)]);
                let Some(id) = ids.flatten().min().cloned() else { break };
                let stored = row.take_if(|row| row.id == id);
                if stored.is_some() {
                    row = next_head(&mut rows)?;
                }
                let old = older.next_if(|(other, _)| **other == id).map(|(_, pending)| pending.entry);
                let new = newer.next_if(|(other, _)| **other == id).map(|(_, pending)| pending.entry);
                match (new.or(old), stored) {
                    (Some(entry), _) => scan.heads.extend(entry.map(|entry| (id, entry))),
                    (None, Some(HeadAt { entry: Some(entry), .. })) => scan.heads.push((id, entry)),
                    (None, Some(HeadAt { entry: None, .. })) => scan.bad.push(id),
                    (None, None) => break,
                }
            }
            Ok(scan)
        })
    }

    /// Deaths up to `cut_ms`, at most `limit`, by their raw keys; `None` for a row that is not what was written.
    pub(crate) fn deaths(&self, cut_ms: u64, limit: usize) -> Result<Vec<Result<Death, Vec<u8>>>, Fault> {
        let end = cut_ms.checked_add(1).map(u64::to_be_bytes);
        let end = end.as_ref().map_or(Bound::Unbounded, |end| Bound::Excluded(end.as_slice()));
        self.read(|view| {
            let table = &view.deaths;
            let mut deaths = Vec::new();
            for row in table.range::<&[u8]>((Bound::Unbounded, end))?.take(limit) {
                let (key, row) = row?;
                let death = unseal(Table::Deaths, key.value(), row.value());
                let death = death.and_then(|_| read_death_key(key.value()));
                deaths.push(death.ok_or_else(|| key.value().to_vec()));
            }
            Ok(deaths)
        })
    }

    /// Makes a layer durable, and with it, if asked to, what makes opening quick; tells how many rows and bytes it has.
    pub(crate) fn commit(&self, layer: &Layer, recording: Recording) -> Result<Written, Fault> {
        self.with(|database| {
            let mut txn = database.begin_write()?;
            // Strangers choose what is written, and one phase can be tricked by them into half a commit.
            txn.set_two_phase_commit(true);
            txn.set_quick_repair(recording == Recording::On);
            txn.set_durability(Durability::Immediate)?;
            let written = write_layer(&txn, layer)?;
            txn.commit()?;
            Ok(written)
        })
        .inspect(|_| self.end_view())
    }
}

struct HeadAt {
    id: RecordId,
    entry: Option<Entry>,
}

/// The next row of the heads that names a record at all.
fn next_head(rows: &mut redb::Range<'_, &[u8], &[u8]>) -> Result<Option<HeadAt>, redb::Error> {
    for row in rows {
        let (key, row) = row?;
        let Some(id) = read_head_key(key.value()) else { continue };
        let entry = open::<HeadRow>(Table::Heads, key.value(), row.value()).map(Entry::from);
        return Ok(Some(HeadAt { id, entry }));
    }
    Ok(None)
}
