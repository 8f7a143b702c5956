//! What a request in flight is for.

use std::fmt;

use super::requests::{Owner, ProbeCause, is_repeat, without_attempt};
use super::{Node, Operation};
use crate::Address;
use crate::store::RecordStore;
use crate::wire::{Message, RequestId};

/// What a node sends a request for: its user's operations, or one of the duties that keep the swarm together.
///
/// ```
/// use kadmap_core::Purpose;
/// assert!(!Purpose::Operation.is_upkeep());
/// assert_eq!(Purpose::QuietProbe.to_string(), "probe of a quiet contact");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// An operation of the node's user: its lookup, and what it asks of the replicas.
    Operation,
    /// Coming to know the swarm.
    Join,
    /// Looking through buckets again.
    Refresh,
    /// Finding out whether a node is there that another one told of.
    HearsayProbe,
    /// Finding out whether a contact is still there that was not heard of for long.
    QuietProbe,
    /// Finding out whether a contact is back that had fallen silent.
    SilentProbe,
    /// Learning from other holders what belongs to a node that has just joined.
    Sync,
    /// Comparisons with other holders, and copies to them.
    Repair,
    /// Copies beyond a quorum, those for replicas that a read found lacking, and goodbyes.
    Background,
    /// Asking what was deleted while this node was away for long.
    Absence,
    /// Telling a watcher of a change.
    Watch,
}

impl Purpose {
    /// Whether it keeps the swarm together rather than serving a user directly; copies beyond a quorum count.
    pub fn is_upkeep(self) -> bool {
        !matches!(self, Self::Operation | Self::Watch)
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Operation => "operation",
            Self::Join => "join",
            Self::Refresh => "refresh",
            Self::HearsayProbe => "probe of who was told of",
            Self::QuietProbe => "probe of a quiet contact",
            Self::SilentProbe => "probe of a silent contact",
            Self::Sync => "sync of a newcomer",
            Self::Repair => "repair",
            Self::Background => "background copy",
            Self::Absence => "question after an absence",
            Self::Watch => "watch",
        })
    }
}

impl<S: RecordStore, A: Address> Node<S, A> {
    /// What the request is for that has this id on the wire, as long as it is in flight.
    pub fn purpose(&self, id: RequestId) -> Option<Purpose> {
        let in_flight = self.env.requests.in_flight(without_attempt(id))?;
        Some(match in_flight.owner {
            Owner::Operation(id) => match self.operations.get(&id) {
                Some(Operation::Refresh(_)) if self.upkeep.is_joining() => Purpose::Join,
                Some(Operation::Refresh(_)) => Purpose::Refresh,
                _ => Purpose::Operation,
            },
            Owner::Probe(ProbeCause::Hearsay) => Purpose::HearsayProbe,
            Owner::Probe(ProbeCause::Quiet) => Purpose::QuietProbe,
            Owner::Probe(ProbeCause::Silent) => Purpose::SilentProbe,
            Owner::Absence => Purpose::Absence,
            Owner::Repair if self.repair.is_syncing() => Purpose::Sync,
            Owner::Repair => Purpose::Repair,
            Owner::Background => Purpose::Background,
            Owner::Watcher(_) => Purpose::Watch,
        })
    }
}

impl<A> Message<A> {
    /// Whether this is a later attempt of a request, or the answer to one.
    pub fn is_repeat(&self) -> bool {
        is_repeat(self.id)
    }
}
