//! A store that mirrors its records to a Python object.

use std::collections::BTreeSet;

use kadmap::{
    Head, ItemId, MemoryStore, Merged, Record, RecordId, RecordStore, Stamp, StoreConfig, StoreError, Ticket,
    Usage, Value,
};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::attach::attach;
use crate::clock::unix_ms;
use crate::{log, place, value};

/// Records in memory, each mirrored to the user's object whenever it changes.
///
/// Memory is the truth: what the object does not take is taken back. A change costs the record's size.
struct MirroredStore {
    records: MemoryStore,
    object: Py<PyAny>,
    /// When records change by themselves, in milliseconds since 1970: a value or item of theirs expires.
    expiries: BTreeSet<(u64, RecordId)>,
}

/// What opens a store over a Python object with `load`, `save` and `forget`.
pub(crate) fn opener(
    object: Py<PyAny>,
) -> impl Fn() -> Result<Box<dyn RecordStore + Send>, PyErr> + Send + Sync + 'static {
    move || {
        let opened = attach(|py| MirroredStore::open(py, object.clone_ref(py)));
        let ended = || Err(PyRuntimeError::new_err("the interpreter is ending"));
        Ok(Box::new(opened.unwrap_or_else(ended)?))
    }
}

impl MirroredStore {
    fn open(py: Python<'_>, object: Py<PyAny>) -> PyResult<Self> {
        let mut records = MemoryStore::new(StoreConfig::default());
        let mut expiries = BTreeSet::new();
        for loaded in object.bind(py).call_method0("load")?.try_iter()? {
            let (name, at, blob): (Vec<u8>, Bound<'_, PyAny>, Vec<u8>) = loaded?.extract()?;
            let id = RecordId::new(place::key_of_python(&at)?, name);
            let record: Record = minicbor::decode(&blob).map_err(|error| unreadable(&id, &error))?;
            expiries.extend(next_expiry(&record, 0).map(|at| (at, id.clone())));
            records.merge(&id, record).map_err(|error| unreadable(&id, &error))?;
        }
        Ok(Self { records, object, expiries })
    }

    /// Tells the object the state of a record; `None` for one that is gone.
    fn mirror(&self, id: &RecordId, record: Option<&Record>) -> Result<(), String> {
        let told = attach(|py| {
            let tell = || -> PyResult<()> {
                let object = self.object.bind(py);
                let (name, at) = (PyBytes::new(py, &id.name), place::to_python(py, id.key.as_bytes())?);
                let Some(record) = record else {
                    object.call_method1("forget", (name, at))?;
                    return Ok(());
                };
                let blob = PyBytes::new(py, &blob_of(record));
                let shown = Value::of_record(record, unix_ms());
                let shown = shown.map(|shown| value::to_python(py, &shown)).transpose()?;
                object.call_method1("save", (name, at, blob, shown))?;
                Ok(())
            };
            tell().map_err(|error| {
                let name = String::from_utf8_lossy(&id.name);
                log::exception(py, &format!("the storage failed to keep '{name}'"), &error);
                error.to_string()
            })
        });
        told.unwrap_or_else(|| Err("the interpreter is ending".to_owned()))
    }

    /// Mirrors a record that changed by itself. What the object does not take now it is told with the next change.
    fn mirror_now(&mut self, id: &RecordId) -> Result<(), StoreError> {
        let record = self.records.load(id)?;
        // The failure has been logged, and memory is the truth.
        let _ = self.mirror(id, record.as_ref());
        if let Some(record) = record {
            self.expiries.extend(next_expiry(&record, unix_ms()).map(|at| (at, id.clone())));
        }
        Ok(())
    }

    /// Mirrors records of which something has expired, at most `limit`.
    fn mirror_expired(&mut self, unix_ms: u64, limit: usize) -> Result<(), StoreError> {
        for _ in 0..limit {
            if self.expiries.first().is_none_or(|(at, _)| *at > unix_ms) {
                break;
            }
            let Some((_, id)) = self.expiries.pop_first() else { break };
            self.mirror_now(&id)?;
        }
        Ok(())
    }
}

impl RecordStore for MirroredStore {
    fn head(&mut self, id: &RecordId) -> Result<Option<Head>, StoreError> {
        self.records.head(id)
    }

    fn item_stamp(&mut self, id: &RecordId, item: &ItemId) -> Result<Option<Stamp>, StoreError> {
        self.records.item_stamp(id, item)
    }

    fn load(&mut self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        self.records.load(id)
    }

    fn merge(&mut self, id: &RecordId, delta: Record) -> Result<Merged, StoreError> {
        let former = self.records.load(id)?;
        let merged = self.records.merge(id, delta)?;
        if !merged.changed {
            return Ok(merged);
        }
        let record = self.records.load(id)?.unwrap_or_default();
        if let Err(reason) = self.mirror(id, Some(&record)) {
            self.records.forget(id)?;
            if let Some(former) = former {
                self.records.merge(id, former)?;
            }
            return Err(StoreError::Rejected { reason });
        }
        self.expiries.extend(next_expiry(&record, unix_ms()).map(|at| (at, id.clone())));
        Ok(merged)
    }

    fn forget(&mut self, id: &RecordId) -> Result<(), StoreError> {
        self.records.forget(id)?;
        self.mirror_now(id)
    }

    fn heads(&mut self, after: Option<&RecordId>, limit: usize) -> Result<Vec<(RecordId, Head)>, StoreError> {
        self.records.heads(after, limit)
    }

    fn expire(&mut self, unix_ms: u64, limit: usize) -> Result<Vec<RecordId>, StoreError> {
        self.mirror_expired(unix_ms, limit)?;
        let touched = self.records.expire_records(unix_ms, limit);
        for id in &touched {
            self.mirror_now(id)?;
        }
        Ok(touched.into_iter().collect())
    }

    fn flushed(&self) -> Ticket {
        self.records.flushed()
    }

    fn usage(&self) -> Usage {
        self.records.usage()
    }
}

/// When something in a record that can be read now expires.
fn next_expiry(record: &Record, unix_ms: u64) -> Option<u64> {
    let base = record.live_base(unix_ms).and_then(|base| base.expires_ms);
    record.live_items(unix_ms).filter_map(|item| item.expires_ms).chain(base).min()
}

fn blob_of(record: &Record) -> Vec<u8> {
    let mut blob = Vec::new();
    if let Err(error) = minicbor::encode(record, &mut blob) {
        unreachable!("a record encodes into memory: {error}");
    }
    blob
}

fn unreadable(id: &RecordId, error: &dyn std::fmt::Display) -> PyErr {
    let name = String::from_utf8_lossy(&id.name);
    PyRuntimeError::new_err(format!("the record that the storage loaded as '{name}' cannot be read: {error}"))
}
