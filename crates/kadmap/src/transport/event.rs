//! What the transport tells its driver.

use std::net::SocketAddr;

use bytes::Bytes;
use kadmap_core::{Contact, NodeId};

use super::DialError;

/// One thing that happened on the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TransportEvent {
    /// A peer has proved its id; frames may follow.
    Connected {
        /// The peer, at the address of its socket as we see it.
        contact: Contact,
        /// The address we dialled, when it was us who did.
        dialled: Option<SocketAddr>,
    },
    /// A whole frame came.
    Received {
        /// Who sent it.
        from: Contact,
        /// What was sent.
        frame: Bytes,
    },
    /// A dial failed; the frames that waited for it are gone.
    Unreachable {
        /// The id that was expected there, unless the dial was by bare address.
        id: Option<NodeId>,
        /// The address dialled.
        address: SocketAddr,
        /// Why.
        reason: DialError,
    },
    /// The last connection to a peer has ended; the next frame to it dials again.
    Closed {
        /// The peer.
        id: NodeId,
    },
}
