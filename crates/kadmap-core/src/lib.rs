//! The kadmap protocol as a pure state machine.
//!
//! Deterministic: no sockets, no clock, no threads, no randomness of the operating system.
//! [`Node`] is driven by a caller that has those: it hands in messages and the time, takes out actions and events,
//! and calls again when the node asked to be called.
//! The same seed and the same inputs give the same outputs, so what a simulation shows holds for production.
//!
//! The parts stand on their own: [`RoutingTable`] and [`Lookup`] know nothing of records, [`Record`] nothing of
//! nodes, and records are kept through [`RecordStore`], which `kadmap-store` implements.

mod config;
mod contact;
mod id;
mod indexed;
mod lookup;
mod news;
mod node;
mod operation;
pub mod ranges;
mod record;
mod routing;
mod rtt;
mod store;
pub mod testing;
mod time;
pub mod wire;

pub use config::{Config, Consistency, Limits, Role};
pub use contact::{Address, Contact, PackedContact};
pub use id::{Distance, ID_BITS, ID_BYTES, Key, NodeId, ParseIdError};
pub use lookup::{Hop, HopOutcome, Lookup, LookupConfig};
pub use node::{Action, Counters, Node, Purpose};
pub use operation::{
    AskError, Change, Event, ItemsOutcome, LookupOutcome, News, OperationId, ReadError, ReadOptions,
    ReadOutcome, RecordSize, WatchError, WatchOptions, WriteError, WriteOptions, WriteOutcome,
};
pub use record::{
    Base, Clock, Codec, Fate, Head, Item, ItemId, ItemPage, ItemRange, OVERHEAD_BYTES, ParseStampError,
    ParseVersionError, Payload, Record, Shape, Stamp, Version, base_death_ms, base_due_ms, base_fate,
    item_death_ms, item_due_ms, item_fate,
};
pub use routing::{Admission, BucketInfo, Removal, RoutingTable, TableConfig};
pub use rtt::{RoundTrip, TimeoutConfig};
pub use store::{Merged, Presence, RecordId, RecordStore, Scrubbed, StoreError, Ticket, Usage};
pub use time::{Instant, Now};
