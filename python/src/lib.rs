//! The Python module `kadmap._kadmap`: what the pure Python packages kadmap, kad and gevent_dht stand on.
//!
//! A node runs on a thread of its own kind (`runtime`) that never waits for the interpreter, unless the user's own
//! storage or guard runs there.
//! Every operation either blocks its caller with the interpreter released (`wait`) or ends in a `queue`.
//! What a node says is Rust data until somebody who holds the interpreter asks for it (`outcome`).

mod attach;
mod bell;
mod clock;
mod command;
mod errors;
mod guard;
mod guarded_message;
mod lists;
mod log;
mod node;
mod operation;
mod outcome;
mod place;
mod process;
mod queue;
mod results;
mod runtime;
mod scan;
mod settings;
mod start;
mod storage;
mod value;
mod wait;
mod watch;

use pyo3::prelude::*;

/// A node of the distributed hash table, and what comes with it. Private: use the package `kadmap`.
#[pymodule]
mod _kadmap {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::{
        command::run_command,
        lists::Announcement,
        log::flush_log,
        log::set_log_level,
        node::Node,
        operation::Operation,
        queue::Queue,
        results::{Hop, Lookup, Peer, PutResult, Reading, Status},
        scan::Scan,
        watch::Watch,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        crate::errors::create(module)?;
        crate::attach::watch_exit(module.py())
    }
}
