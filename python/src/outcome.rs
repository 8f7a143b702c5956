//! What operations end with: Rust data first, Python objects once somebody holds the interpreter.

use bytes::Bytes;
use kadmap::{GetError, LookupOutcome, PeerInfo, PutError, StartError, Stopped, WriteOutcome};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors;
use crate::results::{Lookup, Peer, PutResult, Reading, Status};

/// What an operation ends with.
pub(crate) trait Outcome: Send + 'static {
    /// The result as Python sees it, or the exception.
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>>;
}

/// An outcome of any type, on its way to Python.
pub(crate) type Pending = Box<dyn for<'py> FnOnce(Python<'py>) -> PyResult<Py<PyAny>> + Send>;

impl Outcome for Result<WriteOutcome, PutError> {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let outcome = self.map_err(|error| errors::of_put(py, error))?;
        Ok(Py::new(py, PutResult::from(outcome))?.into_any())
    }
}

impl Outcome for Result<kadmap::Reading, GetError> {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let reading = self.map_err(|error| errors::of_get(py, error))?;
        Ok(Py::new(py, Reading::new(py, reading)?)?.into_any())
    }
}

impl Outcome for Result<Vec<Bytes>, Stopped> {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        names(py, self.map_err(errors::of_stopped)?)
    }
}

/// A page of a scan; `None` at its end.
impl Outcome for Result<Option<Vec<Bytes>>, Stopped> {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.map_err(errors::of_stopped)? {
            Some(page) => names(py, page),
            None => Ok(py.None()),
        }
    }
}

impl Outcome for Result<Vec<PeerInfo>, Stopped> {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let peers: Vec<_> = self.map_err(errors::of_stopped)?.into_iter().map(Peer::from).collect();
        Ok(peers.into_pyobject(py)?.unbind())
    }
}

/// Contacts, each with what it tells of itself.
impl Outcome for Result<Vec<(PeerInfo, Option<String>)>, Stopped> {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let told = self.map_err(errors::of_stopped)?;
        let told: Vec<_> = told.into_iter().map(|(peer, info)| (Peer::from(peer), info)).collect();
        Ok(told.into_pyobject(py)?.unbind())
    }
}

impl Outcome for Result<kadmap::Status, Stopped> {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(Py::new(py, Status::from(self.map_err(errors::of_stopped)?))?.into_any())
    }
}

impl Outcome for Result<LookupOutcome, Stopped> {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(Py::new(py, Lookup::from(self.map_err(errors::of_stopped)?))?.into_any())
    }
}

/// Why a running node did not join.
pub(crate) enum JoinFailure {
    Start(StartError),
    Stopped(Stopped),
}

impl Outcome for Result<(), JoinFailure> {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self {
            Ok(()) => Ok(py.None()),
            Err(JoinFailure::Start(error)) => Err(errors::of_start(py, error, None)),
            Err(JoinFailure::Stopped(error)) => Err(errors::of_stopped(error)),
        }
    }
}

/// Records handed over.
impl Outcome for Result<u64, Stopped> {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.map_err(errors::of_stopped)?.into_pyobject(py)?.into_any().unbind())
    }
}

fn names(py: Python<'_>, names: Vec<Bytes>) -> PyResult<Py<PyAny>> {
    let names: Vec<_> = names.iter().map(|name| PyBytes::new(py, name)).collect();
    Ok(names.into_pyobject(py)?.unbind())
}
