//! Starting a node.

use std::path::PathBuf;
use std::sync::Arc;

use kadmap::identity::PkiFiles;
use kadmap::{Dht, DhtBuilder, StartError};
use pyo3::prelude::*;

use crate::guard::PythonGuard;
use crate::node::Node;
use crate::outcome::Outcome;
use crate::runtime::RuntimeThread;
use crate::settings::{consistency, durability, seconds};
use crate::storage;
use crate::{errors, log};

/// The settings of a node, as Python gives them.
pub(crate) struct Settings {
    pub(crate) listen: Option<String>,
    pub(crate) join: Vec<String>,
    pub(crate) join_timeout: Option<f64>,
    pub(crate) join_retry: bool,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) secret: Option<Vec<u8>>,
    pub(crate) pki: Option<(PathBuf, PathBuf, PathBuf)>,
    pub(crate) replication: Option<usize>,
    pub(crate) consistency: Option<String>,
    pub(crate) durability: Option<String>,
    pub(crate) scrub_interval: Option<f64>,
    pub(crate) value_bytes_max: Option<usize>,
    pub(crate) record_bytes_max: Option<u64>,
    pub(crate) operation_timeout: Option<f64>,
    pub(crate) info: Option<String>,
    pub(crate) client: bool,
    pub(crate) packet_loss: f64,
    pub(crate) storage: Option<Py<PyAny>>,
    pub(crate) guard: Option<Py<PyAny>>,
}

/// A node about to start.
pub(crate) struct Start {
    builder: DhtBuilder,
    listen: Option<String>,
    guard: Option<Arc<PythonGuard>>,
    runtime: Arc<RuntimeThread>,
}

impl Start {
    /// Checks the settings and finds the node a thread: one of its own if Python code is to run there.
    pub(crate) fn new(py: Python<'_>, settings: Settings) -> PyResult<Self> {
        log::start()?;
        let listen = settings.listen.clone();
        let calls_python = settings.storage.is_some() || settings.guard.is_some();
        let guard = settings.guard.as_ref().map(|guard| PythonGuard::new(guard.bind(py))).transpose()?;
        let mut builder = settings.builder()?;
        if let Some(guard) = &guard {
            let guard: Arc<dyn kadmap::Guard> = Arc::<PythonGuard>::clone(guard);
            builder = builder.guard(guard);
        }
        let runtime = if calls_python { RuntimeThread::start()? } else { RuntimeThread::shared(py)? };
        Ok(Self { builder, listen, guard, runtime })
    }

    pub(crate) fn runtime(&self) -> Arc<RuntimeThread> {
        Arc::clone(&self.runtime)
    }

    /// Starts the node on its thread.
    pub(crate) async fn run(self) -> Started {
        let result = self.builder.spawn().await;
        if let (Ok(dht), Some(guard)) = (&result, &self.guard) {
            guard.set_own_id(dht.id());
        }
        let node = result.map(|dht| Node::new(dht, self.runtime));
        Started { node, listen: self.listen }
    }
}

impl Settings {
    fn builder(self) -> PyResult<DhtBuilder> {
        let mut builder =
            Dht::builder().join(self.join).join_retry(self.join_retry).packet_loss(self.packet_loss);
        if let Some(listen) = self.listen {
            builder = builder.listen(listen);
        }
        if let Some(timeout) = self.join_timeout {
            builder = builder.join_timeout(seconds("join_timeout", timeout)?);
        }
        if let Some(timeout) = self.operation_timeout {
            builder = builder.operation_timeout(seconds("operation_timeout", timeout)?);
        }
        if let Some(name) = &self.consistency {
            builder = builder.consistency(consistency(name)?);
        }
        if let Some(name) = &self.durability {
            builder = builder.durability(durability(name)?);
        }
        if let Some(interval) = self.scrub_interval {
            builder = builder.scrub_interval(seconds("scrub_interval", interval)?);
        }
        if let Some(folder) = self.data_dir {
            builder = builder.data_dir(folder);
        }
        if let Some(secret) = self.secret {
            builder = builder.secret(secret);
        }
        if let Some((ca, cert, key)) = self.pki {
            builder = builder.pki(PkiFiles { ca, cert, key });
        }
        if let Some(nodes) = self.replication {
            builder = builder.replication(nodes);
        }
        if let Some(bytes) = self.value_bytes_max {
            builder = builder.value_bytes_max(bytes);
        }
        if let Some(bytes) = self.record_bytes_max {
            builder = builder.record_bytes_max(bytes);
        }
        if let Some(text) = self.info {
            builder = builder.info(text);
        }
        if let Some(object) = self.storage {
            builder = builder.store(storage::opener(object));
        }
        Ok(if self.client { builder.client() } else { builder })
    }
}

/// A node that has started, or why it has not.
pub(crate) struct Started {
    node: Result<Node, StartError>,
    listen: Option<String>,
}

impl Outcome for Started {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.node {
            Ok(node) => Ok(Py::new(py, node)?.into_any()),
            Err(error) => Err(errors::of_start(py, error, self.listen.as_deref())),
        }
    }
}
