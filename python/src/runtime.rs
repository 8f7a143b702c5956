//! The threads that nodes run on.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

use pyo3::prelude::*;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::errors::Raised;

/// Threads that nodes share at most: one runs some thousand operations a second, and Python itself needs the rest.
const POOL_THREADS_MAX: usize = 4;

/// A thread with a current-thread runtime; it ends when the last handle to it is gone.
pub(crate) struct RuntimeThread {
    handle: Handle,
    thread: ThreadId,
    /// Its end is the thread's.
    _end: oneshot::Sender<Infallible>,
}

impl RuntimeThread {
    /// A thread of its own, for nodes that call Python.
    pub(crate) fn start() -> PyResult<Arc<Self>> {
        Self::spawn_thread()
            .map(Arc::new)
            .map_err(|error| Raised::StartError.error(format!("cannot start the node's thread: {error}")))
    }

    /// One of the threads that nodes share, in turn.
    ///
    /// Taking the interpreter as witness keeps the lock from being held when the process forks.
    pub(crate) fn shared(_py: Python<'_>) -> PyResult<Arc<Self>> {
        POOL.lock().unwrap_or_else(PoisonError::into_inner).next()
    }

    /// Runs a task on the thread.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.handle.spawn(task)
    }

    /// Whether this is the thread: then waiting for it would wait for ever.
    pub(crate) fn is_current(&self) -> bool {
        self.thread == thread::current().id()
    }

    fn spawn_thread() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<Infallible>();
        let run = move || {
            // An error is how the channel says that its other end is gone.
            let _ = runtime.block_on(ended);
        };
        let thread = thread::Builder::new().name("kadmap".to_owned()).spawn(run)?.thread().id();
        Ok(Self { handle, thread, _end: end })
    }
}

static POOL: Mutex<Pool> = Mutex::new(Pool { pid: 0, threads: Vec::new(), turn: 0 });

/// The threads that nodes share; they stay until the process ends.
struct Pool {
    /// The process that they belong to.
    pid: u32,
    threads: Vec<Arc<RuntimeThread>>,
    turn: usize,
}

impl Pool {
    fn next(&mut self) -> PyResult<Arc<RuntimeThread>> {
        let pid = std::process::id();
        if self.pid != pid {
            // Threads do not follow a fork, and what they left must not be touched.
            std::mem::forget(std::mem::take(&mut self.threads));
            self.pid = pid;
        }
        let threads_max = thread::available_parallelism().map_or(1, usize::from).min(POOL_THREADS_MAX);
        if self.threads.len() < threads_max {
            self.threads.push(RuntimeThread::start()?);
        }
        self.turn = (self.turn + 1) % self.threads.len();
        Ok(Arc::clone(&self.threads[self.turn]))
    }
}
