//! The swarm is split in two, both sides write, and the split heals.

use std::time::Duration;

use kadmap_core::{Consistency, ReadOptions};

use super::{Scenario, Stage};
use crate::{Ledger, NodeIndex};

/// Writes of each side to each record.
const WRITES_PER_KEY: usize = 4;
/// Repair periods within which D8 wants all holders equal.
const PERIODS: u32 = 3;
/// A repair period, as configured.
const PERIOD: Duration = Duration::from_secs(600);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "partition",
    about: "the swarm is split in halves for the span, both write to the same records, it heals, nothing is lost, nothing \
            comes back, and all holders are equal (D8, K3)",
    nodes: 100,
    keys: 100,
    span: Duration::from_secs(600),
    play,
};

/// What is done to a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deed {
    Append,
    Put,
    Delete,
}

/// Half of the records are lists, half are values, of which a quarter is deleted on one side.
fn name(number: usize) -> String {
    format!("{} {number}", if number.is_multiple_of(2) { "list" } else { "value" })
}

fn play(stage: &mut Stage<'_>) {
    let nodes = stage.settled_swarm();
    let mut order = nodes.clone();
    stage.sim.dice().draw_to_front(&mut order, nodes.len() / 2);
    let (one, other) = order.split_at(nodes.len() / 2);
    let mut ledger = Ledger::default();
    write(stage, &nodes, &mut ledger, false);
    stage.pass("copying", Duration::from_secs(2));
    stage.sim.partition(one, other);
    stage.pass("splitting", stage.plan.span / 2);
    write(stage, one, &mut ledger, true);
    write(stage, other, &mut ledger, false);
    stage.pass("split", stage.plan.span / 2);
    stage.sim.heal();
    stage.pass("reuniting", PERIOD * PERIODS);

    let names: Vec<_> = (0..stage.plan.keys).map(name).collect();
    let (unequal, strays) = stage.divergence(&names);
    let quorum = missing(stage, &nodes, &ledger, Consistency::Quorum);
    stage.figure("writes_acknowledged", ledger.acknowledged() as f64);
    stage.figure("records_that_others_hold_in_an_older_state", strays as f64);
    stage.at_most("records of which the holders are unequal", unequal as f64, 0.0);
    stage.at_most("promises broken for who asks a quorum", quorum as f64, 0.0);
    let all = missing(stage, &nodes, &ledger, Consistency::All);
    stage.at_most("promises broken for who asks all replicas", all as f64, 0.0);
}

/// Writes to every record from nodes of one side.
fn write(stage: &mut Stage<'_>, side: &[NodeIndex], ledger: &mut Ledger, deletes: bool) {
    let mut entries = Vec::new();
    let keys = stage.plan.keys;
    let mut outcomes = Vec::new();
    stage.operate(
        "writing",
        keys * WRITES_PER_KEY,
        |sim, turn| {
            let at = side[sim.dice().below(side.len())];
            let number = turn % keys;
            let (name, payload) = (name(number), format!("{at} at {:?}, {turn}", sim.now()));
            let is_last = turn / keys + 1 == WRITES_PER_KEY;
            let deed = match number % 8 {
                3 if deletes && is_last => Deed::Delete,
                number if number.is_multiple_of(2) => Deed::Append,
                _ => Deed::Put,
            };
            let writer = u64::from(at.0);
            let (entry, change) = match deed {
                Deed::Append => {
                    (ledger.begin_append(&name, payload.clone(), writer), crate::sim::append(payload))
                }
                Deed::Put => (ledger.begin_put(&name, payload.clone(), writer), crate::sim::put(payload)),
                Deed::Delete => (ledger.begin_delete(&name, writer), kadmap_core::Change::Delete),
            };
            entries.push(entry);
            sim.write(at, &name, change, Default::default())
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
            sim.read(at, &name(number), options)
        },
        |_, number, outcome| {
            let found = outcome.read().and_then(|found| found.record);
            breaches += ledger.judge(&name(number), found.as_ref(), |_, _| true).len();
        },
    );
    breaches
}
