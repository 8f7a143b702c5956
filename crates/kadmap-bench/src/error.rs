//! Why a benchmark could not be run to its end.

use kadmap::StartError;
use thiserror::Error;

/// Why a benchmark could not be run to its end.
///
/// ```
/// let error = kadmap_bench::BenchError::NoAnswer { what: "an echo".to_owned() };
/// assert_eq!(error.to_string(), "waited too long for an echo: is the machine overloaded? try again");
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BenchError {
    /// A setting cannot be measured with.
    #[error("{setting} is {value}: {remedy}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        remedy: &'static str,
    },
    /// A node of the swarm did not start.
    #[error("node {node} did not start: {source}")]
    Start {
        /// Its number, from 0.
        node: usize,
        /// Why.
        source: StartError,
    },
    /// Something asked did not come in the time allowed.
    #[error("waited too long for {what}: is the machine overloaded? try again")]
    NoAnswer {
        /// What was waited for.
        what: String,
    },
    /// A second process of the benchmark does not do what it should.
    #[error("the child process for {task} failed: {reason}")]
    Child {
        /// What it was to do.
        task: &'static str,
        /// What happened.
        reason: String,
    },
    /// An operation that has to succeed before anything can be measured did not.
    #[error("cannot prepare the measurement: {reason}")]
    Prepare {
        /// What happened.
        reason: String,
    },
    /// The operating system refused a socket, a thread, a folder or the output.
    #[error("the system refused {what}: {source}")]
    System {
        /// What was asked of it.
        what: &'static str,
        /// What it said.
        source: std::io::Error,
    },
}

impl BenchError {
    pub(crate) fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}
