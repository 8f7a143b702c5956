//! What every scenario stands on: a simulation, its plan, and the report that grows.

use std::time::Duration;

use super::{Plan, Progress};
use crate::memory::resident_bytes;
use crate::{
    Bound, Figure, Link, Neighbourhood, NodeIndex, Outcome, Purposes, Report, Sim, Tally, TrafficRow,
};
use kadmap_core::{Key, Purpose};

/// Pause between two joins of a growing swarm: short, as those that are in refresh their tables all along.
pub(super) const JOIN_PAUSE: Duration = Duration::from_micros(50);
/// Joins after which the bar moves; they are waited for.
const JOINS_PER_STEP: usize = 250;
/// Virtual time in which newcomers find those that joined at the same moment.
const SETTLING: Duration = Duration::from_secs(10);
/// Operations under way at once where a scenario has many to do.
const OPERATIONS_AT_ONCE: usize = 64;
/// And where there are many nodes to do them, one for so many.
const NODES_PER_OPERATION: usize = 20;
/// Steps of a long span after which the bar moves.
const STEPS: u32 = 200;

/// Holders of each record, as configured.
const REPLICATION: usize = 20;
/// A scenario under way.
pub(crate) struct Stage<'a> {
    pub(crate) plan: Plan,
    pub(crate) sim: Sim,
    /// What the process took before the swarm was grown.
    resident_before: u64,
    report: Report,
    /// Events and trace of simulations other than `sim`.
    others: (u64, u64),
    tell: &'a mut dyn FnMut(Progress),
}

impl<'a> Stage<'a> {
    pub(super) fn new(scenario: &'static str, plan: Plan, tell: &'a mut dyn FnMut(Progress)) -> Self {
        let report = Report { scenario, seed: plan.seed, nodes: plan.nodes, ..Report::default() };
        let resident_before = resident_bytes();
        Self { plan, sim: Sim::new(plan.seed, Link::lan()), resident_before, report, others: (0, 0), tell }
    }

    /// The report, with what the simulation says of itself.
    pub(super) fn close(mut self) -> Report {
        let (events, trace) = self.others;
        self.report.events = self.sim.events() + events;
        self.report.virtual_seconds = self.sim.now().as_secs_f64();
        self.report.trace_hash = format!("{:016x}", self.sim.trace_hash() ^ trace);
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
        let at_once = OPERATIONS_AT_ONCE.max(self.plan.nodes / NODES_PER_OPERATION);
        for first in (0..count).step_by(at_once) {
            let batch = first..count.min(first + at_once);
            let started: Vec<_> = batch.map(|number| (number, start(&mut self.sim, number))).collect();
            for (number, operation) in started {
                let outcome = self.sim.finish(operation);
                ended(&mut self.sim, number, outcome);
            }
            self.progress(what, count.min(first + at_once), count);
        }
    }

    /// Puts the keys of the plan from any of these nodes, each with its name as its value; tells how long each took, and
    /// how many were acknowledged.
    pub(super) fn put_keys(&mut self, nodes: &[NodeIndex]) -> (Vec<Duration>, usize) {
        self.put_first_keys(nodes, self.plan.keys)
    }

    /// As [`put_keys`](Self::put_keys), but only so many of them.
    pub(super) fn put_first_keys(&mut self, nodes: &[NodeIndex], keys: usize) -> (Vec<Duration>, usize) {
        let (mut took, mut put) = (Vec::new(), 0);
        self.operate(
            "putting",
            keys,
            |sim, number| {
                let at = nodes[sim.dice().below(nodes.len())];
                sim.write(at, &key(number), crate::sim::put(key(number)), Default::default())
            },
            |_, _, outcome| {
                took.push(outcome.took);
                put += usize::from(outcome.written().is_some());
            },
        );
        (took, put)
    }

    /// Reads the keys of the plan from any of these nodes.
    pub(super) fn get_keys(&mut self, nodes: &[NodeIndex], held: impl Fn(usize) -> bool) -> Gets {
        self.get_every(1, nodes, held)
    }

    /// Reads every `stride`-th key of the plan from any of these nodes.
    pub(super) fn get_every(
        &mut self,
        stride: usize,
        nodes: &[NodeIndex],
        held: impl Fn(usize) -> bool,
    ) -> Gets {
        let mut gets = Gets::default();
        self.operate(
            "reading",
            self.plan.keys.div_ceil(stride),
            |sim, place| {
                let at = nodes[sim.dice().below(nodes.len())];
                sim.read(at, &key(place * stride), Default::default())
            },
            |_, place, outcome| {
                let number = place * stride;
                gets.took.push(outcome.took);
                match outcome.value() {
                    Some(value) => gets.wrong += usize::from(value != key(number).as_bytes()),
                    None => gets.missed += usize::from(held(number)),
                }
            },
        );
        gets
    }

    /// Notes what the process has grown by for each node: the resident set, all in.
    pub(super) fn memory(&mut self) -> f64 {
        self.sim.shrink();
        let grown = resident_bytes().saturating_sub(self.resident_before);
        let each = grown as f64 / self.plan.nodes.max(1) as f64;
        self.figure("resident_bytes_per_node", each);
        each
    }

    /// Adds what simulations other than the stage's own came to.
    pub(super) fn total(&mut self, events: u64, trace_hash: u64) {
        self.others = (events, trace_hash);
    }

    /// Of how many of these records the responsible nodes do not all hold the same state, and how many lie elsewhere in
    /// another state than theirs.
    pub(super) fn divergence(&mut self, names: &[String]) -> (usize, usize) {
        let neighbourhood = Neighbourhood::of(&self.sim);
        let everybody = self.sim.up();
        let (mut unequal, mut strays) = (0, 0);
        for name in names {
            let holders = neighbourhood.closest(&Key::of_name(name.as_bytes()), REPLICATION);
            let states: Vec<_> = holders.iter().map(|node| self.sim.peek(*node, name)).collect();
            unequal += usize::from(states.iter().any(|state| *state != states[0]));
            let others = everybody.iter().filter(|node| !holders.contains(node));
            let elsewhere: Vec<_> = others.filter_map(|node| self.sim.peek(*node, name)).collect();
            strays += usize::from(elsewhere.iter().any(|state| Some(state) != states[0].as_ref()));
        }
        (unequal, strays)
    }

    /// Notes a measured number.
    pub(super) fn figure(&mut self, name: &'static str, value: f64) {
        self.report.figures.push(Figure { name, value });
    }

    /// Notes what was sent for what, by so many nodes in so many seconds.
    pub(super) fn traffic(&mut self, purposes: &Purposes, node_seconds: f64) {
        let row = |(purpose, kind, tally): (Option<Purpose>, &'static str, Tally)| TrafficRow {
            purpose: purpose
                .map_or_else(|| "nobody waits any more".to_owned(), |purpose| purpose.to_string()),
            kind,
            requests: tally.requests,
            requests_to_the_dead: tally.requests_to_the_dead,
            packets: tally.packets,
            packets_to_the_dead: tally.packets_to_the_dead,
            bytes_per_node_and_second: tally.bytes as f64 / node_seconds,
        };
        self.report.traffic = purposes.rows().map(row).collect();
        self.report
            .traffic
            .sort_by(|a, b| b.bytes_per_node_and_second.total_cmp(&a.bytes_per_node_and_second));
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

/// What came of reading all keys.
#[derive(Debug, Default)]
pub(super) struct Gets {
    pub(super) took: Vec<Duration>,
    /// Keys not read though a holder lives.
    pub(super) missed: usize,
    /// Keys read with a value that nobody wrote.
    pub(super) wrong: usize,
}

/// The name of one of a scenario's keys, and its value.
pub(super) fn key(number: usize) -> String {
    format!("key {number}")
}
