//! Who was away for longer than deletions are remembered brings nothing back, and loses nothing.

mod support;

use std::time::Duration;

use kadmap_core::testing::Network;
use kadmap_core::{Change, Config, Event, RecordStore, WriteOptions};
use support::*;

const GRACE: Duration = Duration::from_secs(2 * 3600);

fn config() -> Config {
    Config { tombstone_grace: GRACE, ..Config::default() }
}

fn delete(network: &mut Network, node: usize, name: &str) {
    write(network, node, name, Change::Delete, WriteOptions::default()).unwrap();
}

/// Lists of three items, and values of which every other is to be deleted.
fn fill(network: &mut Network, node: usize) -> Vec<String> {
    for item in ["1", "2", "3"] {
        append(network, node, "list", item);
    }
    let names: Vec<_> = (0..40).map(|number| format!("key {number}")).collect();
    names.iter().for_each(|name| drop(put(network, node, name, "1")));
    network.run_for(Duration::from_secs(1));
    names
}

/// Deletes every other value, takes the first item of the list away, and changes one value that stays.
fn change(network: &mut Network, node: usize, names: &[String]) {
    names.iter().step_by(2).for_each(|name| delete(network, node, name));
    put(network, node, &names[1], "2");
    let list = read(network, node, "list").unwrap().record.unwrap();
    let stamp = list.live_items(0).next().unwrap().stamp;
    write(network, node, "list", Change::Remove { stamp }, WriteOptions::default()).unwrap();
    append(network, node, "list", "4");
}

/// Whether all that this node reads is as it was left.
fn check(network: &mut Network, node: usize, names: &[String]) {
    for (number, name) in names.iter().enumerate() {
        let expected = (number % 2 == 1).then(|| if number == 1 { "2" } else { "1" }.to_owned());
        assert_eq!(value(network, node, name), expected, "{name} as node {node} reads it");
    }
    assert_eq!(items(network, node, "list"), ["2", "3", "4"]);
}

fn came_back(network: &mut Network, node: usize) -> Vec<(u64, u64, u64)> {
    network.take_events(node, |event| match event {
        Event::CameBack { dropped, changed, unconfirmed, .. } => Some((*dropped, *changed, *unconfirmed)),
        _ => None,
    })
}

/// What a node holds under a name, whoever else does.
fn holds(network: &mut Network, node: usize, name: &str) -> bool {
    network.with(node, |node, now| {
        let held = node.store_mut().load(&record(name)).unwrap();
        held.is_some_and(|held| held.is_live(now.unix_ms))
    })
}

#[test]
fn who_stood_still_beyond_the_grace_brings_nothing_back() {
    let mut network = swarm(1, 8, &config());
    let names = fill(&mut network, 0);
    network.set_up(7, false);
    network.run_for(Duration::from_secs(60));
    change(&mut network, 0, &names);
    network.run_for(3 * GRACE);
    assert!(holds(&mut network, 7, &names[0]), "the node that stands still knows of no deletion");

    network.set_up(7, true);
    // While it finds out, nobody is told anything old.
    for node in [7, 0, 3] {
        check(&mut network, node, &names);
    }
    network.run_for(Duration::from_secs(60));
    assert_eq!(came_back(&mut network, 7), [(20, 2, 0)]);
    network.run_for(3 * Config::default().repair_interval);
    (0..8).for_each(|node| check(&mut network, node, &names));
    assert!(!(0..8).any(|node| holds(&mut network, node, &names[0])));
}

#[test]
fn who_is_started_again_beyond_the_grace_brings_nothing_back() {
    let mut network = swarm(2, 30, &config());
    let names = fill(&mut network, 0);
    for node in 20..26 {
        network.set_up(node, false);
    }
    network.run_for(Duration::from_secs(60));
    change(&mut network, 0, &names);
    network.run_for(2 * GRACE);
    for node in 20..26 {
        network.set_up(node, true);
        network.restart(node, config(), &[1]);
    }
    for node in [20, 25, 0, 3] {
        check(&mut network, node, &names);
    }
    network.run_for(3 * Config::default().repair_interval);
    for node in 20..26 {
        let all: Vec<_> = came_back(&mut network, node);
        assert!(matches!(all[..], [(_, _, 0)]), "node {node}: {all:?}");
    }
    (0..30).for_each(|node| check(&mut network, node, &names));
    assert!(!(0..30).any(|node| holds(&mut network, node, &names[0])));
}

#[test]
fn an_absence_within_the_grace_needs_no_doubt() {
    let mut network = swarm(3, 8, &config());
    let names = fill(&mut network, 0);
    network.set_up(7, false);
    network.run_for(Duration::from_secs(60));
    change(&mut network, 0, &names);
    network.run_for(GRACE * 3 / 4);
    network.set_up(7, true);
    network.restart(7, config(), &[1]);
    network.run_for(Duration::from_secs(60));
    assert_eq!(came_back(&mut network, 7), []);
    (0..8).for_each(|node| check(&mut network, node, &names));
}

#[test]
fn what_was_written_to_a_node_that_was_cut_off_stays() {
    let mut network = swarm(4, 8, &config());
    let names = fill(&mut network, 0);
    let others: Vec<_> = (0..7).collect();
    network.cut(&others, &[7]);
    network.run_for(Duration::from_secs(60));
    change(&mut network, 0, &names);
    put(&mut network, 7, "written alone", "7");
    append(&mut network, 7, "list alone", "7");
    append(&mut network, 7, "list", "5");
    network.run_for(2 * GRACE);

    network.heal();
    network.run_for(Duration::from_secs(3600));
    let dropped: Vec<_> = came_back(&mut network, 7).into_iter().map(|(dropped, ..)| dropped).collect();
    assert_eq!(dropped, [20]);
    for node in [7, 0, 3] {
        assert_eq!(value(&mut network, node, "written alone").as_deref(), Some("7"));
        assert_eq!(items(&mut network, node, "list alone"), ["7"]);
        assert_eq!(items(&mut network, node, "list"), ["2", "3", "4", "5"]);
        for (number, name) in names.iter().enumerate() {
            assert_eq!(value(&mut network, node, name).is_some(), number % 2 == 1, "{name} at node {node}");
        }
    }
}

#[test]
fn a_swarm_that_was_switched_off_beyond_the_grace_loses_nothing() {
    let mut network = swarm(5, 8, &config());
    let names = fill(&mut network, 0);
    (0..8).for_each(|node| network.set_up(node, false));
    network.run_for(5 * GRACE);
    for node in 0..8 {
        network.set_up(node, true);
        let through: Vec<_> = (0..node).take(2).collect();
        network.restart(node, config(), &through);
        network.run_for(Duration::from_millis(300));
    }
    network.run_for(Duration::from_secs(60));
    for node in [0, 4, 7] {
        for name in &names {
            assert_eq!(
                value(&mut network, node, name).as_deref(),
                Some("1"),
                "{name} as node {node} reads it"
            );
        }
        assert_eq!(items(&mut network, node, "list"), ["1", "2", "3"]);
    }
}

#[test]
fn nodes_that_are_new_talk_nobody_out_of_what_it_holds() {
    let mut network = swarm(6, 2, &config());
    let names = fill(&mut network, 0);
    (0..2).for_each(|node| network.set_up(node, false));
    network.run_for(2 * GRACE);
    let first = network.spawn(config(), &[]);
    for _ in 0..5 {
        network.spawn(config(), &[first]);
    }
    network.run_for(Duration::from_secs(600));
    network.set_up(1, true);
    network.restart(1, config(), &[first]);
    network.run_for(Duration::from_secs(60));
    assert_eq!(came_back(&mut network, 1), [(0, 0, 41)]);
    for node in [1, first, first + 5] {
        for name in &names {
            assert_eq!(
                value(&mut network, node, name).as_deref(),
                Some("1"),
                "{name} as node {node} reads it"
            );
        }
    }
}

#[test]
fn who_has_learnt_from_those_that_were_there_vouches_as_they_did() {
    let mut network = swarm(7, 8, &config());
    let names = fill(&mut network, 0);
    network.set_up(7, false);
    network.run_for(Duration::from_secs(60));
    change(&mut network, 0, &names);
    // Nobody is left of those that have seen the deletions.
    for old in 0..7 {
        let through = if old == 0 { 1 } else { 8 };
        network.spawn(config(), &[through]);
        network.run_for(Duration::from_secs(120));
        network.set_up(old, false);
        network.run_for(Duration::from_secs(120));
    }
    network.run_for(2 * GRACE);
    network.set_up(7, true);
    network.restart(7, config(), &[8, 9]);
    network.run_for(Duration::from_secs(60));
    assert_eq!(came_back(&mut network, 7), [(20, 2, 0)]);
    (7..15).for_each(|node| check(&mut network, node, &names));
}
