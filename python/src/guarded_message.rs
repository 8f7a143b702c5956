//! Messages as a request handler in Python sees them, and what it may change in them.

use std::net::SocketAddr;

use kadmap::wire::{Body, Nodes, Request, Response};
use kadmap::{Base, Item, NodeId, Record, RecordId, Value};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::clock::unix_ms;
use crate::results::host_of;
use crate::{place, value};

/// The kinds of messages that a handler may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Ping,
    Pong,
    Find,
    FoundNodes,
    FoundValue,
    Store,
}

const KINDS: [(Kind, &str); 6] = [
    (Kind::Ping, "ping"),
    (Kind::Pong, "pong"),
    (Kind::Find, "find"),
    (Kind::FoundNodes, "found_nodes"),
    (Kind::FoundValue, "found_value"),
    (Kind::Store, "store"),
];

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    pub(crate) fn of_name(name: &str) -> PyResult<Self> {
        let kind = KINDS.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind);
        kind.ok_or_else(|| {
            PyValueError::new_err(format!("'{name}' is no kind of message that a guard can see"))
        })
    }

    /// The kind of a message that is shown when it arrives; records to keep are shown when they are stored.
    pub(crate) fn of_body(body: &Body) -> Option<Self> {
        match body {
            Body::Request(Request::Ping(_)) => Some(Self::Ping),
            Body::Request(Request::FindNode(_) | Request::Get(_)) => Some(Self::Find),
            Body::Response(Response::Pong(_)) => Some(Self::Pong),
            Body::Response(response) if found_record(response).is_some() => Some(Self::FoundValue),
            Body::Response(Response::Nodes(_)) => Some(Self::FoundNodes),
            _ => None,
        }
    }
}

/// Who sent a message.
#[derive(Clone, Copy)]
pub(crate) struct Sender {
    pub(crate) id: NodeId,
    /// `None` for this node's own share of what it does.
    pub(crate) address: Option<SocketAddr>,
    /// The request's number.
    pub(crate) request: u32,
}

/// What a handler is shown.
#[derive(Clone, Copy)]
pub(crate) enum Shown<'a> {
    /// A message that arrived.
    Message { kind: Kind, sender: Sender, body: &'a Body },
    /// A record to keep.
    Store { sender: Sender, record: &'a RecordId, delta: &'a Record },
}

impl Shown<'_> {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Message { kind, .. } => *kind,
            Self::Store { .. } => Kind::Store,
        }
    }

    /// The message as a dictionary.
    pub(crate) fn to_python<'py>(self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (Self::Message { sender, .. } | Self::Store { sender, .. }) = self;
        let message = PyDict::new(py);
        message.set_item("message_type", self.kind().name())?;
        message.set_item("peer_id", place::to_python(py, sender.id.as_bytes())?)?;
        message.set_item("peer_addr", sender.address.map(|address| (host_of(&address), address.port())))?;
        message.set_item("rpc_id", sender.request)?;
        message.set_item("id", py.None())?;
        message.set_item("value", py.None())?;
        match self {
            Self::Message { body, .. } => set_body(&message, body)?,
            Self::Store { record, delta, .. } => {
                message.set_item("id", place::to_python(py, record.key.as_bytes())?)?;
                message.set_item("name", record.name.as_ref())?;
                message.set_item("operation", operation_of(delta))?;
                set_value(&message, value_of(delta).as_ref())?;
            }
        }
        Ok(message)
    }

    /// The body with the value that an answer holds; `None` when the answer holds the same.
    pub(crate) fn new_value(answer: &Bound<'_, PyDict>, kind: Kind, body: &Body) -> PyResult<Option<Body>> {
        let Body::Response(response) = body else { return Ok(None) };
        let Some(found) = found_record(response) else { return Ok(None) };
        debug_assert_eq!(kind, Kind::FoundValue);
        let changed = changed_record(answer, found)?;
        Ok(changed.map(|record| Body::Response(with_record(response, record))))
    }

    /// The delta with the value that an answer holds; `None` when the answer holds the same.
    pub(crate) fn new_delta(answer: &Bound<'_, PyDict>, delta: &Record) -> PyResult<Option<Record>> {
        changed_record(answer, delta)
    }
}

/// The record that an answer brings.
fn found_record(response: &Response) -> Option<&Record> {
    match response {
        Response::Found(found) => Some(&found.record),
        Response::Nodes(nodes) => nodes.held.as_ref()?.record.as_ref(),
        _ => None,
    }
}

/// The answer with another record in the place of the one that it brings.
fn with_record(response: &Response, record: Record) -> Response {
    let mut response = response.clone();
    match &mut response {
        Response::Found(found) => found.record = record,
        Response::Nodes(Nodes { held: Some(held), .. }) => held.record = Some(record),
        _ => {}
    }
    response
}

fn set_body(message: &Bound<'_, PyDict>, body: &Body) -> PyResult<()> {
    let py = message.py();
    match body {
        Body::Request(Request::FindNode(find)) => {
            message.set_item("id", place::to_python(py, find.target.as_bytes())?)?;
            match &find.value {
                Some(value) => message.set_item("name", value.name.as_ref()),
                None => Ok(()),
            }
        }
        Body::Request(Request::Get(get)) => {
            message.set_item("id", place::to_python(py, get.key.as_bytes())?)?;
            message.set_item("name", get.name.as_ref())
        }
        Body::Response(response) => set_value(message, found_record(response).and_then(value_of).as_ref()),
        Body::Request(_) => Ok(()),
    }
}

fn set_value(message: &Bound<'_, PyDict>, shown: Option<&Value>) -> PyResult<()> {
    match shown {
        Some(shown) => message.set_item("value", value::to_python(message.py(), shown)?),
        None => Ok(()),
    }
}

/// The only item of a delta that has no base.
fn only_item(delta: &Record) -> Option<&Item> {
    let mut items = delta.items();
    match (delta.base(), items.next(), items.next()) {
        (None, Some(item), None) => Some(item),
        _ => None,
    }
}

/// What a delta does: the name of the user's operation, or "merge" for what several of them left.
fn operation_of(delta: &Record) -> &'static str {
    if let Some(item) = only_item(delta) {
        return match (&item.field, &item.payload) {
            (None, _) => "append",
            (Some(_), Some(_)) => "put_field",
            (Some(_), None) => "delete_field",
        };
    }
    match delta.base().filter(|_| delta.items().len() == 0) {
        Some(Base { payload: Some(_), .. }) => "put",
        Some(_) => "delete",
        None => "merge",
    }
}

/// The value that a delta carries: that of its only item, or what there is to read in it.
fn value_of(delta: &Record) -> Option<Value> {
    match only_item(delta) {
        Some(item) => item.payload.as_ref().map(Value::of_payload),
        None => Value::of_record(delta, unix_ms()),
    }
}

/// The record with the value that an answer holds; `None` when it holds what was shown.
fn changed_record(answer: &Bound<'_, PyDict>, record: &Record) -> PyResult<Option<Record>> {
    let py = answer.py();
    let Some(given) = answer.get_item("value")?.filter(|given| !given.is_none()) else { return Ok(None) };
    let shown = value_of(record).map(|shown| value::to_python(py, &shown)).transpose()?;
    if let Some(shown) = shown
        && given.eq(shown)?
    {
        return Ok(None);
    }
    Ok(Some(with_value(record, value::of_python(&given)?)))
}

/// A record of the same stamp with another value.
fn with_value(record: &Record, value: Value) -> Record {
    let (payload, shape) = value.into_payload();
    if let Some(item) = only_item(record) {
        return Item { payload: Some(payload), ..item.clone() }.into();
    }
    let stamp = record.head().newest;
    let expires_ms = record.base().and_then(|base| base.expires_ms);
    Base { stamp, shape, payload: Some(payload), expires_ms }.into()
}
