//! How a node is, for people and monitors.

use std::net::SocketAddr;
use std::time::Duration;

use kadmap_core::NodeId;
use kadmap_core::wire::PeerReport;

/// A node's own account of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Its id.
    pub id: NodeId,
    /// Where its socket listens.
    pub address: SocketAddr,
    /// The software and its version.
    pub software: String,
    /// Live contacts in its routing table.
    pub contacts: u64,
    /// Open connections.
    pub connections: u64,
    /// Records it holds, tombstones included.
    pub records: u64,
    /// Bytes those records count for.
    pub record_bytes: u64,
    /// Requests it has answered.
    pub requests_served: u64,
    /// Requests it has made, repeats not counted.
    pub requests_sent: u64,
    /// Requests it had to send again.
    pub requests_repeated: u64,
    /// Requests that were never answered.
    pub requests_unanswered: u64,
    /// Puts it has refused.
    pub puts_refused: u64,
    /// Replicas that its reads found lacking and repaired.
    pub replicas_repaired: u64,
    /// Names it watches.
    pub watches: u64,
    /// Watches of others and its own that it tells of changes.
    pub watchers: u64,
    /// Changes it has told them, repeats not counted.
    pub changes_told: u64,
    /// Watches it has refused because there were too many.
    pub watches_refused: u64,
    /// UDP packets received and sent.
    pub packets: (u64, u64),
    /// Frames received that are not messages.
    pub frames_malformed: u64,
    /// Time since it started.
    pub uptime: Duration,
    /// How many replicas a record has by its configuration.
    pub replication: u64,
}

/// Another node as one node sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerInfo {
    /// Its id.
    pub id: NodeId,
    /// Its address.
    pub address: SocketAddr,
    /// Smoothed round trip; `None` before the first answer.
    pub round_trip: Option<Duration>,
    /// Whether it answers.
    pub live: bool,
}

impl From<PeerReport> for PeerInfo {
    fn from(report: PeerReport) -> Self {
        Self {
            id: report.contact.0.id,
            address: report.contact.0.address,
            round_trip: report.rtt_us.map(Duration::from_micros),
            live: report.live,
        }
    }
}
