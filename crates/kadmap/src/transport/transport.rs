//! The socket, the connections and the clock, put together for one task.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kadmap_core::{Contact, NodeId};
use tokio::time::Sleep;

use super::link::Dialled;
use super::quic::Quic;
use super::sessions::Sessions;
use super::socket::{Socket, canonical};
use super::{BindError, TransportConfig, TransportEvent, TransportStats};
use crate::identity::Credentials;

/// The wait before output that the kernel had no room for is tried again. A full UDP buffer empties in microseconds.
const BLOCKED_WAIT: Duration = Duration::from_millis(1);
/// The longest that saying goodbye may take.
const CLOSE_WAIT: Duration = Duration::from_millis(500);

/// The encrypted transport of one node, owned by one task.
pub(crate) struct Transport {
    socket: Socket,
    sessions: Sessions,
    sleep: Pin<Box<Sleep>>,
    /// When `sleep` ends; `None` when it has, or was never set.
    armed: Option<Instant>,
}

impl Transport {
    /// Opens the socket. Must be called within a tokio runtime with I/O and time enabled.
    pub(crate) fn bind(config: &TransportConfig, credentials: &Credentials) -> Result<Self, BindError> {
        let quic = Quic::new(config, credentials)?;
        let socket = Socket::bind(config.listen, config.packet_loss)?;
        let sessions = Sessions::new(config, credentials.node_id(), quic, socket.may_probe_mtu());
        Ok(Self { socket, sessions, sleep: Box::pin(tokio::time::sleep(Duration::ZERO)), armed: None })
    }

    /// The address the socket is bound to, with the port it was given.
    pub(crate) fn local_address(&self) -> SocketAddr {
        self.socket.local_address()
    }

    /// Queues a frame for a contact, dialling it if there is no connection to that id.
    ///
    /// Frames wait for the handshake; if it fails or proves another id they are gone and
    /// [`TransportEvent::Unreachable`] tells.
    pub(crate) fn send(&mut self, to: Contact, frame: Bytes) {
        let reachable = self.socket.reaches(canonical(to.address));
        self.sessions.send(Instant::now(), to, frame, reachable);
    }

    /// Queues a frame for a peer that is connected; without a connection it is dropped and counted.
    pub(crate) fn reply(&mut self, to: NodeId, frame: Bytes) {
        self.sessions.reply(Instant::now(), &to, frame);
    }

    /// Connects to whichever member answers at `address`; ends in `Connected` or `Unreachable`.
    pub(crate) fn dial(&mut self, address: SocketAddr) {
        let address = canonical(address);
        let reachable = self.socket.reaches(address);
        self.sessions.dial(Instant::now(), Dialled { expected: None, address }, reachable);
    }

    /// Whether a frame to this peer needs no handshake.
    #[cfg(test)]
    pub(super) fn is_connected(&self, id: &NodeId) -> bool {
        self.sessions.is_connected(id)
    }

    /// Waits until there is something to do. Dropping the future loses nothing.
    pub(crate) async fn ready(&mut self) {
        poll_fn(|context| self.poll_ready(context)).await;
    }

    /// Takes what came from the network and fires what is due, without waiting; events are ready afterwards.
    pub(crate) fn receive(&mut self) {
        let now = Instant::now();
        let sessions = &mut self.sessions;
        self.socket.receive(|packet| sessions.handle_packet(now, &packet));
        sessions.handle_timeouts(now);
        sessions.settle(now);
    }

    /// The next thing that happened.
    pub(crate) fn poll_event(&mut self) -> Option<TransportEvent> {
        self.sessions.poll_event()
    }

    /// Sends what was queued, as far as the kernel takes it; the rest goes with a later flush.
    pub(crate) fn flush(&mut self) {
        self.sessions.transmit(Instant::now(), &mut self.socket);
    }

    /// What happened so far, in numbers.
    pub(crate) fn stats(&self) -> TransportStats {
        self.sessions.stats
    }

    /// Says goodbye on every connection; returns within half a second.
    pub(crate) async fn close(&mut self) {
        self.sessions.close_all(Instant::now());
        let deadline = Instant::now() + CLOSE_WAIT;
        self.flush();
        while self.sessions.has_output() && Instant::now() < deadline {
            tokio::time::sleep(BLOCKED_WAIT).await;
            self.flush();
        }
    }

    pub(super) fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.sessions.has_events() || (self.sessions.has_output() && !self.socket.is_blocked()) {
            return Poll::Ready(());
        }
        if self.socket.poll_receivable(context).is_ready() {
            return Poll::Ready(());
        }
        let retry = self.socket.is_blocked().then(|| Instant::now() + BLOCKED_WAIT);
        match [self.sessions.next_timeout(), retry].into_iter().flatten().min() {
            Some(deadline) => self.poll_sleep(deadline, context),
            None => Poll::Pending,
        }
    }

    /// Sleeps until `deadline` or somewhat before: an earlier alarm stays set, because it wakes once in vain while
    /// moving it on every turn would cost more.
    fn poll_sleep(&mut self, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
        if self.armed.is_none_or(|armed| armed > deadline) {
            self.sleep.as_mut().reset(deadline.into());
            self.armed = Some(deadline);
        }
        let fired = self.sleep.as_mut().poll(context);
        if fired.is_ready() {
            self.armed = None;
        }
        fired
    }
}
