//! The kadmap protocol as a pure state machine.

mod config;
mod contact;
mod id;
mod lookup;
mod node;
mod operation;
mod record;
mod routing;
mod rtt;
mod store;
pub mod testing;
mod time;
pub mod wire;

pub use config::{Config, Consistency, Limits, Role};
pub use contact::{Address, Contact};
pub use id::{Distance, ID_BITS, ID_BYTES, Key, NodeId, ParseIdError};
pub use lookup::{Hop, HopOutcome, Lookup, LookupConfig};
pub use node::{Action, Counters, Node};
pub use operation::{
    AskError, Change, Event, LookupOutcome, OperationId, ReadError, ReadOptions, ReadOutcome, WriteError,
    WriteOptions, WriteOutcome,
};
pub use record::{
    Base, Clock, Codec, Head, Item, ItemId, OVERHEAD_BYTES, ParseVersionError, Payload, Record, Shape, Stamp,
    Version, base_death_ms, item_death_ms,
};
pub use routing::{Admission, BucketInfo, Removal, RoutingTable, TableConfig};
pub use rtt::{RoundTrip, TimeoutConfig};
pub use store::{Merged, RecordId, RecordStore, StoreError, Ticket, Usage};
pub use time::{Instant, Now};
