//! The processor share of a node that only holds records.

use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::child::{Hosting, Task};
use crate::error::BenchError;
use crate::machine::{processor_time, resident_bytes};
use crate::records::Records;
use crate::redundancy::Redundancy;
use crate::report::{ScenarioReport, Target};

/// Nodes unless told otherwise: all hold every record, and compare what they hold.
const NODES: usize = 4;
/// Records unless told otherwise.
const RECORDS: u64 = 100_000;
/// Seconds that the node is watched unless told otherwise.
const SECONDS: u64 = 10;
/// The same of a long run.
const SECONDS_LONG: u64 = 60;
/// The most that the wait for the last replicas may take.
const SETTLE_WAIT: Duration = Duration::from_secs(60);
/// How often the node is asked whether it has all records.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The most of one core that the node may use.
const PERCENT_MAX: f64 = 1.0;
const BYTES_PER_MB: f64 = 1e6;

pub(crate) fn run(bench: &Bench<'_>) -> Result<ScenarioReport, BenchError> {
    let nodes = bench.args.nodes.unwrap_or(NODES);
    let redundancy = bench.redundancy(Redundancy::DEFAULT);
    let seconds = bench.args.seconds.unwrap_or(if bench.args.long { SECONDS_LONG } else { SECONDS });
    let records = Records::new("rest", bench.args.ops.unwrap_or(RECORDS), bench.args.value_bytes);
    let count = records.count();
    let settings = format!(
        "one of {nodes} nodes, in a process of its own, with {count} records, {seconds} s, {redundancy}"
    );
    let mut report = ScenarioReport::new("rest", settings);
    let housed = bench.swarm(nodes - 1, 1, redundancy.builder())?;
    let join = housed.swarm.nodes().next().map(kadmap::Dht::address);
    let mut child =
        bench.child(&Task::Nodes(Hosting { nodes: 1, redundancy, join, idle_timeout_ms: None }))?;
    bench.progress.begin("rest: puts");
    let empty = resident_bytes(child.pid());
    report.count(
        &bench.load(count, 0).run(&housed.swarm, &bench.progress, move |turn| records.clone().put(turn)),
    );
    let begun = Instant::now();
    let mut held = child.state()?.records_max;
    while held < count && begun.elapsed() < SETTLE_WAIT {
        std::thread::sleep(POLL_INTERVAL);
        held = child.state()?.records_max;
    }
    bench.progress.begin("rest: watching");
    let (before, begun) = (processor_time(child.pid()), Instant::now());
    for second in 0..seconds {
        bench.progress.show(second, seconds);
        std::thread::sleep(Duration::from_secs(1));
    }
    let used = processor_time(child.pid()).zip(before).map(|(after, before)| after.saturating_sub(before));
    let percent = used.map(|used| used.as_secs_f64() * 100.0 / begun.elapsed().as_secs_f64());
    let held_all = Target::AtLeast(if nodes <= redundancy.replication { count as f64 } else { 0.0 });
    report.add("records held", Some(held as f64), "", Some(held_all), None);
    report.add("of one core", percent, "%", Some(Target::AtMost(PERCENT_MAX)), None);
    let grown = resident_bytes(child.pid()).zip(empty).map(|(full, empty)| full.saturating_sub(empty));
    let per_record = grown.map(|bytes| bytes as f64 / held.max(1) as f64);
    report.add("memory grown by", grown.map(|bytes| bytes as f64 / BYTES_PER_MB), "MB", None, None);
    report.add("memory per record", per_record, "B", None, None);
    Ok(report)
}
