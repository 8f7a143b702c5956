//! Requests and responses, one struct for each body; field numbers are the wire's and never change meaning.

use std::net::SocketAddr;

use bytes::Bytes;
use minicbor::{Decode, Encode};

use super::recall::{Recall, Recalled};
use super::repair::{Compare, Copied, Copies, Divide, Fetch, Fetching, Parts, Sums};
use super::watch::{Changed, Heard, Watch, Watching};
use super::{FindNode, Items, Nodes, Page, PageSummary};
use crate::record::{Record, Shape, Stamp, Version};
use crate::{Address, Contact, Key, NodeId};

/// The number by which a response finds its request; unique among one node's requests in flight but for its last three
/// bits, which tell the attempt: a request that is repeated counts them up.
pub type RequestId = u32;

/// One frame: a request or a response.
///
/// ```
/// use kadmap_core::wire::{Body, Message, Ping, Request};
/// let ping = Request::Ping(Ping { payload: "hello".into() });
/// let message = Message { id: 1, from_client: false, unhurried: false, body: Body::Request(ping) };
/// let bytes = kadmap_core::wire::encode(&message);
/// assert_eq!(kadmap_core::wire::decode(&bytes).unwrap(), message);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<A = SocketAddr> {
    /// Which request this is, or answers.
    pub id: RequestId,
    /// Whether the sender is a client, which serves nothing and must not enter a routing table.
    pub from_client: bool,
    /// Whether the sender does not wait for the answer, which may therefore share a packet with something else.
    pub unhurried: bool,
    /// What it says.
    pub body: Body<A>,
}

/// What a frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<A = SocketAddr> {
    /// Asks for something.
    Request(Request),
    /// Answers a request.
    Response(Response<A>),
}

/// What one node asks of another; every request may be repeated without harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Are you there?
    Ping(Ping),
    /// Whom do you know close to this place?
    FindNode(FindNode),
    /// What do you hold under this name?
    Get(Get),
    /// Merge this into the record.
    Put(Put),
    /// Do you hold the same as I in these ranges?
    Compare(Compare),
    /// What are the parts of these ranges?
    Divide(Divide),
    /// Send me these records.
    Fetch(Fetch),
    /// Merge these copies of records, which you are to hold as well.
    Copies(Copies),
    /// Which names do you hold in this range?
    Names(Names),
    /// Which items do you hold in this stretch of a list?
    Items(Items),
    /// How are you?
    Status(Empty),
    /// Whom do you know at all?
    Peers(Peers),
    /// I am going; forget my address.
    Leave(Empty),
    /// Tell me of every change of this record.
    Watch(Watch),
    /// A record that you watch has changed.
    Changed(Changed),
    /// I was away for long: which of these records are there, and in which state?
    Recall(Recall),
    /// A kind this version does not know.
    Unknown(u8),
}

/// What a node answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response<A = SocketAddr> {
    /// To [`Request::Ping`]: the same payload.
    Pong(Ping),
    /// To [`Request::FindNode`].
    Nodes(Nodes<A>),
    /// To [`Request::Get`] with [`Want::Record`]: the record.
    Found(Found),
    /// To [`Request::Get`] with [`Want::Summary`], and whenever nothing is held.
    Summary(Summary),
    /// To [`Request::Put`]: it is held as durably as this node promises.
    Stored(Stored),
    /// To [`Request::Put`]: it is not held, and why. To [`Request::Get`]: the node cannot tell, and why.
    Refused(Refusal),
    /// To [`Request::Compare`].
    Sums(Sums),
    /// To [`Request::Divide`].
    Parts(Parts),
    /// To [`Request::Fetch`]; the records follow as copies.
    Fetching(Fetching),
    /// To [`Request::Copies`]: those that could be merged are held as durably as this node promises.
    Copied(Copied),
    /// To [`Request::Names`].
    Names(NamesPage),
    /// To [`Request::Items`] with [`Want::Record`].
    Page(Page),
    /// To [`Request::Items`] with [`Want::Summary`].
    PageSummary(PageSummary),
    /// To [`Request::Status`].
    Status(StatusReport),
    /// To [`Request::Peers`].
    Peers(PeerList<A>),
    /// To [`Request::Leave`].
    Left(Empty),
    /// To [`Request::Watch`]: changes will be told.
    Watching(Watching),
    /// To [`Request::Changed`].
    Heard(Heard),
    /// To [`Request::Recall`].
    Recalled(Recalled),
    /// A large answer is on its way: wait for it rather than ask again.
    Coming(Coming),
    /// The request's kind is unknown here.
    Unsupported(Empty),
    /// A kind this version does not know.
    Unknown(u8),
}

/// A body without fields.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Empty {}

/// Body of a ping and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Ping {
    /// Any bytes; the answer carries them back.
    #[cbor(n(0), with = "crate::record::cbor_bytes")]
    pub payload: Bytes,
}

/// How much of a record is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Want {
    /// All of it.
    #[n(0)]
    Record,
    /// Only what state it is in.
    #[n(1)]
    Summary,
}

/// Asks for a record.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Get {
    /// Its place.
    #[n(0)]
    pub key: Key,
    /// Its name.
    #[cbor(n(1), with = "crate::record::cbor_bytes")]
    pub name: Bytes,
    /// How much of it.
    #[n(2)]
    pub want: Want,
}

/// A whole record.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Found {
    /// Its state.
    #[n(0)]
    pub version: Version,
    /// The record.
    #[n(1)]
    pub record: Record,
}

/// The state of a record.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Summary {
    /// Its state; absent when nothing is held.
    #[n(0)]
    pub version: Version,
    /// Payload and upkeep bytes.
    #[n(1)]
    pub bytes: u64,
}

/// Whether a put is somebody's new write or a copy of one that was accepted before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum PutMode {
    /// A new write: refused when something newer is already there, so that its writer can stamp it again.
    #[n(0)]
    Publish,
    /// A copy from another holder: merged, whatever is there.
    #[n(1)]
    Replicate,
    /// A new floor of a list, below which nothing is there any more: a base that may stand below items.
    #[n(2)]
    Trim,
}

/// Asks to merge a delta into a record.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Put {
    /// Its place.
    #[n(0)]
    pub key: Key,
    /// Its name.
    #[cbor(n(1), with = "crate::record::cbor_bytes")]
    pub name: Bytes,
    /// New write or copy.
    #[n(2)]
    pub mode: PutMode,
    /// What to merge.
    #[n(3)]
    pub delta: Record,
    /// Only if nothing in the record is newer than this.
    #[n(4)]
    pub if_newest: Option<Stamp>,
}

/// What a put left.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Stored {
    /// The record's state after it.
    #[n(0)]
    pub version: Version,
    /// Payload and upkeep bytes of the record after it; `None` when the node does not say.
    #[n(1)]
    pub bytes: Option<u64>,
    /// Bytes that the record may have there.
    #[n(2)]
    pub bytes_max: Option<u64>,
}

/// Why a node does not hold what it was asked to hold.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum Refusal {
    /// Something with a higher stamp is there: stamp again above it.
    #[error("something newer is already there")]
    #[n(0)]
    Superseded {
        /// The highest stamp that stands in the way.
        #[n(0)]
        newest: Stamp,
    },
    /// An item cannot be added to what is there.
    #[error("the key holds a {found}, not a {wanted}")]
    #[n(1)]
    WrongShape {
        /// What the write needs.
        #[n(0)]
        wanted: Shape,
        /// What is there.
        #[n(1)]
        found: Shape,
    },
    /// The record is not in the state the writer named.
    #[error("the record is at version {found}")]
    #[n(2)]
    Conflict {
        /// The state it is in.
        #[n(0)]
        found: Version,
    },
    /// Over a limit of the storing node.
    #[error("too large: {bytes} bytes, this node takes {bytes_max}")]
    #[n(3)]
    TooLarge {
        /// What it would come to.
        #[n(0)]
        bytes: u64,
        /// The limit.
        #[n(1)]
        bytes_max: u64,
    },
    /// The writer's clock is ahead by more than the swarm's drift bound.
    #[error(
        "stamped {ahead_ms} ms ahead of this node's clock, allowed are {ahead_ms_max} ms: set the writer's clock"
    )]
    #[n(4)]
    ClockAhead {
        /// By how much, in milliseconds.
        #[n(0)]
        ahead_ms: u64,
        /// The bound, in milliseconds.
        #[n(1)]
        ahead_ms_max: u64,
    },
    /// The node's store is at its limit.
    #[error("the node's store is full: {bytes_max} bytes")]
    #[n(5)]
    Full {
        /// The limit.
        #[n(0)]
        bytes_max: u64,
    },
    /// The node's disk refuses.
    #[error(
        "the node's disk is full or fails: its log tells which, and writes are taken again once it works"
    )]
    #[n(6)]
    StorageFailed,
    /// The node's own storage or guard does not want this one write.
    #[error("the node rejects it: {reason}")]
    #[n(7)]
    Rejected {
        /// What it said.
        #[n(0)]
        reason: String,
    },
    /// The node tells as many watchers as it will.
    #[error("the node serves no more than {watches_max} watches")]
    #[n(8)]
    TooManyWatches {
        /// The limit that is reached.
        #[n(0)]
        watches_max: u64,
    },
    /// The record with all its items would be over the limit of the storing node.
    #[error(
        "the record would come to {bytes} bytes, this node takes {bytes_max}: trim it or use another key"
    )]
    #[n(9)]
    RecordFull {
        /// What it would come to.
        #[n(0)]
        bytes: u64,
        /// The limit.
        #[n(1)]
        bytes_max: u64,
    },
    /// The node has just started: it still reads what it holds, or learns from others what belongs to it; ask again in a
    /// moment.
    #[error("the node has just started and does not yet hold what belongs to it")]
    #[n(10)]
    Starting,
    /// The node leaves: it takes nothing any more, and tells nothing once it has handed over what it held.
    #[error("the node is leaving")]
    #[n(11)]
    Leaving,
}

/// Asks for names in a range of the key space, in (key, name) order.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Names {
    /// The first place of the range.
    #[n(0)]
    pub from: Key,
    /// The last place of the range.
    #[n(1)]
    pub to: Key,
    /// Start after this name at `from`; `None` to start with the first.
    #[cbor(n(2), with = "crate::record::cbor_bytes::option", has_nil)]
    pub after_name: Option<Bytes>,
    /// How many at most; the answering node has a limit of its own.
    #[n(3)]
    pub limit: u32,
}

/// One held record's address.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct NameEntry {
    /// Its place.
    #[n(0)]
    pub key: Key,
    /// Its name.
    #[cbor(n(1), with = "crate::record::cbor_bytes")]
    pub name: Bytes,
}

/// Names held in a range.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct NamesPage {
    /// In (key, name) order.
    #[n(0)]
    pub entries: Vec<NameEntry>,
    /// Whether more follow in the range.
    #[n(1)]
    pub more: bool,
    /// Where to go on: the last record this node looked at, listed or not.
    #[n(2)]
    pub last: Option<NameEntry>,
}

/// How a node is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct StatusReport {
    /// Version of the software.
    #[n(0)]
    pub software: String,
    /// Live contacts in its routing table.
    #[n(1)]
    pub contacts: u64,
    /// Records it holds, tombstones included.
    #[n(2)]
    pub records: u64,
    /// Bytes those records count for.
    #[n(3)]
    pub bytes: u64,
    /// Requests it has answered.
    #[n(4)]
    pub requests_served: u64,
    /// Puts it has refused.
    #[n(5)]
    pub puts_refused: u64,
    /// Milliseconds since it started.
    #[n(6)]
    pub uptime_ms: u64,
    /// How many replicas a record has by this node's configuration.
    #[n(7)]
    pub replication: u64,
    /// What its user wants others to know of it, JSON by convention; empty unless set.
    #[cbor(n(8), default)]
    pub info: String,
    /// Bytes that one value may have here; 0 when it does not say.
    #[cbor(n(9), default)]
    pub value_bytes_max: u64,
}

/// Asks for all contacts, in pages by id.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Peers {
    /// Only ids after this one.
    #[n(0)]
    pub after: Option<NodeId>,
}

/// A contact and what a node knows of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PeerReport<A = SocketAddr> {
    /// Who and where.
    #[cbor(n(0), bound = "A: Address")]
    pub contact: WireContact<A>,
    /// Smoothed round trip in microseconds; `None` before the first answer.
    #[n(1)]
    pub rtt_us: Option<u64>,
    /// Whether it answers.
    #[n(2)]
    pub live: bool,
}

/// Contacts of a node in id order.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PeerList<A = SocketAddr> {
    /// In id order.
    #[cbor(n(0), bound = "A: Address")]
    pub peers: Vec<PeerReport<A>>,
    /// Whether more follow.
    #[n(1)]
    pub more: bool,
}

/// Announces a large answer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Coming {
    /// Roughly how many bytes.
    #[n(0)]
    pub bytes: u64,
}

/// A contact as it travels: id, IP address and port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireContact<A = SocketAddr>(pub Contact<A>);

impl<A: Address, C> Encode<C> for WireContact<A> {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2)?.bytes(self.0.id.as_bytes())?.bytes(self.0.address.to_wire().as_ref())?.ok()
    }
}

impl<'b, A: Address, C> Decode<'b, C> for WireContact<A> {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        if d.array()? != Some(2) {
            return Err(minicbor::decode::Error::message("a contact is an array of two"));
        }
        let id = NodeId::decode(d, ctx)?;
        let address = A::from_wire(d.bytes()?)
            .ok_or_else(|| minicbor::decode::Error::message("an address is 6 or 18 bytes"))?;
        Ok(Self(Contact { id, address }))
    }
}

macro_rules! id_cbor {
    ($type:ident) => {
        impl<C> Encode<C> for $type {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(self.as_bytes())?.ok()
            }
        }
        impl<'b, C> Decode<'b, C> for $type {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                let bytes = d.bytes()?;
                let bytes = bytes
                    .try_into()
                    .map_err(|_| minicbor::decode::Error::message("an id or a key is 32 bytes"))?;
                Ok(Self::from_bytes(bytes))
            }
        }
    };
}
id_cbor!(Key);
id_cbor!(NodeId);
