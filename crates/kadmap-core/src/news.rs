//! What a watch is asked to do, and what it tells.

use std::time::Duration;

use thiserror::Error;

use crate::record::{Base, Item, ItemId, Record};

/// How a record is to be watched.
///
/// ```
/// assert!(kadmap_core::WatchOptions::default().initial);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchOptions {
    /// Whether to tell the record as it stands, first; default yes, so that reading and then watching is one step and
    /// nothing falls between.
    pub initial: bool,
    /// How long to try to begin; afterwards a watch has no end but its user's.
    pub timeout: Option<Duration>,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self { initial: true, timeout: None }
    }
}

/// What has come of a watched record.
///
/// ```
/// use kadmap_core::{Base, News, Shape, Stamp};
/// let base = Base { stamp: Stamp { time: 7, writer: 1 }, shape: Shape::Value, payload: None, expires_ms: None };
/// assert!(matches!(News::Base(base), News::Base(Base { payload: None, .. })), "deleted");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The record as it stands, empty when nothing is there: told first, and again after
    /// [`Node::resume_watch`](crate::Node::resume_watch).
    State(Record),
    /// A put, or a delete when it has no payload.
    Base(Base),
    /// An appended item or a field, put or, without a payload, removed.
    Item(Item),
    /// The time to live of an item, or of the value itself, is over.
    Expired(Option<ItemId>),
}

/// Why a watch did not begin.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WatchError {
    /// The name is longer than the limit; nothing was sent.
    #[error("name too long: {bytes} bytes, allowed are {bytes_max}")]
    NameTooLong {
        /// The name's length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// This node watches as much as it will; nothing was sent.
    #[error("this node watches {watches_max} records already, which is its limit; end some watches first")]
    TooManyWatches {
        /// The limit.
        watches_max: usize,
    },
    /// Fewer replicas than needed agreed in time to tell of changes.
    #[error("too few replicas to watch: {replicas} of {need} needed")]
    TooFewReplicas {
        /// How many agreed.
        replicas: usize,
        /// How many were needed.
        need: usize,
    },
}
