//! All connections of a node: who is who, what is due, what happened. It never touches the socket but to send.

mod admission;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use kadmap_core::{Contact, NodeId};
use quinn_proto::{ConnectionError, ConnectionHandle, DatagramEvent, Endpoint, Event, Transmit, VarInt};

use super::buffers::with_send_buffer;
use super::link::{Dialled, FrameLimits, Link, Stage};
use super::peers::Peers;
use super::quic::Quic;
use super::socket::{Packet, Socket, canonical};
use super::timers::Timers;
use super::{DialError, TransportConfig, TransportEvent, TransportStats};

/// The name every dialler gives: certificates are checked by id, and TLS only wants some name.
const SERVER_NAME: &str = "kadmap";

/// Sends to one connection in one turn, so that a big transfer leaves room for the others.
const SENDS_PER_TURN_MAX: usize = 32;
/// Answers to packets of no connection that may wait for the end of a turn; strangers get no more.
const RESPONSES_MAX: usize = 256;

/// Events that may wait for the driver before further datagrams are dropped: four full turns of frames of 100 bytes,
/// about 8 MB, while a flood of empty frames would fill twenty times as much.
const EVENTS_MAX: usize = 64 * 1024;

/// Why we close a connection, as the peer sees it.
#[derive(Debug, Clone, Copy)]
enum CloseCode {
    Leaving = 0,
    WrongId = 1,
    Superfluous = 2,
    TooSlow = 3,
}

/// The connections of a node.
pub(super) struct Sessions {
    me: NodeId,
    quic: Quic,
    endpoint: Endpoint,
    /// By connection handle, which quinn-proto takes from a slab: small and dense.
    links: Vec<Option<Box<Link>>>,
    peers: Peers,
    timers: Timers,
    dirty: Vec<usize>,
    events: VecDeque<TransportEvent>,
    responses: Vec<(Transmit, Vec<u8>)>,
    handshakes_of_others: usize,
    limits: FrameLimits,
    handshake_timeout: Duration,
    connections_max: usize,
    reassembly_bytes_max: usize,
    pub(super) stats: TransportStats,
}

impl Sessions {
    pub(super) fn new(config: &TransportConfig, me: NodeId, quic: Quic, probe_mtu: bool) -> Self {
        let server = quic.server(config.listen).clone();
        Self {
            me,
            endpoint: Endpoint::new(quic.endpoint.clone(), Some(server), probe_mtu, None),
            quic,
            links: Vec::new(),
            peers: Peers::default(),
            timers: Timers::default(),
            dirty: Vec::new(),
            events: VecDeque::new(),
            responses: Vec::new(),
            handshakes_of_others: 0,
            limits: FrameLimits {
                frame_bytes_max: config.frame_bytes_max,
                queue_bytes_max: config.queue_bytes_max,
            },
            handshake_timeout: config.handshake_timeout,
            connections_max: config.connections_max.max(1),
            reassembly_bytes_max: config.reassembly_bytes_max,
            stats: TransportStats::default(),
        }
    }

    #[cfg(test)]
    pub(super) fn is_connected(&self, id: &NodeId) -> bool {
        self.peers.route(id).is_some()
    }

    pub(super) fn poll_event(&mut self) -> Option<TransportEvent> {
        self.events.pop_front()
    }

    /// Whether a turn would find something to do without waiting for anything.
    pub(super) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Whether some connection may have something to send.
    pub(super) fn has_output(&self) -> bool {
        !self.dirty.is_empty() || !self.responses.is_empty()
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    pub(super) fn send(&mut self, now: Instant, to: Contact, frame: Bytes, reachable: bool) {
        let known = self.peers.route(&to.id).or_else(|| self.peers.dial(&to.id));
        let handle = match known {
            Some(handle) => handle,
            None => match self.dial(now, Dialled { expected: Some(to.id), address: to.address }, reachable) {
                Some(handle) => handle,
                None => {
                    self.stats.frames_dropped_out += 1;
                    return;
                }
            },
        };
        self.push(now, handle, frame);
    }

    pub(super) fn reply(&mut self, now: Instant, to: &NodeId, frame: Bytes) {
        match self.peers.route(to) {
            Some(handle) => self.push(now, handle, frame),
            None => self.stats.frames_dropped_out += 1,
        }
    }

    /// Begins a connection; a failure that is known at once becomes an event.
    pub(super) fn dial(&mut self, now: Instant, dialled: Dialled, reachable: bool) -> Option<usize> {
        let dialled = Dialled { address: canonical(dialled.address), ..dialled };
        if dialled.expected == Some(self.me) {
            self.unreachable(dialled, DialError::Myself);
            return None;
        }
        if !reachable {
            self.unreachable(dialled, DialError::NoRoute);
            return None;
        }
        let settings = self.quic.client(dialled.address);
        match self.endpoint.connect(now, settings, dialled.address, SERVER_NAME) {
            Ok((handle, connection)) => {
                self.stats.dials += 1;
                let deadline = now + self.handshake_timeout;
                self.add(handle, Link::new(connection, Some(dialled), now, deadline));
                if let Some(id) = dialled.expected {
                    self.peers.begin_dial(id, handle.0);
                }
                Some(handle.0)
            }
            Err(error) => {
                self.unreachable(dialled, DialError::Failed { reason: error.to_string() });
                None
            }
        }
    }

    /// Takes one packet from the network.
    pub(super) fn handle_packet(&mut self, now: Instant, packet: &Packet<'_>) {
        self.stats.packets_in += 1;
        self.stats.bytes_in += packet.bytes.len() as u64;
        let mut answer = Vec::new();
        let bytes = BytesMut::from(packet.bytes);
        match self.endpoint.handle(now, packet.from, packet.local_ip, packet.ecn, bytes, &mut answer) {
            None => {}
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some(link) = link_mut(&mut self.links, handle.0) {
                    link.connection.handle_event(event);
                    self.deliver_datagrams(now, handle.0);
                    self.mark(handle.0);
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) => self.accept(now, incoming, answer),
            Some(DatagramEvent::Response(transmit)) => self.respond(transmit, answer),
        }
    }

    /// Fires every timer that is due.
    pub(super) fn handle_timeouts(&mut self, now: Instant) {
        while let Some(handle) = self.timers.pop_due(now) {
            let Some(link) = link_mut(&mut self.links, handle) else { continue };
            link.armed = None;
            link.connection.handle_timeout(now);
            let late = matches!(link.stage, Stage::Handshake { deadline } if deadline <= now);
            self.mark(handle);
            if late {
                self.close(now, handle, CloseCode::TooSlow);
                self.end(handle, Some(DialError::TimedOut));
            }
        }
    }

    /// Works off what packets and timers led to, on every connection they touched.
    pub(super) fn settle(&mut self, now: Instant) {
        let mut index = 0;
        // The list may grow meanwhile: closing one connection makes another one dirty.
        while let Some(&handle) = self.dirty.get(index) {
            self.settle_link(now, handle);
            index += 1;
        }
    }

    /// Sends what all dirty connections have to send, as far as the kernel takes it.
    pub(super) fn transmit(&mut self, now: Instant, socket: &mut Socket) {
        if !socket.unblock(&mut self.stats) {
            return;
        }
        for (transmit, bytes) in std::mem::take(&mut self.responses) {
            socket.send(transmit, &bytes, &mut self.stats);
        }
        let dirty = std::mem::take(&mut self.dirty);
        with_send_buffer(|buffer| {
            for handle in dirty {
                let unfinished = self.transmit_link(now, handle, socket, buffer);
                if let Some(link) = link_mut(&mut self.links, handle) {
                    link.dirty = false;
                    let wanted = link.next_timeout();
                    self.timers.arm(handle, &mut link.armed, wanted);
                }
                if unfinished {
                    self.mark(handle);
                }
            }
        });
    }

    /// Ends every connection, telling the peers.
    pub(super) fn close_all(&mut self, now: Instant) {
        for handle in 0..self.links.len() {
            self.close(now, handle, CloseCode::Leaving);
            self.end(handle, None);
        }
    }

    /// Sends what one connection has; `true` when there may be more.
    fn transmit_link(
        &mut self,
        now: Instant,
        handle: usize,
        socket: &mut Socket,
        buffer: &mut Vec<u8>,
    ) -> bool {
        let Some(link) = link_mut(&mut self.links, handle) else { return false };
        let packets_max = socket.packets_per_send(link.connection.current_mtu().into());
        for _ in 0..SENDS_PER_TURN_MAX {
            if socket.is_blocked() {
                return true;
            }
            buffer.clear();
            let Some(transmit) = link.connection.poll_transmit(now, packets_max, buffer) else {
                return false;
            };
            let bytes = buffer.get(..transmit.size).unwrap_or_default();
            socket.send(transmit, bytes, &mut self.stats);
        }
        true
    }

    fn push(&mut self, now: Instant, handle: usize, frame: Bytes) {
        if let Some(link) = link_mut(&mut self.links, handle) {
            link.last_used = now;
            link.push(frame, self.limits, &mut self.stats);
            self.mark(handle);
        }
    }

    fn respond(&mut self, transmit: Transmit, bytes: Vec<u8>) {
        if self.responses.len() < RESPONSES_MAX {
            self.responses.push((transmit, bytes));
        }
    }

    fn add(&mut self, handle: ConnectionHandle, link: Link) {
        if self.links.len() <= handle.0 {
            self.links.resize_with(handle.0 + 1, || None);
        }
        self.links[handle.0] = Some(Box::new(link));
        self.stats.handshakes_pending += 1;
        self.mark(handle.0);
    }

    fn mark(&mut self, handle: usize) {
        if let Some(link) = link_mut(&mut self.links, handle)
            && !link.dirty
        {
            link.dirty = true;
            self.dirty.push(handle);
        }
    }

    fn deliver_datagrams(&mut self, now: Instant, handle: usize) {
        let Some(link) = link_mut(&mut self.links, handle) else { return };
        // Until the peer has proved its id they wait in the connection, which bounds them.
        let Some(from) = link.peer() else { return };
        while let Some(frame) = link.receive_datagram() {
            link.last_used = now;
            if frame.len() > self.limits.frame_bytes_max || self.events.len() >= EVENTS_MAX {
                self.stats.frames_dropped_in += 1;
                continue;
            }
            self.stats.datagrams_in += 1;
            self.events.push_back(TransportEvent::Received { from, frame });
        }
    }

    fn settle_link(&mut self, now: Instant, handle: usize) {
        loop {
            let Some(link) = link_mut(&mut self.links, handle) else { return };
            if let Some(event) = link.connection.poll_endpoint_events() {
                if let Some(event) = self.endpoint.handle_event(ConnectionHandle(handle), event) {
                    link.connection.handle_event(event);
                }
            } else if let Some(event) = link.connection.poll() {
                self.handle_event(now, handle, event);
            } else {
                break;
            }
        }
        if link_mut(&mut self.links, handle).is_some_and(|link| link.connection.is_drained()) {
            self.end(handle, None);
            if let Some(mut link) = self.links.get_mut(handle).and_then(Option::take) {
                self.timers.disarm(handle, &mut link.armed);
            }
        }
    }

    fn handle_event(&mut self, now: Instant, handle: usize, event: Event) {
        match event {
            Event::Connected => self.establish(now, handle),
            Event::ConnectionLost { reason } => self.lose(handle, reason),
            Event::Stream(event) => {
                let Some(link) = link_mut(&mut self.links, handle) else { return };
                let Some(from) = link.peer() else { return };
                link.last_used = now;
                let events = &mut self.events;
                link.handle_stream(&event, self.limits, &mut self.stats, |frame| {
                    events.push_back(TransportEvent::Received { from, frame });
                });
                self.bound_reassembly(handle);
            }
            Event::HandshakeDataReady | Event::DatagramReceived | Event::DatagramsUnblocked => {}
        }
    }

    /// Takes the half-received frames from the connection that holds most, when all together hold too much.
    fn bound_reassembly(&mut self, grown: usize) {
        // Cheap unless this connection alone holds a fair part of the whole.
        let share = self.reassembly_bytes_max / 16;
        if link_mut(&mut self.links, grown).is_none_or(|link| link.reassembly_bytes() < share) {
            return;
        }
        let held = |link: &Option<Box<Link>>| link.as_ref().map_or(0, |link| link.reassembly_bytes());
        if self.links.iter().map(held).sum::<usize>() <= self.reassembly_bytes_max {
            return;
        }
        if let Some(Some(link)) = self.links.iter_mut().max_by_key(|link| held(link)) {
            link.refuse_partial_frames(&mut self.stats);
        }
    }

    fn lose(&mut self, handle: usize, reason: ConnectionError) {
        tracing::debug!(%reason, handle, "connection lost");
        self.end(handle, Some(reason.into()));
    }

    /// Tells QUIC to close; the peer hears of it with the next transmit.
    fn close(&mut self, now: Instant, handle: usize, code: CloseCode) {
        if let Some(link) = link_mut(&mut self.links, handle) {
            link.connection.close(now, VarInt::from_u32(code as u32), Bytes::new());
            self.mark(handle);
        }
    }

    /// A connection is over for us: nobody is routed to it any more, and whoever waited is told. Idempotent.
    fn end(&mut self, handle: usize, reason: Option<DialError>) {
        let Some(link) = link_mut(&mut self.links, handle) else { return };
        let dialled = link.dialled;
        link.abandon(&mut self.stats);
        match std::mem::replace(&mut link.stage, Stage::Ended) {
            Stage::Ended => {}
            Stage::Open { peer, .. } => {
                self.stats.connections -= 1;
                if self.peers.close(&peer.id, handle) {
                    self.events.push_back(TransportEvent::Closed { id: peer.id });
                }
            }
            Stage::Handshake { .. } => {
                self.leave_handshake(dialled.is_none());
                self.stats.handshakes_failed += 1;
                if let Some(dialled) = dialled {
                    if let Some(id) = dialled.expected {
                        self.peers.end_dial(&id, handle);
                    }
                    let closed = || DialError::Failed { reason: "closed before it was complete".to_owned() };
                    self.unreachable(dialled, reason.unwrap_or_else(closed));
                }
            }
        }
    }

    fn leave_handshake(&mut self, of_other: bool) {
        self.stats.handshakes_pending -= 1;
        self.handshakes_of_others -= usize::from(of_other);
    }

    fn unreachable(&mut self, dialled: Dialled, reason: DialError) {
        let Dialled { expected: id, address } = dialled;
        self.events.push_back(TransportEvent::Unreachable { id, address, reason });
    }
}

/// The link of a handle, borrowing nothing but the list.
fn link_mut(links: &mut [Option<Box<Link>>], handle: usize) -> Option<&mut Link> {
    links.get_mut(handle)?.as_deref_mut()
}
