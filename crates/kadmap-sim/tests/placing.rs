//! Where records come to lie.

use std::ops::Range;
use std::time::Duration;

use kadmap_core::Key;
use kadmap_sim::{Link, Neighbourhood, NodeIndex, Sim};

const NODES: usize = 200;
const KEYS: usize = 400;
/// Holders of each key, as configured.
const REPLICATION: usize = 20;

/// How many replicas are missing of keys that some nodes have put just now.
fn missing_after_puts(sim: &mut Sim, nodes: &[NodeIndex], numbers: Range<usize>) -> usize {
    let name = |number: usize| format!("key {number}");
    for number in numbers.clone() {
        assert!(sim.put(nodes[number % nodes.len()], &name(number), "here").written().is_some());
    }
    // Copies beyond the quorum are still under way; the first comparison of replicas is far off.
    sim.run_for(Duration::from_secs(30));
    let neighbourhood = Neighbourhood::of(sim);
    let mut missing = 0;
    for number in numbers {
        let holders = neighbourhood.closest(&Key::of_name(name(number).as_bytes()), REPLICATION);
        missing += holders.into_iter().filter(|&holder| sim.peek(holder, &name(number)).is_none()).count();
    }
    missing
}

/// Nobody knows everybody yet: those who joined last have told but a few of the far ones.
#[test]
fn what_is_put_into_a_swarm_that_has_just_joined_lies_with_those_to_whom_it_belongs() {
    let mut sim = Sim::new(7, Link::lan());
    let nodes = sim.grow(NODES, Duration::from_millis(5));
    let missing = missing_after_puts(&mut sim, &nodes, 0..KEYS);
    assert!(missing * 100 <= KEYS * REPLICATION, "{missing} of {} replicas are missing", KEYS * REPLICATION);
}

/// Nobody has told the far ones of them.
#[test]
fn what_is_put_when_some_have_just_joined_a_settled_swarm_lies_with_them_as_well() {
    let mut sim = Sim::new(7, Link::lan());
    let nodes = sim.grow(NODES, Duration::from_millis(5));
    missing_after_puts(&mut sim, &nodes, 0..2 * KEYS);
    sim.run_for(Duration::from_secs(300));
    sim.grow(NODES / 10, Duration::from_millis(5));
    let missing = missing_after_puts(&mut sim, &nodes, 2 * KEYS..3 * KEYS);
    assert!(missing * 100 <= KEYS * REPLICATION, "{missing} of {} replicas are missing", KEYS * REPLICATION);
}
