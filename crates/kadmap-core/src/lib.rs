//! The kadmap protocol as a pure state machine.

mod contact;
mod id;
mod time;

pub use contact::{Address, Contact};
pub use id::{Distance, ID_BITS, ID_BYTES, Key, NodeId, ParseIdError};
pub use time::{Instant, Now};
