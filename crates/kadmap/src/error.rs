//! Why something could not be done, one type for each thing a user does.

use kadmap_core::{AskError, ReadError, WriteError};
use thiserror::Error;

use crate::ValueError;
use crate::identity::IdentityError;

/// Why a node did not start. Nothing is left running.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting is out of its range.
    #[error("{setting} is {value}: {remedy}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        remedy: String,
    },
    /// The node's key or certificate is not usable.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The data folder cannot be used.
    #[error(transparent)]
    Store(#[from] kadmap_store::OpenError),
    /// The caller's own store did not open.
    #[error("cannot open the store: {0}")]
    CustomStore(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No socket could be opened.
    #[error("cannot listen: {reason}")]
    Listen {
        /// What kind of error it is to the operating system.
        kind: std::io::ErrorKind,
        /// The address asked for and what is wrong with it.
        reason: String,
    },
    /// An address to join by is not one.
    #[error("cannot resolve '{address}': {reason}; give it as host:port, such as 192.168.1.7:8339")]
    Address {
        /// What was given.
        address: String,
        /// What the resolver said.
        reason: String,
    },
    /// None of the addresses to join by led to a member of the swarm.
    #[error("cannot join: {}", .attempts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Join {
        /// What became of each address.
        attempts: Vec<JoinAttempt>,
    },
}

/// What became of one address to join by.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{address}: {reason}")]
pub struct JoinAttempt {
    /// The address.
    pub address: String,
    /// Why it did not lead to a member.
    pub reason: String,
}

/// Why a write did not succeed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PutError {
    /// The value cannot be stored; nothing was sent.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// The swarm did not acknowledge it.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The node has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Why a read has no result. That there is nothing under the name is a result, not an error.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GetError {
    /// What is stored is not of the type asked for.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// Too few nodes answered.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The node has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Why a watch did not begin.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WatchError {
    /// Too few replicas tell of changes, or a limit is reached.
    #[error(transparent)]
    Begin(#[from] kadmap_core::WatchError),
    /// The node has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Why another node did not answer a question put to it alone.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// It did not answer.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// It answered something else.
    #[error("the node answered {answer}: is it of another version?")]
    Unexpected {
        /// What it answered.
        answer: String,
    },
    /// Our own node has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// The node has left or its task has ended; start a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the node has stopped")]
pub struct Stopped;
