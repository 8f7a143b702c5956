//! How large a run is.

use std::time::Duration;

use crate::Excuses;

/// What a scenario is run with.
///
/// ```
/// let plan = kadmap_chaos::scenarios()[0].plan(7, true);
/// assert!(plan.short && plan.seed == 7);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Where its random choices start. What the operating system does with processes and packets is not its to decide.
    pub seed: u64,
    /// Processes.
    pub nodes: usize,
    /// Keys that are written.
    pub keys: usize,
    /// Replicas of each record.
    pub replication: usize,
    /// Items that are appended, where a scenario appends.
    pub appends: u64,
    /// How long load goes on, where time is the point.
    pub span: Duration,
    /// Which reads may be late before the end.
    pub excuses: Excuses,
    /// Whether bounds on time are only reported.
    pub short: bool,
    /// Time between two rounds of repair; `None` where this kadmap repairs nothing by the clock.
    pub repair_period: Option<Duration>,
    /// How long a condition may take to come true.
    pub patience: Duration,
}
