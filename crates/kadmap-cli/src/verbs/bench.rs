//! `kadmap bench`: what this machine makes of it.

use kadmap_bench::{BenchArgs, Launch};

use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn run(mut args: BenchArgs, mut launch: Launch, output: &Output) -> Result<(), Failure> {
    // The benchmark starts this program again for what needs a process of its own.
    launch.leading_args.push("bench".into());
    args.launch = launch;
    args.json |= output.is_json();
    output.stream(|out| kadmap_bench::run(args, out)).map(drop).map_err(Failure::Bench)
}
