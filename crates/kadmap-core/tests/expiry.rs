//! What has expired is neither served nor forwarded nor kept, and clocks that are wrong take nothing away early.

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use kadmap_core::testing::{MapStore, Network};
use kadmap_core::wire::{Body, Get, Message, Put, PutMode, Request, Response, Want};
use kadmap_core::{
    Action, Base, Change, Config, Contact, Instant, Node, NodeId, Now, Record, RecordStore, Shape, Stamp,
    WriteOptions,
};
use support::{append, items, put_change, read, record, swarm, text, write};

const MINUTE: Duration = Duration::from_secs(60);
const DAY_MS: u64 = 24 * 3_600 * 1_000;
/// Some day in 2026.
const START_MS: u64 = 1_780_000_000_000;

fn ttl(ttl: Duration) -> WriteOptions {
    WriteOptions { ttl: Some(ttl), ..WriteOptions::default() }
}

/// What one node holds.
fn held(network: &mut Network, node: usize, name: &str) -> Option<Record> {
    network.with(node, |node, _| node.store_mut().load(&record(name)).unwrap())
}

fn payloads(record: &Record) -> usize {
    record.base().iter().filter(|base| base.payload.is_some()).count()
        + record.items().filter(|item| item.payload.is_some()).count()
}

#[test]
fn an_expired_value_becomes_a_tombstone_of_the_same_version_on_all_replicas() {
    let mut network = swarm(1, 5, &Config::default());
    write(&mut network, 0, "brief", put_change("\"a long enough value\""), ttl(Duration::from_secs(3)))
        .unwrap();
    network.run_for(Duration::from_secs(1));
    let versions = |network: &mut Network| {
        (0..5).map(|node| held(network, node, "brief").unwrap().head().version).collect::<Vec<_>>()
    };
    let before = versions(&mut network);
    network.run_for(Duration::from_secs(15));
    assert_eq!(versions(&mut network), before);
    for node in 0..5 {
        assert_eq!(payloads(&held(&mut network, node, "brief").unwrap()), 0, "node {node} keeps the payload");
        assert!(read(&mut network, node, "brief").unwrap().record.is_none_or(|found| payloads(&found) == 0));
    }
}

#[test]
fn an_expired_item_of_a_list_is_gone_without_a_trace() {
    let mut network = swarm(2, 5, &Config::default());
    append(&mut network, 0, "list", "1");
    write(&mut network, 1, "list", Change::Append { payload: text("2") }, ttl(Duration::from_secs(3)))
        .unwrap();
    network.run_for(Duration::from_secs(15));
    for node in 0..5 {
        assert_eq!(held(&mut network, node, "list").unwrap().items().len(), 1);
    }
    assert_eq!(items(&mut network, 3, "list"), ["1"]);
}

#[test]
fn a_clock_ten_minutes_ahead_hides_nothing_that_is_still_there() {
    for fast in 0..4 {
        let mut network = swarm(3, 4, &Config::default());
        network.set_clock_offset_ms(fast, 10 * 60 * 1_000);
        let (writer, options) = ((fast + 1) % 4, ttl(5 * MINUTE));
        write(&mut network, writer, "value", put_change("1"), options).unwrap();
        let field = Change::PutField { field: "a".into(), payload: text("2") };
        write(&mut network, writer, "map", field, options).unwrap();
        append(&mut network, writer, "list", "3");
        write(&mut network, writer, "list", Change::Append { payload: text("4") }, options).unwrap();
        network.run_for(2 * MINUTE);
        assert_eq!(payloads(&held(&mut network, fast, "value").unwrap()), 0, "the fast node has swept");
        for reader in (0..4).filter(|reader| *reader != fast) {
            for (name, found) in [("value", 1), ("map", 1), ("list", 2)] {
                let read = read(&mut network, reader, name).unwrap().record.unwrap();
                assert_eq!(payloads(&read), found, "'{name}' at {reader} while {fast} is fast");
            }
        }
        // Reading repairs replicas; those with the right time have lost nothing by it.
        network.run_for(MINUTE);
        for node in (0..4).filter(|node| *node != fast) {
            for (name, found) in [("value", 1), ("map", 1), ("list", 2)] {
                assert_eq!(payloads(&held(&mut network, node, name).unwrap()), found, "'{name}' at {node}");
            }
        }
        network.run_for(4 * MINUTE);
        for node in 0..4 {
            for (name, left) in [("value", 0), ("map", 0), ("list", 1)] {
                let kept = held(&mut network, node, name).unwrap();
                assert_eq!(payloads(&kept), left, "'{name}' at {node} after its end");
            }
        }
    }
}

#[test]
fn a_reader_that_asks_a_node_whose_clock_is_ahead_asks_another_one_too() {
    let config = Config { replication: 3, ..Config::default() };
    let mut network = swarm(4, 8, &config);
    network.set_clock_offset_ms(0, 10 * 60 * 1_000);
    let names: Vec<_> = (0..12).map(|number| format!("value {number}")).collect();
    for name in &names {
        write(&mut network, 1, name, put_change("1"), ttl(5 * MINUTE)).unwrap();
    }
    network.run_for(2 * MINUTE);
    assert!(names.iter().any(|name| held(&mut network, 0, name).is_some()), "the fast node holds some");
    for name in &names {
        for reader in 1..8 {
            let found = read(&mut network, reader, name).unwrap().record.unwrap();
            assert_eq!(payloads(&found), 1, "'{name}' at {reader}");
        }
    }
}

/// A node of its own, and its clock.
struct Lone {
    node: Node<MapStore>,
    now: Now,
}

impl Lone {
    fn new() -> Self {
        let now = Now { instant: Instant::default(), unix_ms: START_MS };
        let (own, store) = (NodeId::of_public_key(b"own"), MapStore::with_tombstone_grace_ms(DAY_MS));
        let mut node = Node::new(own, Config::default(), store, 1, now);
        node.join(now, &[]);
        Self { node, now }
    }

    fn write(&mut self, name: &str, change: Change, options: WriteOptions) {
        self.node.write(self.now, record(name), change, options);
        while self.node.poll_event().is_some() {}
    }

    fn held(&mut self, name: &str) -> Option<Record> {
        self.node.store_mut().load(&record(name)).unwrap()
    }

    /// Lets time pass without waking the node.
    fn pass(&mut self, ms: u64) {
        self.now.unix_ms += ms;
        self.now.instant = self.now.instant + Duration::from_millis(ms);
    }

    fn sweep(&mut self) {
        self.node.handle_timeout(self.now);
        while self.node.poll_action().is_some() || self.node.poll_event().is_some() {}
    }

    fn ask(&mut self, request: Request) -> Response<SocketAddr> {
        let address: SocketAddr = ([127, 0, 0, 1], 1).into();
        let asker = Contact { id: NodeId::of_public_key(b"asker"), address };
        let message = Message { id: 1, from_client: true, unhurried: false, body: Body::Request(request) };
        self.node.handle_message(self.now, asker, message);
        let Some(Action::Reply { message, .. }) = self.node.poll_action() else { panic!("no reply") };
        let Body::Response(response) = message.body else { panic!("no response") };
        response
    }
}

#[test]
fn an_answer_carries_nothing_expired_even_before_the_sweep() {
    let mut lone = Lone::new();
    lone.write("value", put_change("\"secret\""), ttl(Duration::from_secs(1)));
    lone.write("list", Change::Append { payload: text("1") }, WriteOptions::default());
    lone.write("list", Change::Append { payload: text("2") }, ttl(Duration::from_secs(1)));
    lone.pass(1_500);
    for (name, left) in [("value", 0), ("list", 1)] {
        assert!(payloads(&lone.held(name).unwrap()) > left, "nothing was swept");
        let id = record(name);
        let response = lone.ask(Request::Get(Get { key: id.key, name: id.name, want: Want::Record }));
        let Response::Found(found) = response else { panic!("{response:?}") };
        assert_eq!(payloads(&found.record), left);
    }
}

#[test]
fn what_is_dead_beyond_its_grace_may_not_enter() {
    let mut lone = Lone::new();
    let at = |ms: u64| Stamp { time: ms << 16, writer: 7 };
    let dead = |stamp, expires_ms| Base { stamp, shape: Shape::Value, payload: None, expires_ms };
    let deltas: [(Record, bool); 4] = [
        (dead(at(START_MS - DAY_MS - 20_000), None).into(), false),
        (dead(at(START_MS - DAY_MS + 20_000), None).into(), true),
        (Base { payload: Some(text("1")), ..dead(at(1), Some(START_MS - DAY_MS - 20_000)) }.into(), false),
        (Base { payload: Some(text("1")), ..dead(at(1), Some(START_MS - 20_000)) }.into(), true),
    ];
    for (number, (delta, enters)) in deltas.into_iter().enumerate() {
        let id = record(&number.to_string());
        let put = Put { key: id.key, name: id.name, mode: PutMode::Replicate, delta, if_newest: None };
        let response = lone.ask(Request::Put(put));
        assert!(matches!(response, Response::Stored(_)), "{response:?}");
        let held = lone.held(&number.to_string());
        assert_eq!(held.is_some(), enters, "{number}");
        assert!(held.is_none_or(|held| payloads(&held) == 0));
    }
}

#[test]
fn a_tombstone_outlives_what_it_covers() {
    let month = Duration::from_secs(30 * 24 * 3_600);
    let mut lone = Lone::new();
    lone.write("value", put_change("1"), ttl(month));
    lone.write("map", Change::PutField { field: "a".into(), payload: text("1") }, ttl(month));
    lone.write("list", Change::Append { payload: text("1") }, ttl(month));
    lone.write("plain", put_change("1"), WriteOptions::default());
    lone.pass(1_000);
    for name in ["value", "list", "plain"] {
        lone.write(name, Change::Delete, WriteOptions::default());
    }
    lone.write("map", Change::DeleteField { field: "a".into() }, WriteOptions::default());
    let held = |lone: &mut Lone| ["value", "map", "list", "plain"].map(|name| lone.held(name).is_some());
    lone.pass(DAY_MS + 20_000);
    lone.sweep();
    assert_eq!(held(&mut lone), [true, true, true, false]);
    lone.pass(28 * DAY_MS);
    lone.sweep();
    assert_eq!(held(&mut lone), [true, true, true, false]);
    lone.pass(2 * DAY_MS);
    lone.sweep();
    assert_eq!(held(&mut lone), [false; 4]);
}
