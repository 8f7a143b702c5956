//! What upkeep costs when nothing happens.

use std::time::Duration;

use super::mass_join::put_bytes;
use super::stage::key;
use super::{Scenario, Stage};

/// Holders of each key, as configured.
const REPLICATION: u64 = 20;
/// How often the paper has records published again.
const REPUBLISH_INTERVAL: Duration = Duration::from_secs(3600);
/// The share of what republishing would send that upkeep may.
const SHARE_OF_REPUBLISHING: f64 = 0.05;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "rest",
    about: "keys are put and nobody does anything for the span: upkeep sends a twentieth of what publishing each record \
            again every hour would",
    nodes: 200,
    keys: 20_000,
    span: Duration::from_secs(7_200),
    play,
};

fn play(stage: &mut Stage<'_>) {
    let nodes = stage.settled_swarm();
    let keys = stage.plan.keys;
    let (_, put) = stage.put_keys(&nodes);
    stage.at_least("keys put", put as f64, keys as f64);
    stage.pass("copying", Duration::from_secs(60));
    stage.sim.counts_bytes = true;
    let before = stage.sim.traffic().clone();
    stage.pass("resting", stage.plan.span);
    let sent = stage.sim.traffic().since(&before);
    // Each record once an hour, from one of its holders to the others; without answers and without lookups.
    let copies = REPLICATION.min(nodes.len() as u64) - 1;
    let hours = stage.plan.span.as_secs_f64() / REPUBLISH_INTERVAL.as_secs_f64();
    let once: u64 = (0..keys).map(|number| copies * put_bytes(key(number))).sum();
    let republishing = once as f64 * hours;
    let seconds = stage.plan.span.as_secs_f64() * nodes.len() as f64;
    stage.figure("bytes_that_republishing_would_send", republishing);
    stage.figure("bytes_of_comparing_and_copying", sent.copying().bytes as f64);
    stage.figure("bytes_of_everything", sent.total().bytes as f64);
    stage.figure("bytes_of_everything_per_node_and_second", sent.total().bytes as f64 / seconds);
    stage.figure("messages_per_node_and_second", sent.total().messages as f64 / seconds);
    stage.at_most(
        "upkeep of records as a share of republishing",
        sent.copying().bytes as f64 / republishing.max(1.0),
        SHARE_OF_REPUBLISHING,
    );
}
