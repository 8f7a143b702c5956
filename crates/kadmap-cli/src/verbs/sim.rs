//! `kadmap sim`: swarms under virtual time.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use kadmap_sim::hunt::{self, Verdict};
use kadmap_sim::{Progress, Report, Scenario, TrafficRow, scenarios};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::Output;
use crate::progress;
use crate::typed::{HUNT, SimArgs};

/// How long a run may be silent before a bar shows how far it is.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &SimArgs, output: &Output) -> Result<(), Failure> {
    let Some(name) = args.scenario.as_deref() else { return list(output) };
    match scenarios().iter().find(|scenario| scenario.name == name) {
        Some(scenario) => play(scenario, args, output),
        None => hunt(args, output),
    }
}

/// A scenario as it is listed.
#[derive(Serialize)]
struct Listed {
    name: &'static str,
    about: &'static str,
}

fn list(output: &Output) -> Result<(), Failure> {
    let hunt = "small swarms under every fault at once, with every promise checked; prints the shortest failing seed";
    let named = scenarios().iter().map(|scenario| Listed { name: scenario.name, about: scenario.about });
    let all: Vec<_> = named.chain([Listed { name: HUNT, about: hunt }]).collect();
    output.result(&all, |out| {
        all.iter().try_for_each(|listed| writeln!(out, "{:<14} {}", listed.name, listed.about))
    })
}

/// A report, and what the run took in the real world.
#[derive(Serialize)]
struct Timed<'a> {
    #[serde(flatten)]
    report: &'a Report,
    real_seconds: f64,
    held: bool,
}

fn play(scenario: &Scenario, args: &SimArgs, output: &Output) -> Result<(), Failure> {
    let mut plan = scenario.plan(args.seed);
    plan.nodes = args.nodes.map_or(plan.nodes, |nodes| nodes as usize);
    plan.keys = args.keys.map_or(plan.keys, |keys| keys as usize);
    plan.span = args.span.unwrap_or(plan.span);
    let mut bar = LateBar::new();
    let report = scenario.run(&plan, &mut |progress| bar.tell(progress));
    let real_seconds = bar.finish().as_secs_f64();
    let timed = Timed { report: &report, real_seconds, held: report.holds() };
    output.result(&timed, |out| print(out, &timed))?;
    let broken: Vec<_> = report.bounds.iter().filter(|bound| !bound.held).map(|bound| bound.what).collect();
    if broken.is_empty() { Ok(()) } else { Err(Failure::Broken { what: broken.join(", ") }) }
}

fn print(out: &mut dyn Write, timed: &Timed<'_>) -> io::Result<()> {
    let Report { scenario, seed, nodes, .. } = timed.report;
    writeln!(out, "{scenario}: {nodes} nodes, seed {seed}")?;
    for figure in &timed.report.figures {
        writeln!(out, "  {:<50} {}", figure.name.replace('_', " "), number(figure.value))?;
    }
    print_traffic(out, &timed.report.traffic)?;
    for bound in &timed.report.bounds {
        let verdict = if bound.held { "held  " } else { "BROKEN" };
        writeln!(
            out,
            "  {verdict} {:<43} {} (bound {})",
            bound.what,
            number(bound.measured),
            number(bound.limit)
        )?;
    }
    writeln!(
        out,
        "  {} s of virtual time in {:.1} s, {} events, trace {}",
        number(timed.report.virtual_seconds),
        timed.real_seconds,
        timed.report.events,
        timed.report.trace_hash
    )
}

/// What was sent for what; nothing where the scenario does not tell.
fn print_traffic(out: &mut dyn Write, rows: &[TrafficRow]) -> io::Result<()> {
    if !rows.is_empty() {
        let heads = ["requests", "gone", "packets", "gone", "bytes/s"];
        let [a, b, c, d, e] = heads;
        writeln!(out, "  {:<28} {:<9} {a:>9} {b:>9} {c:>9} {d:>9} {e:>9}", "sent for", "kind")?;
    }
    for row in rows {
        let TrafficRow { purpose, kind, requests, packets, .. } = row;
        let (gone, packets_gone) = (row.requests_to_the_dead, row.packets_to_the_dead);
        let bytes = row.bytes_per_node_and_second;
        writeln!(
            out,
            "  {purpose:<28} {kind:<9} {requests:>9} {gone:>9} {packets:>9} {packets_gone:>9} {bytes:>9.1}"
        )?;
    }
    Ok(())
}

/// Whole numbers as they are, others with as many digits as say something.
fn number(value: f64) -> String {
    match value {
        value if value.fract() == 0.0 => format!("{value:.0}"),
        value if value.abs() >= 100.0 => format!("{value:.1}"),
        value => format!("{value:.4}"),
    }
}

/// What a hunt found, for a program.
#[derive(Serialize)]
struct Hunted<'a> {
    hunts: u64,
    events: u64,
    writes_acknowledged: u64,
    real_seconds: f64,
    found: Option<Found<'a>>,
}

#[derive(Serialize)]
struct Found<'a> {
    seed: u64,
    nodes: usize,
    steps: usize,
    breaches: &'a [String],
    rerun: String,
}

fn hunt(args: &SimArgs, output: &Output) -> Result<(), Failure> {
    let mut bar = LateBar::new();
    let (mut hunts, mut events, mut writes) = (0, 0, 0);
    let limit = Duration::try_from_secs_f64(args.minutes * 60.0).unwrap_or_default();
    let mut found = None;
    for seed in args.seed.. {
        let mut plan = hunt::Plan::of_seed(seed);
        plan.nodes = args.nodes.map_or(plan.nodes, |nodes| nodes as usize);
        plan.steps = args.steps.map_or(plan.steps, |steps| steps as usize);
        let verdict = hunt::run(&plan);
        hunts += 1;
        events += verdict.events;
        writes += verdict.acknowledged as u64;
        if !verdict.breaches.is_empty() {
            // A run with its size given is looked at as it is.
            found = Some(if args.steps.is_some() { verdict } else { hunt::shrink(verdict) });
        }
        if found.is_some() || args.steps.is_some() || bar.elapsed() >= limit {
            break;
        }
        bar.tell(Progress { what: "hunting", done: bar.elapsed().as_secs(), total: limit.as_secs() });
    }
    let real_seconds = bar.finish().as_secs_f64();
    let hunted =
        Hunted { hunts, events, writes_acknowledged: writes, real_seconds, found: found.as_ref().map(told) };
    output.result(&hunted, |out| {
        writeln!(
            out,
            "{hunts} hunts, {events} events, {writes} writes acknowledged, in {real_seconds:.1} s"
        )?;
        match &hunted.found {
            None => writeln!(out, "every promise was kept"),
            Some(found) => {
                found.breaches.iter().try_for_each(|breach| writeln!(out, "  {breach}"))?;
                writeln!(out, "again: {}", found.rerun)
            }
        }
    })?;
    match found {
        None => Ok(()),
        Some(verdict) => {
            Err(Failure::Broken { what: format!("seed {} breaks a promise", verdict.plan.seed) })
        }
    }
}

fn told(verdict: &Verdict) -> Found<'_> {
    let hunt::Plan { seed, nodes, steps } = verdict.plan;
    let rerun = format!("kadmap sim hunt --seed {seed} --nodes {nodes} --steps {steps}");
    Found { seed, nodes, steps, breaches: &verdict.breaches, rerun }
}

/// A bar that appears when a run takes longer than a second.
struct LateBar {
    started: Instant,
    bar: Option<ProgressBar>,
}

impl LateBar {
    fn new() -> Self {
        Self { started: Instant::now(), bar: None }
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn tell(&mut self, progress: Progress) {
        if self.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| progress::bar(progress.what, progress.total as usize));
        bar.set_message(progress.what);
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    }

    fn finish(&mut self) -> Duration {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.elapsed()
    }
}
