//! Load on a swarm: so many operations, so many at a time, each on the thread of the node it uses.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use kadmap::Dht;

use crate::latency::Latencies;
use crate::progress::Progress;
use crate::swarm::Swarm;

/// The most that one load may take; it ends with what it has then.
const LOAD_TIMEOUT: Duration = Duration::from_secs(300);
/// How often the progress is shown.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// So many operations, so many at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// How many operations in all.
    pub(crate) ops: u64,
    /// How many at a time, over all threads.
    pub(crate) in_flight: usize,
    /// Where the random choices start.
    pub(crate) seed: u64,
}

/// What became of a load.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// How long each successful operation took.
    pub(crate) latencies: Latencies,
    /// The same for the operations begun in the first second.
    pub(crate) first_second: Latencies,
    /// Operations that succeeded.
    pub(crate) succeeded: u64,
    /// Operations that reported an error.
    pub(crate) failed: u64,
    /// Operations that succeeded with a wrong result.
    pub(crate) wrong: u64,
    /// What the first error said.
    pub(crate) first_error: Option<String>,
    /// From the first operation's start to the last one's end.
    pub(crate) elapsed: Duration,
}

impl Outcome {
    /// Successful operations per second.
    pub(crate) fn per_second(&self) -> f64 {
        self.succeeded as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    /// Counts another outcome in; the times add up.
    pub(crate) fn add(&mut self, other: Self) {
        self.latencies.append(other.latencies);
        self.first_second.append(other.first_second);
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.wrong += other.wrong;
        self.first_error = self.first_error.take().or(other.first_error);
        self.elapsed += other.elapsed;
    }
}

/// Why an operation does not count as done.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It reported an error.
    Failed(String),
    /// It found nothing, or something else than was stored.
    Wrong,
}

impl Fault {
    pub(crate) fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

/// One operation's place in a load: its number, its random number and the nodes it may use.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    /// Counts from 0.
    pub(crate) index: u64,
    /// The same for the same seed and index.
    pub(crate) random: u64,
    nodes: Arc<Vec<Dht>>,
}

impl Turn {
    /// A random node.
    pub(crate) fn node(&self) -> &Dht {
        &self.nodes[self.place()]
    }

    /// A random node that is not the one with this mark, if there is another on this thread.
    pub(crate) fn node_other_than(&self, mark: u64) -> &Dht {
        let node = self.node();
        if mark_of(node) == mark { &self.nodes[(self.place() + 1) % self.nodes.len()] } else { node }
    }

    fn place(&self) -> usize {
        (mix(self.random, 1) % self.nodes.len() as u64) as usize
    }
}

/// The first 64 bits of a node's id: enough to tell nodes of one swarm apart.
pub(crate) fn mark_of(node: &Dht) -> u64 {
    let id = node.id();
    id.as_bytes().iter().take(8).fold(0, |mark, byte| (mark << 8) | u64::from(*byte))
}

/// A number that looks random and is the same for the same two numbers.
///
/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
pub(crate) fn mix(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Load {
    /// Runs the operations on a swarm. One that waits does so beside its node: no thread has to be woken for it.
    /// With fewer in flight than threads some threads stay without.
    pub(crate) fn run<F, Fut>(&self, swarm: &Swarm, progress: &Progress, operation: F) -> Outcome
    where
        F: Fn(Turn) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        let groups: Vec<_> = swarm.groups().filter(|(_, nodes)| !nodes.is_empty()).collect();
        let counter = Arc::new(AtomicU64::new(0));
        let (sender, outcomes) = mpsc::channel();
        let start = Instant::now();
        for worker in 0..self.in_flight {
            let (handle, nodes) = groups[worker % groups.len()];
            let (sender, work) =
                (sender.clone(), self.work(Arc::clone(&counter), Arc::clone(nodes), operation.clone()));
            handle.spawn(async move { sender.send(work.await) });
        }
        drop(sender);
        let mut all = Outcome::default();
        loop {
            match outcomes.recv_timeout(PROGRESS_INTERVAL) {
                Ok(outcome) => all.add(outcome),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    progress.show(counter.load(Ordering::Relaxed).min(self.ops), self.ops);
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
        all.elapsed = start.elapsed();
        all
    }

    async fn work<F, Fut>(self, counter: Arc<AtomicU64>, nodes: Arc<Vec<Dht>>, operation: F) -> Outcome
    where
        F: Fn(Turn) -> Fut,
        Fut: Future<Output = Result<(), Fault>>,
    {
        let mut outcome = Outcome::default();
        let begun = Instant::now();
        while begun.elapsed() < LOAD_TIMEOUT {
            let index = counter.fetch_add(1, Ordering::Relaxed);
            if index >= self.ops {
                break;
            }
            let turn = Turn { index, random: mix(self.seed, index), nodes: Arc::clone(&nodes) };
            let start = Instant::now();
            let result = operation(turn).await;
            let took = start.elapsed();
            match result {
                Ok(()) => {
                    outcome.succeeded += 1;
                    outcome.latencies.push(took);
                    if start.duration_since(begun) < Duration::from_secs(1) {
                        outcome.first_second.push(took);
                    }
                }
                Err(Fault::Failed(error)) => {
                    outcome.failed += 1;
                    outcome.first_error.get_or_insert(error);
                }
                Err(Fault::Wrong) => outcome.wrong += 1,
            }
        }
        outcome
    }
}
