//! The records that loads put and read back, and the operations on them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use kadmap::{Consistency, Value};

use crate::load::{Fault, Turn, mark_of};

/// Bytes at the start of a value that carry its number.
const NUMBER_BYTES: usize = 8;

/// Records with numbers from 0, whose values can be told from their numbers, and who put each.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    prefix: Arc<str>,
    value_bytes: usize,
    /// The mark of the node that put each, to read it from another.
    writers: Arc<Vec<AtomicU64>>,
}

impl Records {
    /// So many records, none of them put. Different prefixes keep apart what is put into one swarm.
    pub(crate) fn new(prefix: impl Into<Arc<str>>, count: u64, value_bytes: usize) -> Self {
        Self {
            prefix: prefix.into(),
            value_bytes,
            writers: Arc::new((0..count).map(|_| AtomicU64::new(0)).collect()),
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.writers.len() as u64
    }

    pub(crate) fn name(&self, number: u64) -> String {
        format!("{}-{number}", self.prefix)
    }

    pub(crate) fn value(&self, number: u64) -> Bytes {
        let mut value = vec![b'v'; self.value_bytes];
        let bytes = number.to_le_bytes();
        value.iter_mut().zip(bytes).take(NUMBER_BYTES).for_each(|(to, from)| *to = from);
        value.into()
    }

    /// Puts the record of the turn's number from a random node.
    pub(crate) async fn put(self, turn: Turn) -> Result<(), Fault> {
        let (node, number) = (turn.node(), turn.index % self.count());
        node.put_bytes(self.name(number), self.value(number)).await.map_err(Fault::failed)?;
        self.writers[number as usize].store(mark_of(node), Ordering::Relaxed);
        Ok(())
    }

    /// Reads a random record from a random node that has not put it.
    pub(crate) async fn read_random(self, turn: Turn) -> Result<(), Fault> {
        let number = turn.random % self.count();
        self.read(turn, number).await
    }

    /// Reads the record of the turn's number from a random node that has not put it.
    pub(crate) async fn read_in_order(self, turn: Turn) -> Result<(), Fault> {
        let number = turn.index % self.count();
        self.read(turn, number).await
    }

    async fn read(self, turn: Turn, number: u64) -> Result<(), Fault> {
        let node = turn.node_other_than(self.writers[number as usize].load(Ordering::Relaxed));
        match node.get_value(self.name(number)).await.map_err(Fault::failed)? {
            Some(Value::Bytes(bytes)) if bytes == self.value(number) => Ok(()),
            _ => Err(Fault::Wrong),
        }
    }
}

/// Lists that loads append to.
#[derive(Debug, Clone)]
pub(crate) struct Lists {
    items: Records,
    lists: u64,
}

impl Lists {
    /// So many lists, all empty, for items of so many bytes.
    pub(crate) fn new(lists: u64, item_bytes: usize) -> Self {
        Self { items: Records::new("list", lists, item_bytes), lists }
    }

    /// Appends an item with the turn's number to a list, from a random node.
    pub(crate) async fn append(self, turn: Turn) -> Result<(), Fault> {
        let item = Value::Bytes(self.items.value(turn.index));
        let name = self.items.name(turn.index % self.lists);
        turn.node().append_value(name, item).await.map(drop).map_err(Fault::failed)
    }

    /// Checks that the list of the turn's number holds every item once, after so many appends in all.
    pub(crate) async fn check(self, turn: Turn, appended: u64) -> Result<(), Fault> {
        let list = turn.index % self.lists;
        let mut expected: Vec<Bytes> =
            (list..appended).step_by(self.lists as usize).map(|number| self.items.value(number)).collect();
        // All replicas: one that acknowledges alone is ahead of the others for a moment, which is no loss.
        let name = self.items.name(list);
        let reading = turn.node().read(name).consistency(Consistency::All).await.map_err(Fault::failed)?;
        let mut found = match reading.value {
            Some(Value::List(items)) => items
                .into_iter()
                .map(|item| match item {
                    Value::Bytes(bytes) => bytes,
                    _ => Bytes::new(),
                })
                .collect(),
            None => Vec::new(),
            Some(_) => return Err(Fault::Wrong),
        };
        expected.sort_unstable();
        found.sort_unstable();
        if found == expected { Ok(()) } else { Err(Fault::Wrong) }
    }
}
