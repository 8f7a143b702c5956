//! Short words for what the tests do with a swarm under virtual time.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use kadmap_core::testing::Network;
use kadmap_core::{
    Change, Codec, Config, Event, Key, Payload, ReadError, ReadOptions, ReadOutcome, Record, RecordId, Shape,
    WriteError, WriteOptions, WriteOutcome,
};

/// A swarm of `count` nodes that all joined through the first.
pub(crate) fn swarm(seed: u64, count: usize, config: &Config) -> Network {
    let mut network = Network::new(seed);
    let first = network.spawn(config.clone(), &[]);
    for _ in 1..count {
        network.spawn(config.clone(), &[first]);
    }
    network.settle();
    network
}

pub(crate) fn record(name: &str) -> RecordId {
    RecordId::new(Key::of_name(name.as_bytes()), name.to_owned())
}

pub(crate) fn text(value: &str) -> Payload {
    Payload::new(Codec::Json, value.to_owned())
}

pub(crate) fn put_change(value: &str) -> Change {
    Change::Put { payload: text(value), shape: Shape::Value }
}

pub(crate) fn write(
    network: &mut Network,
    node: usize,
    name: &str,
    change: Change,
    options: WriteOptions,
) -> Result<WriteOutcome, WriteError> {
    let operation = network.with(node, |node, now| node.write(now, record(name), change, options));
    match network.outcome(node, operation) {
        Event::Written { result, .. } => result,
        other => panic!("unexpected {other:?}"),
    }
}

pub(crate) fn put(network: &mut Network, node: usize, name: &str, value: &str) -> WriteOutcome {
    write(network, node, name, put_change(value), WriteOptions::default()).unwrap()
}

pub(crate) fn append(network: &mut Network, node: usize, name: &str, item: &str) -> WriteOutcome {
    write(network, node, name, Change::Append { payload: text(item) }, WriteOptions::default()).unwrap()
}

pub(crate) fn read(network: &mut Network, node: usize, name: &str) -> Result<ReadOutcome, ReadError> {
    let operation = network.with(node, |node, now| node.read(now, record(name), ReadOptions::default()));
    match network.outcome(node, operation) {
        Event::Read { result, .. } => result,
        other => panic!("unexpected {other:?}"),
    }
}

/// The value of a name as one node reads it; `None` when it is not there.
pub(crate) fn value(network: &mut Network, node: usize, name: &str) -> Option<String> {
    let outcome = read(network, node, name).unwrap();
    let record = outcome.record?;
    let payload = record.live_base(u64::MAX / 2)?.payload.clone()?;
    Some(String::from_utf8(payload.bytes.to_vec()).unwrap())
}

/// The appended items of a name as one node reads them.
pub(crate) fn items(network: &mut Network, node: usize, name: &str) -> Vec<String> {
    item_texts(read(network, node, name).unwrap().record.as_ref())
}

/// The appended items of a record.
pub(crate) fn item_texts(record: Option<&Record>) -> Vec<String> {
    let items = record.into_iter().flat_map(|record| record.live_items(0));
    let payloads = items.filter_map(|item| item.payload.clone());
    payloads.map(|payload| String::from_utf8(payload.bytes.to_vec()).unwrap()).collect()
}

/// The nodes, closest to a name first.
pub(crate) fn by_distance(network: &Network, nodes: &[usize], name: &str) -> Vec<usize> {
    let mut nodes = nodes.to_vec();
    nodes.sort_by_key(|&node| network.contact(node).id.distance(&record(name).key));
    nodes
}
