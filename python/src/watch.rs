//! The changes of one name.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kadmap::{Change, Dht, Stamp, Value, WatchError};
use pyo3::prelude::*;
use tokio::sync::{self, watch};

use crate::errors;
use crate::operation::Way;
use crate::outcome::Outcome;
use crate::process::OfProcess;
use crate::queue::Queue;
use crate::runtime::RuntimeThread;
use crate::settings::seconds;
use crate::value;

/// The changes of one name, until it is closed or the node has stopped.
#[pyclass(frozen, module = "kadmap._kadmap")]
pub(crate) struct Watch(OfProcess<Following>);

struct Following {
    runtime: Arc<RuntimeThread>,
    shared: Arc<Shared>,
    close: watch::Sender<bool>,
}

struct Shared {
    watch: sync::Mutex<Option<kadmap::Watch>>,
    /// Changes that were on their way to somebody who stopped waiting.
    returned: Mutex<VecDeque<Change>>,
}

/// A watch that has begun, or why it did not.
pub(crate) struct Begun {
    pub(crate) runtime: Arc<RuntimeThread>,
    pub(crate) result: Result<kadmap::Watch, WatchError>,
}

impl Outcome for Begun {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let watch = self.result.map_err(|error| errors::of_watch(py, error))?;
        let shared = Shared { watch: sync::Mutex::new(Some(watch)), returned: Mutex::default() };
        let following =
            Following { runtime: self.runtime, shared: Arc::new(shared), close: watch::Sender::new(false) };
        Ok(Py::new(py, Watch(OfProcess::new(following)))?.into_any())
    }
}

#[pymethods]
impl Watch {
    /// The next change as (kind, value, field, stamp, lagged); ("idle",) when none comes in time; None at the end.
    #[pyo3(signature = (timeout=None, queue=None, token=0))]
    fn next(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
        queue: Option<&Bound<'_, Queue>>,
        token: u64,
    ) -> PyResult<Py<PyAny>> {
        let following = self.0.here()?;
        let timeout = timeout.map(|timeout| seconds("timeout", timeout)).transpose()?;
        let next = next(Arc::clone(&following.shared), following.close.subscribe(), timeout);
        Way::new(queue, token)?.run(py, &following.runtime, next)
    }

    /// Ends the watch, and whoever waits for its next change; idempotent.
    fn close(&self) -> PyResult<()> {
        let following = self.0.here()?;
        following.close.send_replace(true);
        let shared = Arc::clone(&following.shared);
        following.runtime.spawn(async move { drop(shared.watch.lock().await.take()) });
        Ok(())
    }
}

impl Shared {
    fn returned(&self) -> MutexGuard<'_, VecDeque<Change>> {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of waiting for a change.
enum Next {
    Change(Unclaimed),
    Idle,
    Ended,
}

/// A change on its way to who waits for it; goes back when nobody does any more.
struct Unclaimed {
    shared: Arc<Shared>,
    change: Option<Change>,
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if let Some(change) = self.change.take() {
            self.shared.returned().push_front(change);
        }
    }
}

async fn next(shared: Arc<Shared>, mut closed: watch::Receiver<bool>, timeout: Option<Duration>) -> Next {
    let idle = async {
        match timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    let change = async {
        let mut watch = shared.watch.lock().await;
        let returned = shared.returned().pop_front();
        match (returned, watch.as_mut()) {
            (Some(change), _) => Some(change),
            (None, Some(watch)) => watch.next().await,
            (None, None) => None,
        }
    };
    tokio::select! {
        biased;
        // Whether it was closed or its last sender is gone, it is over.
        _ = closed.wait_for(|is_closed| *is_closed) => Next::Ended,
        change = change => match change {
            Some(change) => Next::Change(Unclaimed { shared: Arc::clone(&shared), change: Some(change) }),
            None => Next::Ended,
        },
        () = idle => Next::Idle,
    }
}

impl Outcome for Next {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self {
            Self::Change(mut unclaimed) => match unclaimed.change.take() {
                Some(change) => to_python(py, change),
                None => Ok(py.None()),
            },
            Self::Idle => Ok(("idle",).into_pyobject(py)?.into_any().unbind()),
            Self::Ended => Ok(py.None()),
        }
    }
}

/// A change as (kind, value, field, stamp, lagged).
fn to_python(py: Python<'_>, change: Change) -> PyResult<Py<PyAny>> {
    let (kind, value, field, stamp, lagged): (_, Option<Value>, Option<String>, Option<Stamp>, bool) =
        match change {
            Change::State { value, lagged, .. } => ("state", value, None, None, lagged),
            Change::Put { stamp, value } => ("put", Some(value), None, Some(stamp), false),
            Change::Deleted { stamp } => ("deleted", None, None, Some(stamp), false),
            Change::Appended { stamp, item } => ("appended", Some(item), None, Some(stamp), false),
            Change::Removed { stamp } => ("removed", None, None, Some(stamp), false),
            Change::FieldPut { stamp, field, value } => {
                ("field_put", Some(value), Some(field), Some(stamp), false)
            }
            Change::FieldDeleted { stamp, field } => ("field_deleted", None, Some(field), Some(stamp), false),
            Change::Expired => ("expired", None, None, None, false),
            Change::ItemExpired { stamp } => ("item_expired", None, None, Some(stamp), false),
            Change::FieldExpired { field } => ("field_expired", None, Some(field), None, false),
            _ => ("other", None, None, None, false),
        };
    let value = value.map(|value| value::to_python(py, &value)).transpose()?;
    let text = |stamp: Stamp| stamp.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Ok((kind, value, field, stamp.map(text), lagged).into_pyobject(py)?.into_any().unbind())
}

/// Begins to watch a name.
pub(crate) async fn begin(
    dht: Dht,
    runtime: Arc<RuntimeThread>,
    name: Vec<u8>,
    place: Option<kadmap::Place>,
    initial: bool,
    timeout: Option<Duration>,
) -> Begun {
    let mut watch = dht.watch(name).initial(initial);
    if let Some(place) = &place {
        watch = watch.place(place);
    }
    if let Some(timeout) = timeout {
        watch = watch.timeout(timeout);
    }
    Begun { result: watch.await, runtime }
}
