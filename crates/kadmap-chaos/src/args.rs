//! What was typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::Excuses;

/// Where the random choices of a run start unless told otherwise; any number does.
const SEED: u64 = 8339;
/// How long a condition may take to come true: far beyond what it takes on a loaded machine.
const PATIENCE_SECONDS: u64 = 300;
/// Every scenario, one after the other.
pub(crate) const ALL: &str = "all";

/// Kills, freezes and cuts in two swarms of real processes, and proves that nothing is lost
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    /// What to play, or 'all'; --list names them
    #[arg(required_unless_present = "list")]
    pub(crate) scenarios: Vec<String>,
    /// Name the scenarios and what they prove
    #[arg(long)]
    pub(crate) list: bool,
    /// Small sizes; bounds on time are only reported
    #[arg(long)]
    pub(crate) short: bool,
    /// Excuse every late read once anything was done to the swarm, not only those that a division explains
    #[arg(long)]
    pub(crate) lenient: bool,
    /// Excuse no late read at all, not even while the swarm is divided
    #[arg(long, conflicts_with = "lenient")]
    pub(crate) strict: bool,
    /// Processes to start with [default: the scenario's]
    #[arg(long)]
    pub(crate) nodes: Option<usize>,
    /// Keys that are written [default: the scenario's]
    #[arg(long)]
    pub(crate) keys: Option<usize>,
    /// Replicas of each record [default: the scenario's]
    #[arg(long)]
    pub(crate) replication: Option<usize>,
    /// Items appended in all, where a scenario appends [default: the scenario's]
    #[arg(long)]
    pub(crate) appends: Option<u64>,
    /// Minutes that load goes on, where time is the point [default: the scenario's]
    #[arg(long)]
    pub(crate) minutes: Option<f64>,
    /// Seconds between two rounds of repair, where kadmap has the setting [default: 5]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) repair_period: Option<f64>,
    /// Seconds that a condition may take to come true
    #[arg(long, value_name = "SECONDS", default_value_t = PATIENCE_SECONDS)]
    pub(crate) patience: u64,
    /// Where the random choices start
    #[arg(long, default_value_t = SEED)]
    pub(crate) seed: u64,
    /// Write the report there, one JSON object a line for each scenario
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write what clients did and saw there, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(crate) history: Option<PathBuf>,
    /// The program whose 'run' is a node [default: this one, which has it in it]
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) kadmap: Option<PathBuf>,
}

impl Cli {
    pub(crate) fn excuses(&self) -> Excuses {
        match (self.lenient, self.strict) {
            (true, _) => Excuses::Disturbance,
            (_, true) => Excuses::Nothing,
            _ => Excuses::Division,
        }
    }

    pub(crate) fn span(&self) -> Option<Duration> {
        self.minutes.and_then(|minutes| Duration::try_from_secs_f64(minutes * 60.0).ok())
    }

    pub(crate) fn repair_period(&self) -> Option<Duration> {
        self.repair_period.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }
}
