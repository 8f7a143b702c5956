//! One node and the peers that a fuzzer speaks for.

use std::collections::VecDeque;
use std::time::Duration;

use kadmap_core::testing::MapStore;
use kadmap_core::wire::{Body, Message, Request, RequestId, Response, decode, encode};
use kadmap_core::{
    Action, Change, Config, Consistency, Contact, Event, Instant, Limits, Node, NodeId, Now, OperationId,
    ReadOptions, RecordId, Role, Shape, WatchOptions, WriteOptions,
};

use crate::{Source, speech};

/// Peers a fuzzer speaks for: more than one bucket takes.
const PEERS: u8 = 48;
/// Wall clock at the start: some day in 2026.
const START_UNIX_MS: u64 = 1_790_000_000_000;
/// How long the store keeps tombstones.
const TOMBSTONE_GRACE_MS: u64 = 60_000;
/// Bytes the store may hold.
const STORE_BYTES_MAX: u64 = 100_000;
/// Bytes that a record's name and tombstones may add, which no limit counts before they are in: the names and places
/// that [`Source`] draws are few.
const STORE_BYTES_SLACK: u64 = 2_000_000;
/// Steps a fuzzer may take; more would only be slow.
const STEPS_MAX: usize = 400;
/// Requests of the node that peers may still answer.
const OPEN_MAX: usize = 256;
/// What one input may make a node send at most: operations in flight, times replicas, times a few.
const ACTIONS_MAX: usize = 5_000;
/// Turns that a node may take at one point in time before it counts as spinning: one for each large answer that waits.
const TURNS_MAX: usize = 600;
/// Bytes of a frame that the node sends at most.
const FRAME_BYTES_MAX: usize = 4_000_000;

/// One node, the requests it waits for, and the time.
pub struct World<'a> {
    source: Source<'a>,
    node: Node<MapStore>,
    peers: Vec<Contact>,
    now: Now,
    open: VecDeque<(Contact, RequestId, Request)>,
    operations: Vec<OperationId>,
}

impl<'a> World<'a> {
    /// A world in which `bytes` decide everything.
    pub fn new(bytes: &'a [u8]) -> Self {
        let mut source = Source::new(bytes);
        let config = config(&mut source);
        let now = Now { instant: Instant::from_micros(0), unix_ms: START_UNIX_MS };
        let store = MapStore::with_tombstone_grace_ms(TOMBSTONE_GRACE_MS);
        let node = Node::new(NodeId::of_public_key(b"node"), config, store, source.byte().into(), now);
        let contact = |number: u8| Contact {
            id: NodeId::of_public_key(&[number]),
            address: ([10, 0, 0, number], 8339).into(),
        };
        let peers = (0..PEERS).map(contact).collect();
        Self { source, node, peers, now, open: VecDeque::new(), operations: Vec::new() }
    }

    /// Does what the bytes say, up to their end.
    pub fn run(mut self) {
        for _ in 0..STEPS_MAX {
            if self.source.is_empty() {
                break;
            }
            self.source.unix_ms = self.now.unix_ms;
            self.step();
            self.drain();
            self.check();
        }
        // Whatever was left open ends by itself.
        for _ in 0..8 {
            self.pass(Duration::from_secs(30));
        }
        self.check();
    }

    fn step(&mut self) {
        match self.source.below(16) {
            0..=2 => self.hear_request(),
            3..=7 => self.hear_answer(),
            8 => self.hear_bytes(),
            9 => {
                let micros = u64::from(self.source.short());
                self.pass(Duration::from_micros(micros * micros));
            }
            10 => self.pass_to_next_timer(),
            11 => self.start_write(),
            12 => self.start_read(),
            13 => self.start_other(),
            14 => self.meet(),
            _ => self.end_something(),
        }
    }

    fn peer(&mut self) -> Contact {
        self.peers[self.source.below(self.peers.len())]
    }

    fn hear_request(&mut self) {
        let from = self.peer();
        let request = speech::request(&mut self.source, &self.peers);
        let id = self.source.byte().into();
        let flags = self.source.byte();
        let (from_client, unhurried) = (flags % 8 == 0, flags & 0x80 != 0);
        self.hear(from, Message { id, from_client, unhurried, body: Body::Request(request) });
    }

    /// An answer to one of the open requests: first, last or any; by the one who was asked, or by another.
    fn hear_answer(&mut self) {
        let at = match self.source.below(4) {
            0 => self.source.below(self.open.len()),
            1 => self.open.len().saturating_sub(1),
            _ => 0,
        };
        let Some((asked, id, request)) = self.open.get(at).cloned() else { return };
        let from = if self.source.byte() % 16 == 0 { self.peer() } else { asked };
        let response = speech::response(&mut self.source, &request, &self.peers);
        if !matches!(response, Response::Coming(_)) && from == asked && self.source.byte() % 8 != 0 {
            self.open.remove(at);
        }
        let body = Body::Response(response);
        self.hear(from, Message { id, from_client: false, unhurried: false, body });
    }

    fn hear_bytes(&mut self) {
        let from = self.peer();
        let length = self.source.byte().into();
        if let Ok(message) = decode(self.source.take(length)) {
            self.hear(from, message);
        }
    }

    fn hear(&mut self, from: Contact, message: Message) {
        // What a node is told has come through the codec.
        assert_eq!(decode(&encode(&message)).as_ref(), Ok(&message));
        self.node.handle_message(self.now, from, message);
    }

    fn start_write(&mut self) {
        let (key, name) = (self.source.key(), self.source.name());
        let payload = self.source.payload();
        let change = match (self.source.below(7), payload) {
            (0, Some(payload)) => {
                Change::Put { payload, shape: self.source.one_of([Shape::Value, Shape::List, Shape::Map]) }
            }
            (1 | 2, Some(payload)) => Change::Append { payload },
            (3, Some(payload)) => Change::PutField { field: self.source.name(), payload },
            (5, _) => Change::Remove { stamp: self.source.stamp() },
            (6, _) => Change::Trim { up_to: self.source.stamp() },
            (4, _) => Change::DeleteField { field: self.source.name() },
            _ => Change::Delete,
        };
        let ttl = self.source.expires_ms().map(|ms| Duration::from_millis(ms % 100_000));
        let if_version = (self.source.byte() % 8 == 0).then_some(kadmap_core::Version::ABSENT);
        let consistency = Some(self.consistency());
        let options = WriteOptions { consistency, ttl, if_version, timeout: None };
        let id = self.node.write(self.now, RecordId::new(key, name), change, options);
        self.operations.push(id);
    }

    fn start_read(&mut self) {
        let record = RecordId::new(self.source.key(), self.source.name());
        let options = ReadOptions { consistency: Some(self.consistency()), timeout: None };
        let id = self.node.read(self.now, record, options);
        self.operations.push(id);
    }

    fn consistency(&mut self) -> Consistency {
        self.source.one_of([Consistency::Quorum, Consistency::One, Consistency::All])
    }

    fn start_other(&mut self) {
        let id = match self.source.below(6) {
            0 => {
                let target = self.source.key();
                self.node.lookup(self.now, target)
            }
            1 => self.node.scan(self.now),
            2 => {
                let contact = self.peer();
                let request = speech::request(&mut self.source, &self.peers);
                self.node.ask(self.now, contact, request)
            }
            3 => {
                let record = RecordId::new(self.source.key(), self.source.name());
                self.node.watch(self.now, record, WatchOptions::default())
            }
            4 => {
                let Some(&id) = self.operations.last() else { return };
                self.node.pause_watch(id);
                return self.node.resume_watch(self.now, id);
            }
            _ => {
                let Some(&id) = self.operations.last() else { return };
                return self.node.continue_scan(self.now, id);
            }
        };
        self.operations.push(id);
    }

    fn meet(&mut self) {
        let contact = self.peer();
        match self.source.below(4) {
            0 => self.node.handle_unreachable(self.now, &contact.id),
            1 => self.node.join(self.now, &[contact]),
            _ => self.node.handle_connected(self.now, contact),
        }
    }

    fn end_something(&mut self) {
        match self.source.below(16) {
            0 => self.node.leave(self.now),
            1 => self.node.handle_flushed(self.now),
            _ => {
                let at = self.source.below(self.operations.len());
                if at < self.operations.len() {
                    self.node.cancel(self.operations.swap_remove(at));
                }
            }
        }
    }

    fn pass_to_next_timer(&mut self) {
        if let Some(at) = self.node.poll_timeout(self.now) {
            self.pass(at.since(self.now.instant));
        }
    }

    /// Lets time pass and the node do what is due, as a driver would.
    fn pass(&mut self, span: Duration) {
        self.now.instant = self.now.instant + span;
        self.now.unix_ms += span.as_millis() as u64;
        let mut turns = 0;
        while self.node.poll_timeout(self.now).is_some_and(|at| at <= self.now.instant) {
            self.node.handle_timeout(self.now);
            self.drain();
            turns += 1;
            assert!(turns < TURNS_MAX, "the node wants to be called again at once, for ever");
        }
    }

    /// Takes what the node wants to have done.
    fn drain(&mut self) {
        let mut actions = 0;
        while let Some(action) = self.node.poll_action() {
            actions += 1;
            assert!(actions <= ACTIONS_MAX, "one input made the node send without end");
            let message = match &action {
                Action::Send { message, .. } | Action::Reply { message, .. } => message,
            };
            let frame = encode(message);
            assert!(frame.len() <= FRAME_BYTES_MAX, "a frame of {} bytes", frame.len());
            assert_eq!(decode(&frame).as_ref(), Ok(message), "a node understands what it says");
            if let Action::Send { to, message: Message { id, body: Body::Request(request), .. } } = action {
                assert_ne!(to.id, self.node.id(), "a node asks nothing of itself");
                self.open.push_back((to, id, request));
            }
        }
        self.open.drain(..self.open.len().saturating_sub(OPEN_MAX));
        while let Some(event) = self.node.poll_event() {
            if let Event::Scanned { names, .. } = event {
                assert!(names.is_sorted(), "a scan tells names in order");
            }
        }
    }

    fn check(&mut self) {
        let usage = self.node.usage();
        assert!(usage.bytes <= STORE_BYTES_MAX + STORE_BYTES_SLACK, "{usage:?}");
        assert!(self.node.contacts().len() <= usize::from(PEERS), "only those who proved themselves");
        assert!(self.node.contacts().iter().all(|contact| contact.id != self.node.id()));
    }
}

fn config(source: &mut Source<'_>) -> Config {
    let limits = Limits { store_bytes_max: STORE_BYTES_MAX, operations_max: 64, ..Limits::default() };
    let role = if source.byte() % 8 == 7 { Role::Client } else { Role::Member };
    Config { role, limits, replication: source.one_of([20, 1, 2, 3]), ..Config::default() }
}
