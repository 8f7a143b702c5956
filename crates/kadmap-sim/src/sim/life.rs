//! Starting, stopping, killing, freezing and restarting nodes.

use std::time::Duration;

use kadmap_core::{Contact, Node, Role};

use super::slot::{Condition, Slot};
use super::{NodeIndex, Sim};
use crate::SimAddress;
use crate::store::{SimStore, Snapshot};

/// Members through which a node joins at most: a node that is started again has its list of contacts.
const JOINS_THROUGH_MAX: usize = 3;
/// Virtual time within which a growing swarm has joined, or something is wrong with it.
const JOIN_PATIENCE: Duration = Duration::from_secs(60);

/// What a node finds on its disk when it is started again.
///
/// ```
/// assert_ne!(kadmap_sim::Disk::Kept, kadmap_sim::Disk::Lost);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// All that it had stored.
    Kept,
    /// Nothing.
    Lost,
}

impl Sim {
    /// Starts a node that joins through up to three of those that run and can be reached, or starts a swarm when there
    /// is nobody.
    pub fn spawn(&mut self) -> NodeIndex {
        let index = NodeIndex(self.nodes.len() as u32);
        let address = self.address_of(index.0);
        self.nodes.push(Slot::new(address));
        let through = self.reachable_from(index, JOINS_THROUGH_MAX);
        self.start_node(index, self.new_store(), &through);
        index
    }

    /// Starts so many nodes, one after the other with a pause between, and waits until they have joined.
    ///
    /// # Panics
    /// When one has not joined a minute after the last was started.
    pub fn grow(&mut self, count: usize, pause: Duration) -> Vec<NodeIndex> {
        let nodes: Vec<_> = (0..count)
            .map(|_| {
                let node = self.spawn();
                self.run_for(pause);
                node
            })
            .collect();
        let mut waiting = nodes.clone();
        let joined = self.run_until(JOIN_PATIENCE, |sim| {
            while waiting.last().is_some_and(|node| sim.has_joined(*node)) {
                waiting.pop();
            }
            waiting.is_empty()
        });
        assert!(joined, "{} nodes have not joined within {JOIN_PATIENCE:?}", waiting.len());
        nodes
    }

    /// Ends a node without a goodbye, as a crash or a power cut does; nothing happens to one that is down.
    pub fn kill(&mut self, index: NodeIndex) {
        self.note_life(index, 1);
        self.bring_down(index);
    }

    /// Asks a node to leave: it hands its records over and says goodbye, and is down some time later.
    pub fn stop(&mut self, index: NodeIndex) {
        self.note_life(index, 2);
        if self.slot(index).condition == Condition::Up {
            self.drive(index, |node, now| node.leave(now));
        }
    }

    /// Ends a node for good: its disk is gone with it.
    pub fn destroy(&mut self, index: NodeIndex) {
        self.kill(index);
        self.nodes[index.0 as usize].disk = None;
    }

    /// Lets a node do nothing until it is [thawed](Self::thaw), as a process that was stopped or a machine that sleeps.
    pub fn freeze(&mut self, index: NodeIndex) {
        self.note_life(index, 3);
        let slot = &mut self.nodes[index.0 as usize];
        if slot.condition == Condition::Up {
            slot.condition = Condition::Frozen;
        }
    }

    /// Lets a frozen node go on: its timers ring, and it hears what its socket has buffered.
    pub fn thaw(&mut self, index: NodeIndex) {
        let slot = &mut self.nodes[index.0 as usize];
        if slot.condition != Condition::Frozen {
            return;
        }
        slot.condition = Condition::Up;
        slot.timer_us = u64::MAX;
        let held = std::mem::take(&mut slot.held);
        self.note_life(index, 4);
        for flight in held {
            self.hear(flight);
        }
        self.drive(index, |node, now| node.handle_timeout(now));
    }

    /// Starts a node that is down again, under its old id; it joins through up to three nodes that run.
    pub fn restart(&mut self, index: NodeIndex, disk: Disk) {
        let slot = &mut self.nodes[index.0 as usize];
        if slot.condition != Condition::Down {
            return;
        }
        let kept = slot.disk.take().filter(|_| disk == Disk::Kept);
        let store = kept.map_or_else(|| self.new_store(), |kept| *kept);
        let through = self.reachable_from(index, JOINS_THROUGH_MAX);
        self.start_node(index, store, &through);
    }

    /// Starts a node that is down again on a disk that was set back to an earlier state.
    pub fn restore(&mut self, index: NodeIndex, snapshot: &Snapshot) {
        if self.slot(index).condition == Condition::Down {
            let mut store = self.new_store();
            store.restore(snapshot);
            self.nodes[index.0 as usize].disk = Some(Box::new(store));
            self.restart(index, Disk::Kept);
        }
    }

    fn new_store(&self) -> SimStore {
        let grace_ms = u64::try_from(self.config.tombstone_grace.as_millis()).unwrap_or(u64::MAX);
        SimStore::new(grace_ms, self.library.clone())
    }

    fn start_node(&mut self, index: NodeIndex, store: SimStore, through: &[Contact<SimAddress>]) {
        self.note_life(index, 5);
        let seed = self.dice.word();
        let config = self.config.clone();
        let is_up = |slot: &Slot| slot.condition != Condition::Down;
        let alone = through.is_empty() && self.nodes.iter().any(is_up);
        let slot = &mut self.nodes[index.0 as usize];
        slot.alone = alone;
        slot.is_client = config.role == Role::Client;
        slot.incarnation += 1;
        slot.condition = Condition::Up;
        let now = slot.clock.read(self.now_us);
        slot.node = Some(Box::new(Node::new(slot.address.id(), config, store, seed, now)));
        self.drive(index, |node, now| node.join(now, through));
    }

    /// Lets nodes that found nobody when they were started, or know nobody any more, try again.
    pub(super) fn join_again(&mut self) {
        let knows_nobody = |slot: &Slot| slot.alone || slot.node.as_ref().is_some_and(|node| node.is_alone());
        for index in self.indexes(|slot| slot.condition == Condition::Up && knows_nobody(slot)) {
            let through = self.reachable_from(index, JOINS_THROUGH_MAX);
            if !through.is_empty() {
                self.nodes[index.0 as usize].alone = false;
                self.drive(index, |node, now| node.join(now, &through));
            }
        }
    }

    /// Some of the nodes that answer when this one dials them.
    fn reachable_from(&mut self, index: NodeIndex, count: usize) -> Vec<Contact<SimAddress>> {
        let mut found = Vec::new();
        // A joiner in a large swarm meets a member within a few draws; in a small one, everybody is looked at.
        for _ in 0..8 * count {
            let other = self.dice.below(self.nodes.len()) as u32;
            if found.len() < count && self.answers(index.0, other) && !found.contains(&other) {
                found.push(other);
            }
        }
        if found.is_empty() {
            let everybody = 0..self.nodes.len() as u32;
            found = everybody.filter(|other| self.answers(index.0, *other)).take(count).collect();
        }
        found.into_iter().map(|other| self.nodes[other as usize].address.contact()).collect()
    }

    fn answers(&self, one: u32, other: u32) -> bool {
        let slot = &self.nodes[other as usize];
        let serves = slot.condition == Condition::Up && slot.joined && !slot.is_client;
        one != other && serves && !self.is_cut(one, other) && !self.is_cut(other, one)
    }

    /// Ends a node and keeps its disk.
    pub(super) fn bring_down(&mut self, index: NodeIndex) {
        let empty = self.new_store();
        let slot = &mut self.nodes[index.0 as usize];
        if let Some(mut node) = slot.node.take() {
            slot.disk = Some(Box::new(std::mem::replace(node.store_mut(), empty)));
        }
        slot.condition = Condition::Down;
        slot.joined = false;
        slot.alone = false;
        slot.timer_us = u64::MAX;
        slot.due_us = u64::MAX;
        slot.held = Vec::new();
        self.operations.abandon(self.now_us, index);
        self.watches.abandon(index);
    }

    fn note_life(&mut self, index: NodeIndex, what: u64) {
        self.trace.note([self.now_us, u64::from(index.0), what << 48]);
    }
}
