//! Where all clients of a run write down what they did.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::{Excuses, Fault, History, Operation};

/// The history in the making, and its clock.
#[derive(Debug)]
pub(crate) struct Recorder {
    start: Instant,
    next_op: AtomicU64,
    history: Mutex<History>,
}

impl Recorder {
    pub(crate) fn new(excuses: Excuses, read_quorum: u32) -> Self {
        let history = Mutex::new(History { excuses, read_quorum, ..History::default() });
        Self { start: Instant::now(), next_op: AtomicU64::new(0), history }
    }

    /// The time of the history's clock.
    pub(crate) fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    /// A number that no other operation has.
    pub(crate) fn next_op(&self) -> u64 {
        self.next_op.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn record(&self, operation: Operation) {
        self.lock().operations.push(operation);
    }

    /// How many operations have ended.
    pub(crate) fn operations(&self) -> usize {
        self.lock().operations.len()
    }

    pub(crate) fn record_fault(&self, fault: &str, target: impl Into<String>) {
        let fault = Fault { fault: fault.to_owned(), target: target.into(), at_ns: self.now_ns() };
        self.lock().faults.push(fault);
    }

    /// From now on what is missing is lost.
    pub(crate) fn settle(&self) {
        self.lock().settled_ns = Some(self.now_ns());
    }

    /// Hands what was recorded to a closure; clients wait meanwhile.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut History) -> T) -> T {
        look(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, History> {
        // A panic elsewhere ends the run; what was recorded before it is still true.
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
