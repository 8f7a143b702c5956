//! The command line of kadmap as a library: for the binary `kadmap`, and for packages of other languages that bring it.
//!
//! One verb per file in `verbs`, what was typed in `typed`, results on standard output, messages on standard error.

mod client;
mod config_file;
mod failure;
mod input;
mod json_text;
mod log;
mod output;
mod progress;
mod quantity;
mod settings;
mod signals;
mod trust;
mod typed;
mod verbs;

use std::ffi::OsString;

use clap::Parser;

pub use kadmap_bench::Launch;

use crate::failure::Failure;
use crate::output::Output;
use crate::typed::Cli;

/// Does what was typed, the program's name first, and gives the exit code of the process.
///
/// It blocks until done, writes to the process's standard output and error, and starts logging for the whole process,
/// so call it once.
///
/// ```
/// assert_eq!(kadmap_cli::run(["kadmap", "--version"].map(Into::into)), 0);
/// assert_eq!(kadmap_cli::run(["kadmap", "gett", "colour"].map(Into::into)), 2);
/// ```
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    run_as(Launch::default(), arguments)
}

/// Does as [`run`] does in a program that is not the binary `kadmap`, and says how that program is started again: the
/// benchmark measures processes of its own.
///
/// ```
/// let launch = kadmap_cli::Launch { program: Some("python3".into()), leading_args: vec!["-m".into(), "kadmap".into()] };
/// assert_eq!(kadmap_cli::run_as(launch, ["kadmap", "--version"].map(Into::into)), 0);
/// ```
pub fn run_as(launch: Launch, arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return Output::of_raw_arguments(&arguments).answer_clap(&error),
    };
    let output = Output::new(cli.global.json);
    match obey(cli, launch, &output) {
        Ok(()) => 0,
        Err(failure) => output.fail(&failure),
    }
}

fn obey(cli: Cli, launch: Launch, output: &Output) -> Result<(), Failure> {
    log::start(&cli.global, cli.verb.is_server())?;
    verbs::run(cli.verb, launch, output)
}
