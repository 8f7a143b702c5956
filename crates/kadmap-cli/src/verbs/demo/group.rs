//! Nodes that share a thread, and its end.

use std::io;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tracing::warn;

/// A thread with a runtime on which several nodes run.
#[derive(Debug)]
pub(super) struct Group {
    runtime: Handle,
    /// Dropped to end the thread.
    life: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Group {
    pub(super) fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (life, end) = oneshot::channel();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Ends by the other half being dropped, which is an error by its type only.
            let _ = runtime.block_on(end);
            // The nodes' tasks are dropped where they stand: no goodbye, no hand-over.
            runtime.shutdown_background();
        })?;
        Ok(Self { runtime: handle, life: Some(life), thread: Some(thread) })
    }

    /// Does something on the group's thread; `None` when the thread has ended.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        self.runtime.spawn(work).await.ok()
    }

    /// Ends all nodes of the group at once, as a power cut would.
    pub(super) fn kill(&mut self) {
        self.life = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            warn!("a thread of the demo panicked");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
