//! Blocking until an operation is done, with the interpreter released and signals answered.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::errors::Raised;
use crate::runtime::RuntimeThread;

/// How long Ctrl-C may go unanswered.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

/// Runs an operation on a node's thread and waits for it.
///
/// An exception of a signal handler, such as `KeyboardInterrupt`, drops the operation and is raised.
pub(crate) fn block<T: Send + 'static>(
    py: Python<'_>,
    runtime: &RuntimeThread,
    operation: impl Future<Output = T> + Send + 'static,
) -> PyResult<T> {
    let outcome = block_until(py, runtime, None, operation)?;
    outcome.ok_or_else(|| Raised::Stopped.error("the node has stopped"))
}

/// As [`block`], for at most this long; then the operation goes on by itself and there is no outcome. There is none
/// either when the thread ends before the operation does.
pub(crate) fn block_at_most<T: Send + 'static>(
    py: Python<'_>,
    runtime: &RuntimeThread,
    wait: Duration,
    operation: impl Future<Output = T> + Send + 'static,
) -> PyResult<Option<T>> {
    block_until(py, runtime, Some(Instant::now() + wait), operation)
}

fn block_until<T: Send + 'static>(
    py: Python<'_>,
    runtime: &RuntimeThread,
    deadline: Option<Instant>,
    operation: impl Future<Output = T> + Send + 'static,
) -> PyResult<Option<T>> {
    if runtime.is_current() {
        return Err(Raised::KadmapError.error(
            "a storage or guard runs on its node's own thread and cannot wait for that node: use another thread",
        ));
    }
    let (sender, mut receiver) = mpsc::sync_channel(1);
    let task = runtime.spawn(async move {
        // Nobody listens any more when a signal has ended the wait.
        let _ = sender.send(operation.await);
    });
    loop {
        let received;
        (receiver, received) = py.detach(move || {
            let received = receiver.recv_timeout(SIGNAL_INTERVAL);
            (receiver, received)
        });
        match received {
            Ok(outcome) => return Ok(Some(outcome)),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => py.check_signals().inspect_err(|_| task.abort())?,
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(None);
        }
    }
}
