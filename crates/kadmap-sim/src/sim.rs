//! The simulator: nodes, the network between them, and the time that passes for all.

mod faults;
mod life;
mod operations;
mod placing;
mod slot;
mod watches;

use std::sync::Arc;
use std::time::Duration;

use kadmap_core::wire::{self, Body, Message};
use kadmap_core::{Action, Config, Event, Node, Record, RecordId, Usage};
use rustc_hash::FxHashMap;

use crate::address::{SimAddress, inverse};
use crate::purposes::Sent;
use crate::queue::{Flight, Happening, Queue};
use crate::shelf::Library;
use crate::store::{SimStore, Snapshot};
use crate::trace::Trace;
use crate::traffic::Traffic;
use crate::{Dice, Link};
use faults::Cut;
use slot::{Condition, Slot};

pub use life::Disk;
pub use operations::{End, Operation, Outcome};
pub(crate) use operations::{append, put, record};
pub use watches::Watch;

use operations::Operations;
use watches::Watches;

/// Messages that a frozen node's socket buffers; later ones are lost.
const HELD_MAX: usize = 1_000;
/// Spreads indexes over the addresses; odd, so that no two fall together.
const ADDRESS_STRIDE: u32 = 0x9e37_79b1;

/// A node of the simulation: the production core with a store in memory and an address of four bytes.
pub type SimNode = Node<SimStore, SimAddress>;

/// Which node of a simulation: they are numbered from 0 in the order in which they were started first.
///
/// ```
/// assert_eq!(kadmap_sim::NodeIndex(3).to_string(), "node 3");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIndex(pub u32);

impl std::fmt::Display for NodeIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "node {}", self.0)
    }
}

/// A swarm under virtual time; its seed decides everything that happens in it.
///
/// Nothing happens on its own: time passes in [`run_for`](Self::run_for), [`run_until`](Self::run_until) and in the
/// operations that wait for their outcome.
///
/// ```
/// use kadmap_sim::{Link, Sim};
/// use std::time::Duration;
/// let mut sim = Sim::new(7, Link::lan());
/// let nodes = sim.grow(10, Duration::from_millis(10));
/// sim.put(nodes[0], "colour", "red").written().unwrap();
/// sim.kill(nodes[0]);
/// let found = sim.get(nodes[9], "colour").read().unwrap();
/// assert!(found.record.is_some());
/// ```
pub struct Sim {
    /// How messages travel; may be changed at any time.
    pub link: Link,
    /// Whether the bytes of messages are counted, which costs about as much as encoding them; off at first.
    pub counts_bytes: bool,
    library: Library,
    config: Arc<Config>,
    seed: u64,
    nodes: Vec<Slot>,
    queue: Queue,
    now_us: u64,
    dice: Dice,
    cuts: Vec<Cut>,
    operations: Operations,
    watches: Watches,
    trace: Trace,
    traffic: Traffic,
    events: u64,
    storage_failures: u64,
}

impl Sim {
    /// A simulation without nodes.
    pub fn new(seed: u64, link: Link) -> Self {
        Self {
            link,
            counts_bytes: false,
            library: Library::default(),
            config: Arc::new(Config::default()),
            seed,
            nodes: Vec::new(),
            queue: Queue::default(),
            now_us: 0,
            dice: Dice::new(seed),
            cuts: Vec::new(),
            operations: Operations::default(),
            watches: Watches::default(),
            trace: Trace::default(),
            traffic: Traffic::default(),
            events: 0,
            storage_failures: 0,
        }
    }

    /// Configures the nodes that are started from now on, and for how long their stores keep tombstones.
    pub fn configure(&mut self, config: Config) {
        self.config = Arc::new(config);
    }

    /// The source of all that is left to chance, for those who decide faults by it.
    pub fn dice(&mut self) -> &mut Dice {
        &mut self.dice
    }

    /// Virtual time since the start.
    pub fn now(&self) -> Duration {
        Duration::from_micros(self.now_us)
    }

    /// Lets a span of virtual time pass.
    pub fn run_for(&mut self, span: Duration) {
        let end_us = self.now_us + micros(span);
        while self.step(end_us) {}
        self.now_us = end_us;
    }

    /// Lets time pass until a condition holds, which is looked at after every event; tells whether it came to hold
    /// within `limit`.
    pub fn run_until(&mut self, limit: Duration, mut condition: impl FnMut(&Self) -> bool) -> bool {
        let end_us = self.now_us + micros(limit);
        while !condition(self) {
            if !self.step(end_us) {
                self.now_us = end_us;
                return condition(self);
            }
        }
        true
    }

    /// The nodes that run, frozen ones as well.
    pub fn up(&self) -> Vec<NodeIndex> {
        self.indexes(|slot| slot.condition != Condition::Down)
    }

    /// The nodes that do not run.
    pub fn down(&self) -> Vec<NodeIndex> {
        self.indexes(|slot| slot.condition == Condition::Down)
    }

    fn indexes(&self, wanted: impl Fn(&Slot) -> bool) -> Vec<NodeIndex> {
        let numbered = (0..).map(NodeIndex).zip(&self.nodes);
        numbered.filter(|(_, slot)| wanted(slot)).map(|(index, _)| index).collect()
    }

    /// A running node, to look at.
    pub fn node(&self, index: NodeIndex) -> Option<&SimNode> {
        self.slot(index).node.as_deref()
    }

    /// Whether a node runs and has joined.
    pub fn has_joined(&self, index: NodeIndex) -> bool {
        self.slot(index).joined
    }

    /// How often a node was started: a node's stamps rise from one start to the next.
    pub fn starts(&self, index: NodeIndex) -> u32 {
        self.slot(index).incarnation
    }

    /// Whether a node runs, frozen or not.
    pub fn is_up(&self, index: NodeIndex) -> bool {
        self.slot(index).condition != Condition::Down
    }

    /// What a running node's store holds.
    pub fn usage(&self, index: NodeIndex) -> Usage {
        self.node(index).map(Node::usage).unwrap_or_default()
    }

    /// What a node's disk holds, running or not, to be [restored](Self::restore) later.
    pub fn snapshot(&mut self, index: NodeIndex) -> Snapshot {
        let slot = &mut self.nodes[index.0 as usize];
        let running = slot.node.as_deref_mut().map(|node| node.store_mut());
        running.or(slot.disk.as_deref_mut()).map(SimStore::snapshot).unwrap_or_default()
    }

    /// On how many running nodes each record lies, live or not; costs all that is stored.
    pub fn copies(&mut self) -> FxHashMap<RecordId, u32> {
        let mut copies = FxHashMap::default();
        for slot in &mut self.nodes {
            let Some(node) = &mut slot.node else { continue };
            for id in node.store_mut().ids() {
                *copies.entry(id).or_default() += 1;
            }
        }
        copies
    }

    /// What a running node holds under a name, expired or not, whether its disk fails or not.
    pub fn peek(&mut self, index: NodeIndex, name: &str) -> Option<Record> {
        self.nodes[index.0 as usize].node.as_deref_mut()?.store_mut().peek(&record(name))
    }

    /// What was sent so far.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Arrivals and timers so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// How often nodes have reported that their store failed.
    pub fn storage_failures(&self) -> u64 {
        self.storage_failures
    }

    /// A hash over everything that has happened, and when: equal for equal seeds and equal calls.
    pub fn trace_hash(&self) -> u64 {
        self.trace.hash()
    }

    /// Gives the memory of busier times back to the allocator, so that what remains can be measured.
    pub fn shrink(&mut self) {
        self.queue.shrink();
    }

    /// Does the next thing that happens by `end_us`; tells whether there was one.
    fn step(&mut self, end_us: u64) -> bool {
        let Some((at, happening)) = self.queue.pop_until(end_us) else { return false };
        self.now_us = self.now_us.max(at);
        self.events += 1;
        match happening {
            Happening::Arrival(flight) => self.arrive(flight),
            Happening::Timer { node } => self.ring(at, node),
        }
        true
    }

    fn arrive(&mut self, flight: Flight) {
        let is_cut = self.is_cut(flight.from, flight.to);
        let slot = &mut self.nodes[flight.to as usize];
        let expected = slot.incarnation == flight.incarnation;
        match slot.condition {
            Condition::Frozen if expected && !is_cut && slot.held.len() < HELD_MAX => slot.held.push(flight),
            Condition::Up if expected && !is_cut => self.hear(flight),
            _ => self.traffic.lost += 1,
        }
    }

    /// Hands a message to its receiver.
    fn hear(&mut self, flight: Flight) {
        let Flight { from, to, message, .. } = flight;
        let (kind, _) = message.kind();
        let what = u64::from(kind) << 32 | u64::from(message.id);
        self.trace.note([self.now_us, u64::from(from) << 32 | u64::from(to), what]);
        self.traffic.delivered += 1;
        let sender = self.nodes[from as usize].address.contact();
        self.drive(NodeIndex(to), |node, now| node.handle_message(now, sender, message));
    }

    fn ring(&mut self, at: u64, index: u32) {
        let slot = &mut self.nodes[index as usize];
        if slot.timer_us != at || slot.condition != Condition::Up {
            return;
        }
        slot.timer_us = u64::MAX;
        if slot.due_us > at {
            return self.set_timer(index);
        }
        self.trace.note([at, u64::from(index), u64::MAX]);
        self.drive(NodeIndex(index), |node, now| node.handle_timeout(now));
    }

    /// Lets a running node do something and takes up what comes of it.
    fn drive<T>(
        &mut self,
        index: NodeIndex,
        input: impl FnOnce(&mut SimNode, kadmap_core::Now) -> T,
    ) -> Option<T> {
        let at = index.0 as usize;
        let now = self.nodes[at].clock.read(self.now_us);
        let result = input(self.nodes[at].node.as_deref_mut()?, now);
        let mut has_left = false;
        while let Some(event) = self.nodes[at].node.as_deref_mut()?.poll_event() {
            has_left |= matches!(event, Event::Left { .. });
            self.take_event(index, event);
        }
        while let Some(action) = self.nodes[at].node.as_deref_mut()?.poll_action() {
            self.take_action(index.0, action);
        }
        let timeout = self.nodes[at].node.as_deref_mut()?.poll_timeout(now);
        let slot = &mut self.nodes[at];
        slot.due_us = timeout.map_or(u64::MAX, |timeout| slot.clock.when(timeout).max(self.now_us));
        self.set_timer(index.0);
        if has_left {
            self.bring_down(index);
        }
        Some(result)
    }

    /// Sees to it that an event is queued no later than the node wants to be called.
    fn set_timer(&mut self, index: u32) {
        let slot = &mut self.nodes[index as usize];
        // A later one stays queued and is set anew when it rings: cheaper than to search the queue for it.
        if slot.due_us < slot.timer_us {
            slot.timer_us = slot.due_us;
            self.queue.push_timer(slot.due_us, index);
        }
    }

    fn take_event(&mut self, index: NodeIndex, event: Event<SimAddress>) {
        match event {
            Event::Joined { .. } => self.nodes[index.0 as usize].joined = true,
            Event::StorageFailed { .. } | Event::Damaged { .. } => self.storage_failures += 1,
            Event::ClockJumped { .. } => {}
            Event::Written { operation, result } => {
                self.operations.end(self.now_us, index, operation, End::Written(result));
            }
            Event::Read { operation, result } => {
                self.operations.end(self.now_us, index, operation, End::Read(result));
            }
            Event::LookedUp { operation, outcome } => {
                self.operations.end(self.now_us, index, operation, End::LookedUp(outcome));
            }
            Event::Left { .. } | Event::Scanned { .. } | Event::Items { .. } | Event::Answered { .. } => {}
            Event::Watching { operation, result } => self.watches.answered(index, operation, result.is_ok()),
            Event::Changed { operation, news } => self.watches.tell(index, operation, news),
            Event::CameBack { .. } => {}
        }
    }

    fn take_action(&mut self, from: u32, action: Action<SimAddress>) {
        let (to, message) = match action {
            Action::Send { to, message } => (to.address, message),
            Action::Reply { to, message } => (SimAddress::of_id(&to), message),
        };
        match self.index_at(to) {
            Some(to) => self.transmit(from, to, message),
            None => self.traffic.lost += 1,
        }
    }

    fn transmit(&mut self, from: u32, to: u32, message: Message<SimAddress>) {
        let pipes = |node: u32| self.nodes[node as usize].pipes.is_some();
        let is_narrow = pipes(from) || pipes(to);
        let bytes = if self.counts_bytes || is_narrow { wire::encoded_bytes(&message) as u64 } else { 0 };
        self.traffic.sent(message.kind(), bytes);
        if self.counts_bytes {
            self.note_purpose(from, to, &message, bytes);
        }
        let receiver = &self.nodes[to as usize];
        let incarnation = receiver.incarnation;
        let queued = if is_narrow { self.queue_up(from, to, bytes) } else { Some(0) };
        let Some(queued_us) = queued else {
            self.traffic.lost += 1;
            return;
        };
        let pair = self.seed ^ (u64::from(from.min(to)) << 32 | u64::from(from.max(to)));
        let mut arrivals = self.link.arrivals(&mut self.dice, pair);
        let Some(first) = arrivals.next() else {
            self.traffic.lost += 1;
            return;
        };
        for again in arrivals {
            let flight = Flight { from, to, incarnation, message: message.clone() };
            self.queue.push_flight(self.now_us + queued_us + micros(again), flight);
        }
        let flight = Flight { from, to, incarnation, message };
        self.queue.push_flight(self.now_us + queued_us + micros(first), flight);
    }

    /// Counts a message with what the request is for that it is or answers: only who made the request knows.
    fn note_purpose(&mut self, from: u32, to: u32, message: &Message<SimAddress>, bytes: u64) {
        let is_request = matches!(message.body, Body::Request(_));
        let asker = &self.nodes[if is_request { from } else { to } as usize];
        let purpose = asker.node.as_deref().and_then(|node| node.purpose(message.id));
        let sent = Sent {
            kind: message.kind().1,
            is_request,
            is_repeat: message.is_repeat(),
            to_the_dead: self.nodes[to as usize].condition == Condition::Down,
            bytes,
        };
        self.traffic.purposes.note(purpose, sent);
    }

    /// The address of the node that is started as number `index`.
    fn address_of(&self, index: u32) -> SimAddress {
        // Nothing but an offset, so that addresses are as many as indexes and lead back to them.
        SimAddress(index.wrapping_mul(ADDRESS_STRIDE).wrapping_add(self.address_offset()))
    }

    fn index_at(&self, address: SimAddress) -> Option<u32> {
        let index =
            address.0.wrapping_sub(self.address_offset()).wrapping_mul(inverse(ADDRESS_STRIDE.into()) as u32);
        ((index as usize) < self.nodes.len()).then_some(index)
    }

    fn address_offset(&self) -> u32 {
        crate::address::spread(self.seed) as u32
    }

    fn slot(&self, index: NodeIndex) -> &Slot {
        &self.nodes[index.0 as usize]
    }
}

/// Whole microseconds, the simulator's smallest time.
fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_back_to_their_nodes() {
        let mut sim = Sim::new(99, Link::lan());
        sim.grow(20, Duration::from_millis(1));
        for index in 0..20 {
            assert_eq!(sim.index_at(sim.address_of(index)), Some(index));
        }
        assert_eq!(sim.index_at(sim.address_of(20)), None);
    }
}
