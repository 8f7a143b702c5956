//! Named runs with bounds, one a file.

mod appends;
mod control_forgetful;
mod control_weak;
mod frozen_halves;
mod half_killed;
mod mix;
mod partition;
mod restarts;
mod rolling;
mod soak;

use std::time::{Duration, Instant};

use crate::control::controls;
use crate::error::ChaosError;
use crate::launch::Launch;
use crate::machine::machine;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::report::{Bound, Report, Skipped};
use crate::stage::Stage;
use crate::swarm::{Swarm, SwarmSpec, repair_args};
use crate::{Excuses, History};

/// How long a condition may take to come true unless a scenario says otherwise: far beyond what it takes.
const PATIENCE: Duration = Duration::from_secs(300);

/// Time between two rounds of repair unless told otherwise: kadmap's own is ten minutes, which nobody wants to wait for.
const REPAIR_PERIOD: Duration = Duration::from_secs(5);

/// The sizes of one kind of run.
#[derive(Debug, Clone, Copy)]
struct Size {
    nodes: usize,
    keys: usize,
    replication: usize,
    appends: u64,
    span: Duration,
}

/// What a scenario needs beside processes.
#[derive(Debug, Clone, Copy, Default)]
struct Needs {
    /// Data folders.
    disks: bool,
    sides: Sides,
}

/// Whether there is a link that can be cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Sides {
    /// There is not.
    #[default]
    One,
    /// There is where the machine allows it; the scenario goes on without.
    TwoIfAllowed,
    /// Without it there is nothing to play.
    Two,
}

/// A named run with bounds.
///
/// ```
/// assert!(kadmap_chaos::scenarios().iter().any(|scenario| scenario.name == "half-killed"));
/// ```
#[derive(Debug)]
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    /// The bar it stands for; empty for a control.
    pub bar: &'static str,
    /// What it does and what must hold, in one sentence.
    pub about: &'static str,
    short: Size,
    full: Size,
    needs: Needs,
    play: fn(&mut Stage) -> Result<(), ChaosError>,
}

/// What a run left behind.
///
/// ```no_run
/// # fn main() -> Result<(), kadmap_chaos::ChaosError> {
/// let scenario = &kadmap_chaos::scenarios()[0];
/// let ran = scenario.run(&scenario.plan(1, true), &kadmap_chaos::Launch::own()?)?;
/// assert!(ran.report.holds());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Ran {
    /// What it came to.
    pub report: Report,
    /// What the clients did and saw.
    pub history: History,
}

impl Scenario {
    /// The scenario's own sizes.
    pub fn plan(&self, seed: u64, short: bool) -> Plan {
        let Size { nodes, keys, replication, appends, span } = if short { self.short } else { self.full };
        let patience = PATIENCE;
        Plan {
            seed,
            nodes,
            keys,
            replication,
            appends,
            span,
            short,
            excuses: Excuses::default(),
            repair_period: Some(REPAIR_PERIOD),
            patience,
        }
    }

    /// Plays it.
    ///
    /// # Errors
    /// [`ChaosError`] when not even the first process could be started. Later failures and broken bounds are in the
    /// report; see [`Report::holds`].
    pub fn run(&self, plan: &Plan, launch: &Launch) -> Result<Ran, ChaosError> {
        let start = Instant::now();
        let mut report = Report {
            scenario: self.name,
            bar: self.bar,
            seed: plan.seed,
            nodes: plan.nodes,
            short: plan.short,
            machine: machine(),
            controls: controls(),
            ..Report::default()
        };
        let missed = report.controls.iter().filter(|control| !control.is_caught).count();
        report.bounds.push(Bound::at_most("breaches made on purpose and not noticed", missed as f64, 0.0));
        let mut plan = *plan;
        let args = plan.repair_period.and_then(|period| repair_args(&launch.kadmap, period));
        if args.is_none() {
            plan.repair_period = None;
        }
        let spec = SwarmSpec {
            kadmap: launch.kadmap.clone(),
            own_program: launch.own_program.clone(),
            replication: plan.replication,
            args: args.unwrap_or_default(),
            disks: self.needs.disks,
            two_sides: self.needs.sides != Sides::One,
        };
        let swarm = match Swarm::new(spec.clone(), plan.seed) {
            // What the machine does not allow is told, and is no failure of kadmap.
            Err(error @ ChaosError::Command { .. }) if spec.two_sides => {
                let is_needed = self.needs.sides == Sides::Two;
                let what = if is_needed { "the whole scenario" } else { "partitions" }.to_owned();
                report.skipped.push(Skipped { what, why: error.to_string() });
                if is_needed {
                    return Ok(Ran { report, history: History::default() });
                }
                Swarm::new(SwarmSpec { two_sides: false, ..spec }, plan.seed)?
            }
            swarm => swarm?,
        };
        let progress = Progress::new(self.name);
        let mut stage = Stage::new(plan, swarm, report, progress);
        let played = (self.play)(&mut stage);
        stage.progress.clear();
        let history = stage.recorder.with(std::mem::take);
        let mut report = stage.report;
        // What a run has found until then is worth keeping.
        report.failure = played.err().map(|error| error.to_string());
        report.seconds = start.elapsed().as_secs_f64();
        Ok(Ran { report, history })
    }
}

/// All scenarios, in the order in which they are best run.
pub fn scenarios() -> &'static [Scenario] {
    static ALL: [Scenario; 9] = [
        control_weak::SCENARIO,
        control_forgetful::SCENARIO,
        half_killed::SCENARIO,
        rolling::SCENARIO,
        partition::SCENARIO,
        frozen_halves::SCENARIO,
        restarts::SCENARIO,
        appends::SCENARIO,
        soak::SCENARIO,
    ];
    &ALL
}
