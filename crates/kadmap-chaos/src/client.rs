//! A client of the swarm that writes down all it does.

use std::sync::Arc;

use kadmap::{Consistency, Dht, PutError, Reading, Value, WriteError, WriteOutcome};

use crate::history::{Kind, Mark, Operation, Outcome, Recorder, Seen, token_of_value, value_of_token};
use crate::progress::Progress;

/// Bytes of a value: what the figures of the benchmark were taken with.
const VALUE_BYTES: usize = 100;

/// A client of the swarm that writes down all it does; clones are the same client.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// By which the history tells it from others.
    pub(crate) number: u32,
    pub(crate) dht: Dht,
    recorder: Arc<Recorder>,
    pub(crate) progress: Progress,
    /// How many replicas it waits for; `None`: a quorum.
    consistency: Option<Consistency>,
    /// Bytes of the values that it puts.
    value_bytes: usize,
}

impl Client {
    pub(crate) fn new(number: u32, dht: Dht, recorder: Arc<Recorder>, progress: Progress) -> Self {
        Self { number, dht, recorder, progress, consistency: None, value_bytes: VALUE_BYTES }
    }

    /// The same client, that waits for so many replicas.
    pub(crate) fn with_consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = Some(consistency);
        self
    }

    /// The same client, that puts values of so many bytes.
    pub(crate) fn with_value_bytes(mut self, value_bytes: usize) -> Self {
        self.value_bytes = value_bytes;
        self
    }

    /// Puts a value by its number.
    pub(crate) async fn put(&self, key: &str, number: u64) -> Outcome {
        let start_ns = self.recorder.now_ns();
        let value = Value::Json(format!("\"{}\"", value_of_token(number, self.value_bytes)));
        let written = self.wait(self.dht.put_value(key, value)).await;
        self.wrote(Kind::Put, key, Seen::Value(number), start_ns, written)
    }

    /// Appends an item by its number.
    pub(crate) async fn append(&self, key: &str, number: u64) -> Outcome {
        let start_ns = self.recorder.now_ns();
        let written = self.wait(self.dht.append(key, &number)).await;
        self.wrote(Kind::Append, key, Seen::Value(number), start_ns, written)
    }

    pub(crate) async fn delete(&self, key: &str) -> Outcome {
        let start_ns = self.recorder.now_ns();
        let written = self.wait(self.dht.delete(key)).await;
        self.wrote(Kind::Delete, key, Seen::Nothing, start_ns, written)
    }

    /// Reads and writes down what there was.
    pub(crate) async fn get(&self, key: &str) -> Outcome {
        let operation = self.look(key).await;
        let outcome = operation.outcome;
        self.recorder.record(operation);
        outcome
    }

    /// Reads and leaves it to the caller to write it down.
    pub(crate) async fn look(&self, key: &str) -> Operation {
        let start_ns = self.recorder.now_ns();
        let read = self.dht.read(key);
        let read = match self.consistency {
            Some(consistency) => read.consistency(consistency),
            None => read,
        };
        let result = read.await;
        let mut operation = self.operation(Kind::Get, key, Seen::Nothing, start_ns);
        match result {
            Ok(reading) => {
                operation.acks = reading.answers as u32;
                operation.value = seen(&reading);
            }
            // A read that fails has changed nothing.
            Err(_) => operation.outcome = Outcome::Fail,
        }
        operation
    }

    /// Writes down an operation that [`look`](Self::look) has made.
    pub(crate) fn record(&self, operation: Operation) {
        self.recorder.record(operation);
    }

    async fn wait(&self, write: kadmap::Write<'_>) -> Result<WriteOutcome, PutError> {
        match self.consistency {
            Some(consistency) => write.consistency(consistency).await,
            None => write.await,
        }
    }

    fn wrote(
        &self,
        kind: Kind,
        key: &str,
        value: Seen,
        start_ns: u64,
        written: Result<WriteOutcome, PutError>,
    ) -> Outcome {
        let mut operation = self.operation(kind, key, value, start_ns);
        match written {
            Ok(written) => {
                operation.acks = written.acks.len() as u32;
                operation.stamp = Some(Mark::from(written.stamp));
            }
            Err(error) => operation.outcome = outcome_of(&error),
        }
        let outcome = operation.outcome;
        self.recorder.record(operation);
        outcome
    }

    fn operation(&self, kind: Kind, key: &str, value: Seen, start_ns: u64) -> Operation {
        let mut operation =
            Operation::new(self.number, kind, key, value).at(start_ns, self.recorder.now_ns());
        operation.op = self.recorder.next_op();
        operation
    }
}

/// Only what was never sent certainly did not happen.
fn outcome_of(error: &PutError) -> Outcome {
    match error {
        PutError::Value(_)
        | PutError::Write(
            WriteError::NameTooLong { .. } | WriteError::ValueTooLarge { .. } | WriteError::Busy { .. },
        ) => Outcome::Fail,
        _ => Outcome::Info,
    }
}

fn seen(reading: &Reading) -> Seen {
    let Some(value) = &reading.value else { return Seen::Nothing };
    if let Ok(items) = value.parse::<Vec<u64>>() {
        return Seen::Items(items);
    }
    let number = value.parse::<String>().ok().and_then(|text| token_of_value(&text));
    number.map_or_else(|| Seen::Strange(value.to_string()), Seen::Value)
}
