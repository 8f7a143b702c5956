//! The thread that makes writes durable, and what it shares with the store.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kadmap_core::Ticket;

use super::file::{DiskFile, Fault};
use super::layer::Layer;

/// What the flusher calls after each flush.
pub(crate) type Notify = Box<dyn Fn() + Send>;

/// What the store and its flusher both see.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Something for the flusher to look at.
    work: Condvar,
    /// A flush ended, well or not.
    done: Condvar,
    flush_interval: Duration,
    /// A layer of this size does not wait for the interval.
    urgent_bytes: usize,
    unflushed_bytes_max: usize,
}

/// The writes on their way.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Takes writes.
    pub(crate) active: Layer,
    /// Being written; older than `active`. Stays after a failed flush, so that it can still be read.
    pub(crate) flushing: Option<Arc<Layer>>,
    /// Why no write is taken any more.
    pub(crate) failed: Option<String>,
    /// The ticket of the last layer that is on disk.
    pub(crate) flushed: Ticket,
    pub(crate) flushes: u64,
    pub(crate) rows_written: u64,
    pub(crate) bytes_written: u64,
    closing: bool,
    /// Whether the flusher sleeps and has to be woken.
    asleep: bool,
}

impl Shared {
    /// `flush_interval` is zero when each write waits for the disk.
    pub(crate) fn new(flush_interval: Duration, unflushed_bytes_max: usize) -> Self {
        let state = State { active: Layer { ticket: 1, ..Layer::default() }, ..State::default() };
        Self {
            state: Mutex::new(state),
            work: Condvar::new(),
            done: Condvar::new(),
            flush_interval,
            urgent_bytes: unflushed_bytes_max / 2,
            unflushed_bytes_max,
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state with room for another write; waits for the disk while there is none.
    pub(crate) fn lock_with_room(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        while state.active.bytes >= self.unflushed_bytes_max && state.failed.is_none() {
            self.wake(&mut state);
            state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }

    /// To be called after a write, with the layer's size before it.
    pub(crate) fn wrote(&self, state: &mut State, was_empty: bool, bytes_before: usize) {
        let urgent = bytes_before < self.urgent_bytes && state.active.bytes >= self.urgent_bytes;
        if was_empty || urgent {
            self.wake(state);
        }
    }

    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closing = true;
        self.wake(&mut state);
    }

    fn wake(&self, state: &mut State) {
        if std::mem::take(&mut state.asleep) {
            self.work.notify_one();
        }
    }

    /// The next layer to write; sleeps while there is nothing to do. `None` to end.
    fn next(&self) -> Option<Arc<Layer>> {
        let mut state = self.lock();
        loop {
            let wait = match state.active.since {
                _ if state.failed.is_some() && state.closing => return None,
                _ if state.failed.is_some() => None,
                None if state.closing => return None,
                None => None,
                Some(since) => {
                    let due = since + self.flush_interval;
                    let left = due.saturating_duration_since(Instant::now());
                    if left.is_zero() || state.closing || state.active.bytes >= self.urgent_bytes {
                        return Some(state.begin());
                    }
                    Some(left)
                }
            };
            state.asleep = true;
            state = match wait {
                None => self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) => self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
            state.asleep = false;
        }
    }

    /// Writes layers until told to end.
    pub(crate) fn run(&self, file: &DiskFile, notify: &Notify) {
        while let Some(layer) = self.next() {
            let outcome = file.commit(&layer);
            let mut state = self.lock();
            match outcome {
                Ok(written) => {
                    state.flushing = None;
                    state.flushed = layer.ticket;
                    state.flushes += 1;
                    state.rows_written += written.rows;
                    state.bytes_written += written.bytes;
                }
                Err(fault) => {
                    state.fail(&fault);
                    drop(state);
                    // redb refuses to read on after an error; opened anew it serves what is on disk.
                    if let Fault::Io(_) = fault
                        && let Err(again) = file.reopen()
                    {
                        tracing::error!(reason = again.reason(), "the records cannot be read any more");
                    }
                }
            }
            self.done.notify_all();
            notify();
        }
    }
}

impl State {
    /// No write is taken from here on.
    pub(crate) fn fail(&mut self, fault: &Fault) {
        if self.failed.is_none() {
            tracing::error!(reason = fault.reason(), "the disk failed: no write is acknowledged any more");
            self.failed = Some(fault.reason().to_owned());
        }
    }

    fn begin(&mut self) -> Arc<Layer> {
        let next = Layer { ticket: self.active.ticket + 1, usage: self.active.usage, ..Layer::default() };
        let layer = Arc::new(std::mem::replace(&mut self.active, next));
        self.flushing = Some(Arc::clone(&layer));
        layer
    }
}
