//! Reads by nodes that have to look for the replicas: those that they meet on the way tell of the record.

mod support;

use std::time::Duration;

use kadmap_core::testing::Network;
use kadmap_core::wire::{Body, FindNode, FindValue, Held, Message, Nodes, Request, Response, Want};
use kadmap_core::{Action, Config, Consistency, Contact, NodeId, Role};
use support::{by_distance, put, record, swarm, value};

const REPLICATION: usize = 20;

fn client(network: &mut Network) -> usize {
    let client = network.spawn(Config { role: Role::Client, ..Config::default() }, &[0]);
    network.settle();
    client
}

/// Bytes sent so far in messages of a kind.
fn sent(network: &Network, kind: &str) -> u64 {
    network.bytes_sent.get(kind).copied().unwrap_or_default()
}

/// Nodes that ignore what they are asked of a record while they are asked for others, as before they could tell.
fn as_before(message: &mut Message) {
    if let Body::Response(Response::Nodes(nodes)) = &mut message.body {
        nodes.held = None;
    }
}

#[test]
fn a_client_asks_hardly_more_nodes_than_a_quorum_and_each_of_them_once() {
    let quorum = Consistency::Quorum.reads_needed(REPLICATION) as u64;
    // In a large swarm it meets some on the way that are not among the closest.
    for (nodes, requests_max) in [(16, quorum + 1), (100, 2 * quorum)] {
        let mut network = swarm(1, nodes, &Config::default());
        let client = client(&mut network);
        for number in 0..20 {
            put(&mut network, client, &format!("key {number}"), "\"value\"");
        }
        network.run_for(Duration::from_secs(60));
        let (before, gets) = (network.messages_sent, sent(&network, "Get"));
        for number in 0..20 {
            let found = value(&mut network, client, &format!("key {number}"));
            assert_eq!(found.as_deref(), Some("\"value\""));
        }
        // Each request has its answer.
        let requests = (network.messages_sent - before) / 2;
        assert!(requests <= 20 * requests_max, "{requests} requests for 20 reads of {nodes} nodes");
        assert_eq!(sent(&network, "Get"), gets, "nobody was asked a second time");
    }
}

#[test]
fn what_is_too_large_to_come_on_the_way_and_what_is_not_there_is_asked_for_afterwards() {
    let mut network = swarm(2, 30, &Config::default());
    let client = client(&mut network);
    let large = format!("\"{}\"", "x".repeat(5_000));
    put(&mut network, 3, "large", &large);
    network.settle();
    assert_eq!(value(&mut network, client, "large"), Some(large));
    assert_eq!(value(&mut network, client, "nothing"), None);
}

#[test]
fn nodes_of_earlier_versions_are_asked_for_the_record_once_they_are_found() {
    let mut network = swarm(3, 30, &Config::default());
    network.rewrite = as_before;
    let client = client(&mut network);
    put(&mut network, client, "colour", "\"blue\"");
    network.settle();
    let gets = sent(&network, "Get");
    assert_eq!(value(&mut network, client, "colour").as_deref(), Some("\"blue\""));
    assert!(sent(&network, "Get") > gets);
    assert_eq!(value(&mut network, client, "nothing"), None);
}

#[test]
fn the_newest_value_is_read_even_when_the_closest_have_missed_it() {
    let missing = REPLICATION - Consistency::Quorum.writes_needed(REPLICATION);
    for seed in 0..10 {
        let mut network = swarm(seed, 40, &Config::default());
        let client = client(&mut network);
        let all: Vec<_> = (0..40).collect();
        for number in 0..5 {
            let name = format!("key {number}");
            put(&mut network, 0, &name, "\"old\"");
            network.settle();
            let mut closest = by_distance(&network, &all, &name);
            closest.retain(|&node| node != 0);
            network.cut(&[0], &closest[..missing]);
            put(&mut network, 0, &name, "\"new\"");
            let found = value(&mut network, client, &name);
            assert_eq!(found.as_deref(), Some("\"new\""), "seed {seed}, {name}");
            network.heal();
        }
    }
}

/// What a node tells of a record to somebody who looks for its holders.
fn told(network: &mut Network, node: usize, name: &str) -> Option<Box<Held>> {
    let asker = Contact { id: NodeId::of_public_key(b"somebody"), address: ([10, 9, 9, 9], 8339).into() };
    let record = record(name);
    let value = Some(FindValue { name: record.name, want: Want::Record });
    let find = Request::FindNode(FindNode { target: record.key, count: 20, known: None, value });
    let message = Message { id: 8, from_client: true, unhurried: false, body: Body::Request(find) };
    let answer = network.with(node, |node, now| {
        node.handle_message(now, asker, message);
        std::iter::from_fn(|| node.poll_action()).find_map(|action| match action {
            Action::Reply { to, message } if to == asker.id => Some(message.body),
            _ => None,
        })
    });
    match answer {
        Some(Body::Response(Response::Nodes(Nodes { held, .. }))) => held,
        other => panic!("unexpected {other:?}"),
    }
}

#[test]
fn a_newcomer_tells_nothing_on_the_way_before_it_holds_what_belongs_to_it() {
    let mut network = swarm(4, 8, &Config::default());
    network.run_for(Duration::from_secs(60));
    put(&mut network, 0, "colour", "\"blue\"");
    network.settle();
    let newcomer = network.spawn(Config::default(), &[0]);
    assert_eq!(told(&mut network, newcomer, "colour"), None);
    network.run_for(Duration::from_secs(60));
    let held = told(&mut network, newcomer, "colour").expect("it has a say by now");
    assert_eq!(held.record.map(|record| record.head().version), Some(held.version));
    let nothing = told(&mut network, newcomer, "nothing").expect("it knows that nothing is there");
    assert!(nothing.version.is_absent() && nothing.record.is_none());
}
