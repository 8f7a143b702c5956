//! The names of the whole swarm, page by page.

use std::sync::Arc;

use kadmap::{Dht, Stopped};
use pyo3::prelude::*;
use tokio::sync::Mutex;

use crate::operation::Way;
use crate::process::OfProcess;
use crate::queue::Queue;
use crate::runtime::RuntimeThread;

/// The names of all records in the swarm, each once, in pages.
#[pyclass(frozen, module = "kadmap._kadmap")]
pub(crate) struct Scan(OfProcess<Pages>);

struct Pages {
    dht: Dht,
    runtime: Arc<RuntimeThread>,
    scan: Arc<Mutex<kadmap::Scan>>,
}

impl Scan {
    pub(crate) fn new(dht: Dht, runtime: Arc<RuntimeThread>, scan: kadmap::Scan) -> Self {
        Self(OfProcess::new(Pages { dht, runtime, scan: Arc::new(Mutex::new(scan)) }))
    }
}

#[pymethods]
impl Scan {
    /// The next names; None at the end.
    #[pyo3(signature = (queue=None, token=0))]
    fn next_page(&self, py: Python<'_>, queue: Option<&Bound<'_, Queue>>, token: u64) -> PyResult<Py<PyAny>> {
        let pages = self.0.here()?;
        let (dht, scan) = (pages.dht.clone(), Arc::clone(&pages.scan));
        Way::new(queue, token)?.run(py, &pages.runtime, async move {
            match scan.lock().await.next_page().await {
                // The names of a node that has stopped come to an end as well, which is not all there are.
                None if dht.is_stopped() => Err(Stopped),
                page => Ok(page),
            }
        })
    }
}
