//! What travels between nodes: messages and their bytes.
//!
//! A frame is a fixed header followed by one CBOR map with numbered fields; `docs/protocol.md` draws it byte by
//! byte and the golden vectors in `tests/` hold it still.
//! Unknown fields are skipped, an unknown kind of request is answered with [`Response::Unsupported`].

mod codec;
mod find;
mod known;
mod list;
mod message;
mod recall;
mod repair;
mod watch;

pub use codec::{DecodeError, FRAME_HEADER_BYTES, WIRE_VERSION, decode, encode, encoded_bytes};
pub use find::{FindNode, FindValue, Held, Nodes};
pub use known::KnownIds;
pub use list::{Items, Page, PageSummary};
pub use message::{
    Body, Coming, Empty, Found, Get, Message, NameEntry, Names, NamesPage, PeerList, PeerReport, Peers, Ping,
    Put, PutMode, Refusal, Request, RequestId, Response, StatusReport, Stored, Summary, Want, WireContact,
};
pub use recall::{Recall, Recalled};
pub use repair::{Compare, Copied, Copies, Divide, Fetch, Fetching, Parts, RecordCopy, Sums};
pub use watch::{Changed, Heard, Watch, Watching};
