//! The arguments of `kadmap sim`.

use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::quantity::parse_duration;

const SIM_HELP: &str = "\
One seed decides everything: the same seed and sizes give the same trace hash, on any machine.
  kadmap sim --list                       what there is to run
  kadmap sim half-killed --nodes 10000    ten thousand nodes in this process, no network
  kadmap sim hunt --minutes 10            small swarms under every fault at once, until a promise breaks
  kadmap sim hunt --seed 7 --steps 100    one hunt again, as far as its hundredth step
Exit code 1 when a bound was broken or a hunt found something.";

/// The name under which hunts are run.
pub(crate) const HUNT: &str = "hunt";

fn scenario_names() -> PossibleValuesParser {
    let names = kadmap_sim::scenarios().iter().map(|scenario| scenario.name);
    PossibleValuesParser::new(names.chain([HUNT]))
}

/// Simulate a swarm: the same protocol under virtual time, with faults and bounds
#[derive(Debug, Args)]
#[command(after_help = SIM_HELP)]
pub(crate) struct SimArgs {
    /// What to run
    #[arg(required_unless_present = "list", value_parser = scenario_names())]
    pub(crate) scenario: Option<String>,
    /// Tell what there is to run
    #[arg(long, exclusive = true)]
    pub(crate) list: bool,
    /// So many nodes [default: the scenario's own; for hunt 3 to 12]
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=4_000_000))]
    pub(crate) nodes: Option<u32>,
    /// So many keys, where the scenario writes any [default: the scenario's own]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keys: Option<u32>,
    /// Virtual time of the main part, where there is one, such as 24h [default: the scenario's own]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) span: Option<Duration>,
    /// What decides everything; for hunt the first of the seeds
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// For hunt: go on for so long, or until something is found
    #[arg(long, default_value_t = 1.0)]
    pub(crate) minutes: f64,
    /// For hunt: only one seed, and so many steps of it
    #[arg(long)]
    pub(crate) steps: Option<u32>,
}
