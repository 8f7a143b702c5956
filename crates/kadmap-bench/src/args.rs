//! What a benchmark is told on the command line.

use clap::{Args, ValueEnum};
use kadmap::Consistency;
use serde::{Deserialize, Serialize};

use crate::Launch;
use crate::error::BenchError;

/// Where the random choices of a run start unless told otherwise; any number does.
const SEED: u64 = 8339;
/// Operations in flight unless told otherwise: what the figures of other tables were taken with.
const IN_FLIGHT: usize = 64;
/// Bytes of a value unless told otherwise: what the figures of other tables were taken with.
const VALUE_BYTES: usize = 100;
/// The smallest value: it carries its number, to prove that what is read is what was put.
const VALUE_BYTES_MIN: usize = 8;

/// What to measure, and how much of it.
///
/// ```
/// use clap::Parser;
/// #[derive(Parser)]
/// struct Cli {
///     #[command(flatten)]
///     bench: kadmap_bench::BenchArgs,
/// }
/// let cli = Cli::parse_from(["kadmap-bench", "swarm", "--nodes", "8"]);
/// assert_eq!(cli.bench.nodes, Some(8));
/// ```
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// What to measure [default: rpc swarm loss churn memory]
    #[arg(value_enum)]
    pub scenarios: Vec<ScenarioName>,
    /// Measure everything, the slow ones too
    #[arg(long, conflicts_with = "scenarios")]
    pub all: bool,
    /// Print one JSON object instead of tables
    #[arg(long)]
    pub json: bool,
    /// Nodes of the swarm [default: 32; memory 128; rest 4]
    #[arg(long)]
    pub nodes: Option<usize>,
    /// Operations of each measurement, or records at rest [default: as many as the scenario needs]
    #[arg(long)]
    pub ops: Option<u64>,
    /// Bytes of a value
    #[arg(long, default_value_t = VALUE_BYTES)]
    pub value_bytes: usize,
    /// Operations in flight when throughput is measured
    #[arg(long, default_value_t = IN_FLIGHT)]
    pub in_flight: usize,
    /// Where the random choices start
    #[arg(long, default_value_t = SEED)]
    pub seed: u64,
    /// Threads that the nodes are dealt over when throughput is measured [default: 2]
    #[arg(long)]
    pub threads: Option<usize>,
    /// Threads that the nodes are dealt over when operations go one at a time [default: 1]
    #[arg(long)]
    pub latency_threads: Option<usize>,
    /// Keep the records on disk, in a temporary folder, instead of in memory
    #[arg(long)]
    pub data: bool,
    /// Measure longer: 1,000,000 gets in drift, a minute at rest
    #[arg(long)]
    pub long: bool,
    /// Seconds that a node at rest is watched [default: 10; 60 with --long]
    #[arg(long)]
    pub seconds: Option<u64>,
    /// Replicas of each record, in place of what the scenario compares
    #[arg(long)]
    pub replication: Option<usize>,
    /// Replicas waited for, in place of what the scenario compares
    #[arg(long, value_enum)]
    pub consistency: Option<Waits>,
    /// Only these parts of the swarm scenario, for profiling
    #[arg(long, value_enum, value_delimiter = ',')]
    pub only: Vec<Part>,
    /// What a second process of this benchmark is to do
    #[arg(long, hide = true)]
    pub child: Option<String>,
    /// How this program is started again as a second process; not an argument.
    #[arg(skip)]
    pub launch: Launch,
}

/// A measurement that can be asked for by name.
///
/// ```
/// use kadmap_bench::ScenarioName;
/// assert!(ScenarioName::QUICK.contains(&ScenarioName::Swarm));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScenarioName {
    /// Requests per second between two processes, beside a bare UDP echo
    Rpc,
    /// Puts, gets and appends of a swarm in one process
    Swarm,
    /// Puts while 5% of all packets are lost
    Loss,
    /// Gets and puts while half the nodes are killed or frozen
    Churn,
    /// Resident memory per node
    Memory,
    /// Processor share of a node that only holds records
    Rest,
    /// Whether gets become slower with their number
    Drift,
    /// Time from a put to the event at a watcher, and memory of 10,000 watches
    Watch,
}

impl ScenarioName {
    /// Those that take seconds.
    pub const QUICK: [Self; 5] = [Self::Rpc, Self::Swarm, Self::Loss, Self::Churn, Self::Memory];
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Rpc, Self::Swarm, Self::Loss, Self::Churn, Self::Memory, Self::Rest, Self::Drift, Self::Watch];
}

/// How many replicas an operation waits for.
///
/// ```
/// use kadmap_bench::Waits;
/// assert_eq!(kadmap::Consistency::from(Waits::One), kadmap::Consistency::One);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Waits {
    /// The first
    One,
    /// Enough that reads and writes overlap
    Quorum,
    /// Every one
    All,
}

impl From<Waits> for Consistency {
    fn from(waits: Waits) -> Self {
        match waits {
            Waits::One => Self::One,
            Waits::Quorum => Self::Quorum,
            Waits::All => Self::All,
        }
    }
}

/// A part of the swarm scenario.
///
/// ```
/// use clap::ValueEnum;
/// assert_eq!(kadmap_bench::Part::from_str("puts", false), Ok(kadmap_bench::Part::Puts));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Puts per second
    Puts,
    /// Gets per second
    Gets,
    /// Appends per second
    Appends,
    /// Puts one at a time
    PutLatency,
    /// Gets one at a time
    GetLatency,
}

impl BenchArgs {
    /// What is to be measured, in order.
    pub(crate) fn chosen(&self) -> Vec<ScenarioName> {
        if self.all {
            ScenarioName::ALL.to_vec()
        } else if self.scenarios.is_empty() {
            ScenarioName::QUICK.to_vec()
        } else {
            self.scenarios.clone()
        }
    }

    /// Whether a part of the swarm scenario is wanted.
    pub(crate) fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    pub(crate) fn check(&self) -> Result<(), BenchError> {
        let setting = |setting, value: usize, remedy| {
            Err(BenchError::Setting { setting, value: value.to_string(), remedy })
        };
        if self.value_bytes < VALUE_BYTES_MIN {
            return setting("--value-bytes", self.value_bytes, "choose at least 8");
        }
        if self.in_flight == 0 {
            return setting("--in-flight", 0, "choose at least 1");
        }
        if self.ops == Some(0) {
            return setting("--ops", 0, "choose at least 1");
        }
        if self.threads == Some(0) || self.latency_threads == Some(0) {
            return setting("--threads", 0, "choose at least 1");
        }
        if let Some(nodes) = self.nodes.filter(|nodes| *nodes < 2) {
            return setting("--nodes", nodes, "choose at least 2");
        }
        Ok(())
    }
}
