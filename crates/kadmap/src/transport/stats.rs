//! What the transport counts.

/// Counters since the transport was bound, and what is open now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TransportStats {
    /// Connections open now, both ways, without those still in their handshake.
    pub(crate) connections: usize,
    /// Handshakes under way now, both ways.
    pub(crate) handshakes_pending: usize,
    /// Connections we began.
    pub(crate) dials: u64,
    /// Connections others began.
    pub(crate) dialled_by_others: u64,
    /// Handshakes that did not end in a connection, both ways.
    pub(crate) handshakes_failed: u64,
    /// Connection attempts answered with a Retry, because too many were under way.
    pub(crate) retries: u64,
    /// Connection attempts refused, because far too many were under way.
    pub(crate) refused: u64,
    /// Connections closed to stay below `connections_max`.
    pub(crate) evicted: u64,
    /// UDP packets received.
    pub(crate) packets_in: u64,
    /// UDP packets sent.
    pub(crate) packets_out: u64,
    /// UDP packets thrown away on purpose, by `packet_loss`.
    pub(crate) packets_lost_on_purpose: u64,
    /// Send calls that the operating system refused.
    pub(crate) send_errors: u64,
    /// Bytes of UDP payload received.
    pub(crate) bytes_in: u64,
    /// Bytes of UDP payload sent.
    pub(crate) bytes_out: u64,
    /// Frames sent as a datagram.
    pub(crate) datagrams_out: u64,
    /// Frames received as a datagram.
    pub(crate) datagrams_in: u64,
    /// Frames sent on a stream of their own.
    pub(crate) streams_out: u64,
    /// Frames received on a stream of their own.
    pub(crate) streams_in: u64,
    /// Frames not sent: too big, no room in the queue, no connection to reply on, or their connection ended.
    pub(crate) frames_dropped_out: u64,
    /// Frames not delivered: too big, or no memory to put them together.
    pub(crate) frames_dropped_in: u64,
}
