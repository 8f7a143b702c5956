//! One seed decides everything.

use std::time::Duration;

use kadmap_sim::hunt::{self, Plan};
use kadmap_sim::{Disk, Link, Sim};

/// A swarm to which something of everything happens; tells the hash of its history.
fn history(seed: u64) -> u64 {
    let mut sim = Sim::new(seed, Link { loss: 0.05, duplicates: 0.05, ..Link::wan() });
    let nodes = sim.grow(20, Duration::from_millis(20));
    sim.drift_clock(nodes[3], 150);
    sim.put(nodes[0], "colour", "red");
    sim.partition(&nodes[..10], &nodes[10..]);
    sim.append(nodes[1], "list", "one");
    sim.kill(nodes[2]);
    sim.heal();
    sim.restart(nodes[2], Disk::Lost);
    sim.get(nodes[2], "colour");
    sim.run_for(Duration::from_secs(60));
    sim.trace_hash()
}

#[test]
fn the_same_seed_gives_the_same_history_and_another_seed_another() {
    assert_eq!(history(1), history(1));
    assert_ne!(history(1), history(2));
}

#[test]
fn the_same_hunt_comes_to_the_same_verdict() {
    for seed in [3, 4] {
        assert_eq!(hunt::run(&Plan::of_seed(seed)), hunt::run(&Plan::of_seed(seed)));
    }
}

#[test]
fn counting_bytes_changes_nothing_else() {
    let hash = |counts_bytes| {
        let mut sim = Sim::new(5, Link::lan());
        sim.counts_bytes = counts_bytes;
        sim.grow(10, Duration::from_millis(1));
        assert_eq!(sim.traffic().total().bytes > 0, counts_bytes);
        sim.trace_hash()
    };
    assert_eq!(hash(true), hash(false));
}
