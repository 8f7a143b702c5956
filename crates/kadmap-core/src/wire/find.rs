//! Bodies by which nodes are found, and what they tell of a record on the way.

use std::net::SocketAddr;

use bytes::Bytes;
use minicbor::{Decode, Encode};

use super::{KnownIds, Want, WireContact};
use crate::record::{Record, Version};
use crate::{Address, Key};

/// Asks for the contacts closest to a place.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct FindNode {
    /// The place.
    #[n(0)]
    pub target: Key,
    /// How many at most; the answering node has a limit of its own.
    #[n(1)]
    pub count: u32,
    /// Those among them that need not be named, as the asking node has heard of them.
    #[n(2)]
    pub known: Option<KnownIds>,
    /// A record at this place of which the answer is to tell as well.
    #[n(3)]
    pub value: Option<FindValue>,
}

/// Asks for a record along with the contacts closest to it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct FindValue {
    /// Its name.
    #[cbor(n(0), with = "crate::record::cbor_bytes")]
    pub name: Bytes,
    /// How much of it.
    #[n(1)]
    pub want: Want,
}

/// Contacts as they travel.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Nodes<A = SocketAddr> {
    /// The closest contacts this node has verified, nearest first, but for those that the asking node knows.
    #[cbor(n(0), bound = "A: Address")]
    pub contacts: Vec<WireContact<A>>,
    /// What this node holds of the record that was asked for; `None` when it was not asked or has no say.
    #[n(1)]
    pub held: Option<Box<Held>>,
}

/// What a node holds under one name.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Held {
    /// The record's state; absent when nothing is held.
    #[n(0)]
    pub version: Version,
    /// All of it, if that was wanted and is small.
    #[n(1)]
    pub record: Option<Record>,
}
