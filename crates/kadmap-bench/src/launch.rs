//! How this program is started again as a second process.

use std::ffi::OsString;
use std::path::PathBuf;

/// How this program is started again as a second process: some scenarios need one that they can measure or stop.
///
/// A program that embeds the benchmark as a verb says so, or its second process would not find the way:
///
/// ```
/// let launch = kadmap_bench::Launch { program: None, leading_args: vec!["bench".into()] };
/// assert_ne!(launch, kadmap_bench::Launch::default());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Launch {
    /// The program; `None`: the one that runs.
    pub program: Option<PathBuf>,
    /// Arguments before those of the benchmark.
    pub leading_args: Vec<OsString>,
}
