//! The command line that comes with the package.

use std::ffi::OsString;
use std::path::PathBuf;

use kadmap_cli::Launch;
use pyo3::prelude::*;

/// Does what the binary `kadmap` does with these arguments, without the program's name, and returns its exit code.
///
/// Ctrl-C ends the process as it ends the binary's.
#[pyfunction]
pub(crate) fn run_command(py: Python<'_>, args: Vec<OsString>) -> PyResult<u8> {
    let signal = py.import("signal")?;
    // Python only takes note of Ctrl-C, and would act on it when the command is over.
    // Other threads than the main one may not set this, and have no part in signals either.
    let former = signal.call_method1("signal", (signal.getattr("SIGINT")?, signal.getattr("SIG_DFL")?));
    let interpreter: Option<PathBuf> = py.import("sys")?.getattr("executable")?.extract()?;
    let launch = Launch { program: interpreter, leading_args: vec!["-m".into(), "kadmap".into()] };
    let arguments = std::iter::once(OsString::from("kadmap")).chain(args);
    let code = py.detach(move || kadmap_cli::run_as(launch, arguments));
    if let Ok(former) = former
        && !former.is_none()
    {
        signal.call_method1("signal", (signal.getattr("SIGINT")?, former))?;
    }
    Ok(code)
}
