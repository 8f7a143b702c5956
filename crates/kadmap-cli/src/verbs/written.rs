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
    version: String,
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
        version: outcome.version.to_string(),
        acks: texts(&outcome.acks),
        need: outcome.need,
        replicas: outcome.replicas,
        refused: refused.map(|(id, why)| Refused { id: id.to_string(), reason: why.to_string() }).collect(),
        silent: texts(&outcome.silent),
    };
    output.result(&written, |_| Ok(()))
}
