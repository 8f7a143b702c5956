//! Named runs with bounds: what `kadmap sim` runs.

mod appends;
mod churn;
mod clocks;
mod deletes;
mod half_killed;
mod join;
mod loss;
mod mass_join;
mod narrow;
mod partition;
mod rest;
mod rolling;
mod stage;
mod strict;

use std::time::Duration;

use crate::Report;

pub(crate) use stage::Stage;

/// What a scenario is run with.
///
/// ```
/// let plan = kadmap_sim::scenarios()[0].plan(7);
/// assert_eq!(plan.seed, 7);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// Nodes of the swarm.
    pub nodes: usize,
    /// Keys that are written, where the scenario writes any.
    pub keys: usize,
    /// Virtual time that the main part lasts, where it lasts any.
    pub span: Duration,
}

/// How far a run has come, for a bar.
///
/// ```
/// let halfway = kadmap_sim::Progress { what: "joining", done: 5, total: 10 };
/// assert!(halfway.done < halfway.total);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub what: &'static str,
    /// Steps done.
    pub done: u64,
    /// Steps in all.
    pub total: u64,
}

/// A named run with bounds.
///
/// ```
/// let join = kadmap_sim::scenarios().iter().find(|scenario| scenario.name == "join").unwrap();
/// let report = join.run(&kadmap_sim::Plan { nodes: 20, ..join.plan(1) }, &mut |_| {});
/// assert!(report.holds());
/// ```
#[derive(Debug)]
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    /// What it does and what must hold, in one sentence.
    pub about: &'static str,
    /// Nodes unless said otherwise.
    nodes: usize,
    /// Keys unless said otherwise.
    keys: usize,
    /// Virtual time unless said otherwise.
    span: Duration,
    play: fn(&mut Stage<'_>),
}

impl Scenario {
    /// The scenario's own sizes, under this seed.
    pub fn plan(&self, seed: u64) -> Plan {
        Plan { seed, nodes: self.nodes, keys: self.keys, span: self.span }
    }

    /// Runs it and tells what it came to; `tell` hears how far it is.
    pub fn run(&self, plan: &Plan, tell: &mut dyn FnMut(Progress)) -> Report {
        let mut stage = Stage::new(self.name, *plan, tell);
        (self.play)(&mut stage);
        stage.close()
    }
}

/// All scenarios.
pub fn scenarios() -> &'static [Scenario] {
    static ALL: [Scenario; 17] = [
        join::SCENARIO,
        half_killed::SCENARIO,
        rolling::SCENARIO,
        churn::EXPONENTIAL,
        churn::WEIBULL,
        churn::FIVE_MINUTES,
        churn::EIGHTY_SECONDS,
        loss::SCENARIO,
        narrow::SCENARIO,
        partition::SCENARIO,
        mass_join::SCENARIO,
        appends::SCENARIO,
        clocks::SCENARIO,
        deletes::SHORT,
        deletes::LONG,
        rest::SCENARIO,
        strict::SCENARIO,
    ];
    &ALL
}
