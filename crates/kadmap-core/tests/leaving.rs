//! Nodes that leave for good: what they hold stays, and nobody counts on them afterwards.

mod support;

use std::time::Duration;

use kadmap_core::testing::Network;
use kadmap_core::{Config, Event};
use support::*;

/// With one replica a record is where it is handed to, or lost.
fn one_replica() -> Config {
    Config { replication: 1, ..Config::default() }
}

/// Puts so many keys through all nodes by turns.
fn fill(network: &mut Network, nodes: usize, keys: usize) {
    for n in 0..keys {
        put(network, n % nodes, &format!("key {n}"), &n.to_string());
    }
}

/// The keys that a node does not read.
fn unread(network: &mut Network, reader: usize, keys: usize) -> Vec<usize> {
    let is_unread = |n: &usize| value(network, reader, &format!("key {n}")) != Some(n.to_string());
    (0..keys).filter(is_unread).collect()
}

/// Waits until nodes that leave have left, each of which is gone from that moment.
fn see_off(network: &mut Network, leavers: &[usize]) {
    let mut staying: Vec<_> = leavers.to_vec();
    for _ in 0..10_000 {
        let has_left = |node: &usize| {
            let left = network.take_events(*node, |event| matches!(event, Event::Left { .. }).then_some(()));
            !left.is_empty()
        };
        let (left, still): (Vec<_>, _) = staying.into_iter().partition(has_left);
        left.into_iter().for_each(|node| network.set_up(node, false));
        staying = still;
        if staying.is_empty() {
            return;
        }
        network.run_for(Duration::from_millis(1));
    }
    panic!("{staying:?} do not leave");
}

#[test]
fn nobody_hears_of_a_node_after_its_goodbye() {
    for seed in 0..20 {
        let mut network = Network::new(seed);
        let first = network.spawn(Config::default(), &[]);
        let rest: Vec<_> = (0..4).map(|_| network.spawn(Config::default(), &[first])).collect();
        for &node in &rest {
            network.wait_for(node, |event| matches!(event, Event::Joined { .. }).then_some(()));
            append(&mut network, node, "list", "1");
            // While it still learns what belongs to it.
            network.with(node, |node, now| node.leave(now));
        }
        see_off(&mut network, &rest);
        assert!(network.node(first).is_alone(), "seed {seed}");
        assert_eq!(items(&mut network, first, "list").len(), 4, "seed {seed}");
    }
}

#[test]
fn who_leaves_brings_what_it_holds_to_others_when_those_it_was_bound_for_are_dead() {
    let mut network = swarm(41, 8, &one_replica());
    network.run_for(Duration::from_secs(40));
    fill(&mut network, 8, 200);
    let dead: Vec<_> = (1..4).collect();
    let lost = dead.iter().map(|&node| network.node(node).usage().records).sum::<u64>() as usize;
    dead.into_iter().for_each(|node| network.set_up(node, false));
    network.with(0, |node, now| node.leave(now));
    see_off(&mut network, &[0]);
    network.run_for(Duration::from_secs(60));
    assert_eq!(unread(&mut network, 5, 200).len(), lost, "only what the dead held is lost");
}

#[test]
fn who_leaves_waits_for_those_that_stand_still_for_a_moment() {
    let mut network = swarm(42, 3, &one_replica());
    network.run_for(Duration::from_secs(40));
    fill(&mut network, 3, 200);
    [1, 2].into_iter().for_each(|node| network.set_up(node, false));
    network.with(0, |node, now| node.leave(now));
    // Longer than a request is waited for.
    network.run_for(Duration::from_millis(700));
    [1, 2].into_iter().for_each(|node| network.set_up(node, true));
    see_off(&mut network, &[0]);
    // Whatever one of them took for the other is passed on in the rounds of repair.
    network.run_for(3 * Config::default().repair_interval);
    assert_eq!(unread(&mut network, 1, 200), []);
}

#[test]
fn who_leave_at_the_same_time_bring_what_they_hold_to_those_who_stay() {
    for seed in 0..10 {
        let mut network = swarm(50 + seed, 8, &one_replica());
        network.run_for(Duration::from_secs(40));
        fill(&mut network, 8, 200);
        let leavers: Vec<_> = (2..8).collect();
        for &leaver in &leavers {
            network.with(leaver, |node, now| node.leave(now));
            network.run_for(Duration::from_micros(300 * seed));
        }
        see_off(&mut network, &leavers);
        assert_eq!(unread(&mut network, 0, 200), [], "seed {seed}");
    }
}

#[test]
fn a_swarm_that_leaves_as_a_whole_does_not_wait_for_itself() {
    let mut network = swarm(43, 8, &one_replica());
    network.run_for(Duration::from_secs(40));
    fill(&mut network, 8, 200);
    let start = network.now();
    let all: Vec<_> = (0..8).collect();
    all.iter().for_each(|&node| network.with(node, |node, now| node.leave(now)));
    see_off(&mut network, &all);
    let took = network.now().since(start);
    assert!(took < Duration::from_secs(1), "{took:?} of virtual time");
}

#[test]
fn what_is_written_while_its_holder_leaves_is_not_lost() {
    for seed in 0..10 {
        let mut network = swarm(60 + seed, 4, &one_replica());
        network.run_for(Duration::from_secs(40));
        fill(&mut network, 4, 100);
        network.with(3, |node, now| node.leave(now));
        for n in 100..200 {
            put(&mut network, n % 3, &format!("key {n}"), &n.to_string());
        }
        see_off(&mut network, &[3]);
        assert_eq!(unread(&mut network, 0, 200), [], "seed {seed}");
    }
}

#[test]
fn what_is_written_late_in_a_long_hand_over_is_not_lost() {
    // So slow that handing some hundred records over takes longer than others are asked again.
    let config = Config { repair_rate_max: 2_000, ..one_replica() };
    let mut network = swarm(45, 2, &config);
    network.run_for(Duration::from_secs(40));
    fill(&mut network, 2, 400);
    let start = network.now();
    network.with(1, |node, now| node.leave(now));
    network.run_for(Duration::from_secs(4));
    let left = network.take_events(1, |event| matches!(event, Event::Left { .. }).then_some(()));
    assert!(left.is_empty(), "it still hands over");
    for n in 400..440 {
        put(&mut network, 0, &format!("key {n}"), &n.to_string());
    }
    see_off(&mut network, &[1]);
    assert!(network.now().since(start) > Duration::from_secs(4));
    assert_eq!(unread(&mut network, 0, 440), []);
}

#[test]
fn who_is_left_by_all_others_at_once_reads_what_it_holds_in_time() {
    let mut network = swarm(44, 6, &Config::default());
    put(&mut network, 0, "colour", "\"red\"");
    network.run_for(Duration::from_millis(200));
    // The first node has asked the others nothing yet: it does not know how fast they answer.
    (1..6).for_each(|node| network.set_up(node, false));
    assert_eq!(value(&mut network, 0, "colour").as_deref(), Some("\"red\""));
}

#[test]
fn who_leaves_brings_more_records_than_it_can_queue() {
    const EACH: usize = 70_000;
    let mut network = Network::new(44);
    let nodes = [0, 1].map(|_| network.spawn(Config::default(), &[]));
    for node in nodes {
        // Two swarms that know nothing of each other: of what both hold then, everything differs.
        for n in 0..EACH {
            put(&mut network, node, &format!("key {n} of {node}"), "1");
        }
    }
    let first = network.contact(0);
    network.take_events(1, |event| matches!(event, Event::Joined { .. }).then_some(()));
    network.with(1, |node, now| node.join(now, &[first]));
    network.wait_for(1, |event| matches!(event, Event::Joined { .. }).then_some(()));
    network.with(0, |node, now| node.leave(now));
    see_off(&mut network, &[0]);
    assert_eq!(network.node(1).usage().records, 2 * EACH as u64);
}
