//! A contact as a bucket keeps it: packed, as one process may hold the tables of 10,000 nodes.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::time::Duration;

use crate::{Address, Contact, Instant, NodeId};

/// Length of a [`Tick`], in microseconds: 32 bits of them last 13 years.
const TICK_US: u64 = 100_000;

/// Time in tenths of a second: fine enough for schedules of seconds and half the size of an [`Instant`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Tick(u32);

impl Tick {
    pub(super) fn at(instant: Instant) -> Self {
        Self(u32::try_from(instant.as_micros() / TICK_US).unwrap_or(u32::MAX))
    }

    pub(super) fn age(self, now: Instant) -> Duration {
        now.since(Instant::from_micros(u64::from(self.0) * TICK_US))
    }
}

/// An address in 16 bytes instead of 32 when it is IPv4, the common case.
#[derive(Debug, Clone, PartialEq, Eq)]
enum PackedAddress {
    V4([u8; 4], u16),
    V6(Box<SocketAddrV6>),
}

impl PackedAddress {
    fn pack(address: Address) -> Self {
        match address {
            SocketAddr::V4(v4) => Self::V4(v4.ip().octets(), v4.port()),
            SocketAddr::V6(v6) => Self::V6(Box::new(v6)),
        }
    }

    fn unpack(&self) -> Address {
        match self {
            Self::V4(octets, port) => SocketAddrV4::new(Ipv4Addr::from(*octets), *port).into(),
            Self::V6(v6) => (**v6).into(),
        }
    }
}

/// One known node.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) id: NodeId,
    address: PackedAddress,
    /// When it last proved to be there.
    pub(super) seen: Tick,
    /// Probes missed in a row.
    pub(super) failures: u8,
}

impl Entry {
    pub(super) fn new(contact: Contact, now: Instant) -> Self {
        let address = PackedAddress::pack(contact.address);
        Self { id: contact.id, address, seen: Tick::at(now), failures: 0 }
    }

    pub(super) fn contact(&self) -> Contact {
        Contact { id: self.id, address: self.address.unpack() }
    }

    /// Notes that the node proved itself at `address`; true when that is a new address.
    pub(super) fn refresh(&mut self, address: Address, now: Instant) -> bool {
        self.seen = Tick::at(now);
        self.failures = 0;
        let moved = self.address.unpack() != address;
        if moved {
            self.address = PackedAddress::pack(address);
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_packing() {
        for text in ["1.2.3.4:5", "[fe80::1%7]:8", "[::ffff:1.2.3.4]:9"] {
            let address: Address = text.parse().unwrap();
            assert_eq!(PackedAddress::pack(address).unpack(), address);
        }
    }

    #[test]
    fn an_entry_is_small() {
        assert_eq!(size_of::<Entry>(), 56);
    }
}
