//! Who a node is and where it answers.

use std::fmt;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::NodeId;

/// Where a node answers: what a transport dials, and all that the core knows of it.
///
/// Production uses [`SocketAddr`]. The simulator has an address of four bytes, because it holds the routing tables of
/// every node in one process.
///
/// ```
/// use kadmap_core::Address;
/// use std::net::SocketAddr;
/// let address: SocketAddr = "127.0.0.1:8339".parse().unwrap();
/// assert!(address.is_dialable());
/// assert_eq!(SocketAddr::from_wire(address.to_wire().as_ref()), Some(address));
/// ```
pub trait Address: Copy + Ord + Hash + fmt::Debug + fmt::Display {
    /// A contact as a routing table keeps it, by the hundred.
    type Packed: Clone + fmt::Debug;
    /// The bytes of an address in a message.
    type Wire: AsRef<[u8]>;

    /// No address sorts before it. It stands for one that is not known and is never dialled.
    const FIRST: Self;

    /// By which a node names itself among candidates, where an address has to stand; it is never dialled.
    fn of_own(_own: &NodeId) -> Self {
        Self::FIRST
    }

    /// Whether a node can answer there at all; contacts with other addresses are ignored.
    fn is_dialable(&self) -> bool;

    /// The contact in few bytes.
    fn pack(contact: Contact<Self>) -> Self::Packed;

    /// The contact that [`pack`](Self::pack) packed.
    fn unpack(packed: &Self::Packed) -> Contact<Self>;

    /// Only the id of a packed contact, which is all that most comparisons need.
    fn packed_id(packed: &Self::Packed) -> NodeId {
        Self::unpack(packed).id
    }

    /// Whether a packed contact has this id.
    fn is_packed(packed: &Self::Packed, id: &NodeId) -> bool {
        Self::packed_id(packed) == *id
    }

    /// The address as it travels.
    fn to_wire(&self) -> Self::Wire;

    /// The address that travelled as these bytes, if they are one.
    fn from_wire(bytes: &[u8]) -> Option<Self>;
}

/// A node that can be dialled: its id and the address at which it proved that id.
///
/// ```
/// use kadmap_core::{Contact, NodeId};
/// let contact: Contact =
///     Contact { id: NodeId::of_public_key(b"key"), address: "127.0.0.1:8339".parse().unwrap() };
/// assert_eq!(contact.to_string(), format!("{}@127.0.0.1:8339", contact.id.short()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Contact<A = SocketAddr> {
    /// The id that the node's certificate proves.
    pub id: NodeId,
    /// The address of its socket, as we or the node that told us reach it.
    pub address: A,
}

impl<A: fmt::Display> fmt::Display for Contact<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id.short(), self.address)
    }
}

/// A contact with a [`SocketAddr`], as a routing table keeps it: 48 bytes, and 32 more on the heap for IPv6.
///
/// ```
/// assert_eq!(size_of::<kadmap_core::PackedContact>(), 48);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedContact {
    id: NodeId,
    address: PackedAddress,
}

/// An address in 16 bytes instead of 32 when it is IPv4, the common case.
#[derive(Debug, Clone, PartialEq, Eq)]
enum PackedAddress {
    V4([u8; 4], u16),
    V6(Box<SocketAddrV6>),
}

impl Address for SocketAddr {
    type Packed = PackedContact;
    type Wire = Vec<u8>;

    const FIRST: Self = Self::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));

    fn is_dialable(&self) -> bool {
        self.port() != 0
    }

    fn pack(contact: Contact) -> PackedContact {
        let address = match contact.address {
            Self::V4(v4) => PackedAddress::V4(v4.ip().octets(), v4.port()),
            Self::V6(v6) => PackedAddress::V6(Box::new(v6)),
        };
        PackedContact { id: contact.id, address }
    }

    fn unpack(packed: &PackedContact) -> Contact {
        let address = match &packed.address {
            PackedAddress::V4(octets, port) => SocketAddrV4::new(Ipv4Addr::from(*octets), *port).into(),
            PackedAddress::V6(v6) => (**v6).into(),
        };
        Contact { id: packed.id, address }
    }

    fn packed_id(packed: &PackedContact) -> NodeId {
        packed.id
    }

    /// IP address, 4 or 16 bytes, and port.
    fn to_wire(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(18);
        match self.ip() {
            IpAddr::V4(ip) => bytes.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => bytes.extend_from_slice(&ip.octets()),
        }
        bytes.extend_from_slice(&self.port().to_be_bytes());
        bytes
    }

    fn from_wire(bytes: &[u8]) -> Option<Self> {
        let (ip, port) = bytes.split_last_chunk::<2>()?;
        let port = u16::from_be_bytes(*port);
        if let Ok(v4) = <[u8; 4]>::try_from(ip) {
            return Some(Self::from((v4, port)));
        }
        <[u8; 16]>::try_from(ip).ok().map(|v6| Self::from((v6, port)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contacts_survive_packing() {
        for text in ["1.2.3.4:5", "[fe80::1%7]:8", "[::ffff:1.2.3.4]:9"] {
            let contact = Contact { id: NodeId::of_public_key(b"key"), address: text.parse().unwrap() };
            assert_eq!(SocketAddr::unpack(&SocketAddr::pack(contact)), contact);
            assert_eq!(SocketAddr::packed_id(&SocketAddr::pack(contact)), contact.id);
        }
    }

    #[test]
    fn nothing_sorts_before_the_first_address() {
        for text in ["0.0.0.0:0", "0.0.0.0:1", "[::]:0"] {
            assert!(SocketAddr::FIRST <= text.parse().unwrap());
        }
    }
}
