//! One thing to do and how it went.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use crate::{fuzz, python, tidy};

/// A step of a test: its name and what it does.
#[derive(Debug)]
pub(crate) struct Step {
    /// As `--only` takes it.
    pub(crate) name: String,
    work: Work,
}

/// What a step does.
#[derive(Debug)]
enum Work {
    /// Runs cargo.
    Cargo { arguments: Vec<String>, environment: Vec<(&'static str, String)> },
    /// Looks at the tree.
    Tidy,
    /// Tests the Python packages.
    Python,
    /// Runs a fuzzer.
    Fuzz { target: String },
}

impl Step {
    /// A step that runs cargo with these words.
    pub(crate) fn cargo(name: &str, line: &str) -> Self {
        let arguments = line.split_whitespace().map(str::to_owned).collect();
        Self { name: name.to_owned(), work: Work::Cargo { arguments, environment: Vec::new() } }
    }

    /// The step that looks at the tree.
    pub(crate) fn tidy() -> Self {
        Self { name: "tidy".to_owned(), work: Work::Tidy }
    }

    /// The step that tests the Python packages.
    pub(crate) fn python() -> Self {
        Self { name: "python".to_owned(), work: Work::Python }
    }

    /// A step that runs a fuzzer.
    pub(crate) fn fuzz(target: &str) -> Self {
        Self { name: format!("fuzz/{target}"), work: Work::Fuzz { target: target.to_owned() } }
    }

    /// The same step with a variable set.
    pub(crate) fn with(mut self, variable: &'static str, value: impl ToString) -> Self {
        if let Work::Cargo { environment, .. } = &mut self.work {
            environment.push((variable, value.to_string()));
        }
        self
    }

    /// Does it.
    ///
    /// # Errors
    /// One line that tells what failed; the details have been printed.
    pub(crate) fn run(&self, root: &Path) -> Result<(), String> {
        match &self.work {
            Work::Cargo { arguments, environment } => cargo(root, arguments, environment),
            Work::Tidy => tidy::check(root),
            Work::Python => python::run(root),
            Work::Fuzz { target } => fuzz::run(root, target),
        }
    }
}

/// Runs cargo in the root of the checkout.
pub(crate) fn cargo<A: AsRef<OsStr>>(
    root: &Path,
    arguments: &[A],
    environment: &[(&str, String)],
) -> Result<(), String> {
    // The cargo that runs this program is the one of the chosen toolchain.
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root).args(arguments).envs(environment.iter().map(|(name, value)| (name, value)));
    let line = arguments.iter().map(|word| word.as_ref().to_string_lossy()).collect::<Vec<_>>().join(" ");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("'cargo {line}' ended with {status}")),
        Err(error) => Err(format!("cannot run 'cargo {line}': {error}")),
    }
}
