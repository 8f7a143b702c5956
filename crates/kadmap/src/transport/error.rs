//! What can go wrong when a socket is opened or a peer is dialled.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use kadmap_core::NodeId;
use quinn_proto::{ConnectionError, TransportErrorCode};
use thiserror::Error;

/// Why a node has no socket.
#[derive(Debug, Error)]
pub(crate) enum BindError {
    /// Somebody else has the port.
    #[error("{address} is in use by another process; choose another port, or port 0 for any free one")]
    InUse {
        /// The address asked for.
        address: SocketAddr,
    },
    /// No interface of this machine has the address.
    #[error("{address} is not an address of this machine; listen on one that is, or on [::]")]
    NotOurs {
        /// The address asked for.
        address: SocketAddr,
    },
    /// Anything else the operating system refused.
    #[error("cannot open a UDP socket on {address}: {source}")]
    Socket {
        /// The address asked for.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// A setting has no meaning for QUIC.
    #[error("idle timeout of {idle_timeout:?} is longer than QUIC can express")]
    IdleTimeout {
        /// The setting.
        idle_timeout: Duration,
    },
}

impl BindError {
    pub(super) fn from_io(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { address },
            io::ErrorKind::AddrNotAvailable => Self::NotOurs { address },
            _ => Self::Socket { address, source },
        }
    }

    /// What kind of error it is to the operating system.
    pub(crate) fn kind(&self) -> io::ErrorKind {
        match self {
            Self::InUse { .. } => io::ErrorKind::AddrInUse,
            Self::NotOurs { .. } => io::ErrorKind::AddrNotAvailable,
            Self::Socket { source, .. } => source.kind(),
            Self::IdleTimeout { .. } => io::ErrorKind::InvalidInput,
        }
    }
}

/// Why a peer could not be dialled.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum DialError {
    /// Nobody answered in time.
    #[error("no answer in time")]
    TimedOut,
    /// Somebody answered, and proved to be another node: drop the contact.
    #[error("the node there is {actual:?}, not {expected:?}")]
    WrongId {
        /// The id dialled.
        expected: NodeId,
        /// The id proved.
        actual: NodeId,
    },
    /// The address is our own.
    #[error("the address is this node's own")]
    Myself,
    /// Our socket cannot reach addresses of this kind, or it is no address to dial at all.
    #[error("our socket cannot reach such an address")]
    NoRoute,
    /// The peer's certificate is not of our swarm.
    #[error("the peer is not of our swarm: {reason}")]
    Untrusted {
        /// What TLS said.
        reason: String,
    },
    /// The peer does not accept our certificate or our protocol.
    #[error("the peer does not accept us: {reason}")]
    Refused {
        /// What the peer said.
        reason: String,
    },
    /// The peer broke the rules of QUIC, or hung up in the middle of the handshake.
    #[error("the handshake failed: {reason}")]
    Failed {
        /// What QUIC said.
        reason: String,
    },
}

impl From<ConnectionError> for DialError {
    fn from(error: ConnectionError) -> Self {
        // RFC 9001, section 4.8: codes 0x100 to 0x1ff carry a TLS alert.
        let of_tls = |code: TransportErrorCode| (0x100..0x200).contains(&u64::from(code));
        let reason = error.to_string();
        match error {
            ConnectionError::TimedOut => Self::TimedOut,
            ConnectionError::TransportError(error) if of_tls(error.code) => Self::Untrusted { reason },
            ConnectionError::ConnectionClosed(close) if of_tls(close.error_code) => Self::Refused { reason },
            _ => Self::Failed { reason },
        }
    }
}
