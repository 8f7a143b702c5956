//! Messages that nobody waits for: they leave with the next packet to the same peer, or when their time is up.
//!
//! A packet costs several times what a message in it costs, so copies beyond a quorum, and the answers to them, travel
//! along instead of on their own.

use std::collections::BTreeMap;

use crate::wire::{Request, RequestId, Response};
use crate::{Address, Contact, Instant, NodeId};

/// Messages waiting for one peer at most; more are due at once.
const PER_PEER_MAX: usize = 64;

/// One message that may wait.
#[derive(Debug)]
pub(super) enum Unhurried<A> {
    Request { to: Contact<A>, request: Request },
    Reply { id: RequestId, response: Response<A> },
}

/// All messages that wait, by peer.
#[derive(Debug)]
pub(super) struct Background<A> {
    peers: BTreeMap<NodeId, Waiting<A>>,
}

#[derive(Debug)]
struct Waiting<A> {
    due: Instant,
    messages: Vec<Unhurried<A>>,
}

impl<A> Default for Background<A> {
    fn default() -> Self {
        Self { peers: BTreeMap::new() }
    }
}

impl<A: Address> Background<A> {
    /// Queues a message that is to leave by `due`.
    pub(super) fn push(&mut self, to: NodeId, due: Instant, message: Unhurried<A>) {
        let waiting = self.peers.entry(to).or_insert_with(|| Waiting { due, messages: Vec::new() });
        waiting.messages.push(message);
        if waiting.messages.len() >= PER_PEER_MAX {
            waiting.due = Instant::default();
        }
    }

    /// What waits for a peer to whom something is being sent anyway.
    pub(super) fn take(&mut self, to: &NodeId) -> Vec<Unhurried<A>> {
        self.peers.remove(to).map_or_else(Vec::new, |waiting| waiting.messages)
    }

    /// A peer whose messages are due.
    pub(super) fn due(&self, now: Instant) -> Option<NodeId> {
        self.peers.iter().find(|(_, waiting)| waiting.due <= now).map(|(id, _)| *id)
    }

    /// Any peer for which something waits.
    pub(super) fn first(&self) -> Option<NodeId> {
        self.peers.keys().next().copied()
    }

    /// When something is due next; costs the number of peers.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.peers.values().map(|waiting| waiting.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Ping;

    fn reply() -> Unhurried<std::net::SocketAddr> {
        Unhurried::Reply { id: 1, response: Response::Pong(Ping::default()) }
    }

    #[test]
    fn messages_wait_for_company_but_not_for_ever() {
        let (a, b) = (NodeId::of_public_key(b"a"), NodeId::of_public_key(b"b"));
        let at = Instant::from_micros;
        let mut background = Background::default();
        background.push(a, at(50), reply());
        background.push(a, at(60), reply());
        background.push(b, at(55), reply());
        assert_eq!((background.due(at(49)), background.next_timer()), (None, Some(at(50))));
        assert_eq!(background.take(&b).len(), 1);
        assert_eq!(background.due(at(50)), Some(a));
        assert_eq!(background.take(&a).len(), 2);
        assert_eq!((background.first(), background.next_timer()), (None, None));
    }

    #[test]
    fn a_full_queue_leaves_at_once() {
        let a = NodeId::of_public_key(b"a");
        let mut background = Background::default();
        (0..PER_PEER_MAX).for_each(|_| background.push(a, Instant::from_micros(50), reply()));
        assert_eq!(background.due(Instant::default()), Some(a));
    }
}
