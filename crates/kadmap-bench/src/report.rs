//! What a run found: figures, what they are compared with, and what they should be.

use std::io::{self, Write};

use serde::Serialize;

/// Everything that one run of the benchmark found.
///
/// ```
/// let report = kadmap_bench::Report::default();
/// assert!(report.scenarios.is_empty());
/// ```
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The machine it ran on.
    pub machine: Machine,
    /// The commit of the source tree it was started in, `unknown` outside of one.
    pub commit: String,
    /// Where the random choices started.
    pub seed: u64,
    /// What was measured, in order.
    pub scenarios: Vec<ScenarioReport>,
}

/// The machine that figures were taken on.
///
/// ```
/// assert_eq!(kadmap_bench::Machine::default().cores, 0);
/// ```
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct Machine {
    /// The processor's own name, `unknown` where the system does not tell.
    pub cpu: String,
    /// How many threads may run at once.
    pub cores: usize,
}

/// What one scenario found.
///
/// ```
/// let report = kadmap_bench::ScenarioReport::default();
/// assert_eq!(report.figure("puts"), None);
/// ```
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct ScenarioReport {
    /// Its name on the command line.
    pub name: &'static str,
    /// What was measured with, in words.
    pub settings: String,
    /// What was found.
    pub figures: Vec<Figure>,
    /// Operations that reported an error.
    pub failed: u64,
    /// Operations that succeeded with a result other than what had been stored: nothing, or something else.
    pub wrong: u64,
    /// What the first error said.
    pub first_error: Option<String>,
    /// How long all of it took, in seconds.
    pub seconds: f64,
}

/// One number.
///
/// ```
/// use kadmap_bench::{Figure, Target};
/// let figure = Figure { name: "puts".into(), value: 6000.0, unit: "/s", target: Some(Target::AtLeast(5000.0)), ratio: None };
/// assert_eq!(figure.met(), Some(true));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// What it is.
    pub name: String,
    /// How much.
    pub value: f64,
    /// In what.
    pub unit: &'static str,
    /// What it should be.
    pub target: Option<Target>,
    /// How it compares with something measured in the same run.
    pub ratio: Option<Ratio>,
}

/// What a figure should be.
///
/// ```
/// assert!(kadmap_bench::Target::AtMost(0.5).met_by(0.4));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// No less.
    AtLeast(f64),
    /// No more.
    AtMost(f64),
}

/// A figure divided by another of the same run, which a slow or busy machine moves as well.
///
/// ```
/// let ratio = kadmap_bench::Ratio { value: 1.3, to: "UDP echo" };
/// assert_eq!(ratio.to, "UDP echo");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ratio {
    /// The quotient.
    pub value: f64,
    /// What it was divided by.
    pub to: &'static str,
}

impl Target {
    /// Whether a figure is as it should be.
    pub fn met_by(&self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= *least,
            Self::AtMost(most) => value <= *most,
        }
    }
}

impl Figure {
    /// Whether it is as it should be; `None` without a target.
    pub fn met(&self) -> Option<bool> {
        self.target.map(|target| target.met_by(self.value))
    }
}

impl ScenarioReport {
    pub(crate) fn new(name: &'static str, settings: String) -> Self {
        Self { name, settings, ..Self::default() }
    }

    /// The value of a figure by its name.
    pub fn figure(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|figure| figure.name == name).map(|figure| figure.value)
    }

    /// Adds a figure; one that could not be taken is left out.
    pub(crate) fn add(
        &mut self,
        name: impl Into<String>,
        value: Option<f64>,
        unit: &'static str,
        target: Option<Target>,
        ratio: Option<(f64, &'static str)>,
    ) {
        let Some(value) = value else { return };
        let ratio = ratio.filter(|(base, _)| *base > 0.0).map(|(base, to)| Ratio { value: value / base, to });
        self.figures.push(Figure { name: name.into(), value, unit, target, ratio });
    }

    /// Counts the failures of a load among those of the scenario.
    pub(crate) fn count(&mut self, outcome: &crate::load::Outcome) {
        self.failed += outcome.failed;
        self.wrong += outcome.wrong;
        if self.first_error.is_none() {
            self.first_error.clone_from(&outcome.first_error);
        }
    }
}

impl Report {
    /// Writes the lines that say where and with what the figures were taken.
    pub(crate) fn write_head(&self, out: &mut dyn Write) -> io::Result<()> {
        let Machine { cpu, cores } = &self.machine;
        writeln!(out, "machine {cpu}, {cores} cores; commit {}; seed {}", self.commit, self.seed)
    }
}

impl ScenarioReport {
    /// Writes the figures as a table.
    pub(crate) fn write_table(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "\n{}: {}", self.name, self.settings)?;
        let width = self.figures.iter().map(|figure| figure.name.chars().count()).max().unwrap_or(0);
        for figure in &self.figures {
            write!(out, "  {:<width$}  {:>12} {:<5}", figure.name, number(figure.value), figure.unit)?;
            let target = match figure.target {
                Some(Target::AtLeast(least)) => format!(">= {}", number(least)),
                Some(Target::AtMost(most)) => format!("<= {}", number(most)),
                None => String::new(),
            };
            let verdict = match figure.met() {
                Some(true) => "met",
                Some(false) => "MISSED",
                None => "",
            };
            let ratio = figure
                .ratio
                .map_or_else(String::new, |ratio| format!("{} x {}", number(ratio.value), ratio.to));
            let line = format!("  {target:<12}  {verdict:<6}  {ratio}");
            writeln!(out, "{}", line.trim_end())?;
        }
        if self.failed + self.wrong > 0 {
            writeln!(
                out,
                "  {} operations failed, {} found something else than was stored",
                self.failed, self.wrong
            )?;
        }
        if let Some(error) = &self.first_error {
            writeln!(out, "  first error: {error}")?;
        }
        writeln!(out, "  took {:.1} s", self.seconds)
    }
}

/// A number with as many digits as mean something, thousands set apart.
fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        let digits = if value.abs() < 0.1 { 4 } else { 3 };
        return format!("{value:.digits$}");
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_grouped_and_small_ones_keep_digits() {
        assert_eq!(number(1_234_567.8), "1,234,568");
        assert_eq!(number(999.6), "1,000");
        assert_eq!(number(0.0421), "0.0421");
        assert_eq!(number(0.421), "0.421");
        assert_eq!(number(-12_345.0), "-12,345");
    }

    #[test]
    fn a_figure_that_could_not_be_taken_is_left_out() {
        let mut report = ScenarioReport::new("swarm", String::new());
        report.add("puts", None, "/s", None, None);
        report.add("gets", Some(10.0), "/s", None, Some((5.0, "puts")));
        assert_eq!(report.figures.len(), 1);
        assert_eq!(report.figures[0].ratio, Some(Ratio { value: 2.0, to: "puts" }));
    }
}
