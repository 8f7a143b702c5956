//! Virtual machines for tests: a store in memory and a network under virtual time.
//!
//! Not for production; the simulator and the tests of the crates above build on it.

mod map_store;
mod network;

pub use map_store::MapStore;
pub use network::{Link, Network};
