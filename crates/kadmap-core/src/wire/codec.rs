//! Messages to bytes and back.

use std::convert::Infallible;

use bytes::Bytes;
use minicbor::Encode;
use minicbor::encode::Write;
use thiserror::Error;

use super::message::{Body, Message, Request, Response};
use crate::Address;

/// The version that every frame starts with.
pub const WIRE_VERSION: u8 = 1;
/// Bytes before the CBOR body: version, kind, flags, reserved, request id.
pub const FRAME_HEADER_BYTES: usize = 8;
/// Flag: the sender is a client.
const FLAG_CLIENT: u8 = 1;
/// Flag: the answer may wait to share a packet.
const FLAG_UNHURRIED: u8 = 2;
/// Kinds from here on are responses.
const FIRST_RESPONSE_KIND: u8 = 0x80;
/// A first guess at a frame's size, so that small ones are written without growing the buffer.
const FRAME_BYTES_GUESS: usize = 256;

/// Why bytes are not a message. The sender is at fault; drop the frame, keep the connection.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Shorter than the header.
    #[error("frame of {bytes} bytes is shorter than its header")]
    Truncated {
        /// The frame's length.
        bytes: usize,
    },
    /// A version this node does not speak.
    #[error("wire version {version}, this node speaks {WIRE_VERSION}")]
    Version {
        /// The version in the frame.
        version: u8,
    },
    /// The body is not what its kind says.
    #[error("body of kind {kind:#04x} is malformed: {reason}")]
    Body {
        /// The kind in the header.
        kind: u8,
        /// What the decoder met.
        reason: String,
    },
}

/// The kinds of both enums, told once: number, variant.
macro_rules! kinds {
    ($enum:ident [$($address:ident)?], $kind_of:ident, $encode:ident, $decode:ident:
        $($kind:literal => $variant:ident,)*) => {
        fn $kind_of$(<$address>)?(body: &$enum$(<$address>)?) -> (u8, &'static str) {
            match body {
                $($enum::$variant(_) => ($kind, stringify!($variant)),)*
                $enum::Unknown(kind) => (*kind, "Unknown"),
            }
        }

        fn $encode<$($address: Address,)? W: Write<Error = Infallible>>(
            body: &$enum$(<$address>)?,
            out: &mut W,
        ) {
            match body {
                $($enum::$variant(fields) => append(fields, out),)*
                $enum::Unknown(_) => {}
            }
        }

        fn $decode(kind: u8, body: &[u8]) -> Result<$enum, minicbor::decode::Error> {
            Ok(match kind {
                $($kind => $enum::$variant(minicbor::decode(body)?),)*
                other => $enum::Unknown(other),
            })
        }
    };
}

kinds! { Request [], request_kind, encode_request, decode_request:
    0x01 => Ping,
    0x02 => FindNode,
    0x03 => Get,
    0x04 => Put,
    0x05 => Names,
    0x06 => Status,
    0x07 => Peers,
    0x08 => Leave,
    0x0a => Compare,
    0x0b => Divide,
    0x0c => Fetch,
    0x0d => Items,
    0x0f => Watch,
    0x10 => Changed,
    0x11 => Recall,
    0x12 => Copies,
}

kinds! { Response [A], response_kind, encode_response, decode_response:
    0x81 => Pong,
    0x82 => Nodes,
    0x83 => Found,
    0x84 => Stored,
    0x85 => Names,
    0x86 => Status,
    0x87 => Peers,
    0x88 => Left,
    0x8a => Sums,
    0x8b => Parts,
    0x8c => Fetching,
    0x8d => Page,
    0x8e => PageSummary,
    0x8f => Watching,
    0x90 => Summary,
    0x91 => Refused,
    0x92 => Coming,
    0x93 => Unsupported,
    0x94 => Heard,
    0x95 => Recalled,
    0x96 => Copied,
}

/// The bytes of a message.
pub fn encode(message: &Message) -> Bytes {
    let (kind, _) = message.kind();
    let mut out = Vec::with_capacity(FRAME_BYTES_GUESS);
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    let flags = flag(message.from_client, FLAG_CLIENT) | flag(message.unhurried, FLAG_UNHURRIED);
    out.extend_from_slice(&[WIRE_VERSION, kind, flags, 0]);
    out.extend_from_slice(&message.id.to_be_bytes());
    encode_body(&message.body, &mut out);
    out.into()
}

/// How many bytes [`encode`] makes of a message; costs as much, but for the memory.
///
/// Takes any kind of address, for a simulator that counts bytes and sends none.
pub fn encoded_bytes<A: Address>(message: &Message<A>) -> usize {
    let mut counter = ByteCounter(FRAME_HEADER_BYTES);
    encode_body(&message.body, &mut counter);
    counter.0
}

impl<A> Message<A> {
    /// The number of its kind in the frame's header, and the name of that kind.
    pub fn kind(&self) -> (u8, &'static str) {
        match &self.body {
            Body::Request(request) => request_kind(request),
            Body::Response(response) => response_kind(response),
        }
    }
}

/// Counts what is written to it.
struct ByteCounter(usize);

impl Write for ByteCounter {
    type Error = Infallible;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        self.0 += bytes.len();
        Ok(())
    }
}

fn encode_body<A: Address, W: Write<Error = Infallible>>(body: &Body<A>, out: &mut W) {
    match body {
        Body::Request(request) => encode_request(request, out),
        Body::Response(response) => encode_response(response, out),
    }
}

/// The message in a frame; bytes after the body are ignored.
///
/// # Errors
/// [`DecodeError`] tells what is wrong; an unknown kind is not an error but [`Request::Unknown`] or
/// [`Response::Unknown`].
pub fn decode(frame: &[u8]) -> Result<Message, DecodeError> {
    let Some((header, body)) = frame.split_first_chunk::<FRAME_HEADER_BYTES>() else {
        return Err(DecodeError::Truncated { bytes: frame.len() });
    };
    let [version, kind, flags, _, id @ ..] = *header;
    if version != WIRE_VERSION {
        return Err(DecodeError::Version { version });
    }
    let malformed = |error: minicbor::decode::Error| DecodeError::Body { kind, reason: error.to_string() };
    let body = if kind < FIRST_RESPONSE_KIND {
        Body::Request(decode_request(kind, body).map_err(malformed)?)
    } else {
        Body::Response(decode_response(kind, body).map_err(malformed)?)
    };
    let (from_client, unhurried) = (flags & FLAG_CLIENT != 0, flags & FLAG_UNHURRIED != 0);
    Ok(Message { id: u32::from_be_bytes(id), from_client, unhurried, body })
}

fn append<T: Encode<()>, W: Write<Error = Infallible>>(fields: &T, out: &mut W) {
    // Writing to memory cannot fail and no body's own encoder refuses a value.
    if let Err(error) = minicbor::encode(fields, out) {
        unreachable!("a message encodes into memory: {error}");
    }
}
