//! What the writing verbs report.

use kadmap::WriteOutcome;
use serde::Serialize;

use crate::client::texts;
use crate::failure::Failure;
use crate::json_text;
use crate::output::Output;

/// An acknowledged write.
#[derive(Serialize)]
struct Written {
    name: Box<serde_json::value::RawValue>,
    /// The stamp it carries: the id of an item that was appended.
    stamp: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    record_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record_bytes_max: Option<u64>,
    acks: Vec<String>,
    need: usize,
    replicas: usize,
    refused: Vec<Refused>,
    silent: Vec<String>,
}

/// A replica that did not take it, and why.
#[derive(Serialize)]
struct Refused {
    id: String,
    reason: String,
}

/// Reports a write: with --json in full, and otherwise by its silence.
pub(super) fn report(name: &[u8], outcome: &WriteOutcome, output: &Output) -> Result<(), Failure> {
    let refused = outcome.refused.iter();
    let written = Written {
        name: json_text::raw_of_name(name),
        stamp: outcome.stamp.to_string(),
        version: outcome.version.to_string(),
        record_bytes: outcome.size.map(|size| size.bytes),
        record_bytes_max: outcome.size.map(|size| size.bytes_max),
        acks: texts(&outcome.acks),
        need: outcome.need,
        replicas: outcome.replicas,
        refused: refused.map(|(id, why)| Refused { id: id.to_string(), reason: why.to_string() }).collect(),
        silent: texts(&outcome.silent),
    };
    output.result(&written, |_| Ok(()))
}
