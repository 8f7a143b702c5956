//! Records that are simply there, where writing them one by one would take too long.

use kadmap_core::wire::{Body, Copies, Message, RecordCopy, Request};
use kadmap_core::{Base, Codec, Payload, Record, Shape, Stamp};

use super::{NodeIndex, Sim, record};
use crate::neighbourhood::Neighbourhood;

/// Keys that are placed in one go: each node takes what it holds of them in one message.
const KEYS_AT_ONCE: usize = 10_000;

impl Sim {
    /// Lets the `replication` closest nodes of each name hold it as its value, as if a write of it had just ended and
    /// reached all of them.
    ///
    /// Each node takes in the copies as those that another holder sends, but nothing travels: neither messages nor bytes
    /// are counted, and no time passes.
    pub(crate) fn place(&mut self, names: impl Iterator<Item = String>, replication: usize) {
        let neighbourhood = Neighbourhood::of(self);
        let mut names = names.peekable();
        while names.peek().is_some() {
            let mut parcels: Vec<Vec<RecordCopy>> = Vec::new();
            parcels.resize_with(self.nodes.len(), Vec::new);
            for name in names.by_ref().take(KEYS_AT_ONCE) {
                let copy = self.copy_of(&name);
                for NodeIndex(holder) in neighbourhood.closest(&copy.key, replication) {
                    parcels[holder as usize].push(copy.clone());
                }
            }
            for (index, records) in (0..).map(NodeIndex).zip(parcels) {
                self.hand_over(index, records);
            }
        }
    }

    /// The state that a write of a name as its own value leaves.
    fn copy_of(&mut self, name: &str) -> RecordCopy {
        let unix_ms = self.nodes.first().map_or(0, |slot| slot.clock.read(self.now_us).unix_ms);
        let stamp = Stamp { time: unix_ms << 16, writer: self.dice.word() };
        let payload = Some(Payload::new(Codec::Bytes, name.to_owned()));
        let base = Base { stamp, shape: Shape::Value, payload, expires_ms: None };
        let id = record(name);
        RecordCopy { key: id.key, name: id.name, delta: Record::from(base) }
    }

    fn hand_over(&mut self, index: NodeIndex, records: Vec<RecordCopy>) {
        if records.is_empty() {
            return;
        }
        let slot = &mut self.nodes[index.0 as usize];
        let (now, from) = (slot.clock.read(self.now_us), slot.address.contact());
        let Some(node) = slot.node.as_deref_mut() else { return };
        let body = Body::Request(Request::Copies(Copies { records }));
        // As from a client, for nobody was heard of.
        node.handle_message(now, from, Message { id: 0, from_client: true, unhurried: false, body });
        while node.poll_action().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{Link, Sim};

    #[test]
    fn a_placed_value_is_held_by_the_closest_and_read_by_anybody() {
        let mut sim = Sim::new(3, Link::lan());
        let nodes = sim.grow(40, Duration::from_millis(1));
        sim.place((0..50).map(|number| format!("key {number}")), 20);
        assert!(sim.copies().values().all(|copies| *copies == 20));
        for number in 0..50 {
            let name = format!("key {number}");
            assert_eq!(sim.get(nodes[number % 40], &name).value().as_deref(), Some(name.as_bytes()));
        }
    }
}
