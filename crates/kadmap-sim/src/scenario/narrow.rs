//! One node's connection is too narrow for what the swarm wants of it.

use std::time::Duration;

use super::stage::key;
use super::{Scenario, Stage};
use crate::NodeIndex;

/// What the one node has, each way.
const BITS_PER_SECOND: u64 = 64_000;
/// Bytes of each value that is put.
const VALUE_BYTES: usize = 1_000;
/// Puts in each second, everywhere together: with 100 nodes the one is sent four times what it can take.
const PUTS_PER_SECOND: usize = 120;
/// Time after the congestion in which the neighbours find out.
const RECOVERY: Duration = Duration::from_secs(660);
/// What D7 asks for.
const STILL_LISTED: f64 = 0.90;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "narrow",
    about: "one node is capped at 64 kbit/s and sent several times that; afterwards its neighbours still list it, and \
            nobody else was given up (D7)",
    nodes: 100,
    keys: 2_000,
    span: Duration::from_secs(120),
    play,
};

fn play(stage: &mut Stage<'_>) {
    let nodes = stage.settled_swarm();
    let narrow = nodes[nodes.len() / 2];
    let others: Vec<_> = nodes.iter().copied().filter(|node| *node != narrow).collect();
    let neighbours: Vec<_> = others.iter().copied().filter(|node| lists(stage, *node, narrow)).collect();
    let pairs_before = pairs(stage, &others);

    let before = stage.sim.traffic().clone();
    stage.sim.narrow(narrow, Some(BITS_PER_SECOND));
    let puts = PUTS_PER_SECOND * stage.plan.span.as_secs() as usize;
    let keys = stage.plan.keys;
    let value = vec![b'x'; VALUE_BYTES];
    let (mut put, mut took) = (0, Vec::new());
    stage.operate(
        "congesting",
        puts,
        |sim, number| {
            sim.run_for(Duration::from_secs(1) / PUTS_PER_SECOND as u32);
            let at = others[sim.dice().below(others.len())];
            sim.write(at, &key(number % keys), crate::sim::put(value.clone()), Default::default())
        },
        |_, _, outcome| {
            took.push(outcome.took);
            put += usize::from(outcome.written().is_some());
        },
    );
    let lost = stage.sim.traffic().since(&before).lost;
    let during = listing(stage, &neighbours, narrow);
    stage.sim.narrow(narrow, None);
    stage.pass("recovering", RECOVERY);
    let after = listing(stage, &neighbours, narrow);
    let pairs_after = pairs(stage, &others);

    stage.figure("neighbours", neighbours.len() as f64);
    stage.figure("puts", puts as f64);
    stage.figure("messages_dropped_by_the_narrow_connection", lost as f64);
    stage.figure("share_of_neighbours_that_list_it_when_it_is_congested", during);
    stage.quantiles(["put_p50_ms", "put_p99_ms"], took);
    stage.at_least("share of puts acknowledged", put as f64 / puts as f64, 0.999);
    stage.at_least("share of neighbours that list it after recovery", after, STILL_LISTED);
    stage.at_least(
        "share of the other pairs that still list each other",
        pairs_after as f64 / pairs_before.max(1) as f64,
        STILL_LISTED,
    );
}

fn lists(stage: &Stage<'_>, at: NodeIndex, whom: NodeIndex) -> bool {
    let (Some(node), Some(wanted)) = (stage.sim.node(at), stage.sim.node(whom)) else { return false };
    node.contacts().iter().any(|contact| contact.id == wanted.id())
}

fn listing(stage: &Stage<'_>, neighbours: &[NodeIndex], whom: NodeIndex) -> f64 {
    let still = neighbours.iter().filter(|node| lists(stage, **node, whom)).count();
    still as f64 / neighbours.len().max(1) as f64
}

/// How many of these nodes each lists, summed up.
fn pairs(stage: &Stage<'_>, nodes: &[NodeIndex]) -> usize {
    let ids: std::collections::BTreeSet<_> =
        nodes.iter().filter_map(|node| Some(stage.sim.node(*node)?.id())).collect();
    let listed = |node: &NodeIndex| {
        let contacts = stage.sim.node(*node).map(crate::SimNode::contacts).unwrap_or_default();
        contacts.iter().filter(|contact| ids.contains(&contact.id)).count()
    };
    nodes.iter().map(listed).sum()
}
