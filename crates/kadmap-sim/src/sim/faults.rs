//! Cut links, wrong clocks and failing disks.

use super::slot::Condition;
use super::{NodeIndex, Sim};
use crate::pipe::Pipe;

/// Links that carry nothing, in one direction.
#[derive(Debug)]
pub(super) struct Cut {
    from: NodeSet,
    to: NodeSet,
}

/// Some of the nodes, by index.
#[derive(Debug)]
struct NodeSet(Vec<bool>);

impl NodeSet {
    fn of(nodes: &[NodeIndex]) -> Self {
        let end = nodes.iter().map(|node| node.0 as usize + 1).max().unwrap_or(0);
        let mut set = vec![false; end];
        nodes.iter().for_each(|node| set[node.0 as usize] = true);
        Self(set)
    }

    fn contains(&self, node: u32) -> bool {
        self.0.get(node as usize).copied().unwrap_or(false)
    }
}

impl Sim {
    /// Cuts the links from some nodes to others; the way back stays.
    pub fn cut(&mut self, from: &[NodeIndex], to: &[NodeIndex]) {
        self.cuts.push(Cut { from: NodeSet::of(from), to: NodeSet::of(to) });
    }

    /// Cuts the links between two groups, both ways.
    pub fn partition(&mut self, one: &[NodeIndex], other: &[NodeIndex]) {
        self.cut(one, other);
        self.cut(other, one);
    }

    /// Mends all cut links. Nodes that were started meanwhile and found nobody join now.
    pub fn heal(&mut self) {
        self.cuts.clear();
        self.join_again();
    }

    /// Sets a node's wall clock ahead by so many milliseconds more, or back.
    pub fn jump_clock(&mut self, index: NodeIndex, by_ms: i64) {
        self.nodes[index.0 as usize].clock.jump(by_ms);
        self.look_again(index);
    }

    /// Lets a node's clocks run fast by so many parts in a million, or slow.
    pub fn drift_clock(&mut self, index: NodeIndex, by_ppm: i32) {
        let now_us = self.now_us;
        self.nodes[index.0 as usize].clock.set_drift(now_us, by_ppm);
        self.look_again(index);
    }

    /// Lets every n-th operation of a node's store fail; 0 for none. The disk of a node that is down fails when the node
    /// is up again.
    pub fn fail_store_every(&mut self, index: NodeIndex, operations: u64) {
        let slot = &mut self.nodes[index.0 as usize];
        let running = slot.node.as_deref_mut().map(|node| node.store_mut());
        if let Some(store) = running.or(slot.disk.as_deref_mut()) {
            store.fail_every(operations);
        }
    }

    /// Gives a node a connection of so many bits a second each way, with a buffer of two seconds that drops what does not
    /// fit; `None` for one that is never full.
    pub fn narrow(&mut self, index: NodeIndex, bits_per_second: Option<u64>) {
        let pipe = bits_per_second.map(Pipe::new);
        self.nodes[index.0 as usize].pipes = pipe.map(|pipe| Box::new([pipe; 2]));
    }

    /// How long a message is held up by the narrow connections on its way; `None` when one of them drops it.
    pub(super) fn queue_up(&mut self, from: u32, to: u32, bytes: u64) -> Option<u64> {
        let now_us = self.now_us;
        let mut at_us = now_us;
        for (node, direction) in [(from, 0), (to, 1)] {
            if let Some(pipes) = &mut self.nodes[node as usize].pipes {
                at_us = pipes[direction].pass(at_us, bytes)?;
            }
        }
        Some(at_us - now_us)
    }

    pub(super) fn is_cut(&self, from: u32, to: u32) -> bool {
        self.cuts.iter().any(|cut| cut.from.contains(from) && cut.to.contains(to))
    }

    /// Asks a node anew when it wants to be called, because its clock has changed.
    fn look_again(&mut self, index: NodeIndex) {
        if self.slot(index).condition == Condition::Up {
            self.drive(index, |_, _| ());
        }
    }
}
