//! What a lookup did, request by request, for people to read.

use std::net::SocketAddr;
use std::time::Duration;

use crate::{Contact, NodeId};

/// One request of a lookup: whom it asked, why, and what came of it.
///
/// ```
/// use kadmap_core::{Contact, Hop, HopOutcome, NodeId};
/// let contact: Contact = Contact { id: NodeId::of_public_key(b"peer"), address: "127.0.0.1:8339".parse().unwrap() };
/// let hop = Hop { contact, path: 0, depth: 1, told_by: None, outcome: HopOutcome::Waiting };
/// assert!(!hop.is_answered());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop<A = SocketAddr> {
    /// The node that was asked.
    pub contact: Contact<A>,
    /// The disjoint path that asked it, from 0.
    pub path: usize,
    /// Its distance from us in requests: 1 for a node of our own table.
    pub depth: usize,
    /// The node that first told this path of it; `None` for a node of our own table.
    pub told_by: Option<NodeId>,
    /// What came of it.
    pub outcome: HopOutcome,
}

impl<A> Hop<A> {
    /// Whether the node answered, late or not.
    pub fn is_answered(&self) -> bool {
        matches!(self.outcome, HopOutcome::Answered { .. })
    }
}

/// What came of a [`Hop`].
///
/// ```
/// use kadmap_core::HopOutcome;
/// assert_ne!(HopOutcome::Waiting, HopOutcome::Slow);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HopOutcome {
    /// The request is under way.
    Waiting,
    /// The node answered.
    Answered {
        /// The contacts it named.
        contacts: usize,
        /// Those that its path took up, not having heard of them before.
        new: usize,
        /// Time between request and answer, as the caller measured it.
        round_trip: Duration,
    },
    /// The request is under way for so long that the lookup goes on without it.
    Slow,
    /// The node did not answer.
    Failed,
}
