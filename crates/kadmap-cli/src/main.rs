//! The binary `kadmap`: one verb per file in `verbs`, what was typed in `typed`, results on standard output,
//! messages on standard error.

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

use std::process::ExitCode;

use clap::Parser;

use crate::failure::Failure;
use crate::output::Output;
use crate::typed::Cli;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return Output::of_raw_arguments().answer_clap(&error),
    };
    let output = Output::new(cli.global.json);
    match obey(cli, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => output.fail(&failure),
    }
}

fn obey(cli: Cli, output: &Output) -> Result<(), Failure> {
    log::start(&cli.global, cli.verb.is_server())?;
    verbs::run(cli.verb, output)
}
