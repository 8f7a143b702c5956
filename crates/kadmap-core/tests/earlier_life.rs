//! A node that is started again must not take answers to what it asked before for answers to what it asks now.
//!
//! Found by `kadmap sim appends --nodes 6 --keys 10000000`: a node asked one that stood still, was started again, and asked
//! it under the same number for something else. The answer to the first question, given by then, acknowledged an append
//! that its holder did not have; the other two holders lost their disks later, and the append was gone.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use kadmap_core::testing::MapStore;
use kadmap_core::wire::{Body, Message, Ping, Request, RequestId};
use kadmap_core::{
    Action, Change, Codec, Config, Contact, Key, Node, NodeId, Now, Payload, RecordId, Shape, WriteOptions,
};

/// Puts of each life, each of which asks at least once.
const WRITES: usize = 200;

#[test]
fn a_node_that_is_started_again_asks_under_other_numbers() {
    for seed in 0..50 {
        let (first, second) = (numbers_of_a_life(2 * seed), numbers_of_a_life(2 * seed + 1));
        assert!(first.len() >= WRITES, "seed {seed}: asked {} times", first.len());
        assert!(first.is_disjoint(&second), "seed {seed}: {:?}", first.intersection(&second).next());
    }
}

/// The numbers of all requests that a node sends when it writes to a swarm of two.
fn numbers_of_a_life(seed: u64) -> BTreeSet<RequestId> {
    let now = Now::default();
    let own = NodeId::of_public_key(b"own");
    let mut node: Node<MapStore> = Node::new(own, Config::default(), MapStore::default(), seed, now);
    let address: SocketAddr = ([127, 0, 0, 1], 1).into();
    let other = Contact { id: NodeId::of_public_key(b"other"), address };
    let body = Body::Request(Request::Ping(Ping::default()));
    node.handle_message(now, other, Message { id: 1, from_client: false, unhurried: false, body });
    for number in 0..WRITES {
        let name = format!("key {number}");
        let change = Change::Put { payload: Payload::new(Codec::Json, "1"), shape: Shape::Value };
        node.write(now, RecordId::new(Key::of_name(name.as_bytes()), name), change, WriteOptions::default());
    }
    let number = |action| match action {
        Action::Send { message, .. } => Some(message.id),
        _ => None,
    };
    std::iter::from_fn(|| node.poll_action()).filter_map(number).collect()
}
