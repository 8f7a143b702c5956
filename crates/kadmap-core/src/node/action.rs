//! What a node asks of its driver.

use std::net::SocketAddr;

use crate::wire::Message;
use crate::{Contact, NodeId};

/// What a node wants its driver to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action<A = SocketAddr> {
    /// Send a request to a contact, dialling it if need be. A loss is no error: the node asks again.
    Send {
        /// Whom to.
        to: Contact<A>,
        /// What to say.
        message: Message<A>,
    },
    /// Send a response, or tell a client of a change, on a connection that the node has with it; drop it if there is
    /// none any more.
    Reply {
        /// Whom to.
        to: NodeId,
        /// What to say.
        message: Message<A>,
    },
}
