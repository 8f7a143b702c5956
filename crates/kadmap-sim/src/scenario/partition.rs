//! The swarm is split in two, both sides write, and the split heals.

use std::time::Duration;

use kadmap_core::{Consistency, ReadOptions};

use super::{Scenario, Stage};
use crate::{Ledger, NodeIndex};

/// Writes of each side.
const WRITES_PER_KEY: usize = 4;
/// Time after the healing in which the sides find each other: nodes that fell silent are tried every 10 min at least.
const REUNION: Duration = Duration::from_secs(1_800);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "partition",
    about: "the swarm is split in halves for the span, both append to the same lists, it heals, and nothing is lost (D8)",
    nodes: 100,
    keys: 100,
    span: Duration::from_secs(600),
    play,
};

fn list(number: usize) -> String {
    format!("list {number}")
}

fn play(stage: &mut Stage<'_>) {
    let nodes = stage.settled_swarm();
    let mut order = nodes.clone();
    stage.sim.dice().draw_to_front(&mut order, nodes.len() / 2);
    let (one, other) = order.split_at(nodes.len() / 2);
    stage.sim.partition(one, other);
    stage.pass("splitting", stage.plan.span / 2);
    let mut ledger = Ledger::default();
    for side in [one, other] {
        append(stage, side, &mut ledger);
    }
    stage.pass("split", stage.plan.span / 2);
    stage.sim.heal();
    stage.pass("reuniting", REUNION);

    let quorum = missing(stage, &nodes, &ledger, Consistency::Quorum);
    stage.figure("appends_acknowledged", ledger.acknowledged() as f64);
    stage.figure("appends_missing_in_quorum_reads", quorum as f64);
    let all = missing(stage, &nodes, &ledger, Consistency::All);
    stage.at_most("promises broken for who asks all replicas", all as f64, 0.0);
}

/// Appends to every list from nodes of one side.
fn append(stage: &mut Stage<'_>, side: &[NodeIndex], ledger: &mut Ledger) {
    let mut entries = Vec::new();
    let keys = stage.plan.keys;
    let mut outcomes = Vec::new();
    stage.operate(
        "appending on both sides",
        keys * WRITES_PER_KEY,
        |sim, number| {
            let at = side[sim.dice().below(side.len())];
            let payload = format!("{at}, {number}");
            entries.push(ledger.begin_append(&list(number % keys), payload.clone(), u64::from(at.0)));
            sim.write(at, &list(number % keys), crate::sim::append(payload), Default::default())
        },
        |_, _, outcome| outcomes.push(outcome.written()),
    );
    for (entry, outcome) in entries.into_iter().zip(outcomes) {
        ledger.end(entry, outcome.as_ref());
    }
}

/// Promises that reads with this consistency find broken.
fn missing(stage: &mut Stage<'_>, nodes: &[NodeIndex], ledger: &Ledger, consistency: Consistency) -> usize {
    let options = ReadOptions { consistency: Some(consistency), timeout: None };
    let mut breaches = 0;
    stage.operate(
        "reading",
        stage.plan.keys,
        |sim, number| {
            let at = nodes[sim.dice().below(nodes.len())];
            sim.read(at, &list(number), options)
        },
        |_, number, outcome| {
            let found = outcome.read().and_then(|found| found.record);
            breaches += ledger.judge(&list(number), found.as_ref(), |_, _| true).len();
        },
    );
    breaches
}
