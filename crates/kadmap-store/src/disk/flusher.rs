//! The thread that makes writes durable, and what it shares with the store.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kadmap_core::{Ticket, Usage};

use super::failure::Failure;
use super::fault::Fault;
use super::file::DiskFile;
use super::layer::Layer;
use super::mend::{RECORDED_AFTER, RECORDED_FROM_BYTES, Recording};
use super::open::mark_for_check;
use super::tables::Written;
use crate::StoreConfig;

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
    /// How long after a failure the disk is tried again for the first time.
    retry_interval: Duration,
}

/// What the flusher does next.
enum Work {
    /// Write a layer.
    Write(Arc<Layer>),
    /// Write a layer that is empty, for what is recorded with it.
    Record(Arc<Layer>),
    /// Open the file anew so that it can be read.
    Reopen,
    /// See whether the disk works again, and write a layer.
    Retry(Arc<Layer>),
    End,
}

/// The writes on their way.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Takes writes.
    pub(crate) active: Layer,
    /// Being written; older than `active`. Stays after a failed flush: it is read on, and written once that works.
    pub(crate) flushing: Option<Arc<Layer>>,
    /// Why no write is taken at present.
    pub(crate) failed: Option<Failure>,
    /// The ticket of the last layer that is on disk.
    pub(crate) flushed: Ticket,
    pub(crate) flushes: u64,
    pub(crate) failures: u64,
    pub(crate) rows_written: u64,
    pub(crate) bytes_written: u64,
    /// Since when the file would have to be mended if the process were killed, and that would take a while.
    unrecorded: Option<Instant>,
    closing: bool,
    /// Whether a write of several steps is under way, of which none is to be written down without the others.
    held: bool,
    /// Whether the flusher sleeps and has to be woken.
    asleep: bool,
}

impl Shared {
    /// For a store that holds so much; `flush_interval` is zero when each write waits for the disk.
    pub(crate) fn new(usage: Usage, flush_interval: Duration, config: &StoreConfig) -> Self {
        let unflushed_bytes_max = config.unflushed_bytes_max;
        let state = State { active: Layer { ticket: 1, usage, ..Layer::default() }, ..State::default() };
        Self {
            state: Mutex::new(state),
            work: Condvar::new(),
            done: Condvar::new(),
            flush_interval,
            urgent_bytes: unflushed_bytes_max / 2,
            unflushed_bytes_max,
            retry_interval: config.disk_retry_interval,
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state with room for another write; waits for the disk while there is none.
    pub(crate) fn lock_with_room(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        while state.active.bytes >= self.unflushed_bytes_max && state.failed.is_none() && !state.held {
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

    /// Lets no flush begin until [`release`](Self::release).
    pub(crate) fn hold(&self) {
        self.lock_with_room().held = true;
    }

    /// Lets flushes begin again.
    pub(crate) fn release(&self) {
        let mut state = self.lock();
        state.held = false;
        self.wake(&mut state);
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

    /// Takes note of a fault that a read met: no write is taken until the file has been opened anew.
    pub(crate) fn fail_reading(&self, file: &DiskFile, fault: &Fault) {
        let mut state = self.lock();
        if state.fail(file.path(), fault, self.retry_interval) {
            // What has been read is as it was confirmed: there is nothing to check but whether it can be read again.
            state.failed.iter_mut().for_each(Failure::trust_the_file);
            state.failed.iter_mut().for_each(Failure::reopen);
            self.wake(&mut state);
        }
    }

    /// What to do next; sleeps while there is nothing.
    fn next(&self) -> Work {
        let mut state = self.lock();
        loop {
            let closing = state.closing;
            let wait = if let Some(failure) = &mut state.failed {
                if !closing && failure.take_reopen() {
                    return Work::Reopen;
                }
                match failure.left(Instant::now()) {
                    // One last attempt: what is in memory only is lost otherwise.
                    Some(left) if left.is_zero() || closing => return Work::Retry(state.pending()),
                    None if closing => return Work::End,
                    left => left,
                }
            } else {
                match state.active.since.filter(|_| !state.held) {
                    None if closing => return Work::End,
                    None => match state.unrecorded.map(|since| since + RECORDED_AFTER) {
                        Some(at) if at <= Instant::now() => return Work::Record(state.begin()),
                        at => at.map(|at| at.saturating_duration_since(Instant::now())),
                    },
                    Some(since) => {
                        let left = (since + self.flush_interval).saturating_duration_since(Instant::now());
                        if left.is_zero() || closing || state.active.bytes >= self.urgent_bytes {
                            return Work::Write(state.begin());
                        }
                        Some(left)
                    }
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
        self.recorded(file, if file.was_mended() { Recording::Off } else { Recording::On });
        loop {
            match self.next() {
                Work::Write(layer) => self.write(file, &layer, Recording::of(layer.bytes, file.bytes())),
                Work::Record(layer) => self.write(file, &layer, Recording::On),
                Work::Retry(layer) => {
                    let mode = self.lock().failed.as_ref().map(Failure::mode).unwrap_or_default();
                    match file.reopen_to_write(mode, layer.bytes) {
                        Ok(()) => self.write(file, &layer, Recording::of(layer.bytes, file.bytes())),
                        // It is read on as before.
                        Err(fault) => self.fail_again(file, &fault),
                    }
                    let state = self.lock();
                    if state.closing && state.failed.is_some() {
                        return;
                    }
                }
                // redb refuses to read on after an error; opened anew it serves what is on disk.
                Work::Reopen => {
                    if let Err(again) = file.reopen_to_read() {
                        tracing::error!(reason = again.reason(), "the records cannot be read any more");
                    }
                }
                Work::End => return,
            }
            self.done.notify_all();
            notify();
        }
    }

    fn write(&self, file: &DiskFile, layer: &Layer, recording: Recording) {
        self.settle(file, layer, file.commit(layer, recording));
        self.recorded(file, recording);
    }

    /// Takes note of whether the file would have to be mended now.
    fn recorded(&self, file: &DiskFile, recording: Recording) {
        let is_due = recording == Recording::Off && file.bytes() >= RECORDED_FROM_BYTES;
        self.lock().unrecorded = is_due.then(Instant::now);
    }

    /// Takes note of how the attempt to write a layer ended.
    fn settle(&self, file: &DiskFile, layer: &Layer, outcome: Result<Written, Fault>) {
        let mut state = self.lock();
        match outcome {
            Ok(written) => {
                state.flushing = None;
                state.flushed = layer.ticket;
                state.flushes += 1;
                state.rows_written += written.rows;
                state.bytes_written += written.bytes;
                if state.failed.take().is_some() {
                    tracing::info!("the disk works again: writes are taken");
                }
            }
            Err(fault) => {
                if matches!(fault, Fault::Damaged(_)) {
                    mark_for_check(file.path());
                }
                if let Some(failure) = &mut state.failed {
                    failure.again(file.path(), &fault);
                } else {
                    state.fail(file.path(), &fault, self.retry_interval);
                }
                state.failed.iter_mut().for_each(Failure::reopen);
            }
        }
    }

    /// Takes note that the disk still refuses.
    fn fail_again(&self, file: &DiskFile, fault: &Fault) {
        let mut state = self.lock();
        state.failed.iter_mut().for_each(|failure| failure.again(file.path(), fault));
        if matches!(fault, Fault::Damaged(_)) {
            mark_for_check(file.path());
        }
    }
}

impl State {
    /// No write is taken from here on; tells whether any was until now.
    fn fail(&mut self, path: &Path, fault: &Fault, retry_interval: Duration) -> bool {
        if self.failed.is_some() {
            return false;
        }
        let failure = Failure::new(path, fault, retry_interval);
        tracing::error!("{}; until then nothing is acknowledged", failure.reason());
        self.failures += 1;
        self.failed = Some(failure);
        true
    }

    /// The layer to write first once the disk works again.
    fn pending(&mut self) -> Arc<Layer> {
        if let Some(layer) = &self.flushing {
            return Arc::clone(layer);
        }
        self.begin()
    }

    fn begin(&mut self) -> Arc<Layer> {
        let next = Layer { ticket: self.active.ticket + 1, usage: self.active.usage, ..Layer::default() };
        let layer = Arc::new(std::mem::replace(&mut self.active, next));
        self.flushing = Some(Arc::clone(&layer));
        layer
    }
}
