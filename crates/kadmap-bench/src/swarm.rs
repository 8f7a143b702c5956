//! Many nodes in one process, on as few threads as are asked for.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kadmap::{Dht, DhtBuilder, StartError};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::error::BenchError;

/// The most that the start of a swarm may take.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Where nodes listen: any free port of loopback.
const LISTEN: &str = "127.0.0.1:0";

/// What a swarm is to be.
#[derive(Debug, Clone)]
pub(crate) struct SwarmSpec {
    /// How many nodes.
    pub(crate) nodes: usize,
    /// How many threads they are dealt over, at least one.
    pub(crate) threads: usize,
    /// The settings of each.
    pub(crate) builder: DhtBuilder,
    /// Where each keeps a folder of its own; `None`: in memory.
    pub(crate) data: Option<PathBuf>,
    /// A member of the swarm to join; `None`: the first node starts one.
    pub(crate) join: Option<SocketAddr>,
}

/// Nodes on threads, each thread with a runtime of its own; all end when this is dropped.
#[derive(Debug)]
pub(crate) struct Swarm {
    hosts: Vec<Host>,
    joined_in: Duration,
}

/// One thread, its runtime and its nodes.
#[derive(Debug)]
struct Host {
    handle: Handle,
    nodes: Arc<Vec<Dht>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Swarm {
    /// Starts the nodes, all but the first at once, and returns when every one serves.
    pub(crate) fn spawn(spec: &SwarmSpec) -> Result<Self, BenchError> {
        let mut hosts =
            (0..spec.threads.min(spec.nodes)).map(|_| Host::start()).collect::<Result<Vec<_>, _>>()?;
        let start = Instant::now();
        let (sender, started) = mpsc::channel();
        let mut nodes: Vec<Option<Dht>> = vec![None; spec.nodes];
        let mut join = spec.join;
        let mut missing = 0;
        for node in 0..spec.nodes {
            spec.spawn_node(node, join, &hosts[node % hosts.len()].handle, &sender);
            missing += 1;
            if join.is_none() {
                receive(&started, start, &mut nodes)?;
                missing -= 1;
                join = nodes[node].as_ref().map(Dht::address);
            }
        }
        for _ in 0..missing {
            receive(&started, start, &mut nodes)?;
        }
        let joined_in = start.elapsed();
        let threads = hosts.len();
        for (index, host) in hosts.iter_mut().enumerate() {
            host.nodes = Arc::new(nodes.iter().skip(index).step_by(threads).flatten().cloned().collect());
        }
        Ok(Self { hosts, joined_in })
    }

    /// Time from the first node's start until the last had joined.
    pub(crate) fn joined_in(&self) -> Duration {
        self.joined_in
    }

    /// The threads that still run, each with its runtime and its nodes.
    pub(crate) fn groups(&self) -> impl ExactSizeIterator<Item = (&Handle, &Arc<Vec<Dht>>)> {
        self.hosts.iter().map(|host| (&host.handle, &host.nodes))
    }

    /// All nodes that still run.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Dht> {
        self.hosts.iter().flat_map(|host| host.nodes.iter())
    }

    /// Reads something absent from every node at once, which connects them and proves that each serves.
    pub(crate) fn first_gets(&self) -> Result<(), BenchError> {
        let answers = self.ask_all("a first get of every node", START_TIMEOUT, |node| async move {
            node.contains("nothing").await.map_err(|error| error.to_string())
        })?;
        answers
            .into_iter()
            .try_for_each(|answer| answer.map(drop).map_err(|reason| BenchError::Prepare { reason }))
    }

    /// Asks every node something on its own thread and collects the answers, in no order.
    pub(crate) fn ask_all<T, F, Fut>(
        &self,
        what: &str,
        timeout: Duration,
        ask: F,
    ) -> Result<Vec<T>, BenchError>
    where
        T: Send + 'static,
        F: Fn(Dht) -> Fut,
        Fut: Future<Output = T> + Send + 'static,
    {
        let (sender, answers) = mpsc::channel();
        for (handle, nodes) in self.groups() {
            for node in nodes.iter() {
                let (sender, answer) = (sender.clone(), ask(node.clone()));
                handle.spawn(async move { sender.send(answer.await) });
            }
        }
        drop(sender);
        let deadline = Instant::now() + timeout;
        let mut all = Vec::new();
        loop {
            match answers.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(answer) => all.push(answer),
                Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(all),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    return Err(BenchError::NoAnswer { what: what.to_owned() });
                }
            }
        }
    }
}

impl SwarmSpec {
    fn spawn_node(
        &self,
        node: usize,
        join: Option<SocketAddr>,
        handle: &Handle,
        sender: &mpsc::Sender<(usize, Result<Dht, StartError>)>,
    ) {
        let mut builder = self.builder.clone().listen(LISTEN).join(join.map(|address| address.to_string()));
        if let Some(folder) = &self.data {
            builder = builder.data_dir(folder.join(format!("node-{node}")));
        }
        let sender = sender.clone();
        handle.spawn(async move { sender.send((node, builder.spawn().await)) });
    }
}

fn receive(
    started: &mpsc::Receiver<(usize, Result<Dht, StartError>)>,
    start: Instant,
    nodes: &mut [Option<Dht>],
) -> Result<(), BenchError> {
    let rest = START_TIMEOUT.saturating_sub(start.elapsed());
    let (node, result) = started
        .recv_timeout(rest)
        .map_err(|_| BenchError::NoAnswer { what: "the nodes of the swarm to start".to_owned() })?;
    nodes[node] = Some(result.map_err(|source| BenchError::Start { node, source })?);
    Ok(())
}

impl Host {
    fn start() -> Result<Self, BenchError> {
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(BenchError::system("a runtime"))?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("kadmap-bench".to_owned())
            .spawn(move || {
                // An error means that the sender was dropped, which is an end too.
                let _ = runtime.block_on(stopped);
                runtime.shutdown_background();
            })
            .map_err(BenchError::system("a thread"))?;
        Ok(Self { handle, nodes: Arc::default(), stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by the panic hook; there is nobody left to tell.
            let _ = thread.join();
        }
    }
}
