//! What a developer of kadmap runs: `cargo xtask test` before a push, `cargo xtask fix` after a complaint.

mod arguments;
mod fuzz;
mod plan;
mod python;
mod step;
mod tidy;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use arguments::{Arguments, TestOptions};
use step::Step;

/// Exit code for words on the command line that mean nothing here.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let root = root();
    match arguments::parse(std::env::args().skip(1)) {
        Ok(Arguments::Test(options)) => test(&root, &options),
        Ok(Arguments::Fix) => finish(run(&root, &plan::fix())),
        Ok(Arguments::Help) => {
            say(arguments::USAGE);
            ExitCode::SUCCESS
        }
        Err(complaint) => {
            say(&format!("{complaint}\n\n{}", arguments::USAGE));
            ExitCode::from(EXIT_USAGE)
        }
    }
}

/// Runs the steps of a test in order, up to the first that fails.
fn test(root: &Path, options: &TestOptions) -> ExitCode {
    let mut steps = plan::test();
    if options.long || options.only.is_some() {
        steps.extend(plan::long(root, options.soak_minutes));
    }
    if let Some(only) = &options.only {
        let known: Vec<_> = steps.iter().map(|step| step.name.clone()).collect();
        steps.retain(|step| step.name.split('/').next() == Some(only) || &step.name == only);
        if steps.is_empty() {
            say(&format!("no step '{only}'; there are: {}", known.join(", ")));
            return ExitCode::from(EXIT_USAGE);
        }
    }
    let started = Instant::now();
    let result = run(root, &steps);
    if result.is_ok() {
        say(&format!("xtask: {} steps passed in {:.1} s", steps.len(), started.elapsed().as_secs_f64()));
    }
    finish(result)
}

fn run(root: &Path, steps: &[Step]) -> Result<(), String> {
    for step in steps {
        say(&format!("xtask: {} ...", step.name));
        let started = Instant::now();
        step.run(root).map_err(|reason| format!("xtask: step '{}' failed: {reason}", step.name))?;
        say(&format!("xtask: {} passed in {:.1} s", step.name, started.elapsed().as_secs_f64()));
    }
    Ok(())
}

fn finish(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(complaint) => {
            say(&complaint);
            ExitCode::FAILURE
        }
    }
}

/// Writes a line for the developer; that nobody reads it is no reason to stop.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The root of the checkout: the folder above this package's.
fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}
