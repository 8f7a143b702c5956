//! Threads on which clients live, each in the network namespace of its side.

use std::future::Future;
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::error::ChaosError;

/// A thread with a runtime. What is started on it opens its sockets where the thread is.
#[derive(Debug)]
pub(crate) struct Lane {
    runtime: Handle,
    /// Dropped to end the thread.
    life: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Lane {
    /// Starts a thread, in a network namespace if one is named.
    pub(crate) fn start(namespace: Option<&Path>) -> Result<Self, ChaosError> {
        let namespace = namespace.map(std::fs::File::open).transpose();
        let namespace = namespace.map_err(ChaosError::system("open a network namespace"))?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ChaosError::system("start a runtime"))?;
        let handle = runtime.handle().clone();
        let (life, end) = oneshot::channel();
        let (entered, has_entered) = mpsc::channel();
        let thread = std::thread::Builder::new().name("clients".to_owned()).spawn(move || {
            let result = namespace.map_or(Ok(()), |namespace| enter(&namespace));
            let is_in = result.is_ok();
            let _ = entered.send(result);
            if is_in {
                // Ends by the other half being dropped, which is an error by its type only.
                let _ = runtime.block_on(end);
            }
            runtime.shutdown_background();
        });
        let thread = thread.map_err(ChaosError::system("start a thread"))?;
        let entered = has_entered.recv().map_err(|_| ChaosError::Lane)?;
        entered.map_err(ChaosError::system("enter a network namespace"))?;
        Ok(Self { runtime: handle, life: Some(life), thread: Some(thread) })
    }

    /// Starts something on the thread; its result comes through the channel.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
        results: &mpsc::Sender<T>,
    ) {
        let results = results.clone();
        self.runtime.spawn(async move {
            // Nobody waits for it any more when the run has failed elsewhere.
            let _ = results.send(work.await);
        });
    }

    /// Does something on the thread and waits for it.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, ChaosError> {
        let (sender, result) = mpsc::channel();
        self.spawn(work, &sender);
        drop(sender);
        result.recv().map_err(|_| ChaosError::Lane)
    }
}

#[cfg(target_os = "linux")]
fn enter(namespace: &std::fs::File) -> std::io::Result<()> {
    use std::os::fd::AsFd;

    use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
    Ok(move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?)
}

#[cfg(not(target_os = "linux"))]
fn enter(_: &std::fs::File) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.life = None;
        // A panic on it has been printed by itself.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
