//! Why a run did not come to its end.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a scenario could not be played; a bound that is broken is a result, not an error.
///
/// ```
/// let error = kadmap_chaos::ChaosError::NeverTrue { what: "all nodes serve".into(), seconds: 60 };
/// assert!(error.to_string().contains("60 s"));
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ChaosError {
    /// The operating system said no.
    #[error("cannot {what}: {source}")]
    System {
        /// What was to be done.
        what: String,
        /// What it said.
        source: io::Error,
    },
    /// A program of the system failed.
    #[error("'{command}' failed: {reason}")]
    Command {
        /// Its command line.
        command: String,
        /// What it said.
        reason: String,
    },
    /// A node did not start.
    #[error("node {node} does not serve: {reason}; its log: {log}")]
    Node {
        /// Which.
        node: usize,
        /// What happened instead.
        reason: String,
        /// The end of what it logged.
        log: String,
    },
    /// A client did not start.
    #[error("a client does not start: {0}")]
    Client(#[from] kadmap::StartError),
    /// A thread of the harness has ended before its work was done.
    #[error("a thread of the harness ended early: it panicked, see above")]
    Lane,
    /// A condition did not come true.
    #[error("not so after {seconds} s: {what}")]
    NeverTrue {
        /// What was waited for.
        what: String,
        /// For how long.
        seconds: u64,
    },
    /// There is no such scenario.
    #[error("no scenario '{name}'; --list names them")]
    NoScenario {
        /// What was asked for.
        name: String,
    },
    /// A setting that makes no sense.
    #[error("{setting} is {value}: {remedy}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// What was given.
        value: String,
        /// What to give.
        remedy: String,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ChaosError {
    /// For `map_err`: the operating system said no to this.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }
}
