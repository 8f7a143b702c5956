//! What users ask of the nodes, and what comes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kadmap_core::{
    Change, Codec, Key, LookupOutcome, OperationId, Payload, ReadError, ReadOptions, ReadOutcome, RecordId,
    Shape, WriteError, WriteOptions, WriteOutcome,
};
use rustc_hash::FxHashMap;

use super::{NodeIndex, Sim};
use crate::SimAddress;

/// Virtual time after which an operation that was waited for counts as unfinished: many times its own limit.
const PATIENCE: Duration = Duration::from_secs(120);

/// An operation that was started; its outcome is asked for with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Operation(u64);

/// How an operation ended.
#[derive(Debug)]
pub enum End {
    /// A write, as the node told it.
    Written(Result<WriteOutcome, WriteError>),
    /// A read, as the node told it.
    Read(Result<ReadOutcome, ReadError>),
    /// A lookup, as the node told it.
    LookedUp(LookupOutcome<SimAddress>),
    /// Its node went down first, or was not up: nobody knows what came of it.
    NodeDown,
    /// It did not end within two minutes, as when its node is frozen.
    Unfinished,
}

/// An operation that has ended.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// How long it took, in the simulator's time.
    pub took: Duration,
}

impl Outcome {
    /// What a write came to; `None` when it failed, or was none.
    pub fn written(self) -> Option<WriteOutcome> {
        match self.end {
            End::Written(result) => result.ok(),
            _ => None,
        }
    }

    /// What a read came to; `None` when it failed, or was none.
    pub fn read(self) -> Option<ReadOutcome> {
        match self.end {
            End::Read(result) => result.ok(),
            _ => None,
        }
    }

    /// The value that a read found: a register's, not a list's.
    pub fn value(self) -> Option<Bytes> {
        let record = self.read()?.record?;
        Some(record.base()?.payload.as_ref()?.bytes.clone())
    }
}

/// All operations that were started and not yet asked for.
#[derive(Debug, Default)]
pub(super) struct Operations {
    /// Those under way, and when they were started.
    running: BTreeMap<(NodeIndex, OperationId), (Operation, u64)>,
    ended: FxHashMap<Operation, Outcome>,
    last: u64,
}

impl Operations {
    fn next(&mut self) -> Operation {
        self.last += 1;
        Operation(self.last)
    }

    pub(super) fn end(&mut self, now_us: u64, node: NodeIndex, id: OperationId, end: End) {
        if let Some((operation, started_us)) = self.running.remove(&(node, id)) {
            let took = Duration::from_micros(now_us - started_us);
            self.ended.insert(operation, Outcome { end, took });
        }
    }

    /// Ends all operations of a node that is down.
    pub(super) fn abandon(&mut self, now_us: u64, node: NodeIndex) {
        while let Some((&(at, id), _)) = self.running.iter().find(|((at, _), _)| *at == node) {
            self.end(now_us, at, id, End::NodeDown);
        }
    }
}

/// The record of this name, where every node looks for it.
pub(crate) fn record(name: &str) -> RecordId {
    RecordId::new(Key::of_name(name.as_bytes()), name.to_owned())
}

impl Sim {
    /// Starts a write at a node.
    pub fn write(&mut self, at: NodeIndex, name: &str, change: Change, options: WriteOptions) -> Operation {
        self.start(at, |node, now| node.write(now, record(name), change, options))
    }

    /// Starts a read at a node.
    pub fn read(&mut self, at: NodeIndex, name: &str, options: ReadOptions) -> Operation {
        self.start(at, |node, now| node.read(now, record(name), options))
    }

    /// Starts a lookup at a node.
    pub fn lookup(&mut self, at: NodeIndex, target: Key) -> Operation {
        self.start(at, |node, now| node.lookup(now, target))
    }

    /// Stores a value and waits for the outcome.
    pub fn put(&mut self, at: NodeIndex, name: &str, value: impl Into<Bytes>) -> Outcome {
        let operation = self.write(at, name, put(value), WriteOptions::default());
        self.finish(operation)
    }

    /// Adds an item to a list and waits for the outcome.
    pub fn append(&mut self, at: NodeIndex, name: &str, item: impl Into<Bytes>) -> Outcome {
        let operation = self.write(at, name, append(item), WriteOptions::default());
        self.finish(operation)
    }

    /// Deletes what is there and waits for the outcome.
    pub fn delete(&mut self, at: NodeIndex, name: &str) -> Outcome {
        let operation = self.write(at, name, Change::Delete, WriteOptions::default());
        self.finish(operation)
    }

    /// Reads and waits for the outcome.
    pub fn get(&mut self, at: NodeIndex, name: &str) -> Outcome {
        let operation = self.read(at, name, ReadOptions::default());
        self.finish(operation)
    }

    /// What came of an operation, once it has ended; tells it once.
    pub fn outcome(&mut self, operation: Operation) -> Option<Outcome> {
        self.operations.ended.remove(&operation)
    }

    /// Lets time pass until an operation has ended, and tells how.
    pub fn finish(&mut self, operation: Operation) -> Outcome {
        self.run_until(PATIENCE, |sim| sim.operations.ended.contains_key(&operation));
        self.outcome(operation).unwrap_or(Outcome { end: End::Unfinished, took: PATIENCE })
    }

    /// Lets time pass until all operations have ended, and tells how, in their order.
    pub fn finish_all(&mut self, operations: Vec<Operation>) -> Vec<Outcome> {
        operations.into_iter().map(|operation| self.finish(operation)).collect()
    }

    fn start(
        &mut self,
        at: NodeIndex,
        begin: impl FnOnce(&mut super::SimNode, kadmap_core::Now) -> OperationId,
    ) -> Operation {
        let operation = self.operations.next();
        let started_us = self.now_us;
        let running = &mut self.nodes[at.0 as usize];
        let now = running.clock.read(started_us);
        let Some(node) = running.node.as_deref_mut() else {
            let outcome = Outcome { end: End::NodeDown, took: Duration::ZERO };
            self.operations.ended.insert(operation, outcome);
            return operation;
        };
        let id = begin(node, now);
        self.operations.running.insert((at, id), (operation, started_us));
        // A frozen node's user is frozen with it: what it began goes out when it thaws.
        if self.nodes[at.0 as usize].condition == super::Condition::Up {
            self.drive(at, |_, _| ());
        }
        operation
    }
}

/// The change that stores a value.
pub(crate) fn put(value: impl Into<Bytes>) -> Change {
    Change::Put { payload: Payload::new(Codec::Bytes, value), shape: Shape::Value }
}

/// The change that adds an item to a list.
pub(crate) fn append(item: impl Into<Bytes>) -> Change {
    Change::Append { payload: Payload::new(Codec::Bytes, item) }
}
