//! Nodes that leave for a moment and come back with what they have.

mod support;

use std::time::Duration;

use kadmap_core::testing::Network;
use kadmap_core::{Config, Event, RecordStore};
use support::*;

/// The kinds of messages by which holders become equal.
const REPLICATION: [&str; 10] =
    ["Compare", "Sums", "Divide", "Parts", "Fetch", "Fetching", "Copies", "Copied", "Put", "Stored"];
/// What a restart may send of them, in percent of what is stored on the node.
const PERCENT_MAX: u64 = 5;

/// A swarm with records of 60 bytes; everything is on all its holders.
fn filled(seed: u64, nodes: usize, keys: usize, config: &Config) -> Network {
    let mut network = swarm(seed, nodes, config);
    network.run_for(Duration::from_secs(40));
    let value = format!("\"{}\"", "x".repeat(58));
    for number in 0..keys {
        put(&mut network, number % nodes, &format!("key {number}"), &value);
    }
    network.run_for(Duration::from_secs(40));
    network
}

fn leave_briefly(network: &mut Network, node: usize) -> u64 {
    network.with(node, |node, now| node.leave_briefly(now));
    let handed_over = network.wait_for(node, |event| match event {
        Event::Left { handed_over } => Some(*handed_over),
        _ => None,
    });
    network.set_up(node, false);
    handed_over
}

fn come_back(network: &mut Network, node: usize, config: &Config, through: usize) {
    network.set_up(node, true);
    network.restart(node, config.clone(), &[through]);
    network.wait_for(node, |event| matches!(event, Event::Joined { .. }).then_some(()));
}

fn copies(network: &mut Network, nodes: &[usize], name: &str) -> usize {
    let mut holds = |node: &&usize| {
        let head = network.with(**node, |node, _| node.store_mut().head(&record(name)).unwrap());
        head.is_some()
    };
    nodes.iter().filter(|node| holds(node)).count()
}

/// The bytes of messages that carry records.
fn carried(network: &Network) -> u64 {
    ["Put", "Copies"].iter().filter_map(|kind| network.bytes_sent.get(kind)).sum()
}

/// Restarts these nodes in turn, each away for so long and the next one so long after it is back; tells what all sent to be
/// equal, and what they carried, in percent of what is stored on those that were restarted.
fn percent_of_restarts(seed: u64, count: usize, away: Duration, pause: Duration) -> (u64, u64) {
    percent_of_restarts_with(Config::default(), seed, count, away, pause)
}

fn percent_of_restarts_with(
    config: Config,
    seed: u64,
    count: usize,
    away: Duration,
    pause: Duration,
) -> (u64, u64) {
    let config = Config { replication: 8, ..config };
    let mut network = filled(seed, 24, 1_000, &config);
    network.bytes_sent.clear();
    let mut stored = 0;
    for node in 0..count {
        stored += network.node(node).usage().bytes;
        leave_briefly(&mut network, node);
        network.run_for(away);
        come_back(&mut network, node, &config, (node + 1) % 24);
        network.run_for(pause);
    }
    // Longer than anyone waits before it replaces who has gone.
    network.run_for(config.repair_delay.1 * 2);
    let sent: u64 = REPLICATION.iter().filter_map(|kind| network.bytes_sent.get(kind)).sum();
    (sent * 100 / stored, carried(&network) * 100 / stored)
}

#[test]
fn restarting_every_node_in_turn_sends_next_to_nothing_of_what_is_stored() {
    let percent = percent_of_restarts(31, 24, Duration::from_secs(1), Duration::from_secs(3));
    assert!(percent.0 <= PERCENT_MAX && percent.1 == 0, "{percent:?} of what is stored");
}

#[test]
fn restarting_nodes_hard_on_each_other_sends_next_to_nothing_either() {
    for seed in 31..37 {
        let percent = percent_of_restarts(seed, 8, Duration::from_millis(300), Duration::from_millis(200));
        assert!(percent.0 <= PERCENT_MAX && percent.1 <= 1, "seed {seed}: {percent:?} of what is stored");
    }
}

/// Found by `kadmap-chaos restarts`: who left took those that were just back for newcomers, and others for holders of what was
/// theirs, whom it brought that; and one that was back waited for 30 s for the word of one that had left, so that whoever left
/// meanwhile sent it everything.
#[test]
fn restarting_nodes_before_others_have_looked_after_the_last_one_sends_little() {
    for (seed, away_ms) in (31..41).flat_map(|seed| [(seed, 20), (seed, 300)]) {
        let percent = percent_of_restarts(seed, 8, Duration::from_millis(away_ms), Duration::ZERO);
        assert!(percent.0 <= PERCENT_MAX, "seed {seed}, {away_ms} ms: {percent:?} of what is stored");
    }
}

/// Found by `kadmap-chaos restarts` as well: a round of repair that came while somebody was away filled its place.
#[test]
fn a_round_of_repair_keeps_the_place_of_one_that_is_away_for_a_moment() {
    for seed in 31..36 {
        let config = Config { repair_interval: Duration::from_secs(5), ..Config::default() };
        let (away, pause) = (Duration::from_millis(500), Duration::from_millis(50));
        let (_, carried) = percent_of_restarts_with(config, seed, 8, away, pause);
        assert!(carried <= 1, "seed {seed}: {carried}% of what is stored");
    }
}

#[test]
fn who_leaves_waits_for_one_that_is_just_back_to_tell_what_it_lacks() {
    // The returned one counts as a partner as soon as it was looked after.
    let handover_delay = (Duration::ZERO, Duration::ZERO);
    let config = Config { replication: 3, handover_delay, ..Config::default() };
    let mut network = filled(36, 4, 200, &config);
    leave_briefly(&mut network, 0);
    network.bytes_sent.clear();
    network.set_up(0, true);
    network.restart(0, config, &[1]);
    // Nobody tells it yet what it may have missed.
    network.cut(&[0], &[2, 3]);
    network.run_for(Duration::from_millis(50));
    network.with(1, |node, now| node.leave_briefly(now));
    network.run_for(Duration::from_millis(50));
    network.heal();
    let handed_over = network.wait_for(1, |event| match event {
        Event::Left { handed_over } => Some(*handed_over),
        _ => None,
    });
    assert_eq!(handed_over, 0);
    assert!(network.bytes_sent.contains_key("Refused"), "the one that is back did not know yet");
    assert_eq!(carried(&network), 0, "no record travels");
}

#[test]
fn who_is_away_for_a_moment_while_another_is_replaced_is_not_replaced_with_it() {
    let config = Config { replication: 5, ..Config::default() };
    let mut network = filled(34, 16, 200, &config);
    // Somebody is gone for good, and meanwhile others come and go by turns, so that one of them is always away.
    network.with(0, |node, now| node.leave(now));
    network.wait_for(0, |event| matches!(event, Event::Left { .. }).then_some(()));
    network.set_up(0, false);
    network.bytes_sent.clear();
    leave_briefly(&mut network, 1);
    for turn in 0..20 {
        let (away, next) = (1 + turn % 2, 1 + (turn + 1) % 2);
        network.run_for(Duration::from_millis(900));
        come_back(&mut network, away, &config, 5);
        network.run_for(Duration::from_secs(1));
        leave_briefly(&mut network, next);
    }
    assert_eq!(carried(&network), 0, "no record travels");
}

#[test]
fn who_leaves_briefly_leaves_what_it_alone_has_and_is_replaced_if_it_does_not_return() {
    let config = Config { replication: 5, ..Config::default() };
    let mut network = swarm(32, 12, &config);
    network.run_for(Duration::from_secs(40));
    // Nobody but the writer hears of these before it goes.
    let all: Vec<_> = (0..12).collect();
    let rest: Vec<_> = (1..12).collect();
    let one = kadmap_core::WriteOptions {
        consistency: Some(kadmap_core::Consistency::One),
        ..kadmap_core::WriteOptions::default()
    };
    network.cut(&[0], &rest);
    let names: Vec<_> = (0..40).map(|number| format!("key {number}")).collect();
    for name in &names {
        let operation = network.with(0, |node, now| node.write(now, record(name), put_change("1"), one));
        let _ = network.outcome(0, operation);
    }
    network.heal();
    let own: Vec<_> = names.iter().filter(|name| copies(&mut network, &[0], name) == 1).collect();
    assert!(!own.is_empty());
    leave_briefly(&mut network, 0);
    for name in &own {
        assert!(copies(&mut network, &rest, name) >= 1, "{name} is only where it cannot be read");
        assert_eq!(value(&mut network, 7, name).as_deref(), Some("1"), "{name}");
    }
    network.run_for(config.repair_delay.1 + Duration::from_secs(5));
    network.run_for(config.repair_interval * 15 / 4);
    for name in &own {
        assert!(copies(&mut network, &all[1..], name) >= config.replication, "{name}");
    }
}

#[test]
fn when_too_many_leave_briefly_the_next_ones_leave_for_good() {
    // Of five replicas a quorum of three is read: two of the same record may lack what they should hold, not three.
    let config = Config { replication: 5, ..Config::default() };
    let mut network = filled(33, 16, 200, &config);
    let mut handed_over = Vec::new();
    for node in 0..4 {
        handed_over.push(leave_briefly(&mut network, node));
    }
    assert_eq!(handed_over[..2], [0, 0]);
    assert!(handed_over[2..].iter().any(|copies| *copies > 0), "{handed_over:?}");
    let rest: Vec<_> = (4..16).collect();
    for number in 0..200 {
        let name = format!("key {number}");
        assert!(copies(&mut network, &rest, &name) >= 3, "{name}");
    }
}
