//! The benchmark as a program of its own.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures kadmap on this machine
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    bench: kadmap_bench::BenchArgs,
}

fn main() -> ExitCode {
    match kadmap_bench::run(Cli::parse().bench, &mut std::io::stdout()) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            // With stderr closed there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "kadmap-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
