//! A run: its arguments, and what all scenarios share.

use std::io::Write;
use std::time::Instant;

use kadmap::DhtBuilder;
use tempfile::TempDir;

use crate::args::{BenchArgs, ScenarioName};
use crate::child::{self, Child, Task};
use crate::error::BenchError;
use crate::load::Load;
use crate::machine;
use crate::progress::Progress;
use crate::redundancy::Redundancy;
use crate::report::{Machine, Report, ScenarioReport};
use crate::scenario;
use crate::swarm::{Swarm, SwarmSpec};

/// Nodes of a swarm unless told otherwise: what the figures of other tables were taken with.
const NODES: usize = 32;
/// Threads when throughput is measured, unless told otherwise.
const THREADS: usize = 2;
/// Threads when operations go one at a time, unless told otherwise: waking a second one costs more than a request.
const LATENCY_THREADS: usize = 1;

/// What all scenarios of a run share.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    pub(crate) args: &'a BenchArgs,
    pub(crate) progress: Progress,
}

/// A swarm and the folder that its records are in, which goes with it.
#[derive(Debug)]
pub(crate) struct Housed {
    pub(crate) swarm: Swarm,
    _folder: Option<TempDir>,
}

impl Bench<'_> {
    /// Starts a swarm, on disk if that was asked for.
    pub(crate) fn swarm(
        &self,
        nodes: usize,
        threads: usize,
        builder: DhtBuilder,
    ) -> Result<Housed, BenchError> {
        let folder = if self.args.data {
            Some(tempfile::tempdir().map_err(BenchError::system("a temporary folder"))?)
        } else {
            None
        };
        let data = folder.as_ref().map(|folder| folder.path().to_owned());
        let swarm = Swarm::spawn(&SwarmSpec { nodes, threads, builder, data, join: None })?;
        Ok(Housed { swarm, _folder: folder })
    }

    /// So many operations with as many in flight as asked for; `salt` sets their random choices apart.
    pub(crate) fn load(&self, ops: u64, salt: u64) -> Load {
        Load { ops, in_flight: self.args.in_flight, seed: self.args.seed ^ salt }
    }

    /// So many operations one at a time.
    pub(crate) fn sequence(&self, ops: u64, salt: u64) -> Load {
        Load { in_flight: 1, ..self.load(ops, salt) }
    }

    /// The redundancy asked for, or else this one.
    pub(crate) fn redundancy(&self, otherwise: Redundancy) -> Redundancy {
        Redundancy {
            replication: self.args.replication.unwrap_or(otherwise.replication),
            waits: self.args.consistency.unwrap_or(otherwise.waits),
        }
    }

    pub(crate) fn nodes(&self) -> usize {
        self.args.nodes.unwrap_or(NODES)
    }

    pub(crate) fn threads(&self) -> usize {
        self.args.threads.unwrap_or(THREADS).min(self.nodes())
    }

    pub(crate) fn latency_threads(&self) -> usize {
        self.args.latency_threads.unwrap_or(LATENCY_THREADS).min(self.nodes())
    }

    /// Starts a second process that does a task, and waits until it is ready.
    pub(crate) fn child(&self, task: &Task) -> Result<Child, BenchError> {
        Child::start(&self.args.launch, task)
    }

    /// Where the records are, in words.
    pub(crate) fn place(&self) -> &'static str {
        if self.args.data { "on disk" } else { "in memory" }
    }

    fn run_one(&self, name: ScenarioName) -> Result<ScenarioReport, BenchError> {
        let start = Instant::now();
        let mut report = match name {
            ScenarioName::Rpc => scenario::rpc::run(self),
            ScenarioName::Swarm => scenario::swarm::run(self),
            ScenarioName::Loss => scenario::loss::run(self),
            ScenarioName::Churn => scenario::churn::run(self),
            ScenarioName::Memory => scenario::memory::run(self),
            ScenarioName::Rest => scenario::rest::run(self),
            ScenarioName::Drift => scenario::drift::run(self),
            ScenarioName::Watch => scenario::watch::run(self),
        }?;
        report.seconds = start.elapsed().as_secs_f64();
        Ok(report)
    }
}

/// Measures what the arguments ask for and writes it to `out` as it is found: tables, or one JSON object at the end.
/// How far it is goes to stderr, when that is a terminal. Blocks; takes from seconds to minutes.
///
/// # Errors
/// [`BenchError`] when something cannot be measured at all. That a figure misses its target, and that operations
/// failed, is no error: the report says so.
pub fn run(args: BenchArgs, out: &mut dyn Write) -> Result<Report, BenchError> {
    args.check()?;
    if let Some(task) = &args.child {
        child::serve(task, out)?;
        return Ok(Report::default());
    }
    let bench = Bench { args: &args, progress: Progress::new() };
    let mut report = Report {
        machine: Machine::here(),
        commit: machine::commit(),
        seed: args.seed,
        scenarios: Vec::new(),
    };
    let written = BenchError::system("the output");
    if !args.json {
        report.write_head(out).map_err(written)?;
    }
    for name in args.chosen() {
        let found = bench.run_one(name);
        bench.progress.clear();
        let found = found?;
        if !args.json {
            found.write_table(out).and_then(|()| out.flush()).map_err(BenchError::system("the output"))?;
        }
        report.scenarios.push(found);
    }
    if args.json {
        let json = serde_json::to_string(&report).map_err(std::io::Error::from);
        json.and_then(|json| writeln!(out, "{json}")).map_err(BenchError::system("the output"))?;
    }
    Ok(report)
}
