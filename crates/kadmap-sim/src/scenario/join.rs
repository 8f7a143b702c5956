//! N nodes join one after the other.

use std::time::Duration;

use kadmap_core::{Distance, Key, NodeId};

use super::stage::JOIN_PAUSE;
use super::{Scenario, Stage};
use crate::{End, NodeIndex, SimAddress};

/// Joins of which it is counted what they send.
const JOINS_COUNTED: usize = 20;
/// Lookups by which the finished swarm is tried.
const LOOKUPS: usize = 200;
/// How many of the closest nodes a lookup has to find: as many as hold a record.
const CLOSEST: usize = 20;
/// What an idle node may take of memory, all in.
const RESIDENT_BYTES_MAX: f64 = 16_384.0;
/// Among how many nodes that is measured: what the process takes beside them does not count any more.
const MANY: usize = 5_000;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "join",
    about: "N nodes join one after the other, lookups from anywhere find the nodes that are closest, and after the \
            span, if any, it is told how much memory an idle node takes",
    nodes: 1_000,
    keys: 0,
    span: Duration::ZERO,
    play,
};

fn play(stage: &mut Stage<'_>) {
    let mut nodes = stage.grow();
    stage.figure("joined_in_virtual_seconds", stage.sim.now().as_secs_f64());
    nodes.extend(count_some_joins(stage));
    let contacts: usize = nodes.iter().filter_map(|&node| Some(stage.sim.node(node)?.contacts().len())).sum();
    stage.figure("contacts_per_node", contacts as f64 / nodes.len() as f64);

    let mut ids: Vec<NodeId> = nodes.iter().filter_map(|&node| Some(stage.sim.node(node)?.id())).collect();
    ids.sort_unstable();
    let (mut right, mut took, mut requests) = (0, Vec::new(), 0);
    let target = |number: usize| SimAddress(number as u32).id().key();
    stage.operate(
        "looking up",
        LOOKUPS,
        |sim, number| {
            let from = nodes[sim.dice().below(nodes.len())];
            sim.lookup(from, target(number))
        },
        |_, number, outcome| {
            took.push(outcome.took);
            let End::LookedUp(found) = outcome.end else { return };
            requests += found.trace.len();
            let found: Vec<_> = found.closest.iter().map(|contact| contact.id).collect();
            right += usize::from(is_closest(&ids, &target(number), &found));
        },
    );
    stage.figure("requests_per_lookup", requests as f64 / LOOKUPS as f64);
    stage.quantiles(["lookup_p50_ms", "lookup_p99_ms"], took);
    if !stage.plan.span.is_zero() {
        // Strangers are forgotten a minute after, with the next round of probes.
        stage.pass("settling", stage.plan.span);
        let resident_bytes = stage.memory();
        if stage.plan.nodes >= MANY {
            stage.at_most("resident bytes per node", resident_bytes, RESIDENT_BYTES_MAX);
        }
    }
    stage.at_least("share of lookups that find the closest", right as f64 / LOOKUPS as f64, 0.99);
}

/// Lets some more nodes join and tells what that takes in a swarm of this size: to count it for all would take longer than
/// many of the joins.
fn count_some_joins(stage: &mut Stage<'_>) -> Vec<NodeIndex> {
    stage.sim.counts_bytes = true;
    let (before, start) = (stage.sim.traffic().clone(), stage.sim.now());
    let nodes = stage.sim.grow(JOINS_COUNTED, JOIN_PAUSE);
    let took = stage.sim.now().saturating_sub(start);
    let sent = stage.sim.traffic().since(&before);
    stage.sim.counts_bytes = false;
    let joins = nodes.len() as f64;
    stage.figure("messages_per_join", sent.total().messages as f64 / joins);
    stage.figure("bytes_per_join", sent.total().bytes as f64 / joins);
    stage.traffic(&sent.purposes, joins * took.as_secs_f64());
    nodes
}

/// Whether a lookup has found the closest nodes, but perhaps for the node that asked.
fn is_closest(all: &[NodeId], target: &Key, found: &[NodeId]) -> bool {
    let mut distances: Vec<Distance> = all.iter().map(|id| id.distance(target)).collect();
    distances.sort_unstable();
    distances.truncate(CLOSEST);
    let missing = distances.iter().filter(|wanted| !found.iter().any(|id| id.distance(target) == **wanted));
    missing.count() <= 1
}
