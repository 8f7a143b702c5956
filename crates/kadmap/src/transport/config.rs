//! What a caller may set about the transport.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

/// Settings of one [`Transport`](super::Transport).
#[derive(Debug, Clone)]
pub(crate) struct TransportConfig {
    /// The address to bind; port 0 takes any free port, `[::]` serves IPv4 as well.
    pub(crate) listen: SocketAddr,
    /// Silence after which a connection is forgotten. Default 30 s: NATs forget UDP about then, and a longer one
    /// only keeps memory; the next frame dials again.
    pub(crate) idle_timeout: Duration,
    /// The longest a handshake may take, either way. Default 5 s: a handshake takes two round trips, so even a slow
    /// link with a lost packet fits, and strangers cannot hold half-open connections for longer.
    pub(crate) handshake_timeout: Duration,
    /// Connections kept open; past it the least recently used is closed. Default 1024, at about 30 KB each.
    pub(crate) connections_max: usize,
    /// The largest frame sent or accepted, in bytes. Default 17 MiB: a value of 16 MiB and what is wrapped around it.
    pub(crate) frame_bytes_max: usize,
    /// Bytes of frames that may wait for one connection, for its handshake or for stream credit; past it new frames
    /// are dropped and counted. Default 68 MiB: four of the largest.
    pub(crate) queue_bytes_max: usize,
    /// Bytes of half-received frames over all connections; past it the connection that holds most loses its own.
    /// Default 136 MiB: eight of the largest.
    pub(crate) reassembly_bytes_max: usize,
    /// The share of outgoing UDP packets to throw away, 0.0 to 1.0, to see how the rest copes. Default 0.
    pub(crate) packet_loss: f64,
}

impl Default for TransportConfig {
    fn default() -> Self {
        const FRAME_BYTES_MAX: usize = 17 * 1024 * 1024;
        Self {
            listen: SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0),
            idle_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(5),
            connections_max: 1024,
            frame_bytes_max: FRAME_BYTES_MAX,
            queue_bytes_max: 4 * FRAME_BYTES_MAX,
            reassembly_bytes_max: 8 * FRAME_BYTES_MAX,
            packet_loss: 0.0,
        }
    }
}
