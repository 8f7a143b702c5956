//! Half of the nodes are killed at once.

use std::time::Duration;

use super::stage::key;
use super::{Scenario, Stage};

/// What D2 allows to be lost of a million keys; with 20 holders about one key in a million loses all of them.
const LOST_MAX: f64 = 5.0;

/// Keys that are written through the protocol; what a plan has beyond is placed at its holders, which takes a
/// thousandth of the messages.
const WRITTEN_MAX: usize = 100_000;
/// Keys that are read at least, if there are so many: every n-th of all.
const READ_MIN: usize = 100_000;
/// Holders of each key, as configured.
const REPLICATION: usize = 20;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "half-killed",
    about: "keys are put, half of the nodes are killed at once, and every key with a living holder is read (D2)",
    nodes: 1_000,
    keys: 10_000,
    span: Duration::ZERO,
    play,
};

fn play(stage: &mut Stage<'_>) {
    let nodes = stage.settled_swarm();
    let keys = stage.plan.keys;
    let written = keys.min(WRITTEN_MAX);
    let (took, put) = stage.put_first_keys(&nodes, written);
    stage.quantiles(["put_p50_ms", "put_p99_ms"], took);
    stage.at_least("keys put", put as f64, written as f64);
    stage.sim.place((written..keys).map(key), REPLICATION);
    stage.figure("keys_placed_without_a_put", (keys - written) as f64);
    stage.pass("copying", Duration::from_secs(2));
    let copies: u64 = nodes.iter().map(|node| stage.sim.usage(*node).records).sum();
    stage.figure("copies", copies as f64);
    stage.memory();

    let mut order = nodes.clone();
    stage.sim.dice().draw_to_front(&mut order, nodes.len() / 2);
    let (killed, alive) = order.split_at(nodes.len() / 2);
    killed.iter().for_each(|node| stage.sim.destroy(*node));
    let holders = stage.sim.copies();
    let held = |number: usize| holders.contains_key(&crate::sim::record(&key(number)));
    let lost = (0..keys).filter(|number| !held(*number)).count();

    let stride = (keys / READ_MIN).max(1);
    let gets = stage.get_every(stride, alive, held);
    stage.figure("keys_read", gets.took.len() as f64);
    stage.quantiles(["get_p50_ms", "get_p99_ms"], gets.took);
    stage.at_most("keys without a living holder", lost as f64, LOST_MAX);
    stage.at_most("keys not read though a holder lives", gets.missed as f64, 0.0);
    stage.at_most("keys read wrongly", gets.wrong as f64, 0.0);
}
