//! A node whose disk fails says so instead of saying that nothing is there.
//!
//! Found by `kadmap sim hunt`: a replica that could not read its disk answered that it held nothing, that answer counted
//! towards the quorum, and a read of all replicas missed what one of them had acknowledged.

use std::net::SocketAddr;

use kadmap_core::testing::MapStore;
use kadmap_core::wire::{Body, Get, Message, Refusal, Request, Response, Want};
use kadmap_core::{
    Action, Change, Codec, Config, Contact, Event, Head, ItemId, Key, Merged, Node, NodeId, Now, Payload,
    ReadOptions, Record, RecordId, RecordStore, Shape, Stamp, StoreError, Ticket, Usage, WriteOptions,
};

/// A store whose reads fail once it is told to.
#[derive(Default)]
struct FailingStore {
    inner: MapStore,
    fails: bool,
}

impl FailingStore {
    fn check(&mut self) -> Result<&mut MapStore, StoreError> {
        match self.fails {
            true => Err(StoreError::Failed { reason: "the disk is gone".to_owned() }),
            false => Ok(&mut self.inner),
        }
    }
}

impl RecordStore for FailingStore {
    fn head(&mut self, id: &RecordId) -> Result<Option<Head>, StoreError> {
        self.check()?.head(id)
    }
    fn item_stamp(&mut self, id: &RecordId, item: &ItemId) -> Result<Option<Stamp>, StoreError> {
        self.check()?.item_stamp(id, item)
    }
    fn load(&mut self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        self.check()?.load(id)
    }
    fn merge(&mut self, id: &RecordId, delta: Record) -> Result<Merged, StoreError> {
        self.check()?.merge(id, delta)
    }
    fn forget(&mut self, id: &RecordId) -> Result<(), StoreError> {
        self.check()?.forget(id)
    }
    fn heads(&mut self, after: Option<&RecordId>, limit: usize) -> Result<Vec<(RecordId, Head)>, StoreError> {
        self.check()?.heads(after, limit)
    }
    fn expire(&mut self, unix_ms: u64, limit: usize) -> Result<Vec<RecordId>, StoreError> {
        self.check()?.expire(unix_ms, limit)
    }
    fn flushed(&self) -> Ticket {
        self.inner.flushed()
    }
    fn usage(&self) -> Usage {
        self.inner.usage()
    }
}

/// A lone node that holds "red" under "colour" on a disk that has failed since.
fn node_with_a_failed_disk() -> (Node<FailingStore>, RecordId) {
    let now = Now::default();
    let own = NodeId::of_public_key(b"own");
    let mut node: Node<FailingStore> = Node::new(own, Config::default(), FailingStore::default(), 1, now);
    node.join(now, &[]);
    let id = RecordId::new(Key::of_name(b"colour"), "colour");
    let change = Change::Put { payload: Payload::new(Codec::Json, "\"red\""), shape: Shape::Value };
    node.write(now, id.clone(), change, WriteOptions::default());
    while node.poll_event().is_some() {}
    node.store_mut().fails = true;
    (node, id)
}

#[test]
fn a_replica_that_cannot_read_its_disk_refuses_instead_of_answering_that_nothing_is_there() {
    for want in [Want::Record, Want::Summary] {
        let (mut node, id) = node_with_a_failed_disk();
        let address: SocketAddr = ([127, 0, 0, 1], 1).into();
        let asker = Contact { id: NodeId::of_public_key(b"asker"), address };
        let body = Body::Request(Request::Get(Get { key: id.key, name: id.name, want }));
        node.handle_message(
            Now::default(),
            asker,
            Message { id: 1, from_client: true, unhurried: false, body },
        );
        let Some(Action::Reply { message, .. }) = node.poll_action() else { panic!("no reply") };
        assert_eq!(message.body, Body::Response(Response::Refused(Refusal::StorageFailed)), "{want:?}");
    }
}

#[test]
fn a_reader_that_cannot_read_its_own_disk_does_not_report_that_nothing_is_there() {
    let (mut node, id) = node_with_a_failed_disk();
    node.read(Now::default(), id, ReadOptions::default());
    let read = std::iter::from_fn(|| node.poll_event()).find_map(|event| match event {
        Event::Read { result, .. } => Some(result),
        _ => None,
    });
    assert!(read.unwrap().is_err());
}
