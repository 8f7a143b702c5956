//! How soon a watcher hears of a put, and what watches cost at both ends.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use kadmap::{Change, Dht, Stamp, Watch};
use tokio::sync::oneshot;

use crate::bench::Bench;
use crate::child::{Hosting, Task};
use crate::error::BenchError;
use crate::latency::Latencies;
use crate::machine::resident_bytes;
use crate::records::Records;
use crate::redundancy::Redundancy;
use crate::report::{ScenarioReport, Target};
use crate::swarm::{Swarm, SwarmSpec};

/// Puts that are timed unless told otherwise: enough for a p99.
const OPS: u64 = 2_000;
/// Watches of one node whose memory is measured.
const WATCHES: usize = 10_000;
/// Watches that begin at once: as many operations as other loads have in flight.
const BEGINNING: usize = 64;
/// The most that may pass between a put's acknowledgement and its event, at p99.
const EVENT_P99_MS_MAX: f64 = 5.0;
/// The most that all watches of a node may need.
const WATCHES_MB_MAX: f64 = 50.0;
/// The most that the whole of either part may take.
const PATIENCE: Duration = Duration::from_secs(120);
const BYTES_PER_MB: f64 = 1e6;

/// When what happened to one put.
#[derive(Debug, Clone, Copy)]
struct Put {
    begun: Instant,
    acknowledged: Instant,
}

pub(crate) fn run(bench: &Bench<'_>) -> Result<ScenarioReport, BenchError> {
    let redundancy = bench.redundancy(Redundancy::DEFAULT);
    let (nodes, threads) = (bench.nodes(), bench.latency_threads());
    let settings = format!(
        "puts one at a time to one name that another node watches; then {WATCHES} watches of one node; \
         {nodes} nodes, {redundancy}, {}",
        bench.place()
    );
    let mut report = ScenarioReport::new("watch", settings);
    time_events(bench, nodes, threads, redundancy, &mut report)?;
    weigh(bench, nodes, redundancy, &mut report)?;
    Ok(report)
}

fn time_events(
    bench: &Bench<'_>,
    nodes: usize,
    threads: usize,
    redundancy: Redundancy,
    report: &mut ScenarioReport,
) -> Result<(), BenchError> {
    let housed = bench.swarm(nodes, threads, redundancy.builder())?;
    housed.swarm.first_gets()?;
    bench.progress.begin("watch: puts and their events");
    let ops = bench.args.ops.unwrap_or(OPS);
    let records = Records::new("watched", 1, bench.args.value_bytes);
    let all: Vec<_> = housed.swarm.nodes().cloned().collect();
    let (writer, watcher) = (all[0].clone(), all[all.len() - 1].clone());
    let (puts, events) = on_swarm(&housed.swarm, "the puts and their events", async move {
        let name = records.name(0);
        let watch = watcher.watch(&name).initial(false).await.map_err(|error| error.to_string())?;
        let events = tokio::spawn(collect_events(watch, ops));
        let mut puts = HashMap::new();
        for number in 0..ops {
            let begun = Instant::now();
            let put = writer.put_bytes(&name, records.value(number)).await;
            let stamp = put.map_err(|error| error.to_string())?.stamp;
            puts.insert(stamp, Put { begun, acknowledged: Instant::now() });
        }
        let events = events.await.map_err(|error| error.to_string())?;
        Ok::<_, String>((puts, events))
    })?
    .map_err(|reason| BenchError::Prepare { reason })?;
    let (mut whole, mut after_ack, mut acks) =
        (Latencies::default(), Latencies::default(), Latencies::default());
    for (stamp, put) in &puts {
        acks.push(put.acknowledged.duration_since(put.begun));
        match events.get(stamp) {
            Some(event) => {
                whole.push(event.saturating_duration_since(put.begun));
                after_ack.push(event.saturating_duration_since(put.acknowledged));
            }
            None => report.wrong += 1,
        }
    }
    report.add("put p50", acks.p50_ms(), "ms", None, None);
    report.add("put p99", acks.p99_ms(), "ms", None, None);
    report.add("put to event p50", whole.p50_ms(), "ms", None, acks.p50_ms().map(|put| (put, "the put")));
    report.add("put to event p99", whole.p99_ms(), "ms", None, acks.p99_ms().map(|put| (put, "the put")));
    report.add("acknowledged to event p50", after_ack.p50_ms(), "ms", None, None);
    let most = Some(Target::AtMost(EVENT_P99_MS_MAX));
    report.add("acknowledged to event p99", after_ack.p99_ms(), "ms", most, None);
    report.add("acknowledged to event, longest", after_ack.max_ms(), "ms", None, None);
    Ok(())
}

/// When each of so many puts was told, or of as many as were told in time.
async fn collect_events(mut watch: Watch, count: u64) -> HashMap<Stamp, Instant> {
    let mut events = HashMap::new();
    let collecting = async {
        while (events.len() as u64) < count {
            match watch.next().await {
                Some(Change::Put { stamp, .. }) => events.insert(stamp, Instant::now()),
                Some(_) => None,
                None => break,
            };
        }
    };
    // What was not told by then counts as wrong.
    let _ = tokio::time::timeout(PATIENCE / 2, collecting).await;
    events
}

/// Memory of many watches: the replicas in a process of their own, the watcher in this one.
fn weigh(
    bench: &Bench<'_>,
    nodes: usize,
    redundancy: Redundancy,
    report: &mut ScenarioReport,
) -> Result<(), BenchError> {
    bench.progress.begin("watch: memory");
    let task = Task::Nodes(Hosting { nodes, redundancy, join: None, idle_timeout_ms: None });
    let child = bench.child(&task)?;
    let (_, member) = child.first_node()?;
    let builder = redundancy.builder();
    let spec = SwarmSpec { nodes: 1, threads: 1, builder, data: None, join: Some(member) };
    let watcher = Swarm::spawn(&spec)?;
    watcher.first_gets()?;
    let node =
        watcher.nodes().next().cloned().ok_or_else(|| BenchError::Prepare {
            reason: "the node that is to watch is not there".to_owned(),
        })?;
    let records = Records::new("watched", WATCHES as u64, bench.args.value_bytes);
    let prepared = |reason| BenchError::Prepare { reason };
    let (dht, all) = (node.clone(), records.clone());
    on_swarm(&watcher, "the puts before the watches", async move { put_all(&dht, &all).await })?
        .map_err(prepared)?;
    let weight = |pid| resident_bytes(pid).map(|bytes| bytes as f64 / BYTES_PER_MB);
    let (here, there) = (weight(std::process::id()), weight(child.pid()));
    let watches =
        on_swarm(&watcher, "the watches to begin", async move { watch_all(&node, &records).await })?
            .map_err(prepared)?;
    let grown = |before: Option<f64>, pid| Some((weight(pid)? - before?).max(0.0));
    let (at_watcher, at_replicas) = (grown(here, std::process::id()), grown(there, child.pid()));
    report.add("watches", Some(watches.len() as f64), "", None, None);
    report.add("at the watcher", at_watcher, "MB", Some(Target::AtMost(WATCHES_MB_MAX)), None);
    report.add("at the watcher, each", at_watcher.map(|mb| mb * 1e3 / WATCHES as f64), "kB", None, None);
    let per_replica = at_replicas.map(|mb| mb / nodes as f64);
    report.add("at all replicas together", at_replicas, "MB", None, None);
    report.add("at each replica", per_replica, "MB", None, None);
    Ok(())
}

async fn put_all(node: &Dht, records: &Records) -> Result<(), String> {
    for number in 0..records.count() {
        let put = node.put_bytes(records.name(number), records.value(number));
        put.await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

async fn watch_all(node: &Dht, records: &Records) -> Result<Vec<Watch>, String> {
    let mut watches = Vec::with_capacity(WATCHES);
    let mut beginning = tokio::task::JoinSet::new();
    for number in 0..records.count() {
        if beginning.len() >= BEGINNING
            && let Some(begun) = beginning.join_next().await
        {
            watches.push(begun.map_err(|error| error.to_string())??);
        }
        let (node, name) = (node.clone(), records.name(number));
        beginning
            .spawn(async move { node.watch(name).initial(false).await.map_err(|error| error.to_string()) });
    }
    while let Some(begun) = beginning.join_next().await {
        watches.push(begun.map_err(|error| error.to_string())??);
    }
    Ok(watches)
}

/// Runs something on the first thread of a swarm and waits for it.
fn on_swarm<T: Send + 'static>(
    swarm: &Swarm,
    what: &str,
    task: impl Future<Output = T> + Send + 'static,
) -> Result<T, BenchError> {
    let late = || BenchError::NoAnswer { what: what.to_owned() };
    let (handle, _) = swarm.groups().next().ok_or_else(late)?;
    let (sender, result) = oneshot::channel();
    handle.spawn(async move {
        // Nobody waits any more when it took too long.
        let _ = sender.send(tokio::time::timeout(PATIENCE, task).await);
    });
    result.blocking_recv().ok().and_then(Result::ok).ok_or_else(late)
}
