//! Lists looked after, and announcements.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use kadmap::{
    AnnounceError, Dht, ItemsPage, Keep, ListError, NodeId, Provider, Stamp, Trimmed, Value, WriteOutcome,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::operation::Way;
use crate::outcome::Outcome;
use crate::process::OfProcess;
use crate::queue::Queue;
use crate::results::PutResult;
use crate::runtime::RuntimeThread;
use crate::settings::{Options, tuned};
use crate::{errors, value};

/// The id of an item as Python wrote it.
pub(crate) fn item_id(text: &str) -> PyResult<Stamp> {
    text.parse().map_err(|error: kadmap::ParseStampError| PyValueError::new_err(error.to_string()))
}

/// The id of a node as Python wrote it.
pub(crate) fn node_id(text: &str) -> PyResult<NodeId> {
    text.parse().map_err(|_| {
        PyValueError::new_err(format!("'{text}' is not the id of a node: give 64 hexadecimal digits"))
    })
}

/// What stays of a list; exactly one of the three is given.
pub(crate) fn keep(last: Option<u64>, up_to: Option<&str>, since_ms: Option<u64>) -> PyResult<Keep> {
    match (last, up_to, since_ms) {
        (Some(count), None, None) => Ok(Keep::Last(count)),
        (None, Some(id), None) => item_id(id).map(Keep::After),
        (None, None, Some(ms)) => Ok(Keep::Since(UNIX_EPOCH + Duration::from_millis(ms))),
        _ => Err(PyValueError::new_err("say by one of keep, before and up_to what is to stay")),
    }
}

/// One page of a list.
pub(crate) async fn page(
    dht: Dht,
    name: Vec<u8>,
    after: Option<Stamp>,
    limit: usize,
    options: Options,
) -> Result<ItemsPage, ListError> {
    let items = tuned!(options, dht.items(name)).page_items(limit);
    match after {
        Some(id) => items.after(id).page().await,
        None => items.page().await,
    }
}

/// Announces, and goes on doing so if `renew`.
pub(crate) async fn announce(
    dht: Dht,
    name: Vec<u8>,
    payload: Value,
    id: Option<NodeId>,
    ttl: Option<Duration>,
    options: Options,
) -> Result<kadmap::Announcement, AnnounceError> {
    announcing(&dht, name, payload, id, ttl, &options).await
}

/// Announces once.
pub(crate) async fn announce_once(
    dht: Dht,
    name: Vec<u8>,
    payload: Value,
    id: Option<NodeId>,
    ttl: Option<Duration>,
    options: Options,
) -> Result<WriteOutcome, AnnounceError> {
    announcing(&dht, name, payload, id, ttl, &options).once().await
}

fn announcing(
    dht: &Dht,
    name: Vec<u8>,
    payload: Value,
    id: Option<NodeId>,
    ttl: Option<Duration>,
    options: &Options,
) -> kadmap::Announce {
    let announce = tuned!(options, dht.announce_value(name, payload));
    let announce = announce.on_behalf_of(id.unwrap_or(dht.id()));
    announce.ttl(ttl.unwrap_or(kadmap::ANNOUNCEMENT_TTL))
}

/// The items as (id, expires_ms, value), where the next page begins, and whether anything is there.
impl Outcome for Result<ItemsPage, ListError> {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let page = self.map_err(|error| errors::of_list(py, error))?;
        let item = |item: &kadmap::ListItem| -> PyResult<_> {
            let id = item.id.map(|id| id.to_string());
            Ok((id, item.expires_ms, value::to_python(py, &item.value)?))
        };
        let items: Vec<_> = page.items.iter().map(item).collect::<PyResult<_>>()?;
        let next_after = page.next_after.map(|id| id.to_string());
        Ok((items, next_after, page.shape.is_some()).into_pyobject(py)?.into_any().unbind())
    }
}

impl Outcome for Result<WriteOutcome, ListError> {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let outcome = self.map_err(|error| errors::of_list(py, error))?;
        Ok(Py::new(py, PutResult::from(outcome))?.into_any())
    }
}

/// `None` when there was nothing to drop.
impl Outcome for Result<Trimmed, ListError> {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.map_err(|error| errors::of_list(py, error))?.outcome {
            Some(outcome) => Ok(Py::new(py, PutResult::from(outcome))?.into_any()),
            None => Ok(py.None()),
        }
    }
}

/// As (id, payload, expires_ms).
impl Outcome for Result<Vec<Provider>, AnnounceError> {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let found = self.map_err(|error| errors::of_announcement(py, error))?;
        let provider = |one: &Provider| -> PyResult<_> {
            Ok((one.id.to_string(), value::to_python(py, &one.payload)?, one.expires_ms))
        };
        let found: Vec<_> = found.iter().map(provider).collect::<PyResult<_>>()?;
        Ok(found.into_pyobject(py)?.unbind())
    }
}

impl Outcome for Result<WriteOutcome, AnnounceError> {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let outcome = self.map_err(|error| errors::of_announcement(py, error))?;
        Ok(Py::new(py, PutResult::from(outcome))?.into_any())
    }
}

/// What an announcement becomes once it is made: its thread is needed to end it.
pub(crate) struct Begun {
    pub(crate) announcement: Result<kadmap::Announcement, AnnounceError>,
    pub(crate) runtime: std::sync::Arc<RuntimeThread>,
}

impl Outcome for Begun {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let announcement = self.announcement.map_err(|error| errors::of_announcement(py, error))?;
        let id = announcement.id().to_string();
        let under_way = UnderWay { announcement: Mutex::new(Some(announcement)), runtime: self.runtime };
        Ok(Py::new(py, Announcement { id, under_way: OfProcess::new(under_way) })?.into_any())
    }
}

/// An announcement that is renewed until it is stopped or dropped.
#[pyclass(frozen, module = "kadmap._kadmap")]
pub(crate) struct Announcement {
    id: String,
    under_way: OfProcess<UnderWay>,
}

struct UnderWay {
    announcement: Mutex<Option<kadmap::Announcement>>,
    runtime: std::sync::Arc<RuntimeThread>,
}

/// `None` for one that was stopped before.
struct Ended(Option<Result<WriteOutcome, AnnounceError>>);

impl Outcome for Ended {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.0 {
            None => Ok(py.None()),
            Some(result) => result.into_python(py),
        }
    }
}

#[pymethods]
impl Announcement {
    /// Who is announced, in hexadecimal.
    #[getter]
    fn id(&self) -> &str {
        &self.id
    }

    /// Ends the renewals and withdraws the announcement; None when it has ended before.
    #[pyo3(signature = (queue=None, token=0))]
    fn stop(&self, py: Python<'_>, queue: Option<&Bound<'_, Queue>>, token: u64) -> PyResult<Py<PyAny>> {
        let under_way = self.under_way.here()?;
        let way = Way::new(queue, token)?;
        let taken = under_way.announcement.lock().unwrap_or_else(PoisonError::into_inner).take();
        way.run(py, &under_way.runtime, async move {
            match taken {
                Some(announcement) => Ended(Some(announcement.stop().await)),
                None => Ended(None),
            }
        })
    }
}
