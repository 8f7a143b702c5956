//! Gets and puts from the moment on when half the nodes are killed, or frozen.

use crate::bench::Bench;
use crate::child::{Hosting, Task};
use crate::error::BenchError;
use crate::load::Outcome;
use crate::records::Records;
use crate::redundancy::Redundancy;
use crate::report::{ScenarioReport, Target};

/// Records put before, unless told otherwise.
const RECORDS: u64 = 1_000;
/// Times that each record is read afterwards, to see more than the first second.
const READS_PER_RECORD: u64 = 5;
/// Puts afterwards for each record put before.
const PUTS_PER_RECORD: u64 = 2;
/// The most that things may take afterwards.
const GET_P99_MS_MAX: f64 = 50.0;
const PUT_P50_MS_MAX: f64 = 5.0;
const PUT_P99_MS_MAX: f64 = 200.0;
/// The share of the records that has to be found.
const FOUND_PERCENT: f64 = 100.0;

/// What happens to half the nodes, which live in a process of their own.
#[derive(Debug, Clone, Copy)]
enum Blow {
    /// The process is killed: its sockets are closed, nobody says goodbye.
    Kill,
    /// The process is stopped: its sockets are open, nobody answers.
    Freeze,
}

impl Blow {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "killed",
            Self::Freeze => "frozen",
        }
    }
}

pub(crate) fn run(bench: &Bench<'_>) -> Result<ScenarioReport, BenchError> {
    let redundancy = bench.redundancy(Redundancy::DEFAULT);
    let settings = format!(
        "half of {} nodes killed or frozen at once; gets and puts, each one at a time and both together, {redundancy}",
        bench.nodes(),
    );
    let mut report = ScenarioReport::new("churn", settings);
    for blow in [Blow::Kill, Blow::Freeze] {
        measure(bench, redundancy, blow, &mut report)?;
    }
    Ok(report)
}

fn measure(
    bench: &Bench<'_>,
    redundancy: Redundancy,
    blow: Blow,
    report: &mut ScenarioReport,
) -> Result<(), BenchError> {
    let lost = bench.nodes() / 2;
    let housed = bench.swarm(bench.nodes() - lost, bench.latency_threads(), redundancy.builder())?;
    let swarm = &housed.swarm;
    let join = swarm.nodes().next().map(kadmap::Dht::address);
    let mut others =
        bench.child(&Task::Nodes(Hosting { nodes: lost, redundancy, join, idle_timeout_ms: None }))?;
    swarm.first_gets()?;
    let records = Records::new("old", bench.args.ops.unwrap_or(RECORDS), bench.args.value_bytes);
    let count = records.count();
    let (old, read) = (records.clone(), records.clone());
    bench.progress.begin("puts before");
    report.count(&bench.load(count, 1).run(swarm, &bench.progress, move |turn| old.clone().put(turn)));
    bench.progress.begin("gets before");
    let mut before =
        bench.sequence(count, 2).run(swarm, &bench.progress, move |turn| read.clone().read_in_order(turn));
    report.count(&before);

    bench.progress.begin(format!("half the nodes {}", blow.name()));
    match blow {
        Blow::Kill => others.kill()?,
        Blow::Freeze => others.freeze()?,
    }
    let fresh = Records::new("new", count * PUTS_PER_RECORD, bench.args.value_bytes);
    let (gets, puts) = std::thread::scope(|scope| {
        let gets = scope.spawn(|| {
            let load = bench.sequence(count * READS_PER_RECORD, 3);
            load.run(swarm, &bench.progress, move |turn| records.clone().read_in_order(turn))
        });
        let load = bench.sequence(fresh.count(), 4);
        let puts = load.run(swarm, &bench.progress, move |turn| fresh.clone().put(turn));
        (gets.join(), puts)
    });
    let gets =
        gets.map_err(|_| BenchError::Prepare { reason: "the thread that reads has failed".to_owned() })?;
    add_figures(report, blow, before.latencies.p50_ms(), gets, puts);
    Ok(())
}

fn add_figures(
    report: &mut ScenarioReport,
    blow: Blow,
    get_before_ms: Option<f64>,
    mut gets: Outcome,
    mut puts: Outcome,
) {
    report.count(&gets);
    report.count(&puts);
    let base = get_before_ms.map(|p50| (p50, "get p50 before"));
    let asked = gets.succeeded + gets.failed + gets.wrong;
    let found = (asked > 0).then(|| gets.succeeded as f64 * FOUND_PERCENT / asked as f64);
    report.add(format!("{}: get p50 before", blow.name()), get_before_ms, "ms", None, None);
    let mut add = |what: &str, value: Option<f64>, most: Option<f64>| {
        report.add(format!("{}: {what}", blow.name()), value, "ms", most.map(Target::AtMost), base);
    };
    add("get p50", gets.latencies.p50_ms(), None);
    add("get p99", gets.latencies.p99_ms(), Some(GET_P99_MS_MAX));
    add("get p99 in the first second", gets.first_second.p99_ms(), None);
    add("get worst in the first second", gets.first_second.max_ms(), None);
    add("put p50", puts.latencies.p50_ms(), Some(PUT_P50_MS_MAX));
    add("put p99", puts.latencies.p99_ms(), Some(PUT_P99_MS_MAX));
    add("put p99 in the first second", puts.first_second.p99_ms(), None);
    add("put worst in the first second", puts.first_second.max_ms(), None);
    report.add(
        format!("{}: reads that found", blow.name()),
        found,
        "%",
        Some(Target::AtLeast(FOUND_PERCENT)),
        None,
    );
}
