//! Resident memory per node, connected and idle.

use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::child::{Hosting, Task};
use crate::error::BenchError;
use crate::machine::resident_bytes;
use crate::redundancy::Redundancy;
use crate::report::{ScenarioReport, Target};

/// Nodes unless told otherwise: many, so that what the process needs without any counts little.
const NODES: usize = 128;
/// When idle connections close here; the default of 30 s would only make the wait longer.
const IDLE_TIMEOUT_MS: u64 = 2_000;
/// The most that the wait for closed connections may take; what is open then is reported.
const IDLE_WAIT: Duration = Duration::from_secs(30);
/// How often the child is asked whether its connections are closed.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The most that an idle node may need.
const IDLE_MB_MAX: f64 = 2.0;
const BYTES_PER_MB: f64 = 1e6;

pub(crate) fn run(bench: &Bench<'_>) -> Result<ScenarioReport, BenchError> {
    let nodes = bench.args.nodes.unwrap_or(NODES);
    let redundancy = bench.redundancy(Redundancy::DEFAULT);
    let settings = format!("{nodes} nodes in a process of their own, no records, {redundancy}");
    let mut report = ScenarioReport::new("memory", settings);
    let bare = bench.child(&Task::Echo)?;
    let bare_bytes = resident_bytes(bare.pid());
    bench.progress.begin("memory: nodes join");
    let task = Task::Nodes(Hosting { nodes, redundancy, join: None, idle_timeout_ms: Some(IDLE_TIMEOUT_MS) });
    let mut child = bench.child(&task)?;
    let per_node = |pid| {
        let (all, bare) = (resident_bytes(pid)?, bare_bytes?);
        Some(all.saturating_sub(bare) as f64 / nodes as f64 / BYTES_PER_MB)
    };
    let connected = per_node(child.pid());
    let open = child.state()?.connections;
    bench.progress.begin("memory: connections close");
    let begun = Instant::now();
    let mut left = open;
    while left > 0 && begun.elapsed() < IDLE_WAIT {
        std::thread::sleep(POLL_INTERVAL);
        left = child.state()?.connections;
        bench.progress.show(open.saturating_sub(left), open);
    }
    let idle = per_node(child.pid());
    report.add(
        "process without nodes",
        bare_bytes.map(|bytes| bytes as f64 / BYTES_PER_MB),
        "MB",
        None,
        None,
    );
    report.add("connected, connections per node", Some(open as f64 / nodes as f64), "", None, None);
    report.add("connected, per node", connected, "MB", None, None);
    report.add(
        "idle, connections per node",
        Some(left as f64 / nodes as f64),
        "",
        Some(Target::AtMost(0.0)),
        None,
    );
    let base = connected.map(|connected| (connected, "connected"));
    report.add("idle, per node", idle, "MB", Some(Target::AtMost(IDLE_MB_MAX)), base);
    Ok(report)
}
