//! What was deleted stays deleted, whoever comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use kadmap_core::{Change, Config, Consistency, ReadOptions};

use super::stage::key;
use super::{Scenario, Stage};
use crate::{Disk, NodeIndex, Snapshot};

/// A node is away for up to so many times the grace time of tombstones.
const AWAY_GRACES_MAX: u32 = 3;
/// Share of the nodes that go away at some time.
const SHARE_AWAY: f64 = 0.5;
/// Share of them whose disk is set back to what it held before the deletes.
const SHARE_RESTORED: f64 = 0.5;
/// Repair periods after the last return.
const PERIODS: u32 = 3;
/// A repair period, as configured.
const PERIOD: Duration = Duration::from_secs(600);

pub(super) const SHORT: Scenario = Scenario {
    name: "deletes",
    about: "nodes are away while keys are deleted, for less than the grace of tombstones (the span), some come back with \
            old disks, and nothing comes back with them (K5)",
    nodes: 40,
    keys: 200,
    span: Duration::from_secs(7_200),
    play: |stage| play(stage, stage.plan.span * 9 / 10),
};

pub(super) const LONG: Scenario = Scenario {
    name: "deletes-long",
    about: "as deletes, but nodes are away for up to three times the grace of tombstones (K5)",
    nodes: 40,
    keys: 200,
    span: Duration::from_secs(7_200),
    play: |stage| play(stage, stage.plan.span * AWAY_GRACES_MAX),
};

/// Nodes are away for up to `longest`.
fn play(stage: &mut Stage<'_>, longest: Duration) {
    stage.sim.configure(Config { tombstone_grace: stage.plan.span, ..Config::default() });
    let nodes = stage.settled_swarm();
    let keys = stage.plan.keys;
    let (_, put) = stage.put_keys(&nodes);
    stage.at_least("keys put", put as f64, keys as f64);
    stage.pass("copying", Duration::from_secs(60));

    let start = stage.sim.now();
    let mut order = nodes.clone();
    let count = (nodes.len() as f64 * SHARE_AWAY) as usize;
    stage.sim.dice().draw_to_front(&mut order, count);
    let mut returns: BTreeMap<(Duration, NodeIndex), Option<Snapshot>> = BTreeMap::new();
    for node in &order[..count] {
        let at = start + stage.sim.dice().between(Duration::ZERO, longest);
        let restored = stage.sim.dice().chance(SHARE_RESTORED);
        returns.insert((at, *node), restored.then(|| stage.sim.snapshot(*node)));
        stage.sim.kill(*node);
    }
    stage.pass("missing", Duration::from_secs(60));
    let present = &order[count..];
    let mut deleted = 0;
    stage.operate(
        "deleting",
        keys / 2,
        |sim, number| {
            let at = present[sim.dice().below(present.len())];
            sim.write(at, &key(2 * number), Change::Delete, Default::default())
        },
        |_, _, outcome| deleted += usize::from(outcome.written().is_some()),
    );
    let total = returns.len();
    for (done, ((at, node), snapshot)) in returns.into_iter().enumerate() {
        stage.sim.run_for(at.saturating_sub(stage.sim.now()));
        match snapshot {
            Some(snapshot) => stage.sim.restore(node, &snapshot),
            None => stage.sim.restart(node, Disk::Kept),
        }
        stage.progress("returning", done + 1, total);
    }
    stage.pass("repairing", PERIOD * PERIODS);
    judge(stage, &nodes, deleted);
}

fn judge(stage: &mut Stage<'_>, nodes: &[NodeIndex], deleted: usize) {
    let keys = stage.plan.keys;
    let (mut back, mut hidden) = (0, 0);
    for consistency in [Consistency::Quorum, Consistency::All] {
        let options = ReadOptions { consistency: Some(consistency), timeout: None };
        stage.operate(
            "reading",
            keys,
            |sim, number| {
                let at = nodes[sim.dice().below(nodes.len())];
                sim.read(at, &key(number), options)
            },
            |_, number, outcome| {
                let is_there = outcome.value().is_some();
                back += usize::from(number % 2 == 0 && is_there);
                hidden += usize::from(number % 2 == 1 && !is_there);
            },
        );
    }
    stage.at_least("deletes acknowledged", deleted as f64, (keys / 2) as f64);
    stage.at_most("reads that find what was deleted", back as f64, 0.0);
    stage.at_most("reads that do not find what was not deleted", hidden as f64, 0.0);
}
