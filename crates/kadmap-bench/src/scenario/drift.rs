//! Whether gets become slower with their number: a swarm that has served many beside one that has served few.

use crate::bench::{Bench, Housed};
use crate::error::BenchError;
use crate::latency::{Latencies, median};
use crate::load::{Load, Outcome};
use crate::machine::resident_bytes;
use crate::records::Records;
use crate::redundancy::Redundancy;
use crate::report::{ScenarioReport, Target};

/// Gets in between unless told otherwise.
const OPS: u64 = 200_000;
/// The same of a long run.
const OPS_LONG: u64 = 1_000_000;
/// Records that are read: many, as a lookup that stays in memory would stay once for each.
const RECORDS: u64 = 10_000;
/// Gets of a sample, one at a time.
const SAMPLE: u64 = 1_000;
/// Times that the old and the fresh swarm are sampled in turn.
const ROUNDS: u64 = 5;
/// Gets after which the progress is shown and the figures are thrown away, to keep our own memory small.
const CHUNK: u64 = 10_000;
/// How many times longer a get may take in the old swarm.
const SLOWDOWN_MAX: f64 = 1.1;
const BYTES_PER_MB: f64 = 1e6;

pub(crate) fn run(bench: &Bench<'_>) -> Result<ScenarioReport, BenchError> {
    let redundancy = bench.redundancy(Redundancy::DEFAULT);
    let ops = bench.args.ops.unwrap_or(if bench.args.long { OPS_LONG } else { OPS });
    let settings = format!(
        "{} nodes, {redundancy}, {}: p50 of gets one at a time, first, after {ops} more, and of a fresh swarm in turn",
        bench.nodes(),
        bench.place(),
    );
    let mut report = ScenarioReport::new("drift", settings);
    let records = Records::new("key", RECORDS.min(ops), bench.args.value_bytes);
    let (old, puts) = filled(bench, redundancy, &records)?;
    report.count(&puts);
    let sample = SAMPLE.min(ops);
    let mut read = |housed: &Housed, load: Load| -> Latencies {
        let records = records.clone();
        let outcome = load.run(&housed.swarm, &bench.progress, move |turn| records.clone().read_random(turn));
        report.count(&outcome);
        outcome.latencies
    };
    let first = read(&old, bench.sequence(sample, 1)).p50_ms();
    let memory_before = resident_bytes(std::process::id());
    for chunk in 0..ops.div_ceil(CHUNK) {
        bench.progress.begin(format!("gets, {} of {ops}", chunk * CHUNK));
        drop(read(&old, bench.load(CHUNK.min(ops - chunk * CHUNK), 2 + chunk)));
    }
    let memory_after = resident_bytes(std::process::id());
    let (fresh, puts_of_fresh) = filled(bench, redundancy, &records)?;
    let (mut old_p50s, mut fresh_p50s) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let load = bench.sequence(sample, !round);
        let (old_p50, fresh_p50) = (read(&old, load).p50_ms(), read(&fresh, load).p50_ms());
        // The first round connects the fresh swarm as the old one is, and does not count.
        if round > 0 {
            old_p50s.extend(old_p50);
            fresh_p50s.extend(fresh_p50);
        }
    }
    report.count(&puts_of_fresh);
    let (old_p50, fresh_p50) = (median(&old_p50s), median(&fresh_p50s));
    report.add("first gets p50", first, "ms", None, None);
    report.add("old swarm p50", old_p50, "ms", None, first.map(|first| (first, "first gets")));
    report.add("fresh swarm p50", fresh_p50, "ms", None, None);
    let drift = old_p50.zip(fresh_p50).map(|(old, fresh)| old / fresh);
    report.add("old / fresh", drift, "", Some(Target::AtMost(SLOWDOWN_MAX)), None);
    let grown = memory_after.zip(memory_before).map(|(after, before)| after as f64 - before as f64);
    report.add("memory grown by", grown.map(|bytes| bytes / BYTES_PER_MB), "MB", None, None);
    report.add("memory grown per get", grown.map(|bytes| bytes / ops as f64), "B", None, None);
    Ok(report)
}

/// A swarm that holds the records, and how putting them went.
fn filled(
    bench: &Bench<'_>,
    redundancy: Redundancy,
    records: &Records,
) -> Result<(Housed, Outcome), BenchError> {
    let housed = bench.swarm(bench.nodes(), bench.latency_threads(), redundancy.builder())?;
    housed.swarm.first_gets()?;
    bench.progress.begin("drift: puts");
    let puts = records.clone();
    let load = bench.load(records.count(), 0);
    let outcome = load.run(&housed.swarm, &bench.progress, move |turn| puts.clone().put(turn));
    Ok((housed, outcome))
}
