//! A Kademlia distributed hash table: a map shared by a swarm of peers, with no server in the middle.
//!
//! [`Dht::builder`] makes a node; [`Dht`] is the handle that puts, gets, appends and looks around.
//! Records are replicated on the 20 nodes closest to their key, quorums overlap, concurrent appends are never lost,
//! and everything that travels is encrypted and authenticated.
//! What is promised and what is not stands in `docs/guarantees.md`.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use kadmap::Dht;
//! let dht = Dht::builder().listen("127.0.0.1:0").spawn().await?;
//! dht.put("colour", "red").await?;
//! assert_eq!(dht.get::<String>("colour").await?.as_deref(), Some("red"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

mod announce;
mod builder;
mod crowding;
mod dht;
pub mod error;
mod fields;
mod guard;
pub mod identity;
mod lists;
mod names_at;
mod node;
mod place;
mod remote;
mod request;
mod scan;
mod status;
mod transport;
mod value;
mod watch;

pub use announce::{
    ANNOUNCEMENT_TTL, ANNOUNCEMENT_TTL_MAX, ANNOUNCEMENT_TTL_MIN, Announce, AnnounceError, Announcement,
    Provider, Providers, Withdraw,
};
pub use builder::{DEFAULT_PORT, DhtBuilder};
pub use dht::Dht;
pub use error::{GetError, PutError, RemoteError, StartError, Stopped, WatchError};
pub use guard::Guard;
pub use kadmap_core::WatchError as BeginWatchError;
pub use kadmap_core::wire;
pub use kadmap_core::wire::Refusal;
pub use kadmap_core::wire::StatusReport;
pub use kadmap_core::{
    Base, Codec, Consistency, Contact, Head, Hop, HopOutcome, Item, ItemId, ItemPage, ItemRange, Key,
    LookupOutcome, Merged, NodeId, ParseStampError, Payload, ReadError, Record, RecordId, RecordSize,
    RecordStore, Shape, Stamp, StoreError, Ticket, Usage, Version, WriteError, WriteOutcome,
};
pub use kadmap_store::{Durability, MemoryStore, StoreConfig};
pub use lists::{Items, ItemsPage, Keep, ListError, ListItem, Remove, Trim, Trimmed};
pub use place::Place;
pub use remote::Remote;
pub use request::{Read, Reading, Write};
pub use scan::Scan;
pub use status::{PeerInfo, Status};
pub use value::{Value, ValueError};
pub use watch::{BeginWatch, Change, Watch};
