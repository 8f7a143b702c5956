//! What kadmap is measured by: requests, puts, gets and appends per second, latencies, memory, and what a dying half
//! of a swarm costs.
//!
//! [`run`] does what [`BenchArgs`] say and returns a [`Report`]. Machines are noisy: most figures also stand as a ratio
//! to something measured in the same run, bare UDP for instance.
//!
//! ```no_run
//! use clap::Parser;
//! #[derive(Parser)]
//! struct Cli {
//!     #[command(flatten)]
//!     bench: kadmap_bench::BenchArgs,
//! }
//! let report = kadmap_bench::run(Cli::parse().bench, &mut std::io::stdout())?;
//! assert!(!report.scenarios.is_empty());
//! # Ok::<(), kadmap_bench::BenchError>(())
//! ```

mod args;
mod bench;
mod child;
mod echo;
mod error;
mod latency;
mod launch;
mod load;
mod machine;
mod progress;
mod records;
mod redundancy;
mod report;
mod scenario;
mod swarm;

pub use args::{BenchArgs, Part, ScenarioName, Waits};
pub use bench::run;
pub use error::BenchError;
pub use launch::Launch;
pub use report::{Figure, Machine, Ratio, Report, ScenarioReport, Target};
