//! A contact as a bucket keeps it: packed, as one process may hold the tables of 10,000 nodes.

use crate::rtt::PackedRoundTrip;
use crate::time::Tick;
use crate::{Address, Contact, Instant, NodeId};

/// One known node.
#[derive(Debug, Clone)]
pub(super) struct Entry<A: Address> {
    contact: A::Packed,
    /// When it last proved to be there.
    pub(super) seen: Tick,
    /// Probes missed in a row.
    pub(super) failures: u8,
    /// What its answers have taken, as far as that was settled here.
    pub(super) round_trip: PackedRoundTrip,
}

impl<A: Address> Entry<A> {
    pub(super) fn new(contact: Contact<A>, now: Instant) -> Self {
        Self {
            contact: A::pack(contact),
            seen: Tick::at(now),
            failures: 0,
            round_trip: PackedRoundTrip::default(),
        }
    }

    pub(super) fn id(&self) -> NodeId {
        A::packed_id(&self.contact)
    }

    pub(super) fn is(&self, id: &NodeId) -> bool {
        A::is_packed(&self.contact, id)
    }

    pub(super) fn contact(&self) -> Contact<A> {
        A::unpack(&self.contact)
    }

    /// Notes that the node proved itself at `address`; true when that is a new address.
    pub(super) fn refresh(&mut self, address: A, now: Instant) -> bool {
        self.seen = Tick::at(now);
        self.failures = 0;
        let known = self.contact();
        let moved = known.address != address;
        if moved {
            self.contact = A::pack(Contact { id: known.id, address });
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn an_entry_is_small() {
        assert_eq!(size_of::<Entry<SocketAddr>>(), 56);
    }
}
