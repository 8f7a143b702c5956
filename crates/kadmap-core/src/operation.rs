//! What a user asks of a node, and what comes of it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use crate::lookup::Hop;
pub use crate::news::{News, WatchError, WatchOptions};
use crate::record::{Base, Item, Payload, Record, Shape, Stamp, Version};
use crate::store::RecordId;
use crate::wire::{Refusal, Response};
use crate::{Consistency, Contact, NodeId};

/// By which an operation's outcome is told from the others'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(pub(crate) u64);

/// What a write does to its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Replaces whatever is there.
    Put {
        /// The value.
        payload: Payload,
        /// What the value is, for later appends and fields.
        shape: Shape,
    },
    /// Removes whatever is there.
    Delete,
    /// Adds an item to a list, which comes to be if nothing is there.
    Append {
        /// The item.
        payload: Payload,
    },
    /// Writes one field of a map, which comes to be if nothing is there.
    PutField {
        /// The field's name.
        field: Bytes,
        /// Its value.
        payload: Payload,
    },
    /// Removes one field of a map.
    DeleteField {
        /// The field's name.
        field: Bytes,
    },
    /// Removes one appended item of a list, whether it is there or not.
    Remove {
        /// The item's stamp.
        stamp: Stamp,
    },
    /// Drops everything of a list up to a stamp, the list that was put included.
    Trim {
        /// The stamp, of the newest item to drop.
        up_to: Stamp,
    },
}

impl Change {
    /// The shape that must be there, or nothing; `None` when any will do.
    pub fn needs_shape(&self) -> Option<Shape> {
        match self {
            Self::Put { .. } | Self::Delete => None,
            Self::Append { .. } | Self::Remove { .. } | Self::Trim { .. } => Some(Shape::List),
            Self::PutField { .. } | Self::DeleteField { .. } => Some(Shape::Map),
        }
    }

    /// Bytes of the value it carries.
    pub fn value_bytes(&self) -> usize {
        match self {
            Self::Put { payload, .. } | Self::Append { payload } | Self::PutField { payload, .. } => {
                payload.bytes.len()
            }
            Self::Delete | Self::DeleteField { .. } | Self::Remove { .. } | Self::Trim { .. } => 0,
        }
    }
}

/// How a write is to be done; the default takes everything from the node's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WriteOptions {
    /// How many replicas to wait for.
    pub consistency: Option<Consistency>,
    /// How long the value, item or field lives; `None` for as long as the swarm keeps it.
    pub ttl: Option<Duration>,
    /// Only if the record is in this state ([`Version::ABSENT`] for a record that must not exist).
    pub if_version: Option<Version>,
    /// How long to try.
    pub timeout: Option<Duration>,
}

/// How a read is to be done; the default takes everything from the node's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadOptions {
    /// How many replicas to hear.
    pub consistency: Option<Consistency>,
    /// How long to try.
    pub timeout: Option<Duration>,
}

/// What a record has grown to, and how much it may have.
///
/// ```
/// use kadmap_core::RecordSize;
/// assert!(RecordSize { bytes: 80, bytes_max: 100 }.is_nearly_full());
/// assert!(!RecordSize { bytes: 79, bytes_max: 100 }.is_nearly_full());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordSize {
    /// Payload and upkeep bytes of the record with all its items.
    pub bytes: u64,
    /// How many it may have; a write beyond is refused.
    pub bytes_max: u64,
}

impl RecordSize {
    /// Percent of the limit from which the user is warned: early enough to trim before anything is refused.
    pub const WARN_PERCENT: u64 = 80;

    /// Whether it is time to trim the record or to use another key.
    pub fn is_nearly_full(&self) -> bool {
        self.percent() >= Self::WARN_PERCENT
    }

    /// How much of the limit is used, in percent.
    pub fn percent(&self) -> u64 {
        self.bytes.saturating_mul(100) / self.bytes_max.max(1)
    }
}

/// A write that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOutcome {
    /// The stamp it carries.
    pub stamp: Stamp,
    /// The record's state after it, as the last replica to acknowledge told.
    pub version: Version,
    /// How large the record is after it, where it is nearest to its limit; `None` when no replica said.
    pub size: Option<RecordSize>,
    /// Who has it.
    pub acks: Vec<NodeId>,
    /// How many were needed.
    pub need: usize,
    /// How many are responsible; the rest of them receive it in the background.
    pub replicas: usize,
    /// Who refused, and why.
    pub refused: Vec<(NodeId, Refusal)>,
    /// Who did not answer in time.
    pub silent: Vec<NodeId>,
}

/// Why a write was not acknowledged. In every case the swarm may hold it on fewer replicas than needed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WriteError {
    /// The name is longer than the limit; nothing was sent.
    #[error("name too long: {bytes} bytes, allowed are {bytes_max}")]
    NameTooLong {
        /// The name's length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The value is longer than the limit; nothing was sent.
    #[error(
        "value too large: {bytes} bytes, allowed are {bytes_max}; raise the limit on every node or store it in parts"
    )]
    ValueTooLarge {
        /// The value's length.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// Fewer replicas than needed acknowledged it in time.
    #[error("too few acknowledgements: {} of {need} needed ({} silent, {} refused)", acks.len(), silent.len(), refused.len())]
    TooFewAcks {
        /// Who has it.
        acks: Vec<NodeId>,
        /// How many were needed.
        need: usize,
        /// Who refused, and why.
        refused: Vec<(NodeId, Refusal)>,
        /// Who did not answer.
        silent: Vec<NodeId>,
    },
    /// So many replicas refused that the need cannot be met.
    #[error("refused: {refusal}")]
    Refused {
        /// The reason most of them gave.
        refusal: Refusal,
        /// Who refused, and why; empty when the writer saw by itself that its condition does not hold.
        refused: Vec<(NodeId, Refusal)>,
        /// How many are responsible.
        replicas: usize,
    },
    /// More operations in flight than allowed; nothing was sent.
    #[error("busy: {in_flight_max} operations are in flight; wait for some to end")]
    Busy {
        /// The limit.
        in_flight_max: usize,
    },
}

/// What a read found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOutcome {
    /// All that the answering replicas know, merged; `None` when none of them holds anything.
    pub record: Option<Record>,
    /// The state of that record.
    pub version: Version,
    /// How many replicas answered.
    pub answers: usize,
    /// How many were needed.
    pub need: usize,
    /// How many are responsible.
    pub replicas: usize,
    /// How many of them lacked something and are being repaired.
    pub repaired: usize,
}

/// Some items of a list as a read found them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemsOutcome {
    /// What is there; `None` when nothing is.
    pub shape: Option<Shape>,
    /// The base's stamp, which hides all items up to it.
    pub base_stamp: Stamp,
    /// The list that was put, if it was asked for and there is one.
    pub base: Option<Base>,
    /// The items above the base in the order of the range, tombstones and expired ones included.
    pub items: Vec<Item>,
    /// Where to go on: the first stamp of the range that is not told; `None` when the range has no more.
    pub next: Option<Stamp>,
    /// How many replicas answered.
    pub answers: usize,
    /// How many were needed.
    pub need: usize,
    /// How many are responsible.
    pub replicas: usize,
    /// How many of them lacked something of this page and are being repaired.
    pub repaired: usize,
}

/// Why a read has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadError {
    /// The name is longer than the limit; nothing was sent.
    #[error("name too long: {bytes} bytes, allowed are {bytes_max}")]
    NameTooLong {
        /// The name's length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// Fewer replicas than needed answered in time.
    #[error("too few answers: {answers} of {need} needed")]
    TooFewAnswers {
        /// How many answered.
        answers: usize,
        /// How many were needed.
        need: usize,
    },
    /// More operations in flight than allowed; nothing was sent.
    #[error("busy: {in_flight_max} operations are in flight; wait for some to end")]
    Busy {
        /// The limit.
        in_flight_max: usize,
    },
}

/// What a lookup found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupOutcome<A = SocketAddr> {
    /// The closest responsive nodes, nearest first.
    pub closest: Vec<Contact<A>>,
    /// Every request it made, in order.
    pub trace: Vec<Hop<A>>,
}

/// Why one node gave no answer to a request made of it alone.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AskError<A = SocketAddr> {
    /// It did not answer in time.
    #[error("{contact} did not answer")]
    Silent {
        /// The node.
        contact: Contact<A>,
    },
}

/// What a node tells its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<A = SocketAddr> {
    /// The wall clock of this node was set by more than clocks drift: the user should see whether it is right now.
    ///
    /// When it went ahead, nothing expires by it for an hour.
    ClockJumped {
        /// By how many milliseconds; negative when it went back.
        by_ms: i64,
    },
    /// A write ended.
    Written {
        /// Which.
        operation: OperationId,
        /// How.
        result: Result<WriteOutcome, WriteError>,
    },
    /// A read ended.
    Read {
        /// Which.
        operation: OperationId,
        /// How.
        result: Result<ReadOutcome, ReadError>,
    },
    /// A read of some items ended.
    Items {
        /// Which.
        operation: OperationId,
        /// How.
        result: Result<ItemsOutcome, ReadError>,
    },
    /// A lookup ended.
    LookedUp {
        /// Which.
        operation: OperationId,
        /// What it found.
        outcome: LookupOutcome<A>,
    },
    /// A scan has found some names; it waits for `continue_scan`.
    Scanned {
        /// Which.
        operation: OperationId,
        /// Names in (key, name) order, none twice.
        names: Vec<RecordId>,
        /// Whether the scan is over.
        done: bool,
    },
    /// A request made of one node ended.
    Answered {
        /// Which.
        operation: OperationId,
        /// What the node said.
        result: Result<(Response<A>, Duration), AskError<A>>,
    },
    /// A watch has begun, or could not.
    Watching {
        /// Which.
        operation: OperationId,
        /// Whether it has.
        result: Result<(), WatchError>,
    },
    /// Something has come of a watched record.
    Changed {
        /// The watch.
        operation: OperationId,
        /// What.
        news: News,
    },
    /// The node knows its neighbourhood and serves.
    Joined {
        /// How many contacts it has.
        contacts: usize,
    },
    /// The node has handed over what it held and told its contacts; it may be dropped.
    Left {
        /// Records handed to nodes that lacked them.
        handed_over: u64,
    },
    /// This node was out of touch for so long that deletions may have been forgotten meanwhile, and has held what it
    /// held against the word of the others.
    CameBack {
        /// For how long it was away, in milliseconds.
        away_ms: u64,
        /// Records it held.
        checked: u64,
        /// Those that had been deleted, and are gone here too now.
        dropped: u64,
        /// Those that others have in another state, which is now the state here.
        changed: u64,
        /// Those about which too few could tell: they stay as they were.
        unconfirmed: u64,
    },
    /// A stored record was damaged and set aside; it is being fetched again.
    Damaged {
        /// Which.
        record: RecordId,
    },
    /// The store failed; writes are refused until it works again.
    StorageFailed {
        /// What the store said.
        reason: String,
    },
}
