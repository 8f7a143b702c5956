//! Who gets a connection: strangers at the door, proved ids, and room for one more.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use kadmap_core::{Contact, NodeId};
use quinn_proto::Incoming;

use super::{CloseCode, Sessions, link_mut};
use crate::transport::link::{Link, Stage};
use crate::transport::socket::canonical;
use crate::transport::{DialError, TransportEvent};

/// Handshakes of others under way above which an unknown address must first show that it receives (Retry): a flood
/// from forged addresses then costs a keyed hash each, not a connection.
const HANDSHAKES_BEFORE_RETRY: usize = 64;
/// Handshakes of others under way above which even real addresses are turned away: about 15 MB of connections.
const HANDSHAKES_MAX: usize = 512;

/// Two connections of opposite directions begun within this time are two nodes that dialled each other at once; a
/// later one means that the peer has lost the earlier.
const SIMULTANEOUS: Duration = Duration::from_secs(5);

impl Sessions {
    /// Decides about a stranger who wants to connect.
    pub(super) fn accept(&mut self, now: Instant, incoming: Incoming, mut answer: Vec<u8>) {
        let pending = self.handshakes_of_others;
        if pending >= HANDSHAKES_BEFORE_RETRY && !incoming.remote_address_validated() {
            self.stats.retries += 1;
            match self.endpoint.retry(incoming, &mut answer) {
                Ok(transmit) => self.respond(transmit, answer),
                // Only an address that was validated already may not be asked again.
                Err(error) => self.endpoint.ignore(error.into_incoming()),
            }
            return;
        }
        if pending >= HANDSHAKES_MAX {
            self.stats.refused += 1;
            let transmit = self.endpoint.refuse(incoming, &mut answer);
            self.respond(transmit, answer);
            return;
        }
        let settings = self.quic.server(incoming.remote_address()).clone();
        match self.endpoint.accept(incoming, now, &mut answer, Some(settings)) {
            Ok((handle, connection)) => {
                self.stats.dialled_by_others += 1;
                self.handshakes_of_others += 1;
                let deadline = now + self.handshake_timeout;
                self.add(handle, Link::new(connection, None, now, deadline));
            }
            Err(error) => {
                self.stats.handshakes_failed += 1;
                if let Some(transmit) = error.response {
                    self.respond(transmit, answer);
                }
            }
        }
    }

    /// A handshake is complete: finds out who it is, and whether that is whom we want.
    pub(super) fn establish(&mut self, now: Instant, handle: usize) {
        let Some(link) = link_mut(&mut self.links, handle) else { return };
        if !matches!(link.stage, Stage::Handshake { .. }) {
            return;
        }
        let (proved, dialled) = (link.proved_id(), link.dialled);
        let refusal = match (proved, dialled.and_then(|dialled| dialled.expected)) {
            (None, _) => Some(DialError::Failed { reason: "the peer showed no certificate".to_owned() }),
            (Some(id), _) if id == self.me => Some(DialError::Myself),
            (Some(actual), Some(expected)) if actual != expected => {
                Some(DialError::WrongId { expected, actual })
            }
            _ => None,
        };
        let (None, Some(id)) = (&refusal, proved) else {
            self.close(now, handle, CloseCode::WrongId);
            self.end(handle, refusal);
            return;
        };
        let peer = Contact { id, address: canonical(link.connection.remote_address()) };
        link.stage = Stage::Open { peer, since: now };
        link.last_used = now;
        self.leave_handshake(dialled.is_none());
        self.stats.connections += 1;
        self.events.push_back(TransportEvent::Connected {
            contact: peer,
            dialled: dialled.map(|dialled| dialled.address),
        });
        self.route(now, handle, peer, dialled.is_some());
        self.release_frames(handle, id);
        self.deliver_datagrams(now, handle);
        self.evict(now, handle);
    }

    /// Chooses between this new connection and one that may be there.
    fn route(&mut self, now: Instant, handle: usize, peer: Contact, we_dialled: bool) {
        let preferred = match self.peers.route(&peer.id).and_then(|old| link_mut(&mut self.links, old)) {
            Some(Link { stage: Stage::Open { since, .. }, dialled, .. })
                if dialled.is_some() != we_dialled && now.duration_since(*since) < SIMULTANEOUS =>
            {
                // Both sides choose by the same rule, so they choose the same connection.
                we_dialled == (self.me < peer.id)
            }
            _ => true,
        };
        if let Some(superfluous) = self.peers.open(peer.id, handle, preferred) {
            self.close(now, superfluous, CloseCode::Superfluous);
            self.end(superfluous, None);
        }
    }

    /// Sends what waited for this peer, on this dial or on another one that is still under way.
    fn release_frames(&mut self, handle: usize, id: NodeId) {
        self.peers.end_dial(&id, handle);
        let elsewhere = match self.peers.dial(&id).and_then(|other| link_mut(&mut self.links, other)) {
            Some(other) => other.take_waiting(),
            None => VecDeque::new(),
        };
        let Some(link) = link_mut(&mut self.links, handle) else { return };
        link.release(&mut self.stats);
        for frame in elsewhere {
            link.push(frame, self.limits, &mut self.stats);
        }
    }

    /// Closes the least recently used connections while there are too many; never `newest`. O(connections), once per
    /// handshake, which costs hundreds of times more.
    fn evict(&mut self, now: Instant, newest: usize) {
        while self.stats.connections > self.connections_max {
            let open = self.links.iter().enumerate().filter_map(|(handle, link)| {
                let link = link.as_ref()?;
                (handle != newest && link.peer().is_some()).then_some((link.last_used, handle))
            });
            let Some((_, oldest)) = open.min() else { return };
            self.stats.evicted += 1;
            self.close(now, oldest, CloseCode::Superfluous);
            self.end(oldest, None);
        }
    }
}
