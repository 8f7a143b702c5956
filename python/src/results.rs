//! What operations return.

use std::net::SocketAddr;

use kadmap::{HopOutcome, LookupOutcome, PeerInfo, WriteOutcome};
use pyo3::prelude::*;

use crate::errors::{hex, reasons};
use crate::value;

/// A write that was acknowledged.
#[pyclass(frozen, module = "kadmap")]
pub(crate) struct PutResult {
    outcome: WriteOutcome,
}

impl From<WriteOutcome> for PutResult {
    fn from(outcome: WriteOutcome) -> Self {
        Self { outcome }
    }
}

#[pymethods]
impl PutResult {
    /// Ids of the nodes that have it.
    #[getter]
    fn acks(&self) -> Vec<String> {
        hex(&self.outcome.acks)
    }

    /// How many were needed.
    #[getter]
    fn need(&self) -> usize {
        self.outcome.need
    }

    /// How many nodes are responsible; the rest receive it in the background.
    #[getter]
    fn replicas(&self) -> usize {
        self.outcome.replicas
    }

    /// Ids of the nodes that refused, and why.
    #[getter]
    fn refused(&self) -> Vec<(String, String)> {
        reasons(&self.outcome.refused)
    }

    /// Ids of the nodes that did not answer in time.
    #[getter]
    fn silent(&self) -> Vec<String> {
        hex(&self.outcome.silent)
    }

    /// The id of an item that was appended, by which it can be removed; of other writes their own.
    #[getter]
    fn id(&self) -> String {
        self.outcome.stamp.to_string()
    }

    /// Bytes of the record after it, upkeep included; None when no node said.
    #[getter]
    fn record_bytes(&self) -> Option<u64> {
        self.outcome.size.map(|size| size.bytes)
    }

    /// Bytes that the record may have; None when no node said.
    #[getter]
    fn record_bytes_max(&self) -> Option<u64> {
        self.outcome.size.map(|size| size.bytes_max)
    }

    /// Whether the record has used so much of what it may have that it is time to trim it or to use another key.
    #[getter]
    fn is_nearly_full(&self) -> bool {
        self.outcome.size.is_some_and(|size| size.is_nearly_full())
    }

    /// The record's version after it.
    #[getter]
    fn version(&self) -> String {
        self.outcome.version.to_string()
    }

    fn __repr__(&self) -> String {
        let outcome = &self.outcome;
        format!(
            "PutResult({} acks of {} needed, replicas={}, refused={}, silent={}, version='{}')",
            outcome.acks.len(),
            outcome.need,
            outcome.replicas,
            outcome.refused.len(),
            outcome.silent.len(),
            outcome.version
        )
    }
}

/// What a read found.
#[pyclass(frozen, get_all, module = "kadmap")]
pub(crate) struct Reading {
    /// The value as a pair of kind and data; None when there is none.
    value: Option<Py<PyAny>>,
    /// The record's version; 32 zeros when there never was one.
    version: String,
    /// How many replicas answered.
    answers: usize,
    /// How many were needed.
    need: usize,
    /// How many are responsible.
    replicas: usize,
    /// How many lacked something and are being repaired.
    repaired: usize,
}

impl Reading {
    pub(crate) fn new(py: Python<'_>, reading: kadmap::Reading) -> PyResult<Self> {
        let value = reading.value.as_ref().map(|value| value::to_python(py, value)).transpose()?;
        Ok(Self {
            value: value.map(|value| value.into_any().unbind()),
            version: reading.version.to_string(),
            answers: reading.answers,
            need: reading.need,
            replicas: reading.replicas,
            repaired: reading.repaired,
        })
    }
}

#[pymethods]
impl Reading {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let value = match &self.value {
            Some(value) => value.bind(py).repr()?.to_string(),
            None => "None".to_owned(),
        };
        Ok(format!(
            "Reading({value}, version='{}', answers={}, need={}, replicas={}, repaired={})",
            self.version, self.answers, self.need, self.replicas, self.repaired
        ))
    }
}

/// Another node as a node sees it.
#[pyclass(frozen, get_all, module = "kadmap")]
pub(crate) struct Peer {
    /// Its id in hexadecimal.
    id: String,
    /// Its IP address.
    host: String,
    /// Its port.
    port: u16,
    /// Smoothed round trip in seconds; None before the first answer.
    rtt: Option<f64>,
    /// Whether it answers.
    live: bool,
}

impl From<PeerInfo> for Peer {
    fn from(peer: PeerInfo) -> Self {
        Self {
            id: peer.id.to_string(),
            host: host_of(&peer.address),
            port: peer.address.port(),
            rtt: peer.round_trip.map(|rtt| rtt.as_secs_f64()),
            live: peer.live,
        }
    }
}

#[pymethods]
impl Peer {
    fn __repr__(&self) -> String {
        let Self { id, host, port, live, .. } = self;
        let (short, live) = (id.get(..8).unwrap_or(id), if *live { "" } else { ", silent" });
        format!("Peer({short} at {host}:{port}{live})")
    }
}

/// A node's own account of itself.
#[pyclass(frozen, get_all, module = "kadmap")]
pub(crate) struct Status {
    /// Its id in hexadecimal.
    id: String,
    /// Where its socket listens, as host:port.
    address: String,
    /// The software and its version.
    software: String,
    /// Live contacts in its routing table.
    contacts: u64,
    /// Open connections.
    connections: u64,
    /// Records it holds, tombstones included.
    records: u64,
    /// Bytes those records count for.
    record_bytes: u64,
    /// Requests it has answered.
    requests_served: u64,
    /// Requests it has made, repeats not counted.
    requests_sent: u64,
    /// Requests it had to send again.
    requests_repeated: u64,
    /// Requests that were never answered.
    requests_unanswered: u64,
    /// Puts it has refused.
    puts_refused: u64,
    /// Replicas that its reads found lacking and repaired.
    replicas_repaired: u64,
    /// UDP packets received and sent.
    packets: (u64, u64),
    /// Frames received that are not messages.
    frames_malformed: u64,
    /// Seconds since it started.
    uptime: f64,
    /// How many replicas a record has by its configuration.
    replication: u64,
}

impl From<kadmap::Status> for Status {
    fn from(status: kadmap::Status) -> Self {
        Self {
            id: status.id.to_string(),
            address: status.address.to_string(),
            software: status.software,
            contacts: status.contacts,
            connections: status.connections,
            records: status.records,
            record_bytes: status.record_bytes,
            requests_served: status.requests_served,
            requests_sent: status.requests_sent,
            requests_repeated: status.requests_repeated,
            requests_unanswered: status.requests_unanswered,
            puts_refused: status.puts_refused,
            replicas_repaired: status.replicas_repaired,
            packets: status.packets,
            frames_malformed: status.frames_malformed,
            uptime: status.uptime.as_secs_f64(),
            replication: status.replication,
        }
    }
}

#[pymethods]
impl Status {
    fn __repr__(&self) -> String {
        let Self { address, contacts, records, record_bytes, .. } = self;
        format!("Status({address}, contacts={contacts}, records={records}, record_bytes={record_bytes})")
    }
}

/// What a lookup found.
#[pyclass(frozen, module = "kadmap")]
pub(crate) struct Lookup {
    outcome: LookupOutcome,
}

impl From<LookupOutcome> for Lookup {
    fn from(outcome: LookupOutcome) -> Self {
        Self { outcome }
    }
}

#[pymethods]
impl Lookup {
    /// The closest nodes that answered, nearest first.
    #[getter]
    fn closest(&self) -> Vec<Peer> {
        let peer = |contact: &kadmap::Contact| Peer {
            id: contact.id.to_string(),
            host: host_of(&contact.address),
            port: contact.address.port(),
            rtt: None,
            live: true,
        };
        self.outcome.closest.iter().map(peer).collect()
    }

    /// Every request it made, in order.
    #[getter]
    fn trace(&self) -> Vec<Hop> {
        self.outcome.trace.iter().map(Hop::from).collect()
    }

    fn __repr__(&self) -> String {
        format!("Lookup({} closest, {} requests)", self.outcome.closest.len(), self.outcome.trace.len())
    }
}

/// One request of a lookup.
#[pyclass(frozen, get_all, module = "kadmap")]
pub(crate) struct Hop {
    /// The id of the node that was asked, in hexadecimal.
    id: String,
    /// Its IP address.
    host: String,
    /// Its port.
    port: u16,
    /// The disjoint path that asked it, from 0.
    path: usize,
    /// Its distance from us in requests.
    depth: usize,
    /// The id of the node that told of it; None for one that was known before.
    told_by: Option<String>,
    /// "answered", "waiting", "slow" or "failed".
    outcome: &'static str,
    /// Contacts that it named, and those of them that were new.
    contacts: (usize, usize),
    /// Seconds between request and answer; None without an answer.
    rtt: Option<f64>,
}

impl From<&kadmap::Hop> for Hop {
    fn from(hop: &kadmap::Hop) -> Self {
        let (outcome, contacts, rtt) = match hop.outcome {
            HopOutcome::Answered { contacts, new, round_trip } => {
                ("answered", (contacts, new), Some(round_trip.as_secs_f64()))
            }
            HopOutcome::Waiting => ("waiting", (0, 0), None),
            HopOutcome::Slow => ("slow", (0, 0), None),
            HopOutcome::Failed => ("failed", (0, 0), None),
        };
        Self {
            id: hop.contact.id.to_string(),
            host: host_of(&hop.contact.address),
            port: hop.contact.address.port(),
            path: hop.path,
            depth: hop.depth,
            told_by: hop.told_by.map(|id| id.to_string()),
            outcome,
            contacts,
            rtt,
        }
    }
}

#[pymethods]
impl Hop {
    fn __repr__(&self) -> String {
        let Self { id, host, port, outcome, .. } = self;
        format!("Hop({} at {host}:{port}, {outcome})", id.get(..8).unwrap_or(id))
    }
}

/// The IP address as people write it: an IPv4 address that came over an IPv6 socket is an IPv4 address.
pub(crate) fn host_of(address: &SocketAddr) -> String {
    address.ip().to_canonical().to_string()
}
