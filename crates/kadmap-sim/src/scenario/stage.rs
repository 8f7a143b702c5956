//! What every scenario stands on: a simulation, its plan, and the report that grows.

use std::time::Duration;

use super::{Plan, Progress};
use crate::{Bound, Figure, Link, NodeIndex, Outcome, Report, Sim};

/// Pause between two joins of a growing swarm: short, as those that are in refresh their tables all along.
const JOIN_PAUSE: Duration = Duration::from_micros(50);
/// Joins after which the bar moves; they are waited for.
const JOINS_PER_STEP: usize = 250;
/// Virtual time in which newcomers find those that joined at the same moment.
const SETTLING: Duration = Duration::from_secs(10);
/// Operations under way at once where a scenario has many to do.
const OPERATIONS_AT_ONCE: usize = 64;
/// Steps of a long span after which the bar moves.
const STEPS: u32 = 200;

/// A scenario under way.
pub(crate) struct Stage<'a> {
    pub(crate) plan: Plan,
    pub(crate) sim: Sim,
    report: Report,
    tell: &'a mut dyn FnMut(Progress),
}

impl<'a> Stage<'a> {
    pub(super) fn new(scenario: &'static str, plan: Plan, tell: &'a mut dyn FnMut(Progress)) -> Self {
        let report = Report { scenario, seed: plan.seed, nodes: plan.nodes, ..Report::default() };
        Self { plan, sim: Sim::new(plan.seed, Link::lan()), report, tell }
    }

    /// The report, with what the simulation says of itself.
    pub(super) fn close(mut self) -> Report {
        self.report.events = self.sim.events();
        self.report.virtual_seconds = self.sim.now().as_secs_f64();
        self.report.trace_hash = format!("{:016x}", self.sim.trace_hash());
        self.report
    }

    pub(super) fn progress(&mut self, what: &'static str, done: usize, total: usize) {
        (self.tell)(Progress { what, done: done as u64, total: total as u64 });
    }

    /// Grows the swarm of the plan.
    pub(super) fn grow(&mut self) -> Vec<NodeIndex> {
        let total = self.plan.nodes;
        let mut nodes = Vec::with_capacity(total);
        while nodes.len() < total {
            let count = (total - nodes.len()).min(JOINS_PER_STEP);
            nodes.extend(self.sim.grow(count, JOIN_PAUSE));
            self.progress("joining", nodes.len(), total);
        }
        nodes
    }

    /// Grows the swarm of the plan and lets it settle.
    pub(super) fn settled_swarm(&mut self) -> Vec<NodeIndex> {
        let nodes = self.grow();
        self.pass("settling", SETTLING);
        nodes
    }

    /// Lets a span pass, with a bar.
    pub(super) fn pass(&mut self, what: &'static str, span: Duration) {
        for step in 0..STEPS {
            self.sim.run_for(span / STEPS);
            self.progress(what, step as usize + 1, STEPS as usize);
        }
    }

    /// Starts `count` operations, some at once, and hears how each ended.
    pub(super) fn operate(
        &mut self,
        what: &'static str,
        count: usize,
        mut start: impl FnMut(&mut Sim, usize) -> crate::Operation,
        mut ended: impl FnMut(&mut Sim, usize, Outcome),
    ) {
        for first in (0..count).step_by(OPERATIONS_AT_ONCE) {
            let batch = first..count.min(first + OPERATIONS_AT_ONCE);
            let started: Vec<_> = batch.map(|number| (number, start(&mut self.sim, number))).collect();
            for (number, operation) in started {
                let outcome = self.sim.finish(operation);
                ended(&mut self.sim, number, outcome);
            }
            self.progress(what, count.min(first + OPERATIONS_AT_ONCE), count);
        }
    }

    /// Notes a measured number.
    pub(super) fn figure(&mut self, name: &'static str, value: f64) {
        self.report.figures.push(Figure { name, value });
    }

    /// Notes a number that must not be more than its limit.
    pub(super) fn at_most(&mut self, what: &'static str, measured: f64, limit: f64) {
        self.report.bounds.push(Bound::at_most(what, measured, limit));
    }

    /// Notes a number that must not be less than its limit.
    pub(super) fn at_least(&mut self, what: &'static str, measured: f64, limit: f64) {
        self.report.bounds.push(Bound::at_least(what, measured, limit));
    }

    /// Notes how long operations took, in milliseconds.
    pub(super) fn quantiles(&mut self, names: [&'static str; 2], mut took: Vec<Duration>) {
        took.sort_unstable();
        for (name, share) in names.into_iter().zip([0.5, 0.99]) {
            let at = (took.len() as f64 * share) as usize;
            let value = took.get(at.min(took.len().saturating_sub(1))).copied().unwrap_or_default();
            self.figure(name, value.as_secs_f64() * 1e3);
        }
    }
}
