//! Testing the Python packages of `python/`: a virtual environment of their own, an install as a user does it, pytest.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The interpreter, unless this variable names another.
const INTERPRETER_VARIABLE: &str = "PYTHON";
/// The interpreter when nothing names one.
const INTERPRETER: &str = if cfg!(windows) { "python" } else { "python3" };
/// The virtual environment: below the target directory, so that `cargo clean` removes it.
const ENVIRONMENT: &str = "target/python";
/// What the tests need beside the package itself.
const REQUIREMENTS: &str = "python/requirements-test.txt";
/// The package.
const PACKAGE: &str = "./python";
/// Told to the build: the profile whose dependencies the other steps have compiled already.
const BUILD_ARGUMENTS: &str = "build-args=--profile dev";

/// Installs the package into an environment of its own and runs its tests; tells on a line of its own when there is no
/// Python to do it with.
///
/// # Errors
/// One line that tells what failed; the details have been printed.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let interpreter = std::env::var_os(INTERPRETER_VARIABLE);
    let asked_for = interpreter.is_some();
    let interpreter = interpreter.unwrap_or_else(|| INTERPRETER.into());
    if !asked_for && Command::new(&interpreter).arg("--version").output().is_err() {
        crate::say(&format!(
            "xtask: NOT TESTED: the Python packages, for there is no '{INTERPRETER}'; install Python 3.10 or newer, \
             or name one in {INTERPRETER_VARIABLE}"
        ));
        return Ok(());
    }
    let environment = Environment::at(root);
    environment.make(&interpreter)?;
    environment.python(&["-m", "pip", "install", "--quiet", "--requirement", REQUIREMENTS])?;
    // As a user installs it, but with the tools of this environment: an isolated build would download them again.
    let install =
        ["-m", "pip", "install", "--quiet", "--no-build-isolation", "--force-reinstall", "--no-deps"];
    environment.python(&[&install[..], &["--config-settings", BUILD_ARGUMENTS, PACKAGE]].concat())?;
    environment.python(&["-m", "pytest", "python/tests", "--quiet"])
}

/// A virtual environment of the checkout.
struct Environment {
    root: PathBuf,
    folder: PathBuf,
}

impl Environment {
    fn at(root: &Path) -> Self {
        Self { root: root.to_owned(), folder: root.join(ENVIRONMENT) }
    }

    fn make(&self, interpreter: &OsString) -> Result<(), String> {
        if self.interpreter().exists() {
            return Ok(());
        }
        let mut command = Command::new(interpreter);
        command.args(["-m", "venv"]).arg(&self.folder);
        self.finish(command).map_err(|reason| {
            format!("{reason}; on Debian and its kin the package 'python3-venv' is needed for this")
        })
    }

    fn python(&self, arguments: &[&str]) -> Result<(), String> {
        let mut command = Command::new(self.interpreter());
        command.args(arguments);
        self.finish(command)
    }

    fn finish(&self, mut command: Command) -> Result<(), String> {
        // What is activated in the developer's shell must not leak in.
        command.current_dir(&self.root).env_remove("PYTHONPATH").env_remove("PYTHONHOME");
        command.env("VIRTUAL_ENV", &self.folder).env("PATH", self.path()?);
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let line = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("'{line}' ended with {status}")),
            Err(error) => Err(format!("cannot run '{line}': {error}")),
        }
    }

    /// The environment's programs before all others: the build looks for maturin there.
    fn path(&self) -> Result<OsString, String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.programs()).chain(std::env::split_paths(&path));
        std::env::join_paths(folders).map_err(|error| format!("cannot extend the PATH: {error}"))
    }

    fn programs(&self) -> PathBuf {
        self.folder.join(if cfg!(windows) { "Scripts" } else { "bin" })
    }

    fn interpreter(&self) -> PathBuf {
        self.programs().join(format!("python{}", std::env::consts::EXE_SUFFIX))
    }
}
