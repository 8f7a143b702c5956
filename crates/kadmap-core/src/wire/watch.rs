//! Bodies of watching: who wants to hear of a record, and what has come of it.

use bytes::Bytes;
use minicbor::{Decode, Encode};

use crate::Key;
use crate::record::{Record, Version};

/// Asks to be told of every change of a record for a while, or no longer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Watch {
    /// Its place.
    #[n(0)]
    pub key: Key,
    /// Its name.
    #[cbor(n(1), with = "crate::record::cbor_bytes")]
    pub name: Bytes,
    /// For how many milliseconds from now; 0 for no longer.
    #[n(2)]
    pub lease_ms: u64,
    /// The watcher counts its requests of this kind by it, so that an old one cannot end what a newer one began.
    #[n(3)]
    pub number: u64,
}

/// Where a replica stands whose changes will be told.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Watching {
    /// The record's state here; absent when nothing is held.
    #[n(0)]
    pub version: Version,
    /// For how many milliseconds changes are told from now on.
    #[n(1)]
    pub lease_ms: u64,
    /// The number of the last change told to this watcher. A replica that knew nothing of the watcher starts from a
    /// number of its own.
    #[n(2)]
    pub told: u64,
}

/// Tells a watcher that a record has changed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Changed {
    /// Its place.
    #[n(0)]
    pub key: Key,
    /// Its name.
    #[cbor(n(1), with = "crate::record::cbor_bytes")]
    pub name: Bytes,
    /// One more than that of the change told to this watcher before.
    #[n(2)]
    pub number: u64,
    /// The record's state after the change.
    #[n(3)]
    pub version: Version,
    /// What was merged; `None` when it does not fit a packet or is more than one change, so that the watcher has to
    /// ask.
    #[n(4)]
    pub delta: Option<Record>,
}

/// What a watcher says to a change.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Heard {
    /// Whether it wants to hear more.
    #[n(0)]
    pub interested: bool,
}
