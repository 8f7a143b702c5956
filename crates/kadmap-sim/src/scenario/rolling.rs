//! Half of the nodes are killed again and again.

use std::time::Duration;

use kadmap_core::Key;

use super::stage::key;
use super::{Scenario, Stage};
use crate::{Neighbourhood, NodeIndex};

/// Times that half of those that are left are killed: 10,000 nodes become 312.
const ROUNDS: usize = 5;
/// Holders of each key, as configured.
const REPLICATION: usize = 20;
/// The share of them that D3 asks for after two periods.
const REPLICAS_RESTORED: f64 = 0.95;
/// Half of the nodes may take all 20 holders of a key with them: 8.8 keys in ten million at 100 nodes, less with more.
const LOST_MAX: f64 = 0.0;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "rolling",
    about: "half of the nodes are killed, five times with a repair period between, and the replicas are restored (D3)",
    nodes: 1_000,
    keys: 1_000,
    span: Duration::from_secs(600),
    play,
};

fn play(stage: &mut Stage<'_>) {
    let mut alive = stage.settled_swarm();
    let (_, put) = stage.put_keys(&alive);
    let keys = stage.plan.keys;
    stage.at_least("keys put", put as f64, keys as f64);
    stage.pass("copying", Duration::from_secs(2));
    let period = stage.plan.span;
    let mut worst: f64 = 1.0;
    for round in 0..ROUNDS {
        let half = alive.len() / 2;
        stage.sim.dice().draw_to_front(&mut alive, half);
        alive.drain(..half).for_each(|node| stage.sim.destroy(node));
        stage.pass("repairing", period);
        let (mean, _) = replicas(stage);
        if round + 1 < ROUNDS {
            worst = worst.min(mean);
        }
    }
    let (after_one, _) = replicas(stage);
    stage.pass("repairing", period);
    let (after_two, fewest) = replicas(stage);
    let holders = stage.sim.copies();
    let held = |number: usize| holders.contains_key(&crate::sim::record(&key(number)));
    let lost = (0..keys).filter(|number| !held(*number)).count();
    let gets = stage.get_keys(&alive, held);
    stage.figure("nodes_left", alive.len() as f64);
    stage.figure("share_of_replicas_one_period_after_a_kill", worst.min(after_one));
    stage.figure("replicas_of_the_key_with_fewest", fewest as f64);
    stage.quantiles(["get_p50_ms", "get_p99_ms"], gets.took);
    stage.at_most("keys lost", lost as f64, LOST_MAX);
    stage.at_most("keys not read though a holder lives", gets.missed as f64, 0.0);
    stage.at_least("share of replicas after two periods", after_two, REPLICAS_RESTORED);
}

/// The share of the responsible nodes that hold their keys, and how many do of the key that has the fewest.
fn replicas(stage: &mut Stage<'_>) -> (f64, usize) {
    let neighbourhood = Neighbourhood::of(&stage.sim);
    let keys = stage.plan.keys;
    let (mut held, mut wanted, mut fewest) = (0, 0, usize::MAX);
    for number in 0..keys {
        let name = key(number);
        let closest = neighbourhood.closest(&Key::of_name(name.as_bytes()), REPLICATION);
        let holds = |node: &&NodeIndex| stage.sim.peek(**node, &name).is_some();
        let holding = closest.iter().filter(holds).count();
        held += holding;
        wanted += closest.len();
        fewest = fewest.min(holding);
    }
    (held as f64 / wanted.max(1) as f64, fewest)
}
