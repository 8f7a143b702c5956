//! Nodes under virtual time, joined by links that delay, lose, double and reorder.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use bytes::Bytes;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::MapStore;
use crate::operation::{Event, OperationId};
use crate::wire::{self, Message};
use crate::{Action, Config, Contact, Instant, Node, NodeId, Now};

/// Wall clock at the start of virtual time: some day in 2026.
const START_UNIX_MS: u64 = 1_790_000_000_000;
/// Virtual time after which a wait for an event counts as failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// How messages travel between any two nodes.
///
/// ```
/// let link = kadmap_core::testing::Link { loss: 0.05, ..Default::default() };
/// assert_eq!(link.duplicates, 0.0);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// Shortest time on the way.
    pub delay_min: Duration,
    /// Longest time on the way; a spread reorders.
    pub delay_max: Duration,
    /// Share of messages that vanish, 0 to 1.
    pub loss: f64,
    /// Share of messages that arrive twice, 0 to 1.
    pub duplicates: f64,
}

impl Default for Link {
    fn default() -> Self {
        let (delay_min, delay_max) = (Duration::from_micros(100), Duration::from_micros(300));
        Self { delay_min, delay_max, loss: 0.0, duplicates: 0.0 }
    }
}

/// A swarm in one process under virtual time, decided by its seed.
///
/// ```
/// use kadmap_core::{Config, testing::Network};
/// let mut network = Network::new(1);
/// let first = network.spawn(Config::default(), &[]);
/// let second = network.spawn(Config::default(), &[first]);
/// network.settle();
/// assert_eq!(network.node(second).contacts().len(), 1);
/// ```
pub struct Network {
    /// How messages travel; may be changed at any time.
    pub link: Link,
    /// What becomes of each message on its way: nothing at first. May be changed at any time, to have nodes that lie or
    /// speak as earlier versions did.
    pub rewrite: fn(&mut Message),
    nodes: Vec<Slot>,
    by_id: BTreeMap<NodeId, usize>,
    queue: BinaryHeap<Reverse<(Instant, u64, Delivery)>>,
    now: Instant,
    sequence: u64,
    rng: ChaCha8Rng,
    /// Pairs that cannot hear each other, lower index first.
    cut: BTreeSet<(usize, usize)>,
    trace: blake3::Hasher,
    /// Messages handed to the network so far.
    pub messages_sent: u64,
    /// Their bytes, by the name of their kind.
    pub bytes_sent: BTreeMap<&'static str, u64>,
}

struct Slot {
    node: Node<MapStore>,
    contact: Contact,
    /// Stopped nodes neither hear nor act.
    up: bool,
    /// What its wall clock is ahead, in milliseconds; may be negative.
    clock_offset_ms: i64,
    events: Vec<Event>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Delivery {
    from: usize,
    to: usize,
    frame: Bytes,
}

impl Network {
    /// An empty network; `seed` decides everything that happens in it.
    pub fn new(seed: u64) -> Self {
        Self {
            link: Link::default(),
            rewrite: |_| {},
            nodes: Vec::new(),
            by_id: BTreeMap::new(),
            queue: BinaryHeap::new(),
            now: Instant::default(),
            sequence: 0,
            rng: ChaCha8Rng::seed_from_u64(seed),
            cut: BTreeSet::new(),
            trace: blake3::Hasher::new(),
            messages_sent: 0,
            bytes_sent: BTreeMap::new(),
        }
    }

    /// Starts a node that joins through others, given by index; tells its own index.
    pub fn spawn(&mut self, config: Config, through: &[usize]) -> usize {
        let index = self.add(config);
        let contacts: Vec<_> = through.iter().map(|&other| self.nodes[other].contact).collect();
        self.with(index, |node, now| node.join(now, &contacts));
        index
    }

    /// Starts a node that has not joined.
    pub fn add(&mut self, config: Config) -> usize {
        let index = self.nodes.len();
        let mut public_key = [0; 32];
        self.rng.fill_bytes(&mut public_key);
        let id = NodeId::of_public_key(&public_key);
        let address = ([10, 0, (index >> 8) as u8, index as u8], 8339).into();
        let seed = self.rng.next_u64();
        let now = Now { instant: self.now, unix_ms: START_UNIX_MS };
        let store = MapStore::with_tombstone_grace_ms(config.tombstone_grace.as_millis() as u64);
        let node = Node::new(id, config, store, seed, now);
        self.by_id.insert(id, index);
        let contact = Contact { id, address };
        self.nodes.push(Slot { node, contact, up: true, clock_offset_ms: 0, events: Vec::new() });
        index
    }

    /// A node, to look at.
    pub fn node(&self, index: usize) -> &Node<MapStore> {
        &self.nodes[index].node
    }

    /// Id and address of a node.
    pub fn contact(&self, index: usize) -> Contact {
        self.nodes[index].contact
    }

    /// Lets a node do something and takes up what comes of it.
    pub fn with<T>(&mut self, index: usize, action: impl FnOnce(&mut Node<MapStore>, Now) -> T) -> T {
        let now = self.now_at(index);
        let result = action(&mut self.nodes[index].node, now);
        self.drain(index);
        result
    }

    /// Stops a node, or lets it run again with all it knew.
    pub fn set_up(&mut self, index: usize, up: bool) {
        self.nodes[index].up = up;
    }

    /// Starts a node anew, with what it had stored and nothing else that it knew.
    pub fn restart(&mut self, index: usize, config: Config, through: &[usize]) {
        let now = self.now_at(index);
        let seed = self.rng.next_u64();
        let slot = &mut self.nodes[index];
        let store = slot.node.store_mut().clone();
        slot.node = Node::new(slot.contact.id, config, store, seed, now);
        let contacts: Vec<_> = through.iter().map(|&other| self.nodes[other].contact).collect();
        self.with(index, |node, now| node.join(now, &contacts));
    }

    /// Sets a node's wall clock ahead of or behind the others', in milliseconds.
    pub fn set_clock_offset_ms(&mut self, index: usize, offset_ms: i64) {
        self.nodes[index].clock_offset_ms = offset_ms;
    }

    /// Cuts every link between the two groups.
    pub fn cut(&mut self, one: &[usize], other: &[usize]) {
        for &a in one {
            self.cut.extend(other.iter().map(|&b| (a.min(b), a.max(b))));
        }
    }

    /// Mends all cut links.
    pub fn heal(&mut self) {
        self.cut.clear();
    }

    /// Virtual time since the start.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Runs for a span of virtual time.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        while self.step_before(end) {}
        self.now = end;
    }

    /// Runs until joins, hand-overs and copies in the background are over: some seconds of virtual time.
    pub fn settle(&mut self) {
        self.run_for(Duration::from_secs(5));
    }

    /// Runs until a node tells an event that `wanted` accepts, and returns what it made of it.
    ///
    /// # Panics
    /// When two minutes of virtual time pass without it.
    pub fn wait_for<T>(&mut self, index: usize, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        let end = self.now + PATIENCE;
        loop {
            let found = self.nodes[index]
                .events
                .iter()
                .enumerate()
                .find_map(|(at, event)| Some((at, wanted(event)?)));
            if let Some((at, result)) = found {
                self.nodes[index].events.remove(at);
                return result;
            }
            assert!(self.step_before(end), "node {index} did not tell the event within {PATIENCE:?}");
        }
    }

    /// Takes out the events a node has told that `wanted` accepts, and returns what it made of them, in order.
    pub fn take_events<T>(&mut self, index: usize, mut wanted: impl FnMut(&Event) -> Option<T>) -> Vec<T> {
        let mut taken = Vec::new();
        self.nodes[index].events.retain(|event| wanted(event).map(|event| taken.push(event)).is_none());
        taken
    }

    /// Runs until a write or a read of a node has ended, and returns its event.
    ///
    /// # Panics
    /// When two minutes of virtual time pass without it.
    pub fn outcome(&mut self, index: usize, wanted: OperationId) -> Event {
        self.wait_for(index, |event| match event {
            Event::Written { operation, .. }
            | Event::Read { operation, .. }
            | Event::Items { operation, .. }
            | Event::LookedUp { operation, .. }
            | Event::Scanned { operation, .. }
            | Event::Answered { operation, .. }
                if *operation == wanted =>
            {
                Some(event.clone())
            }
            _ => None,
        })
    }

    /// A hash over everything that was delivered so far, and when.
    pub fn trace_hash(&self) -> String {
        self.trace.finalize().to_string()
    }

    fn now_at(&self, index: usize) -> Now {
        let unix_ms = START_UNIX_MS + self.now.as_micros() / 1_000;
        Now { instant: self.now, unix_ms: unix_ms.saturating_add_signed(self.nodes[index].clock_offset_ms) }
    }

    /// Does the next thing that happens before `end`; tells whether there was one.
    fn step_before(&mut self, end: Instant) -> bool {
        let timer = self.next_timer();
        let message = self.queue.peek().map(|Reverse((at, ..))| *at);
        match (timer, message) {
            (Some((at, index)), message) if at <= end && message.is_none_or(|message| at < message) => {
                self.now = self.now.max(at);
                self.with(index, |node, now| node.handle_timeout(now));
                true
            }
            (_, Some(at)) if at <= end => {
                if let Some(Reverse((at, _, delivery))) = self.queue.pop() {
                    self.now = self.now.max(at);
                    self.deliver(delivery);
                }
                true
            }
            _ => false,
        }
    }

    fn next_timer(&mut self) -> Option<(Instant, usize)> {
        let mut first = None;
        for index in 0..self.nodes.len() {
            let now = self.now_at(index);
            let slot = &mut self.nodes[index];
            if slot.up
                && let Some(at) = slot.node.poll_timeout(now)
                && first.is_none_or(|(earliest, _)| at < earliest)
            {
                first = Some((at, index));
            }
        }
        first
    }

    fn deliver(&mut self, delivery: Delivery) {
        let Delivery { from, to, frame } = delivery;
        let is_cut = self.cut.contains(&(from.min(to), from.max(to)));
        if !self.nodes[to].up || is_cut {
            return;
        }
        self.trace
            .update(&self.now.as_micros().to_be_bytes())
            .update(&(to as u64).to_be_bytes())
            .update(&frame);
        let sender = self.nodes[from].contact;
        if let Ok(message) = wire::decode(&frame) {
            self.with(to, |node, now| node.handle_message(now, sender, message));
        }
    }

    /// Takes up a node's actions and events.
    fn drain(&mut self, index: usize) {
        while let Some(event) = self.nodes[index].node.poll_event() {
            self.nodes[index].events.push(event);
        }
        while let Some(action) = self.nodes[index].node.poll_action() {
            let (to, message) = match action {
                Action::Send { to, message } => (to.id, message),
                Action::Reply { to, message } => (to, message),
            };
            if let Some(&to) = self.by_id.get(&to) {
                self.transmit(index, to, message);
            }
        }
    }

    fn transmit(&mut self, from: usize, to: usize, mut message: Message) {
        self.messages_sent += 1;
        (self.rewrite)(&mut message);
        let frame = wire::encode(&message);
        let (_, kind) = message.kind();
        *self.bytes_sent.entry(kind).or_default() += frame.len() as u64;
        let copies = if self.chance(self.link.duplicates) { 2 } else { 1 };
        for _ in 0..copies {
            if self.chance(self.link.loss) {
                continue;
            }
            let at = self.now + self.delay();
            self.sequence += 1;
            self.queue.push(Reverse((at, self.sequence, Delivery { from, to, frame: frame.clone() })));
        }
    }

    fn delay(&mut self) -> Duration {
        let spread = self.link.delay_max.saturating_sub(self.link.delay_min).as_micros() as u64;
        self.link.delay_min + Duration::from_micros(self.rng.next_u64() % (spread + 1))
    }

    fn chance(&mut self, share: f64) -> bool {
        // 53 bits make a fraction in [0, 1) exactly.
        share > 0.0 && ((self.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64) < share
    }
}
