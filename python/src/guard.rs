//! A guard that is written in Python.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use kadmap::wire::{Body, Message, Request};
use kadmap::{Contact, Guard, NodeId, Record, RecordId};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::attach::attach;
use crate::guarded_message::{Kind, Sender, Shown};
use crate::log;

/// Why a record that the user's own code does not want is refused.
const VETOED: &str = "vetoed by the request handler";

/// A guard that asks a Python object about the kinds of messages that it wants to see.
pub(crate) struct PythonGuard {
    object: Py<PyAny>,
    kinds: HashSet<Kind>,
    own_id: OnceLock<NodeId>,
    /// Whose put is being handled, and its request's number.
    putting: Mutex<Option<(Contact, u32)>>,
}

impl PythonGuard {
    /// A guard of a Python object with `kinds` and `message(kind, message)`.
    pub(crate) fn new(object: &Bound<'_, PyAny>) -> PyResult<Arc<Self>> {
        let kinds = object.getattr("kinds")?.try_iter()?;
        let kinds = kinds.map(|kind| Kind::of_name(&kind?.extract::<String>()?)).collect::<PyResult<_>>()?;
        Ok(Arc::new(Self {
            object: object.clone().unbind(),
            kinds,
            own_id: OnceLock::new(),
            putting: Mutex::default(),
        }))
    }

    /// Takes note of the id of the node that it guards.
    pub(crate) fn set_own_id(&self, id: NodeId) {
        // Set once, by the node that it was made for.
        let _ = self.own_id.set(id);
    }

    /// Asks about one message; `None` is a veto. An exception is logged and vetoes.
    fn ask<T>(&self, shown: Shown<'_>, take: impl FnOnce(&Bound<'_, PyDict>) -> PyResult<T>) -> Option<T> {
        let ask = |py: Python<'_>| -> PyResult<Option<T>> {
            let message = shown.to_python(py)?;
            let kind = shown.kind().name();
            let answer = self.object.bind(py).call_method1("message", (kind, message))?;
            if answer.is_none() { Ok(None) } else { take(answer.cast::<PyDict>()?).map(Some) }
        };
        attach(|py| {
            ask(py).unwrap_or_else(|error| {
                let what = format!("the request handler failed and vetoes a '{}'", shown.kind().name());
                log::exception(py, &what, &error);
                None
            })
        })
        .flatten()
    }

    fn putting(&self) -> MutexGuard<'_, Option<(Contact, u32)>> {
        self.putting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who asks for a record to be kept: another node, or this one itself.
    fn sender(&self) -> Sender {
        match *self.putting() {
            Some((from, request)) => Sender { id: from.id, address: Some(from.address), request },
            None => {
                let id = self.own_id.get().copied().unwrap_or(NodeId::from_bytes([0; 32]));
                Sender { id, address: None, request: 0 }
            }
        }
    }
}

impl Guard for PythonGuard {
    fn begin(&self, from: &Contact, message: Message) -> Option<Message> {
        if let Body::Request(Request::Put(_) | Request::Copies(_)) = &message.body {
            *self.putting() = Some((*from, message.id));
            return Some(message);
        }
        let Some(kind) = Kind::of_body(&message.body).filter(|kind| self.kinds.contains(kind)) else {
            return Some(message);
        };
        let sender = Sender { id: from.id, address: Some(from.address), request: message.id };
        let value = self.ask(Shown::Message { kind, sender, body: &message.body }, |answer| {
            Shown::new_value(answer, kind, &message.body)
        })?;
        Some(match value {
            Some(body) => Message { body, ..message },
            None => message,
        })
    }

    fn end(&self) {
        *self.putting() = None;
    }

    fn store(&self, record: &RecordId, delta: Record) -> Result<Record, String> {
        if !self.kinds.contains(&Kind::Store) {
            return Ok(delta);
        }
        let sender = self.sender();
        let changed = self
            .ask(Shown::Store { sender, record, delta: &delta }, |answer| Shown::new_delta(answer, &delta));
        match changed {
            Some(Some(changed)) => Ok(changed),
            Some(None) => Ok(delta),
            None => Err(VETOED.to_owned()),
        }
    }
}
