//! One operation, blocking or on its way to a queue.

use std::sync::Arc;

use pyo3::prelude::*;
use tokio::task::AbortHandle;

use crate::outcome::Outcome;
use crate::process::OfProcess;
use crate::queue::{Delivery, Queue};
use crate::runtime::RuntimeThread;
use crate::wait::block;

/// How an operation's outcome comes back.
pub(crate) enum Way {
    /// To the caller, who waits.
    Blocking,
    /// To a queue.
    Queued(Delivery),
}

impl Way {
    /// The way that the arguments `queue` and `token` ask for.
    pub(crate) fn new(queue: Option<&Bound<'_, Queue>>, token: u64) -> PyResult<Self> {
        match queue {
            None => Ok(Self::Blocking),
            Some(queue) => Ok(Self::Queued(queue.get().delivery(token)?)),
        }
    }

    /// Runs an operation on a node's thread; gives its result, or a handle to it.
    pub(crate) fn run<T: Outcome>(
        self,
        py: Python<'_>,
        runtime: &Arc<RuntimeThread>,
        operation: impl Future<Output = T> + Send + 'static,
    ) -> PyResult<Py<PyAny>> {
        match self {
            Self::Blocking => block(py, runtime, operation)?.into_python(py),
            Self::Queued(delivery) => {
                let cancellation = delivery.cancellation();
                let task = runtime.spawn(async move {
                    let outcome = operation.await;
                    delivery.finish(Box::new(move |py| outcome.into_python(py)));
                });
                let under_way = UnderWay { task: task.abort_handle(), cancellation };
                Ok(Py::new(py, Operation(OfProcess::new(under_way)))?.into_any())
            }
        }
    }
}

/// An operation on its way to a queue.
#[pyclass(frozen, module = "kadmap._kadmap")]
pub(crate) struct Operation(OfProcess<UnderWay>);

struct UnderWay {
    task: AbortHandle,
    cancellation: crate::queue::Cancellation,
}

#[pymethods]
impl Operation {
    /// Drops the operation: its token arrives no more. What was sent stays sent.
    fn cancel(&self) -> PyResult<()> {
        let under_way = self.0.here()?;
        under_way.cancellation.cancel();
        under_way.task.abort();
        Ok(())
    }
}
