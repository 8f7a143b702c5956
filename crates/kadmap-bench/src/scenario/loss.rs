//! Puts while packets are lost, beside puts of a swarm that loses none.

use crate::bench::Bench;
use crate::error::BenchError;
use crate::load::Outcome;
use crate::records::Records;
use crate::redundancy::Redundancy;
use crate::report::{ScenarioReport, Target};

/// The share of packets that each node throws away instead of sending.
const LOSS_SHARE: f64 = 0.05;
/// Puts on each side unless told otherwise: enough for a p99.
const OPS: u64 = 2_000;
/// Times that both sides are measured in turn.
const ROUNDS: u64 = 5;
/// How many times longer a put may take with loss, at p50.
const SLOWDOWN_MAX: f64 = 3.0;
/// The most that a put may take with loss, at p99.
const PUT_P99_MS_MAX: f64 = 100.0;

pub(crate) fn run(bench: &Bench<'_>) -> Result<ScenarioReport, BenchError> {
    let redundancy = bench.redundancy(Redundancy::DEFAULT);
    let (nodes, threads) = (bench.nodes(), bench.latency_threads());
    let settings = format!(
        "puts one at a time, {:.0}% of packets lost by every node against none in turn, {nodes} nodes, {redundancy}, {}",
        LOSS_SHARE * 100.0,
        bench.place(),
    );
    let mut report = ScenarioReport::new("loss", settings);
    let builder = redundancy.builder();
    let sides = [
        bench.swarm(nodes, threads, builder.clone())?,
        bench.swarm(nodes, threads, builder.packet_loss(LOSS_SHARE))?,
    ];
    for side in &sides {
        side.swarm.first_gets()?;
    }
    let per_round = bench.args.ops.unwrap_or(OPS).div_ceil(ROUNDS);
    let mut outcomes = [Outcome::default(), Outcome::default()];
    for round in 0..ROUNDS {
        for (side, outcome) in sides.iter().zip(&mut outcomes) {
            bench.progress.begin("puts with and without loss");
            let records = Records::new(format!("round-{round}"), per_round, bench.args.value_bytes);
            let load = bench.sequence(per_round, round);
            outcome.add(load.run(&side.swarm, &bench.progress, move |turn| records.clone().put(turn)));
        }
    }
    let [mut without, mut with] = outcomes;
    report.count(&without);
    report.count(&with);
    let (p50, p99) = (without.latencies.p50_ms(), without.latencies.p99_ms());
    report.add("put p50 without loss", p50, "ms", None, None);
    report.add("put p99 without loss", p99, "ms", None, None);
    let slowdown = with.latencies.p50_ms().zip(p50).map(|(with, without)| with / without);
    report.add(
        "put p50 with loss",
        with.latencies.p50_ms(),
        "ms",
        None,
        p50.map(|p50| (p50, "without loss")),
    );
    report.add("put p50 with loss / without", slowdown, "", Some(Target::AtMost(SLOWDOWN_MAX)), None);
    let most = Some(Target::AtMost(PUT_P99_MS_MAX));
    report.add(
        "put p99 with loss",
        with.latencies.p99_ms(),
        "ms",
        most,
        p99.map(|p99| (p99, "without loss")),
    );
    Ok(report)
}
