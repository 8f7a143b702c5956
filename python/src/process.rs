//! What survives a fork and what does not.

use pyo3::prelude::*;

use crate::errors::Raised;

/// Something that belongs to the process that made it.
///
/// A child of a fork has its memory but none of the threads that work on it, and locks that nobody will ever release.
/// So a child can neither use it nor drop it: it stays where it is until the child ends.
pub(crate) struct OfProcess<T> {
    pid: u32,
    /// `None` only while it is dropped.
    value: Option<T>,
}

impl<T> OfProcess<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { pid: std::process::id(), value: Some(value) }
    }

    /// Whether it belongs to a process that this one was forked from.
    pub(crate) fn is_forked(&self) -> bool {
        self.pid != std::process::id()
    }

    /// What it holds; `ForkedError` in a child.
    pub(crate) fn here(&self) -> PyResult<&T> {
        match &self.value {
            Some(value) if !self.is_forked() => Ok(value),
            _ => Err(Raised::ForkedError.error(
                "this belongs to the process that forked this one: start a node of the child's own after the fork",
            )),
        }
    }
}

impl<T> Drop for OfProcess<T> {
    fn drop(&mut self) {
        if self.is_forked() {
            std::mem::forget(self.value.take());
        }
    }
}
