//! What a run came to, for people and for programs.

use std::io::{self, Write};

use serde::Serialize;

use crate::checker::Verdict;
use crate::control::Control;

/// One measured number; its name ends in its unit.
///
/// ```
/// let figure = kadmap_chaos::Figure { name: "get_p99_ms".into(), value: 1.5 };
/// assert!(figure.name.ends_with("ms"));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// What was measured, and its unit.
    pub name: String,
    /// How much it is.
    pub value: f64,
}

/// One promise of a scenario, and whether it was kept.
///
/// ```
/// assert!(!kadmap_chaos::Bound::at_most("keys lost", 3.0, 0.0).held);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bound {
    /// What is bounded.
    pub what: String,
    /// What it came to.
    pub measured: f64,
    /// The bound.
    pub limit: f64,
    /// Which side of it is good: "at most" or "at least".
    pub side: &'static str,
    /// Whether the bound was kept.
    pub held: bool,
}

impl Bound {
    /// Something that must not be more than `limit`.
    pub fn at_most(what: impl Into<String>, measured: f64, limit: f64) -> Self {
        Self { what: what.into(), measured, limit, side: "at most", held: measured <= limit }
    }

    /// Something that must not be less than `limit`.
    pub fn at_least(what: impl Into<String>, measured: f64, limit: f64) -> Self {
        Self { what: what.into(), measured, limit, side: "at least", held: measured >= limit }
    }
}

/// Something that this machine or this kadmap does not allow, and what that leaves unproved.
///
/// ```
/// let skipped = kadmap_chaos::Skipped { what: "packet loss".into(), why: "no sch_netem".into() };
/// assert_eq!(serde_json::to_value(&skipped).unwrap()["why"], "no sch_netem");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// What was not done.
    pub what: String,
    /// Why not.
    pub why: String,
}

/// What a run of a scenario came to.
///
/// ```
/// assert!(kadmap_chaos::Report::default().holds());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// Which scenario.
    pub scenario: &'static str,
    /// The bar it stands for, as the project's notes number them; empty for a control.
    pub bar: &'static str,
    /// Where its random choices started.
    pub seed: u64,
    /// Processes it started with.
    pub nodes: usize,
    /// Whether it was run small, and the bars of latency only reported.
    pub short: bool,
    /// The processor and the cores.
    pub machine: String,
    /// What was measured, in the order of the run.
    pub figures: Vec<Figure>,
    /// What had to hold.
    pub bounds: Vec<Bound>,
    /// What the judges found.
    pub verdicts: Vec<Verdict>,
    /// The breaches made on purpose.
    pub controls: Vec<Control>,
    /// What was not done.
    pub skipped: Vec<Skipped>,
    /// Why it was not played to its end; `None` when it was.
    pub failure: Option<String>,
    /// How long it took.
    pub seconds: f64,
}

impl Report {
    /// Whether it was played to its end and every bound was kept.
    pub fn holds(&self) -> bool {
        self.failure.is_none() && self.bounds.iter().all(|bound| bound.held)
    }

    /// A figure by name.
    pub fn figure(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|figure| figure.name == name).map(|figure| figure.value)
    }

    /// Writes it for people.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let bar = if self.bar.is_empty() { String::new() } else { format!(" ({})", self.bar) };
        writeln!(out, "{}{bar}: {} processes, seed {}", self.scenario, self.nodes, self.seed)?;
        for skipped in &self.skipped {
            writeln!(out, "  SKIPPED {}: {}", skipped.what, skipped.why)?;
        }
        for figure in &self.figures {
            writeln!(out, "  {:<52} {}", figure.name.replace('_', " "), number(figure.value))?;
        }
        for verdict in &self.verdicts {
            let counts = verdict.counts.iter().filter(|count| count.count > 0 || count.is_breach);
            let counts: Vec<_> = counts.map(|count| format!("{} {}", count.count, count.what)).collect();
            writeln!(out, "  {}: {} judged: {}", verdict.checker, verdict.judged, counts.join(", "))?;
            if let Some([median, p99, worst]) = verdict.late_ms {
                writeln!(
                    out,
                    "    late by {median:.0} ms at the median, {p99:.0} at p99, {worst:.0} at worst"
                )?;
            }
            for example in &verdict.examples {
                writeln!(out, "    {example}")?;
            }
        }
        let caught = self.controls.iter().filter(|control| control.is_caught).count();
        writeln!(
            out,
            "  controls: {caught} of {} breaches made on purpose were caught",
            self.controls.len()
        )?;
        for bound in &self.bounds {
            let verdict = if bound.held { "held  " } else { "BROKEN" };
            let (measured, limit) = (number(bound.measured), number(bound.limit));
            writeln!(out, "  {verdict} {:<45} {measured} ({} {limit})", bound.what, bound.side)?;
        }
        if let Some(failure) = &self.failure {
            writeln!(out, "  FAILED {failure}")?;
        }
        writeln!(out, "  in {:.1} s", self.seconds)
    }
}

/// Whole numbers as they are, others with as many digits as say something.
fn number(value: f64) -> String {
    match value {
        value if value.fract() == 0.0 => format!("{value:.0}"),
        value if value.abs() >= 100.0 => format!("{value:.1}"),
        value => format!("{value:.3}"),
    }
}
