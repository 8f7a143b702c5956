//! Who a node is and where it answers.

use std::net::SocketAddr;

use crate::NodeId;

/// Where a node answers: the address its transport dials.
pub type Address = SocketAddr;

/// A node that can be dialled: its id and the address at which it proved that id.
///
/// ```
/// use kadmap_core::{Contact, NodeId};
/// let contact = Contact { id: NodeId::of_public_key(b"key"), address: "127.0.0.1:8339".parse().unwrap() };
/// assert_eq!(contact.to_string(), format!("{}@127.0.0.1:8339", contact.id.short()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Contact {
    /// The id that the node's certificate proves.
    pub id: NodeId,
    /// The address of its socket, as we or the node that told us reach it.
    pub address: Address,
}

impl std::fmt::Display for Contact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.id.short(), self.address)
    }
}
