//! What a user stores, as the swarm carries it: bytes and a word on how to read them.

use bytes::Bytes;
use minicbor::{Decode, Encode};

/// How a payload's bytes are to be read; only readers and writers look, never the nodes that store it.
///
/// ```
/// use kadmap_core::Codec;
/// assert_ne!(Codec::Bytes, Codec::Json);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Codec {
    /// Bytes as they are.
    #[n(0)]
    Bytes,
    /// A JSON text in UTF-8.
    #[n(1)]
    Json,
}

/// What the writer of a base value says it is, so that a storing node can refuse an append to a non-list
/// without reading the value.
///
/// ```
/// use kadmap_core::Shape;
/// assert_eq!(Shape::List.to_string(), "list");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Shape {
    /// A value that is replaced as a whole.
    #[n(0)]
    Value,
    /// A list: items may be appended.
    #[n(1)]
    List,
    /// A map: fields may be put.
    #[n(2)]
    Map,
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Value => "value",
            Self::List => "list",
            Self::Map => "map",
        })
    }
}

/// Opaque bytes of a user, with the codec to read them by.
///
/// ```
/// use kadmap_core::{Codec, Payload};
/// let payload = Payload::new(Codec::Json, "[1,2,3]");
/// assert_eq!(payload.bytes.len(), 7);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(map)]
pub struct Payload {
    /// How to read the bytes.
    #[n(0)]
    pub codec: Codec,
    /// The bytes, cheap to clone.
    #[cbor(n(1), with = "crate::record::cbor_bytes")]
    pub bytes: Bytes,
}

impl Payload {
    /// A payload of these bytes.
    pub fn new(codec: Codec, bytes: impl Into<Bytes>) -> Self {
        Self { codec, bytes: bytes.into() }
    }
}
