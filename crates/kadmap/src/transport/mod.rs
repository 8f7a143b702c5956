//! The encrypted transport: QUIC over one UDP socket, driven by the one task that owns it.
//!
//! [`Transport`] owns the socket, quinn-proto's endpoint and every connection, so a packet costs no lock, no channel
//! and no task switch, and all that one turn has to say to one peer shares packets. One turn is: `ready().await`,
//! `receive()`, `poll_event()` until it is empty, `send()` or `reply()` as often as needed, `flush()`.
//!
//! A frame that fits a QUIC datagram travels as one: unordered, not repeated when lost. A bigger one has a stream of
//! its own, and arrives unless its connection ends. Nothing here knows what is in a frame.
//!
//! **Invariant**: a frame is delivered only from a connection whose peer has proved its id, and only to a
//! connection that has proved the id it is meant for.

mod buffers;
mod config;
mod error;
mod event;
mod link;
mod peers;
mod quic;
mod sessions;
mod socket;
mod stats;
mod timers;
#[allow(clippy::module_inception)]
mod transport;

#[cfg(test)]
mod tests;

pub(crate) use config::TransportConfig;
pub(crate) use error::{BindError, DialError};
pub(crate) use event::TransportEvent;
pub(crate) use stats::TransportStats;
pub(crate) use transport::Transport;
