//! Records that many nodes hold alike, kept once for all of them.
//!
//! Ten thousand nodes with twenty copies of a million records do not fit a process otherwise: a copy costs 16 bytes here
//! and hundreds in the production store.

use std::sync::{Arc, Mutex, PoisonError};

use kadmap_core::{Base, Head, Record, RecordId, Usage};
use rustc_hash::FxHashMap;

/// A record that is nothing but a value that lives for ever: what most records of a large run are.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) id: RecordId,
    pub(crate) base: Base,
    pub(crate) head: Head,
}

impl Shared {
    fn bytes(&self) -> u64 {
        self.head.bytes + self.id.name.len() as u64
    }
}

/// What the nodes of one simulation share: of each record the state that was stored last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Library(Arc<Mutex<FxHashMap<RecordId, Arc<Shared>>>>);

impl Library {
    /// The one copy of this record in this state.
    fn lend(&self, id: &RecordId, base: Base) -> Arc<Shared> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(id).filter(|known| known.base == base) {
            return Arc::clone(known);
        }
        let head = Record::from(base.clone()).head();
        let shared = Arc::new(Shared { id: id.clone(), base, head });
        all.insert(id.clone(), Arc::clone(&shared));
        shared
    }
}

/// The shared records of one node, in order.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    library: Library,
    /// The start of each key, so that most comparisons stay in this vector, and the record.
    copies: Vec<(u64, Arc<Shared>)>,
    bytes: u64,
}

/// Whether a change makes a record that can stand on a shelf, where there was none.
pub(crate) fn is_shareable(delta: &Record) -> bool {
    let lives_for_ever = |base: &Base| base.payload.is_some() && base.expires_ms.is_none();
    delta.items().len() == 0 && delta.base().is_some_and(lives_for_ever)
}

impl Shelf {
    pub(crate) fn new(library: Library) -> Self {
        Self { library, ..Self::default() }
    }

    /// The record's place, or where it would stand.
    pub(crate) fn place(&self, id: &RecordId) -> Result<usize, usize> {
        let wanted = start(id);
        self.copies.binary_search_by(|(start, copy)| start.cmp(&wanted).then_with(|| copy.id.cmp(id)))
    }

    pub(crate) fn at(&self, place: usize) -> &Shared {
        &self.copies[place].1
    }

    /// Puts a record where [`place`](Self::place) says it would stand.
    pub(crate) fn insert(&mut self, place: usize, id: &RecordId, base: Base) -> Head {
        let shared = self.library.lend(id, base);
        self.bytes += shared.bytes();
        let head = shared.head;
        self.copies.insert(place, (start(id), shared));
        head
    }

    pub(crate) fn remove(&mut self, place: usize) -> Arc<Shared> {
        let (_, shared) = self.copies.remove(place);
        self.bytes -= shared.bytes();
        shared
    }

    /// The records after one of them, in order.
    pub(crate) fn after(&self, after: Option<&RecordId>) -> impl Iterator<Item = &Shared> {
        let first = after.map_or(0, |id| match self.place(id) {
            Ok(place) => place + 1,
            Err(place) => place,
        });
        self.copies[first..].iter().map(|(_, shared)| &**shared)
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage { records: self.copies.len() as u64, bytes: self.bytes }
    }
}

/// The first 64 bits of a record's place, in the order of records.
fn start(id: &RecordId) -> u64 {
    u64::from_be_bytes(std::array::from_fn(|at| id.key.as_bytes()[at]))
}
