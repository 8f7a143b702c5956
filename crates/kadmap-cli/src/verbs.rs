//! The verbs, one file each, all of the same shape: arguments and output in, done or failure out.

mod announce;
mod append;
mod bench;
mod completions;
mod demo;
mod get;
mod items;
mod keys;
mod lookup;
mod peers;
mod ping;
mod providers;
mod put;
mod rm;
mod run;
mod sim;
mod status;
mod trim;
mod watch;
mod written;

use kadmap_bench::Launch;

use crate::failure::Failure;
use crate::output::Output;
use crate::typed::Verb;

/// Does what was typed.
pub(crate) fn run(verb: Verb, launch: Launch, output: &Output) -> Result<(), Failure> {
    match verb {
        Verb::Run(args) => block_on(run::run(args, output)),
        Verb::Put(args) => block_on(put::run(args, output)),
        Verb::Get(args) => block_on(get::run(args, output)),
        Verb::Append(args) => block_on(append::run(args, output)),
        Verb::Items(args) => block_on(items::run(args, output)),
        Verb::Trim(args) => block_on(trim::run(args, output)),
        Verb::Announce(args) => block_on(announce::run(args, output)),
        Verb::Providers(args) => block_on(providers::run(args, output)),
        Verb::Rm(args) => block_on(rm::run(args, output)),
        Verb::Keys(args) => block_on(keys::run(args, output)),
        Verb::Watch(args) => block_on(watch::run(args, output)),
        Verb::Peers(args) => block_on(peers::run(args, output)),
        Verb::Lookup(args) => block_on(lookup::run(args, output)),
        Verb::Status(args) => block_on(status::run(args, output)),
        Verb::Ping(args) => block_on(ping::run(args, output)),
        Verb::Demo(args) => demo::run(&args, output),
        Verb::Bench(args) => bench::run(*args, launch, output),
        Verb::Sim(args) => sim::run(&args, output),
        Verb::Completions(args) => completions::run(&args, output),
    }
}

/// Runs a verb with its node on this thread: waking another one costs more than a request.
fn block_on(verb: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::System { what: "start the runtime", source })?;
    runtime.block_on(verb)
}
