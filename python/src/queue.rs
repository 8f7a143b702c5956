//! Finished operations on their way to a loop.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::bell::{self, Bell, Ear};
use crate::errors::Raised;
use crate::outcome::Pending;
use crate::process::OfProcess;

/// Finished operations on their way to a loop such as asyncio's.
///
/// Nodes append without the interpreter, and wake the loop by one byte to a socket if the queue was empty.
#[pyclass(frozen, module = "kadmap._kadmap")]
pub(crate) struct Queue(OfProcess<Ends>);

struct Ends {
    finished: Arc<Finished>,
    ear: Mutex<Option<Ear>>,
}

/// What nodes append to.
struct Finished {
    state: Mutex<State>,
    bell: Bell,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    is_closed: bool,
}

struct Entry {
    token: u64,
    cancellation: Cancellation,
    outcome: Pending,
}

impl Finished {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, entry: Entry) {
        let mut state = self.lock();
        if state.is_closed || entry.cancellation.is_cancelled() {
            return;
        }
        let was_empty = state.entries.is_empty();
        state.entries.push_back(entry);
        drop(state);
        if was_empty {
            self.bell.ring();
        }
    }
}

#[pymethods]
impl Queue {
    #[new]
    fn new() -> PyResult<Self> {
        let (bell, ear) = bell::pair()?;
        let finished = Arc::new(Finished { state: Mutex::default(), bell });
        Ok(Self(OfProcess::new(Ends { finished, ear: Mutex::new(Some(ear)) })))
    }

    /// The socket that becomes readable when the queue is no longer empty, non-blocking; whoever takes it owns it.
    ///
    /// When it is readable, first receive what is there, then drain: the other way round a wake-up gets lost.
    fn take_fd(&self) -> PyResult<i64> {
        let ear = self.0.here()?.ear.lock().unwrap_or_else(PoisonError::into_inner).take();
        ear.map(Ear::into_descriptor)
            .ok_or_else(|| PyValueError::new_err("the socket has been taken already"))
    }

    /// Takes out what is there, oldest first: (token, True, result) or (token, False, exception).
    fn drain(&self, py: Python<'_>) -> PyResult<Vec<(u64, bool, Py<PyAny>)>> {
        let entries = std::mem::take(&mut self.0.here()?.finished.lock().entries);
        let entries = entries.into_iter().filter(|entry| !entry.cancellation.is_cancelled());
        Ok(entries
            .map(|entry| match (entry.outcome)(py) {
                Ok(result) => (entry.token, true, result),
                Err(error) => (entry.token, false, error.into_value(py).into_any()),
            })
            .collect())
    }

    /// Drops what is there and whatever still comes.
    fn close(&self) -> PyResult<()> {
        let ends = self.0.here()?;
        let mut state = ends.finished.lock();
        state.is_closed = true;
        let entries = std::mem::take(&mut state.entries);
        drop(state);
        // Outside the lock: a node that is dropped with its entry may be long about it.
        drop(entries);
        drop(ends.ear.lock().unwrap_or_else(PoisonError::into_inner).take());
        Ok(())
    }
}

impl Queue {
    /// The way of one operation's outcome into this queue.
    pub(crate) fn delivery(&self, token: u64) -> PyResult<Delivery> {
        let finished = Arc::clone(&self.0.here()?.finished);
        Ok(Delivery { finished, token, cancellation: Cancellation::default(), is_done: false })
    }
}

/// The way of one operation's outcome into a queue; exactly one arrives, unless it is cancelled.
pub(crate) struct Delivery {
    finished: Arc<Finished>,
    token: u64,
    cancellation: Cancellation,
    is_done: bool,
}

impl Delivery {
    pub(crate) fn cancellation(&self) -> Cancellation {
        self.cancellation.clone()
    }

    /// Delivers the outcome.
    pub(crate) fn finish(mut self, outcome: Pending) {
        self.deliver(outcome);
    }

    fn deliver(&mut self, outcome: Pending) {
        self.is_done = true;
        let cancellation = self.cancellation.clone();
        self.finished.push(Entry { token: self.token, cancellation, outcome });
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        // The task ended without an outcome: its thread has.
        if !self.is_done {
            self.deliver(Box::new(|_| Err(Raised::Stopped.error("the node has stopped"))));
        }
    }
}

/// Whether anybody still wants an outcome.
#[derive(Clone, Default)]
pub(crate) struct Cancellation(Arc<AtomicBool>);

impl Cancellation {
    pub(crate) fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
