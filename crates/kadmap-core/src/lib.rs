//! The kadmap protocol as a pure state machine.

mod contact;
mod id;
mod record;
mod store;
mod time;

pub use contact::{Address, Contact};
pub use id::{Distance, ID_BITS, ID_BYTES, Key, NodeId, ParseIdError};
pub use record::{
    Base, Clock, Codec, Head, Item, ItemId, OVERHEAD_BYTES, ParseVersionError, Payload, Record, Shape, Stamp,
    Version, base_death_ms, item_death_ms,
};
pub use store::{Merged, RecordId, RecordStore, StoreError, Ticket, Usage};
pub use time::{Instant, Now};
