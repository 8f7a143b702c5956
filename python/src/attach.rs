//! Calling Python from threads that are not its own, up to the moment that the interpreter ends.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;

/// Set when the interpreter starts to end: from then on nobody waits for it any more.
static EXITING: AtomicBool = AtomicBool::new(false);

/// Runs something with the interpreter; `None` when that ends or has ended.
pub(crate) fn attach<R>(call: impl for<'py> FnOnce(Python<'py>) -> R) -> Option<R> {
    if EXITING.load(Ordering::Relaxed) { None } else { Python::try_attach(call) }
}

/// Has the interpreter tell when it ends, before it takes itself apart.
pub(crate) fn watch_exit(py: Python<'_>) -> PyResult<()> {
    let begin_exit = wrap_pyfunction!(begin_exit, py)?;
    py.import("atexit")?.call_method1("register", (begin_exit,))?;
    Ok(())
}

#[pyfunction]
fn begin_exit() {
    EXITING.store(true, Ordering::Relaxed);
}
