//! What was typed, as typed: the one definition that help, usage and completions come from.
//!
//! **Invariant**: nothing here knows what a flag leads to; `settings`, `trust`, `input` and the verbs do.

mod lists;
mod shared;
mod sim;
mod verbs;

use clap::{ArgAction, Args, Parser, Subcommand};

pub(crate) use lists::{AnnounceArgs, ItemsArgs, ProvidersArgs, TrimArgs};
pub(crate) use shared::{ConsistencyName, DurabilityName, NodeArgs, TrustArgs, ValueForm};
pub(crate) use sim::{HUNT, SimArgs};
pub(crate) use verbs::{
    AppendArgs, CompletionsArgs, DemoArgs, GetArgs, KeysArgs, LookupArgs, PeersArgs, PingArgs, PutArgs,
    RmArgs, RunArgs, StatusArgs, WatchArgs,
};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  not found; for demo: something was lost, or it was interrupted; for sim: a bound was broken
  2  wrong usage or settings: flag, address, config file, data folder, port in use
  3  unreachable: no member of the swarm answers, or it does not let us in
  4  time ran out
  5  too few replicas answered
  6  rejected: wrong kind of value, version conflict, too large, full, clock ahead

Results go to standard output, messages to standard error; an error is one line, `kadmap: ...`.
With --json a result is JSON, and an error is {\"error\", \"kind\", \"code\"} on one line of standard error.";

/// A map shared by a swarm of peers, with no server in the middle
#[derive(Debug, Parser)]
#[command(name = "kadmap", version, after_help = EXIT_CODES, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Flags of every verb.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Write results and errors as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log to standard error: off, error, warn, info, debug, trace, or by module (warn,kadmap::transport=trace)
    #[arg(long, global = true, value_name = "LEVEL", env = "KADMAP_LOG", hide_env_values = true)]
    pub(crate) log: Option<String>,
    /// Log more: -v for debug, -vv for trace
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "log")]
    pub(crate) verbose: u8,
}

/// One for each file in `verbs`.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Run(RunArgs),
    Put(PutArgs),
    Get(GetArgs),
    Append(AppendArgs),
    Rm(RmArgs),
    Items(ItemsArgs),
    Trim(TrimArgs),
    Announce(AnnounceArgs),
    Providers(ProvidersArgs),
    Keys(KeysArgs),
    Watch(WatchArgs),
    Peers(PeersArgs),
    Lookup(LookupArgs),
    Status(StatusArgs),
    Ping(PingArgs),
    Demo(DemoArgs),
    /// Measure kadmap on this machine, beside a bare UDP echo of the same run
    Bench(Box<kadmap_bench::BenchArgs>),
    Sim(SimArgs),
    Completions(CompletionsArgs),
}

impl Verb {
    /// Whether it stays, so that what it logs is for an operator to read.
    pub(crate) fn is_server(&self) -> bool {
        matches!(self, Self::Run(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}
