//! The proof on real processes that nothing is lost.
//!
//! Scenarios start swarms of `kadmap run`, let clients write and read, kill, freeze, restart and cut processes off
//! meanwhile, and write down every operation. [`checker`] holds the judges of such a [`History`]; each is itself tested
//! on histories that are broken on purpose ([`controls`]), in every run.
//! What each scenario has shown stands in `docs/durability.md`.

mod args;
pub mod checker;
mod client;
mod command;
mod control;
mod dice;
mod error;
mod history;
mod launch;
mod load;
mod machine;
mod plan;
mod progress;
mod report;
mod scenario;
mod stage;
mod swarm;

pub use command::run_command;
pub use control::{Control, controls};
pub use error::ChaosError;
pub use history::{Excuses, Fault, History, Kind, Mark, Operation, Outcome, Seen};
pub use launch::Launch;
pub use plan::Plan;
pub use report::{Bound, Figure, Report, Skipped};
pub use scenario::{Ran, Scenario, scenarios};
