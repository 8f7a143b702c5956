//! Half of the nodes are killed at once.

use std::time::Duration;

use super::{Scenario, Stage};

/// What D2 allows to be lost of a million keys; with 20 holders about one key in a million loses all of them.
const LOST_MAX: f64 = 5.0;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "half-killed",
    about: "keys are put, half of the nodes are killed at once, and every key with a living holder is read (D2)",
    nodes: 1_000,
    keys: 10_000,
    span: Duration::ZERO,
    play,
};

fn name(number: usize) -> String {
    format!("key {number}")
}

fn play(stage: &mut Stage<'_>) {
    let nodes = stage.settled_swarm();
    let keys = stage.plan.keys;
    let (mut put, mut took) = (0, Vec::new());
    stage.operate(
        "putting",
        keys,
        |sim, number| {
            let at = nodes[sim.dice().below(nodes.len())];
            sim.write(at, &name(number), crate::sim::put(name(number)), Default::default())
        },
        |_, _, outcome| {
            took.push(outcome.took);
            put += usize::from(outcome.written().is_some());
        },
    );
    stage.quantiles(["put_p50_ms", "put_p99_ms"], took);
    stage.at_least("keys put", put as f64, keys as f64);
    stage.pass("copying", Duration::from_secs(2));

    let mut order = nodes.clone();
    stage.sim.dice().draw_to_front(&mut order, nodes.len() / 2);
    let (killed, alive) = order.split_at(nodes.len() / 2);
    killed.iter().for_each(|node| stage.sim.destroy(*node));
    let holders = stage.sim.copies();
    let held = |number: usize| holders.contains_key(&crate::sim::record(&name(number)));
    let lost = (0..keys).filter(|number| !held(*number)).count();

    let (mut missed, mut wrong, mut took) = (0, 0, Vec::new());
    stage.operate(
        "reading",
        keys,
        |sim, number| {
            let at = alive[sim.dice().below(alive.len())];
            sim.read(at, &name(number), Default::default())
        },
        |_, number, outcome| {
            took.push(outcome.took);
            match outcome.value() {
                Some(value) => wrong += usize::from(value != name(number).as_bytes()),
                None => missed += usize::from(held(number)),
            }
        },
    );
    stage.quantiles(["get_p50_ms", "get_p99_ms"], took);
    stage.figure("keys_lost", lost as f64);
    stage.at_most("keys without a living holder", lost as f64, LOST_MAX);
    stage.at_most("keys not read though a holder lives", missed as f64, 0.0);
    stage.at_most("keys read wrongly", wrong as f64, 0.0);
}
