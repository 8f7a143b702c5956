//! Requests per second between two processes, beside bare UDP packets sent back between two processes.

use bytes::Bytes;

use crate::bench::Bench;
use crate::child::{Hosting, Task};
use crate::error::BenchError;
use crate::latency::median;
use crate::load::{Fault, Outcome, Turn};
use crate::records::Records;
use crate::redundancy::Redundancy;
use crate::report::ScenarioReport;
use crate::swarm::{Swarm, SwarmSpec};
use crate::{Waits, echo};

/// Times that all three are measured in turn: the median of five bears two disturbed rounds.
const ROUNDS: u64 = 5;
/// Requests of each kind and round unless told otherwise.
const OPS: u64 = 40_000;
/// Records that are read.
const RECORDS: u64 = 1_000;
/// What the figures are compared with.
const ECHO_RATE: &str = "UDP echoes/s";

pub(crate) fn run(bench: &Bench<'_>) -> Result<ScenarioReport, BenchError> {
    let (bytes, in_flight) = (bench.args.value_bytes, bench.args.in_flight);
    let settings = format!(
        "two processes of one thread each, {bytes} B, {in_flight} in flight, medians of {ROUNDS} rounds in turn"
    );
    let mut report = ScenarioReport::new("rpc", settings);
    let echo = bench.child(&Task::Echo)?;
    let redundancy = Redundancy { waits: Waits::One, ..Redundancy::DEFAULT };
    let server =
        bench.child(&Task::Nodes(Hosting { nodes: 1, redundancy, join: None, idle_timeout_ms: None }))?;
    let (id, address) = server.first_node()?;
    // A client holds nothing, so that every get travels.
    let builder = redundancy.builder().client();
    let client = Swarm::spawn(&SwarmSpec { nodes: 1, threads: 1, builder, data: None, join: Some(address) })?;
    let ops = bench.args.ops.unwrap_or(OPS);
    let payload = Bytes::from(vec![b'p'; bytes]);
    let ping = move |turn: Turn| {
        let payload = payload.clone();
        async move { turn.node().remote(id, address).ping(payload).await.map(drop).map_err(Fault::failed) }
    };
    let records = Records::new("key", RECORDS.min(ops), bytes);
    let puts = records.clone();
    bench.progress.begin("rpc");
    report.count(
        &bench.load(records.count(), 0).run(&client, &bench.progress, move |turn| puts.clone().put(turn)),
    );
    let (mut echoes, mut pings, mut gets) = (Vec::new(), Vec::new(), Vec::new());
    let mut rate = |outcome: Outcome| {
        report.count(&outcome);
        outcome.per_second()
    };
    for round in 0..ROUNDS {
        echoes.push(echo::between_processes(echo.address()?, ops, in_flight, bytes)?.per_second);
        let load = bench.load(ops, round + 1);
        pings.push(rate(load.run(&client, &bench.progress, ping.clone())));
        let records = records.clone();
        gets.push(rate(load.run(&client, &bench.progress, move |turn| records.clone().read_random(turn))));
    }
    let base = median(&echoes).map(|rate| (rate, ECHO_RATE));
    report.add("UDP echoes", median(&echoes), "/s", None, None);
    report.add("pings", median(&pings), "/s", None, base);
    report.add("gets, consistency one", median(&gets), "/s", None, base);
    Ok(report)
}
