//! Holders come to hold the same, at a cost that grows with what differs.

mod support;

use std::time::Duration;

use kadmap_core::testing::{Link, Network};
use kadmap_core::wire::{Body, Message, Put, PutMode, Request};
use kadmap_core::{
    Base, Change, Config, Contact, Event, ItemRange, ReadOptions, Record, RecordId, RecordStore, Shape,
    Stamp, Version, WriteOptions,
};
use support::*;

/// The kinds of messages that find differences; copies are messages of their own.
const FINDING: [&str; 6] = ["Compare", "Sums", "Divide", "Parts", "Fetch", "Fetching"];

/// What a value of 100 bytes looks like.
fn value_at(stamp_ms: u64) -> Record {
    let stamp = Stamp { time: stamp_ms << 16, writer: 1 };
    let payload = Some(text(&format!("\"{}\"", "x".repeat(98))));
    Record::from(Base { stamp, shape: Shape::Value, payload, expires_ms: None })
}

/// Lets one node alone take in a record, as if the others had missed it.
fn give(network: &mut Network, node: usize, name: &str, delta: Record) {
    let from: Contact = network.contact(if node == 0 { 1 } else { 0 });
    let (key, name) = (record(name).key, record(name).name);
    let put = Put { key, name, mode: PutMode::Replicate, delta, if_newest: None };
    let body = Body::Request(Request::Put(put));
    let message = Message { id: 0, from_client: false, unhurried: false, body };
    network.with(node, |node, now| node.handle_message(now, from, message));
}

fn version(network: &mut Network, node: usize, name: &str) -> Version {
    let head = network.with(node, |node, _| node.store_mut().head(&record(name)).unwrap());
    head.unwrap_or_default().version
}

fn holders(network: &mut Network, nodes: &[usize], name: &str) -> usize {
    nodes.iter().filter(|&&node| !version(network, node, name).is_absent()).count()
}

fn finding(network: &Network) -> u64 {
    FINDING.iter().filter_map(|kind| network.bytes_sent.get(kind)).sum()
}

fn copying(network: &Network) -> u64 {
    ["Put", "Stored", "Copies", "Copied"].iter().filter_map(|kind| network.bytes_sent.get(kind)).sum()
}

fn comparisons(network: &Network, nodes: &[usize]) -> u64 {
    nodes.iter().map(|&node| network.node(node).counters().repair_comparisons).sum()
}

/// Runs until each node has compared everything once more.
fn one_round(network: &mut Network) {
    network.run_for(Config::default().repair_interval * 5 / 4);
}

/// All that a node holds.
fn held(network: &mut Network, node: usize) -> Vec<(RecordId, Version)> {
    let heads = network.with(node, |node, _| node.store_mut().heads(None, usize::MAX).unwrap());
    heads.into_iter().map(|(id, head)| (id, head.version)).collect()
}

#[test]
fn comparing_a_hundred_thousand_records_costs_what_differs() {
    let mut network = swarm(1, 2, &Config::default());
    for number in 0..100_000 {
        for node in [0, 1] {
            give(&mut network, node, &format!("key {number}"), value_at(number));
        }
    }
    network.run_for(Duration::from_secs(1));
    network.bytes_sent.clear();
    one_round(&mut network);
    let compared = comparisons(&network, &[0, 1]);
    let bytes = finding(&network) / compared;
    assert!(
        compared >= 2 && bytes <= 2_000,
        "{bytes} bytes each for {compared} comparisons of equal records"
    );
    assert_eq!(copying(&network), 0);

    for number in 0..40 {
        give(&mut network, 0, &format!("only here {number}"), value_at(1));
        give(&mut network, 1, &format!("only there {number}"), value_at(1));
    }
    for number in 0..10 {
        give(&mut network, 0, &format!("key {}", 31 * number), value_at(1_000_000));
        give(&mut network, 1, &format!("key {}", 37 * number + 5), value_at(1_000_000));
    }
    network.bytes_sent.clear();
    one_round(&mut network);
    assert!(held(&mut network, 0) == held(&mut network, 1), "both hold the same now");
    assert_eq!(copies_sent(&network, &[0, 1]), 100, "each difference travels once");
    let (found, copied) = (finding(&network), copying(&network));
    assert!(found * 5 <= copied, "{found} bytes to find what took {copied} bytes to copy");
}

/// Puts some keys from the first node and waits for all copies.
fn fill(network: &mut Network, keys: usize) -> Vec<String> {
    let names: Vec<_> = (0..keys).map(|number| format!("key {number}")).collect();
    for (number, name) in names.iter().enumerate() {
        put(network, number % 2, name, &format!("{number}"));
    }
    network.run_for(Duration::from_secs(1));
    network.bytes_sent.clear();
    names
}

/// The nodes to which a key belongs among those that run.
fn closest(network: &Network, nodes: &[usize], name: &str) -> Vec<usize> {
    let mut nodes = by_distance(network, nodes, name);
    nodes.truncate(Config::default().replication);
    nodes
}

/// How many of the copies that should be there are.
fn share_of_copies(network: &mut Network, nodes: &[usize], names: &[String]) -> f64 {
    let mut there = 0;
    let mut wanted = 0;
    for name in names {
        let nodes = closest(network, nodes, name);
        wanted += nodes.len();
        there += holders(network, &nodes, name);
    }
    there as f64 / wanted as f64
}

fn copies_sent(network: &Network, nodes: &[usize]) -> u64 {
    nodes.iter().map(|&node| network.node(node).counters().repair_copies).sum()
}

#[test]
fn a_newcomer_is_given_what_it_now_holds_and_hardly_more() {
    let mut network = swarm(11, 40, &Config::default());
    network.run_for(Duration::from_secs(40));
    let names = fill(&mut network, 200);
    let before = copies_sent(&network, &(0..40).collect::<Vec<_>>());
    let newcomer = network.spawn(Config::default(), &[0]);
    network.run_for(Duration::from_secs(10));
    let nodes: Vec<_> = (0..41).collect();
    assert_eq!(share_of_copies(&mut network, &nodes, &names), 1.0);
    let wanted = names.iter().filter(|name| closest(&network, &nodes, name).contains(&newcomer)).count();
    let sent = copies_sent(&network, &nodes) - before;
    assert!(wanted > 50 && sent as f64 <= 1.1 * wanted as f64, "{sent} copies for {wanted} records");
}

#[test]
fn who_moves_up_when_a_node_dies_is_given_its_records_once() {
    let mut network = swarm(12, 40, &Config::default());
    network.run_for(Duration::from_secs(40));
    let names = fill(&mut network, 200);
    let nodes: Vec<_> = (0..40).collect();
    let before = copies_sent(&network, &nodes);
    network.set_up(17, false);
    let lost = names.iter().filter(|name| closest(&network, &nodes, name).contains(&17)).count();
    // Somebody has to ask for it before anybody knows.
    for name in &names[..40] {
        let _ = read(&mut network, 3, name);
        let _ = read(&mut network, 23, name);
    }
    network.run_for(Config::default().probe_interval * 2);
    let rest: Vec<_> = nodes.iter().copied().filter(|&node| node != 17).collect();
    assert_eq!(share_of_copies(&mut network, &rest, &names), 1.0);
    let sent = copies_sent(&network, &nodes) - before;
    assert!(lost > 100 && sent as f64 <= 1.3 * lost as f64, "{sent} copies for {lost} records");
}

#[test]
fn a_node_that_returns_in_time_costs_no_copies() {
    let mut network = swarm(13, 30, &Config::default());
    network.run_for(Duration::from_secs(40));
    fill(&mut network, 200);
    let nodes: Vec<_> = (0..30).collect();
    let before = copies_sent(&network, &nodes);
    network.set_up(9, false);
    for number in 0..20 {
        let _ = read(&mut network, 3, &format!("key {number}"));
    }
    network.set_up(9, true);
    network.run_for(Duration::from_secs(120));
    assert_eq!(copies_sent(&network, &nodes) - before, 0);
}

#[test]
fn a_returning_node_is_given_what_it_missed_and_gives_what_others_missed() {
    let mut network = swarm(14, 30, &Config::default());
    network.run_for(Duration::from_secs(40));
    fill(&mut network, 200);
    network.set_up(9, false);
    for number in 0..50 {
        put(&mut network, 3, &format!("meanwhile {number}"), "1");
    }
    let all: Vec<_> = (0..30).collect();
    let mut candidates = (0..100).map(|number| format!("only there {number}"));
    let only_there = candidates.find(|name| closest(&network, &all, name).contains(&9)).unwrap();
    give(&mut network, 9, &only_there, value_at(1));
    network.set_up(9, true);
    network.run_for(Duration::from_secs(60));
    let nodes: Vec<_> = (0..30).collect();
    let mut names: Vec<_> = (0..50).map(|number| format!("meanwhile {number}")).collect();
    names.extend((0..200).map(|number| format!("key {number}")));
    assert_eq!(share_of_copies(&mut network, &nodes, &names), 1.0);
    network.run_for(Config::default().repair_interval * 3);
    assert_eq!(share_of_copies(&mut network, &nodes, &[only_there]), 1.0);
}

#[test]
fn what_a_single_holder_knows_all_know_within_three_rounds() {
    let mut network = swarm(15, 40, &Config::default());
    network.run_for(Duration::from_secs(40));
    let nodes: Vec<_> = (0..40).collect();
    let names: Vec<_> = (0..60).map(|number| format!("rare {number}")).collect();
    for name in &names {
        let one = closest(&network, &nodes, name)[7];
        give(&mut network, one, name, value_at(1));
    }
    network.run_for(Config::default().repair_interval * 15 / 4);
    assert_eq!(share_of_copies(&mut network, &nodes, &names), 1.0);
}

#[test]
fn a_cut_of_minutes_is_made_up_for_within_three_rounds() {
    let repair_interval = Duration::from_secs(5);
    let config = Config { replication: 8, repair_interval, ..Config::default() };
    let mut network = swarm(17, 16, &config);
    network.run_for(Duration::from_secs(40));
    let names = fill(&mut network, 50);
    let (even, odd): (Vec<usize>, Vec<usize>) = (0..16).partition(|node| node % 2 == 0);
    network.cut(&even, &odd);
    network.run_for(Duration::from_secs(180));
    for (number, name) in names.iter().enumerate() {
        put(&mut network, number % 16, name, "\"while cut\"");
    }
    network.heal();
    network.run_for(3 * repair_interval);
    let nodes: Vec<_> = (0..16).collect();
    for name in &names {
        let mut holders = by_distance(&network, &nodes, name);
        holders.truncate(config.replication);
        let versions: Vec<_> = holders.iter().map(|&node| version(&mut network, node, name)).collect();
        assert!(versions.iter().all(|its| *its == versions[0]), "{name}: {versions:?}");
    }
}

#[test]
fn who_replaces_the_dead_holds_all_that_belongs_to_it_within_six_rounds() {
    let repair_interval = Duration::from_secs(5);
    let config = Config { repair_interval, ..Config::default() };
    let mut network = swarm(24, 32, &config);
    network.run_for(Duration::from_secs(40));
    let names = fill(&mut network, 150);
    let mut nodes: Vec<_> = (0..32).collect();
    for round in 0..3 {
        let (dead, alive): (Vec<usize>, Vec<usize>) =
            nodes.iter().partition(|node| (*node / 2 + round) % 2 == 0);
        dead.into_iter().for_each(|node| network.set_up(node, false));
        network.run_for(Duration::from_secs(40));
        nodes = alive;
        while nodes.len() < 32 {
            nodes.push(network.spawn(config.clone(), &[nodes[0]]));
        }
        network.run_for(6 * repair_interval);
        assert_eq!(share_of_copies(&mut network, &nodes, &names), 1.0, "round {round}");
    }
}

#[test]
fn a_leaving_node_hands_everything_over_before_it_goes() {
    let config = Config { replication: 3, ..Config::default() };
    let mut network = swarm(16, 12, &config);
    network.run_for(Duration::from_secs(40));
    let names = fill(&mut network, 200);
    for leaver in [5, 6, 7] {
        network.with(leaver, |node, now| node.leave(now));
        network.wait_for(leaver, |event| matches!(event, Event::Left { .. }).then_some(()));
        network.set_up(leaver, false);
    }
    let rest: Vec<_> = (0..12).filter(|node| !(5..8).contains(node)).collect();
    for name in &names {
        assert!(holders(&mut network, &rest, name) >= 3, "{name}");
    }
}

#[test]
fn a_bad_network_does_not_raise_a_storm_of_repair() {
    let traffic = |link: Link| {
        let mut network = swarm(17, 30, &Config::default());
        network.run_for(Duration::from_secs(40));
        let names = fill(&mut network, 200);
        network.link = link;
        // Until the nodes have learned the network's new pace.
        network.run_for(Duration::from_secs(60));
        network.bytes_sent.clear();
        network.run_for(Config::default().repair_interval * 4);
        let nodes: Vec<_> = (0..30).collect();
        assert_eq!(share_of_copies(&mut network, &nodes, &names), 1.0);
        (network.bytes_sent.values().sum::<u64>(), copies_sent(&network, &nodes))
    };
    let (calm, _) = traffic(Link::default());
    let delay_max = Duration::from_millis(200);
    let (bad, copies) = traffic(Link { delay_max, loss: 0.1, duplicates: 0.01, ..Link::default() });
    assert!(bad <= 2 * calm, "{bad} bytes with loss and jitter, {calm} without");
    assert!(copies <= 300, "{copies} copies of records that all have");
}

#[test]
fn a_newcomer_that_lacks_what_was_written_has_no_say_in_a_quorum() {
    let config = Config { replication: 5, ..Config::default() };
    for seed in 0..30 {
        let mut network = swarm(seed, 8, &config);
        network.run_for(Duration::from_secs(20));
        let names: Vec<_> = (0..40).map(|number| format!("key {number}")).collect();
        names.iter().for_each(|name| drop(put(&mut network, 0, name, "\"old\"")));
        network.run_for(Duration::from_secs(1));
        // Two replicas of most keys miss the next value; a newcomer puts a third one out of its place.
        [1, 2].iter().for_each(|&node| network.set_up(node, false));
        names.iter().for_each(|name| drop(put(&mut network, 0, name, "\"new\"")));
        [1, 2].iter().for_each(|&node| network.set_up(node, true));
        let newcomer = network.spawn(config.clone(), &[0]);
        network.wait_for(newcomer, |event| matches!(event, Event::Joined { .. }).then_some(()));
        for reader in [0, 3, newcomer] {
            for name in &names {
                let found = value(&mut network, reader, name);
                assert_eq!(found.as_deref(), Some("\"new\""), "seed {seed}, {name}, node {reader}");
            }
        }
    }
}

/// Who holds a name, of all nodes, and how many of them are among those closest to it.
#[test]
fn who_is_left_alone_before_it_has_learnt_anything_has_a_say() {
    for seed in 0..20 {
        let mut network = swarm(seed, 1, &Config::default());
        let other = network.spawn(Config::default(), &[0]);
        network.wait_for(other, |event| matches!(event, Event::Joined { .. }).then_some(()));
        network.set_up(0, false);
        network.run_for(Duration::from_millis(seed * 20));
        let (id, all) = (record("nothing"), ItemRange::default());
        let paged = network.with(other, |node, now| node.items(now, id, all, true, ReadOptions::default()));
        let paged = network.outcome(other, paged);
        assert!(matches!(&paged, Event::Items { result: Ok(_), .. }), "{paged:?} after {} ms", seed * 20);
        assert_eq!(value(&mut network, other, "nothing"), None, "after {} ms", seed * 20);
    }
}

fn held_by(network: &mut Network, nodes: usize, replication: usize, name: &str) -> (usize, usize) {
    let all: Vec<_> = (0..nodes).collect();
    let closest: Vec<_> = by_distance(network, &all, name).into_iter().take(replication).collect();
    (holders(network, &all, name), holders(network, &closest, name))
}

#[test]
fn what_belongs_to_others_is_dropped_once_they_hold_it() {
    const REPLICATION: usize = 5;
    let config = Config { replication: REPLICATION, ..Config::default() };
    let mut network = swarm(20, 10, &config);
    let names: Vec<_> = (0..200).map(|number| format!("key {number}")).collect();
    names.iter().for_each(|name| drop(put(&mut network, 0, name, "1")));
    for _ in 0..30 {
        network.spawn(config.clone(), &[0]);
    }
    network.run_for(Duration::from_secs(30));
    let copies = |network: &mut Network, name: &String| held_by(network, 40, REPLICATION, name);
    let before: usize = names.iter().map(|name| copies(&mut network, name).0).sum();
    assert!(before > 7 * names.len(), "{before} copies: nobody has dropped anything yet");
    (0..4).for_each(|_| one_round(&mut network));
    for name in &names {
        assert_eq!(copies(&mut network, name), (REPLICATION, REPLICATION), "{name}");
        assert_eq!(value(&mut network, 17, name).as_deref(), Some("1"));
    }
}

#[test]
fn a_swarm_that_grows_tenfold_copies_little_more_than_what_newcomers_must_hold() {
    const REPLICATION: usize = 5;
    let config = Config { replication: REPLICATION, ..Config::default() };
    let mut network = swarm(22, 20, &config);
    network.run_for(Duration::from_secs(30));
    let names = fill(&mut network, 200);
    let mut nodes: Vec<_> = (0..20).collect();
    let before = copies_sent(&network, &nodes);
    let mut needed = 0;
    for _ in 0..100 {
        let newcomer = network.spawn(config.clone(), &[0]);
        nodes.push(newcomer);
        let is_holder =
            |name: &&String| by_distance(&network, &nodes, name)[..REPLICATION].contains(&newcomer);
        needed += names.iter().filter(is_holder).count() as u64;
        network.run_for(Duration::from_secs(3));
    }
    network.settle();
    let copies = copies_sent(&network, &nodes) - before;
    assert!(copies >= needed && copies * 10 <= needed * 12, "{copies} copies, {needed} needed");
}

#[test]
fn what_nobody_else_holds_is_given_away_before_it_is_dropped() {
    let config = Config { replication: 5, ..Config::default() };
    let mut network = swarm(21, 30, &config);
    let all: Vec<_> = (0..30).collect();
    let farthest = *by_distance(&network, &all, "only here").last().unwrap();
    give(&mut network, farthest, "only here", value_at(1));
    (0..4).for_each(|_| one_round(&mut network));
    assert_eq!(held_by(&mut network, 30, 5, "only here"), (5, 5));
}

#[test]
fn who_holds_what_belongs_to_others_learns_that_it_was_deleted() {
    let config = Config { replication: 5, ..Config::default() };
    let mut network = swarm(22, 30, &config);
    put(&mut network, 0, "colour", "1");
    network.run_for(Duration::from_secs(1));
    let all: Vec<_> = (0..30).collect();
    let holder = by_distance(&network, &all, "colour")[0];
    let record = network.with(holder, |node, _| node.store_mut().load(&record("colour")).unwrap().unwrap());
    let farthest = *by_distance(&network, &all, "colour").last().unwrap();
    give(&mut network, farthest, "colour", record);
    write(&mut network, 0, "colour", Change::Delete, WriteOptions::default()).unwrap();
    (0..3).for_each(|_| one_round(&mut network));
    let lives = |node| {
        network.with(node, |node, now| {
            let held = node.store_mut().load(&support::record("colour")).unwrap();
            held.is_some_and(|held| held.is_live(now.unix_ms))
        })
    };
    assert!(!all.into_iter().any(lives));
}
