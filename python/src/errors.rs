//! The exceptions: a tree that mirrors the errors of the Rust library.

use std::io::ErrorKind;

use kadmap::{
    AnnounceError, BeginWatchError, GetError, ListError, NodeId, PutError, ReadError, Refusal, StartError,
    Stopped, WatchError, WriteError,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};

/// The exceptions, in the order of [`TREE`].
#[derive(Clone, Copy)]
pub(crate) enum Raised {
    KadmapError,
    StartError,
    SettingError,
    ListenError,
    JoinError,
    StoreError,
    PutError,
    TooFewAcks,
    Refused,
    Conflict,
    WrongShape,
    TooLarge,
    GetError,
    TooFewAnswers,
    NoSuchItem,
    Stopped,
    ForkedError,
}

/// Name, bases and documentation of each exception; bases come before those that build on them, or are Python's own.
const TREE: [(&str, &[&str], &str); 18] = [
    ("KadmapError", &["Exception"], "Base of everything that kadmap raises by itself."),
    ("StartError", &["KadmapError"], "A node did not start; nothing is left running."),
    ("SettingError", &["StartError", "ValueError"], "A setting is out of its range."),
    ("ListenError", &["StartError", "OSError"], "No socket could be opened at the address to listen at."),
    (
        "JoinError",
        &["StartError"],
        "None of the addresses led to a member of the swarm. attempts: [(address, reason)].",
    ),
    ("StoreError", &["StartError"], "The data folder or the storage cannot be used."),
    (
        "PutError",
        &["KadmapError"],
        "A write was not acknowledged; some nodes may hold it all the same. acks, need, refused, silent tell who.",
    ),
    ("TooFewAcks", &["PutError"], "Fewer nodes than needed acknowledged a write in time."),
    ("Refused", &["PutError"], "So many nodes refused a write that it cannot succeed."),
    ("Conflict", &["Refused"], "The record is at another version than the one given. found: that version."),
    ("WrongShape", &["Refused", "TypeError"], "An item for what is no list, or a field for what is no map."),
    ("TooLarge", &["PutError", "ValueError"], "Over a limit. bytes, bytes_max."),
    ("GetError", &["KadmapError"], "A read has no result."),
    ("TooFewAnswers", &["GetError"], "Fewer nodes than needed answered in time. answers, need."),
    ("NoSuchItem", &["KadmapError", "LookupError"], "A list has no item of this id. id."),
    ("Stopped", &["KadmapError", "RuntimeError"], "The node has stopped; start a new one."),
    ("ForkedError", &["Stopped"], "The node belongs to the process that this one was forked from."),
    ("OperationTimeout", &["KadmapError", "TimeoutError"], "Something took longer than it was given."),
];

static TYPES: PyOnceLock<Vec<Py<PyType>>> = PyOnceLock::new();

/// Makes the exceptions and puts them into the module.
pub(crate) fn create(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let builtins = py.import("builtins")?;
    let mut types = Vec::with_capacity(TREE.len());
    for (name, bases, doc) in TREE {
        let base = |base: &&str| module.getattr(*base).or_else(|_| builtins.getattr(*base));
        let bases = bases.iter().map(base).collect::<PyResult<Vec<_>>>()?;
        let content = PyDict::new(py);
        // Where users find it, and where pickle looks for it.
        content.set_item("__module__", "kadmap")?;
        content.set_item("__doc__", doc)?;
        let made = py.get_type::<PyType>().call1((name, PyTuple::new(py, bases)?, content))?;
        module.add(name, &made)?;
        types.push(made.cast_into::<PyType>()?.unbind());
    }
    // The module is made once for a process; a second one would be given the same exceptions.
    let _ = TYPES.set(py, types);
    Ok(())
}

impl Raised {
    /// The exception with a message.
    pub(crate) fn error(self, message: impl Into<String>) -> PyErr {
        let message = message.into();
        Python::attach(|py| self.with(py, message, |_| Ok(())))
    }

    /// The exception with a message and attributes; what goes wrong in making it is raised in its place.
    fn with(
        self,
        py: Python<'_>,
        message: String,
        set_attributes: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<()>,
    ) -> PyErr {
        let make = || {
            let types = TYPES.get(py).and_then(|types| types.get(self as usize));
            let kind = types.map(|kind| kind.bind(py).clone());
            let kind = kind.unwrap_or_else(|| py.get_type::<pyo3::exceptions::PyException>());
            let exception = kind.call1((message,))?;
            set_attributes(&exception)?;
            Ok(PyErr::from_value(exception))
        };
        make().unwrap_or_else(|error| error)
    }
}

/// The exception for a node that has stopped.
pub(crate) fn of_stopped(error: Stopped) -> PyErr {
    Raised::Stopped.error(error.to_string())
}

/// The exception for a node that did not start, which was to listen at `listen`.
pub(crate) fn of_start(py: Python<'_>, error: StartError, listen: Option<&str>) -> PyErr {
    let text = error.to_string();
    match error {
        StartError::Setting { .. } => Raised::SettingError.error(text),
        StartError::Listen { kind, .. } => Raised::ListenError.with(py, text, |exception| {
            let Some(name) = errno_name(kind) else { return Ok(()) };
            exception.setattr("errno", py.import("errno")?.getattr(name)?)
        }),
        StartError::Address { address, .. } if Some(address.as_str()) == listen => {
            Raised::ListenError.error(text)
        }
        StartError::Address { address, reason } => join_error(py, text, vec![(address, reason)]),
        StartError::Join { attempts } => {
            let attempts = attempts.into_iter().map(|attempt| (attempt.address, attempt.reason)).collect();
            join_error(py, text, attempts)
        }
        StartError::Store(_) => Raised::StoreError.error(text),
        StartError::CustomStore(cause) => {
            let raised = Raised::StoreError.error(text);
            raised.set_cause(py, cause.downcast::<PyErr>().ok().map(|error| *error));
            raised
        }
        _ => Raised::StartError.error(text),
    }
}

/// The name by which Python's `errno` knows an error.
fn errno_name(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::AddrInUse => Some("EADDRINUSE"),
        ErrorKind::AddrNotAvailable => Some("EADDRNOTAVAIL"),
        ErrorKind::PermissionDenied => Some("EACCES"),
        _ => None,
    }
}

fn join_error(py: Python<'_>, text: String, attempts: Vec<(String, String)>) -> PyErr {
    Raised::JoinError.with(py, text, |exception| exception.setattr("attempts", attempts))
}

/// The exception for a write.
pub(crate) fn of_put(py: Python<'_>, error: PutError) -> PyErr {
    let text = error.to_string();
    match error {
        PutError::Write(error) => of_write(py, text, error),
        PutError::Stopped(error) => of_stopped(error),
        _ => put_error(py, Raised::PutError, text, Who::default(), |_| Ok(())),
    }
}

fn of_write(py: Python<'_>, text: String, error: WriteError) -> PyErr {
    match error {
        WriteError::NameTooLong { bytes, bytes_max } => {
            too_large(py, text, Who::default(), bytes as u64, bytes_max as u64)
        }
        WriteError::ValueTooLarge { bytes, bytes_max } => {
            too_large(py, text, Who::default(), bytes, bytes_max)
        }
        WriteError::TooFewAcks { acks, need, refused, silent } => {
            put_error(py, Raised::TooFewAcks, text, Who { acks, need, refused, silent }, |_| Ok(()))
        }
        WriteError::Refused { refusal, refused, .. } => {
            let who = Who { refused, ..Who::default() };
            match refusal {
                Refusal::Conflict { found } => put_error(py, Raised::Conflict, text, who, |exception| {
                    exception.setattr("found", found.to_string())
                }),
                Refusal::WrongShape { .. } => put_error(py, Raised::WrongShape, text, who, |_| Ok(())),
                Refusal::TooLarge { bytes, bytes_max } | Refusal::RecordFull { bytes, bytes_max } => {
                    too_large(py, text, who, bytes, bytes_max)
                }
                _ => put_error(py, Raised::Refused, text, who, |_| Ok(())),
            }
        }
        WriteError::Busy { .. } => put_error(py, Raised::PutError, text, Who::default(), |_| Ok(())),
    }
}

/// Who did what with a write that did not succeed.
#[derive(Default)]
struct Who {
    acks: Vec<NodeId>,
    need: usize,
    refused: Vec<(NodeId, Refusal)>,
    silent: Vec<NodeId>,
}

fn too_large(py: Python<'_>, text: String, who: Who, bytes: u64, bytes_max: u64) -> PyErr {
    put_error(py, Raised::TooLarge, text, who, |exception| {
        exception.setattr("bytes", bytes)?;
        exception.setattr("bytes_max", bytes_max)
    })
}

fn put_error(
    py: Python<'_>,
    raised: Raised,
    text: String,
    who: Who,
    set_more: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<()>,
) -> PyErr {
    raised.with(py, text, |exception| {
        exception.setattr("acks", hex(&who.acks))?;
        exception.setattr("need", who.need)?;
        exception.setattr("refused", reasons(&who.refused))?;
        exception.setattr("silent", hex(&who.silent))?;
        set_more(exception)
    })
}

/// The exception for what was done to a list, or read of it.
pub(crate) fn of_list(py: Python<'_>, error: ListError) -> PyErr {
    let text = error.to_string();
    match error {
        ListError::NotAList { .. } => put_error(py, Raised::WrongShape, text, Who::default(), |_| Ok(())),
        ListError::NoSuchItem { id, .. } => {
            Raised::NoSuchItem.with(py, text, |exception| exception.setattr("id", id.to_string()))
        }
        ListError::Read(error) => of_get(py, error.into()),
        ListError::Write(error) => of_write(py, text, error),
        ListError::Stopped(error) => of_stopped(error),
        _ => Raised::KadmapError.error(text),
    }
}

/// The exception for an announcement, or for asking who is announced.
pub(crate) fn of_announcement(py: Python<'_>, error: AnnounceError) -> PyErr {
    let text = error.to_string();
    match error {
        AnnounceError::Ttl { .. } => PyValueError::new_err(text),
        AnnounceError::Taken { .. } => put_error(py, Raised::WrongShape, text, Who::default(), |_| Ok(())),
        AnnounceError::Put(error) => of_put(py, error),
        AnnounceError::Get(error) => of_get(py, error),
        _ => Raised::KadmapError.error(text),
    }
}

/// The exception for a read.
pub(crate) fn of_get(py: Python<'_>, error: GetError) -> PyErr {
    let text = error.to_string();
    match error {
        GetError::Read(ReadError::TooFewAnswers { answers, need }) => {
            Raised::TooFewAnswers.with(py, text, |exception| {
                exception.setattr("answers", answers)?;
                exception.setattr("need", need)
            })
        }
        GetError::Stopped(error) => of_stopped(error),
        _ => Raised::GetError.error(text),
    }
}

/// The exception for a watch that did not begin.
pub(crate) fn of_watch(py: Python<'_>, error: WatchError) -> PyErr {
    let text = error.to_string();
    match error {
        WatchError::Begin(BeginWatchError::TooFewReplicas { replicas, need }) => {
            Raised::TooFewAnswers.with(py, text, |exception| {
                exception.setattr("answers", replicas)?;
                exception.setattr("need", need)
            })
        }
        WatchError::Stopped(error) => of_stopped(error),
        _ => Raised::GetError.error(text),
    }
}

/// Ids as text.
pub(crate) fn hex(ids: &[NodeId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

/// Who refused, and why, as text.
pub(crate) fn reasons(refused: &[(NodeId, Refusal)]) -> Vec<(String, String)> {
    refused.iter().map(|(id, refusal)| (id.to_string(), refusal.to_string())).collect()
}
