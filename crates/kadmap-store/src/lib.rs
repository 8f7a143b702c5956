//! Where a kadmap node keeps its records: in memory, or in a crash-safe file.
//!
//! Both stores implement [`RecordStore`](kadmap_core::RecordStore) by the same plan of a merge, and neither reads
//! a list to append to it.
//!
//! ```
//! use kadmap_core::{Base, Codec, Key, Payload, Record, RecordId, RecordStore, Shape, Stamp};
//! use kadmap_store::{MemoryStore, StoreConfig};
//!
//! let mut store = MemoryStore::new(StoreConfig::default());
//! let id = RecordId::new(Key::of_name(b"colour"), "colour");
//! let base = Base {
//!     stamp: Stamp { time: 1, writer: 1 },
//!     shape: Shape::Value,
//!     payload: Some(Payload::new(Codec::Json, "\"red\"")),
//!     expires_ms: None,
//! };
//! assert!(store.merge(&id, Record::from(base)).unwrap().changed);
//! assert_eq!(store.usage().records, 1);
//! ```

mod any;
mod config;
mod disk;
mod memory;
mod part;
mod plan;

pub use any::AnyStore;
pub use config::{Durability, StoreConfig};
pub use disk::{Counters, OpenError, Opened, RedbStore};
pub use memory::MemoryStore;
