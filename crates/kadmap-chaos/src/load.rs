//! Work dealt to clients, each on the thread it lives on.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::client::Client;
use crate::error::ChaosError;
use crate::swarm::Lane;

/// A client and the thread it lives on.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    pub(crate) client: Client,
    pub(crate) lane: Arc<Lane>,
}

/// Work that goes on until it is told to stop.
#[derive(Debug)]
pub(crate) struct Load<T> {
    stop: Arc<AtomicBool>,
    results: mpsc::Receiver<T>,
    workers: usize,
}

/// By which work that goes on learns that it is to stop.
#[derive(Debug, Clone)]
pub(crate) struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Gives each of the numbers below `count` to some client, so many at a time for each, and waits until all are done.
pub(crate) fn deal<F, W>(seats: &[Seat], in_flight: usize, count: usize, work: F) -> Result<(), ChaosError>
where
    F: Fn(Client, usize) -> W + Clone + Send + Sync + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    let next = Arc::new(AtomicUsize::new(0));
    each(seats, in_flight, move |client, _| {
        let (next, work) = (next.clone(), work.clone());
        async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return;
                }
                work(client.clone(), number).await;
                client.progress.step();
            }
        }
    })
    .map(drop)
}

/// Does something with each client, `copies` times at once, and waits for all results.
pub(crate) fn each<T, F, W>(seats: &[Seat], copies: usize, work: F) -> Result<Vec<T>, ChaosError>
where
    T: Send + 'static,
    F: Fn(Client, usize) -> W,
    W: Future<Output = T> + Send + 'static,
{
    begin(seats, copies, |client, copy, _| work(client, copy)).wait()
}

/// Begins something with each client, `copies` times at once, that is to end when its flag says so.
pub(crate) fn begin<T, F, W>(seats: &[Seat], copies: usize, work: F) -> Load<T>
where
    T: Send + 'static,
    F: Fn(Client, usize, StopFlag) -> W,
    W: Future<Output = T> + Send + 'static,
{
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, results) = mpsc::channel();
    for seat in seats {
        for copy in 0..copies {
            seat.lane.spawn(work(seat.client.clone(), copy, StopFlag(stop.clone())), &sender);
        }
    }
    Load { stop, results, workers: seats.len() * copies }
}

impl<T> Load<T> {
    /// Tells the work to stop and waits for all results.
    pub(crate) fn stop(self) -> Result<Vec<T>, ChaosError> {
        self.stop.store(true, Ordering::Relaxed);
        self.wait()
    }

    /// Waits for all results.
    pub(crate) fn wait(self) -> Result<Vec<T>, ChaosError> {
        let results: Vec<_> = self.results.iter().collect();
        // A worker that panicked has sent nothing.
        if results.len() == self.workers { Ok(results) } else { Err(ChaosError::Lane) }
    }
}
