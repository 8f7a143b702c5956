//! A bad network, beside a good one.

use std::time::Duration;

use super::{Scenario, Stage};
use crate::{Link, Sim};

/// Gets spread over the span.
const GETS: usize = 2_000;
/// What D6 asks of gets.
const GETS_ANSWERED: f64 = 0.999;
/// What D6 allows of traffic, as a multiple of that on a good network.
const TRAFFIC_FACTOR: f64 = 2.0;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "loss",
    about: "10% of messages are lost, 1% doubled, jitter is 200 ms: gets are answered and traffic does not explode (D6)",
    nodes: 200,
    keys: 500,
    span: Duration::from_secs(1_200),
    play,
};

fn name(number: usize) -> String {
    format!("key {number}")
}

fn play(stage: &mut Stage<'_>) {
    let (calm, _, _) = run(stage, Link::wan());
    stage.sim = Sim::new(stage.plan.seed, Link::wan());
    let bad = Link {
        jitter: Duration::from_millis(200),
        loss: 0.10,
        duplicates: 0.01,
        reordered: 0.05,
        ..Link::wan()
    };
    let (busy, answered, took) = run(stage, bad);
    let factor = busy as f64 / calm.max(1) as f64;
    stage.figure("messages_on_a_good_network", calm as f64);
    stage.figure("messages_on_a_bad_network", busy as f64);
    stage.quantiles(["get_p50_ms", "get_p99_ms"], took);
    stage.at_least("share of gets that found the value", answered, GETS_ANSWERED);
    stage.at_most("traffic as a multiple of that on a good network", factor, TRAFFIC_FACTOR);
}

/// Messages during the span, the share of gets that found the value, and how long they took.
fn run(stage: &mut Stage<'_>, link: Link) -> (u64, f64, Vec<Duration>) {
    stage.sim.link = Link::wan();
    let nodes = stage.settled_swarm();
    let keys = stage.plan.keys;
    stage.operate(
        "putting",
        keys,
        |sim, number| {
            let at = nodes[sim.dice().below(nodes.len())];
            sim.write(at, &name(number), crate::sim::put(name(number)), Default::default())
        },
        |_, _, _| {},
    );
    stage.pass("copying", Duration::from_secs(10));
    stage.sim.link = link;
    let before = stage.sim.traffic().total().messages;
    let (mut found, mut took) = (0, Vec::new());
    let pause = stage.plan.span / GETS as u32;
    stage.operate(
        "getting",
        GETS,
        |sim, number| {
            sim.run_for(pause);
            let at = nodes[sim.dice().below(nodes.len())];
            sim.read(at, &name(number % keys), Default::default())
        },
        |_, number, outcome| {
            took.push(outcome.took);
            let right = |value: bytes::Bytes| value == name(number % keys).as_bytes();
            found += usize::from(outcome.value().is_some_and(right));
        },
    );
    (stage.sim.traffic().total().messages - before, found as f64 / GETS as f64, took)
}
