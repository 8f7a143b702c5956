//! `kadmap completions`: what a shell needs to complete verbs and flags.

use clap::CommandFactory;

use crate::failure::Failure;
use crate::output::Output;
use crate::typed::{Cli, CompletionsArgs};

pub(crate) fn run(args: &CompletionsArgs, output: &Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "kadmap", &mut script);
    output.bytes(&script)
}
