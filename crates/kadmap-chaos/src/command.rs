//! The command line.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use clap::Parser;

use crate::args::{ALL, Cli};
use crate::error::ChaosError;
use crate::launch::{KADMAP, Launch};
use crate::plan::Plan;
use crate::report::Report;
use crate::scenario::{Scenario, scenarios};
use crate::swarm::{WARDEN, serve_as_warden};

/// Exit code when all bounds were kept.
const HELD: u8 = 0;
/// Exit code when a bound was broken or a run could not be played.
const BROKEN: u8 = 1;
/// Exit code for words that mean nothing here.
const USAGE: u8 = 2;

/// Does what was typed, the program's name first, and gives the exit code of the process.
///
/// ```
/// assert_eq!(kadmap_chaos::run_command(["kadmap-chaos", "--list"].map(Into::into)), 0);
/// assert_eq!(kadmap_chaos::run_command(["kadmap-chaos", "no-such"].map(Into::into)), 2);
/// ```
pub fn run_command(words: impl IntoIterator<Item = OsString>) -> u8 {
    let mut words: Vec<_> = words.into_iter().collect();
    let first = words.get(1).and_then(|word| word.to_str());
    match first {
        Some(KADMAP) => {
            words.remove(1);
            return kadmap_cli::run(words);
        }
        Some(WARDEN) => {
            serve_as_warden(std::io::stdin().lock());
            return HELD;
        }
        _ => {}
    }
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => {
            // With the terminal closed there is nobody left to tell.
            let _ = error.print();
            return error.exit_code() as u8;
        }
    };
    match obey(&cli) {
        Ok(true) => HELD,
        Ok(false) => BROKEN,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "kadmap-chaos: {error}");
            if matches!(error, ChaosError::NoScenario { .. } | ChaosError::Setting { .. }) {
                USAGE
            } else {
                BROKEN
            }
        }
    }
}

fn obey(cli: &Cli) -> Result<bool, ChaosError> {
    let mut out = std::io::stdout().lock();
    if cli.list {
        for scenario in scenarios() {
            let _ = writeln!(out, "{:<16} {:<4} {}", scenario.name, scenario.bar, scenario.about);
        }
        return Ok(true);
    }
    let chosen = chosen(&cli.scenarios)?;
    let launch = Launch::own()?;
    let launch = match &cli.kadmap {
        Some(program) => launch.with_kadmap(program),
        None => launch,
    };
    let mut json = cli.json.as_deref().map(create).transpose()?;
    let mut history = cli.history.as_deref().map(create).transpose()?;
    let mut all_held = true;
    for scenario in chosen {
        let ran = scenario.run(&plan(cli, scenario)?, &launch)?;
        let _ = ran.report.print(&mut out);
        all_held &= ran.report.holds();
        if let (Some(file), Some(path)) = (&mut json, &cli.json) {
            write_line(file, &ran.report)
                .map_err(|source| ChaosError::Write { path: path.clone(), source })?;
        }
        if let (Some(file), Some(path)) = (&mut history, &cli.history) {
            let written = ran.history.write(file);
            written.map_err(|source| ChaosError::Write { path: path.clone(), source })?;
        }
    }
    Ok(all_held)
}

fn chosen(names: &[String]) -> Result<Vec<&'static Scenario>, ChaosError> {
    let mut chosen = Vec::new();
    for name in names {
        if name == ALL {
            chosen.extend(scenarios());
            continue;
        }
        let found = scenarios().iter().find(|scenario| scenario.name == name);
        chosen.push(found.ok_or_else(|| ChaosError::NoScenario { name: name.clone() })?);
    }
    Ok(chosen)
}

fn plan(cli: &Cli, scenario: &Scenario) -> Result<Plan, ChaosError> {
    let mut plan = scenario.plan(cli.seed, cli.short);
    plan.nodes = cli.nodes.unwrap_or(plan.nodes);
    plan.keys = cli.keys.unwrap_or(plan.keys);
    plan.replication = cli.replication.unwrap_or(plan.replication);
    plan.appends = cli.appends.unwrap_or(plan.appends);
    plan.span = cli.span().unwrap_or(plan.span);
    plan.excuses = cli.excuses();
    plan.patience = Duration::from_secs(cli.patience);
    plan.repair_period = cli.repair_period().or(plan.repair_period);
    let setting = |setting, value: usize, remedy: &str| {
        Err(ChaosError::Setting { setting, value: value.to_string(), remedy: remedy.to_owned() })
    };
    match plan {
        Plan { nodes: nodes @ ..4, .. } => setting("--nodes", nodes, "choose at least 4"),
        Plan { keys: 0, .. } if cli.keys.is_some() => setting("--keys", 0, "choose at least 1"),
        Plan { replication: replication @ (0 | 65..), .. } => {
            setting("--replication", replication, "choose 1 to 64")
        }
        plan => Ok(plan),
    }
}

fn create(path: &Path) -> Result<BufWriter<File>, ChaosError> {
    let file = File::create(path).map_err(|source| ChaosError::Write { path: path.to_owned(), source })?;
    Ok(BufWriter::new(file))
}

fn write_line(out: &mut impl Write, report: &Report) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, report)?;
    out.write_all(b"\n")?;
    out.flush()
}
